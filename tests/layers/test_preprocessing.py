"""Layers that prepare data: categories, bins, sizes of images, against Keras and definitions."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, size=(2, 9, 7, 3)).astype("uint8")
MASKS = RNG.integers(0, 4, size=(2, 9, 7, 1)).astype("int32")


@pytest.mark.parametrize("mode", ["one_hot", "count", "binary"])
def test_numbers_become_places(mode):
    def program(k):
        layer = k.layers.CategoryEncoding(4, output_mode=mode)
        inputs = [3, [0, 1], [[0, 1, 1], [2, 0, 9]], [[2], [3]]]
        return [layer(np.array(x)) for x in inputs]

    both(program)


def test_counts_may_be_weighted():
    weights = np.array([[0.1, 0.2], [0.3, 0.4]])
    layer = layers.CategoryEncoding(3, output_mode="count")
    y = layer(np.array([[0, 1], [2, 2]]), count_weights=weights)
    np.testing.assert_allclose(y, [[0.1, 0.2, 0.0], [0.0, 0.0, 0.7]], rtol=1e-6)


def test_sparse_is_the_same_matrix():
    x = np.array([[0, 1, 1], [3, 2, 0]])
    sparse = layers.CategoryEncoding(5, sparse=True)(x)
    np.testing.assert_array_equal(sparse.todense(), layers.CategoryEncoding(5)(x))


@pytest.mark.parametrize("mode", ["int", "one_hot"])
def test_bins_are_keras(mode):
    x = np.array([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]], "float32")
    both(lambda k: k.layers.Discretization([0.0, 1.0, 2.0], output_mode=mode)(x))


@pytest.mark.parametrize("size", [4, 2900])
def test_adapted_bins_are_keras(size):
    x = np.random.default_rng(1).exponential(size=(size, 1)).astype("float32")

    def adapted(k, batches, **options):
        layer = k.layers.Discretization(**options)
        for batch in batches:  # Keras' own `adapt` needs TensorFlow
            layer.update_state(batch)
        layer.finalize_state()
        return layer

    def program(k):
        layer = adapted(k, [x], num_bins=5)
        again = adapted(k, np.array_split(x, 3), num_bins=4, epsilon=0.05)
        copy = k.layers.Discretization.from_config(layer.get_config())
        return [m.get_config()["bin_boundaries"] for m in (layer, again, copy)]

    both(program)


def test_adapting_takes_batches_too():
    x = RNG.normal(size=300)
    whole, parts = (layers.Discretization(num_bins=3) for _ in range(2))
    whole.adapt(x)
    parts.adapt((batch for batch in np.split(x, 6)), steps=6)
    np.testing.assert_allclose(parts.bin_boundaries, whole.bin_boundaries, atol=0.2)


def test_adapted_bins_get_as_many_entries_each():
    x = RNG.normal(size=10_000)
    layer = layers.Discretization(num_bins=8)
    layer.adapt(x)
    counts = np.bincount(layer(x))
    np.testing.assert_allclose(counts, 1250, atol=150)


def test_adapted_bins_go_through_a_file(tmp_path):
    layer = layers.Discretization(num_bins=3, output_mode="one_hot")
    layer.adapt(RNG.normal(size=(100, 2)))
    model = kerasish.Sequential([kerasish.Input((2,)), layer])
    model.save(tmp_path / "bins.keras")
    x = RNG.normal(size=(9, 2)).astype("float32")
    wanted = model.predict(x, verbose=0)
    for k in (kerasish, keras):
        y = k.saving.load_model(tmp_path / "bins.keras").predict(x, verbose=0)
        np.testing.assert_array_equal(y, wanted)


SIZES = {
    "larger": {"height": 12, "width": 13, "interpolation": "bicubic"},
    "cropped": {"height": 6, "width": 6, "crop_to_aspect_ratio": True},
    "padded": {"height": 6, "width": 6, "pad_to_aspect_ratio": True, "fill_value": 7.0},
    "smoothed": {"height": 4, "width": 3, "antialias": True},
}


@pytest.mark.parametrize("name", SIZES)
def test_resizing_is_keras(name):
    def program(k):
        layer = k.layers.Resizing(**SIZES[name])
        return layer({"images": PHOTOS, "segmentation_masks": MASKS, "labels": MASKS[:, 0, 0]})

    both(program)


def test_resizing_one_image_of_floats_is_keras():
    both(lambda k: k.layers.Resizing(4, 5)(PHOTOS[0].astype("float32")))


@pytest.mark.parametrize("size", [(12, 5), (12, 14)])
def test_center_crop_is_keras(size):
    both(lambda k: [k.layers.CenterCrop(*size)(x) for x in (PHOTOS, PHOTOS[1].astype("float32"))])


@pytest.mark.parametrize("size", [(4, 4), (12, 5)])
def test_random_crop_in_training_is_keras(size):
    both(lambda k: k.layers.RandomCrop(*size, seed=5)(PHOTOS, training=True))


@pytest.mark.parametrize("size", [(9, 5), (12, 14)])
def test_random_crop_out_of_training_is_the_middle(size):
    """As Keras documents it; its 3.15 leaves the images as they are."""
    layer, theirs = (k.layers.RandomCrop(*size, seed=5) for k in (kerasish, keras))
    middle = theirs.transform_images(
        PHOTOS, theirs.get_random_transformation(PHOTOS, training=False), training=True
    )
    np.testing.assert_allclose(layer(PHOTOS, training=False), middle, atol=1e-4)


def test_sizes_of_images_may_be_unknown():
    x = kerasish.Input((None, None, 3), dtype="uint8")
    shapes = {
        layers.Resizing(4, 5): (None, 4, 5, 3),
        layers.CenterCrop(4, 5): (None, 4, 5, 3),
        layers.RandomCrop(4, 5): (None, 4, 5, 3),
    }
    for layer, shape in shapes.items():
        assert layer(x).shape == shape
        assert kerasish.Model(x, layer(x))(PHOTOS).shape == (2, 4, 5, 3)


ERRORS = {
    r"`num_tokens` must be a positive integer; got None": lambda: layers.CategoryEncoding(),
    r"`output_mode` must be one of": lambda: layers.CategoryEncoding(3, output_mode="int"),
    r"`count_weights` must be None where": lambda: layers.CategoryEncoding(3)(
        np.array([[1]]), count_weights=np.ones((1, 1))
    ),
    r"`num_bins` must be given, or else": lambda: layers.Discretization([1.0], num_bins=2),
    r"`num_bins` must be an integer of at least 0": lambda: layers.Discretization(num_bins=-1),
    r"`sparse` must be False where": lambda: layers.Discretization([1.0], sparse=True),
    r"no bins yet. Call `adapt`": lambda: layers.Discretization(num_bins=2)(np.ones(3)),
    r"`bin_boundaries` were given": lambda: layers.Discretization([1.0]).adapt(np.ones(3)),
    r"`height` must be a positive integer": lambda: layers.Resizing(0, 2),
    r"`interpolation` must be one of": lambda: layers.Resizing(2, 2, "cubic"),
    r"`pad_to_aspect_ratio` must be False": lambda: layers.Resizing(
        2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True
    ),
    r"`images` must be one image or a batch": lambda: layers.Resizing(2, 2)(np.ones((2, 3))),
    r"`data` must be an array, or a dict with 'images'": lambda: layers.CenterCrop(2, 2)(
        {"labels": np.ones((2, 3))}
    ),
    r"`bounding_box_format` must be given": lambda: layers.CenterCrop(2, 2)(
        {"images": PHOTOS, "bounding_boxes": {"boxes": np.ones((2, 1, 4))}}
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_silence_has_a_gradient():
    layer = layers.MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=4)
    gradient = jax.grad(lambda x: layer(x).sum())(jnp.zeros(200))
    np.testing.assert_array_equal(gradient, np.zeros(200))
