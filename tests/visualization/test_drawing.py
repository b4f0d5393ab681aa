"""Boxes and masks drawn onto images."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from kerasish import visualization
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 255, size=(2, 30, 40, 3)).astype("uint8")
BOXES = {
    "boxes": np.array([[[5, 6, 20, 22], [10, 10, 12, 12]], [[0, 0, 39, 29], [1, 1, 2, 2]]]),
    "labels": np.array([[1, -1], [0, -1]]),
    "confidences": np.array([[0.5, 0.1], [0.9, 0.1]]),
}
MASKS = RNG.integers(0, 4, size=(2, 30, 40, 1)).astype("int32")


def test_a_box_is_four_lines_and_leaves_the_rest():
    options = {"color": (255, 0, 9), "line_thickness": 1}
    drawn = visualization.draw_bounding_boxes(PHOTOS, BOXES, "xyxy", **options)
    changed = (drawn != PHOTOS).any(axis=-1)[0]
    line = np.zeros((30, 40), bool)
    line[6:23, [5, 20]] = line[[6, 22], 5:21] = True
    assert not (changed & ~line).any()
    np.testing.assert_array_equal(drawn[0][line], [[255, 0, 9]] * line.sum())


def test_formats_layouts_and_values_do_not_matter():
    drawn = visualization.draw_bounding_boxes(PHOTOS, BOXES, "xyxy")
    first = np.moveaxis(PHOTOS, -1, 1) / np.float32(255)
    boxes = {**BOXES, "boxes": BOXES["boxes"][..., [1, 0, 3, 2]]}
    again = visualization.draw_bounding_boxes(first, boxes, "yxyx", data_format="channels_first")
    assert np.abs(again.astype(int) - drawn).max() <= 1


def test_names_are_written():
    plain = visualization.draw_bounding_boxes(PHOTOS, BOXES, "xyxy")
    named = visualization.draw_bounding_boxes(PHOTOS, BOXES, "xyxy", {1: "cat"}, font_scale=0.5)
    assert (named[0] != plain[0]).any() and (named[1] == plain[1]).all()


@pytest.mark.parametrize(
    "colors", [None, {0: (9, 8, 7), 1: (255, 0, 0), 2: (0, 5, 99), 3: (1, 1, 1)}]
)
def test_masks_are_keras(colors):
    """Given one class more than occurs: Keras leaves out the last."""

    def program(k):
        draw = k.visualization.draw_segmentation_masks
        options = {"num_classes": 4, "color_mapping": colors, "ignore_index": 2}
        return np.asarray(draw(PHOTOS, MASKS, **options), "float32") / 255

    both(program)


def test_every_class_is_drawn_and_masks_need_no_channel():
    solid = visualization.draw_segmentation_masks(PHOTOS, MASKS[..., 0], blend=False)
    assert len(np.unique(solid.reshape(-1, 3), axis=0)) == 4


def test_galleries_show_boxes_and_masks(tmp_path):
    figure = visualization.plot_bounding_box_gallery(
        PHOTOS / 255, "xyxy", BOXES, BOXES, (0, 1), class_mapping={0: "a"}, legend=True, rows=1
    )
    assert len(figure.axes) == 2 and len(figure.legends) == 1
    figure = visualization.plot_segmentation_mask_gallery(
        PHOTOS, 4, y_true=MASKS, y_pred=MASKS[..., 0], path=tmp_path / "masks.png"
    )
    assert len(figure.axes) == 6 and (tmp_path / "masks.png").exists()
    shown = [axis.images[0].get_array() for axis in figure.axes[:3]]
    np.testing.assert_allclose(shown[0], PHOTOS[0] / 255, atol=1e-6)
    np.testing.assert_array_equal(shown[1], shown[2])
    plt.close("all")


ERRORS = {
    r"`images` must be images of shape": (
        ValueError,
        lambda: visualization.draw_bounding_boxes(PHOTOS[0], BOXES, "xyxy"),
    ),
    r"`bounding_boxes` must be a dict with": (
        ValueError,
        lambda: visualization.draw_bounding_boxes(PHOTOS, {"boxes": 0}, "xyxy"),
    ),
    r"`segmentation_masks` must be integers": (
        TypeError,
        lambda: visualization.draw_segmentation_masks(PHOTOS, MASKS / 2),
    ),
    r"`segmentation_masks` must be of shape": (
        ValueError,
        lambda: visualization.draw_segmentation_masks(PHOTOS, MASKS[:1]),
    ),
    r"`legend` must be False together": (
        ValueError,
        lambda: visualization.plot_bounding_box_gallery(
            PHOTOS, "xyxy", legend=True, legend_handles=[1]
        ),
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    kind, run = ERRORS[message]
    with pytest.raises(kind, match=message):
        run()
