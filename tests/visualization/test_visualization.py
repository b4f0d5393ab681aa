"""Pictures of data."""

import numpy as np
import pytest

from kerasish.visualization import plot_image_gallery


@pytest.mark.parametrize(
    ("count", "given", "grid"),
    [
        (5, {}, (3, 2)),
        (9, {}, (3, 3)),
        (1, {}, (1, 1)),
        (5, {"cols": 5}, (1, 5)),
        (5, {"rows": 2}, (2, 3)),
        (9, {"rows": 2, "cols": 2}, (2, 2)),
    ],
)
def test_gallery_fits_its_images(count, given, grid):
    figure = plot_image_gallery(np.zeros((count, 4, 4, 1)), **given)
    drawn = [axis for axis in figure.axes if axis.images]
    assert figure.axes[0].get_gridspec().get_geometry() == grid
    assert len(drawn) == min(count, grid[0] * grid[1])


def test_gallery_shows_pixels_and_labels(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 6, 5)).astype("float32")
    figure = plot_image_gallery(
        images,
        y_true=[0, 1],
        y_pred=np.array([1, 2]),
        label_map={0: "cat", 1: "dog"},
        value_range=(-1, 1),
        data_format="channels_first",
        path=tmp_path / "gallery.png",
    )
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, np.moveaxis(images[0] + 1, 0, -1) / 2, atol=1e-6)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["Label: cat  Pred: dog", "Label: dog  Pred: ?"]
    assert (tmp_path / "gallery.png").stat().st_size > 500


def test_gallery_needs_a_batch():
    with pytest.raises(ValueError, match=r"must be images of shape \(images, .*; got \(4, 4, 3\)"):
        plot_image_gallery(np.zeros((4, 4, 3)))
