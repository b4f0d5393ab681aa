"""Image layers that choose, distort and even out: what the contract tests cannot compare."""

import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.core.state.seeds import KeyStream
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, size=(3, 24, 30, 3)).astype("float32")
MASKS = (PHOTOS[..., :1] > 128).astype("int32")


@pytest.mark.parametrize("fill_mode", ["reflect", "constant"])
@pytest.mark.parametrize("scale", [(1.0, 1.0), 0.6])
def test_elastic_images_are_keras(scale, fill_mode):
    def program(k):
        layer = k.layers.RandomElasticTransform((0.5, 0.9), scale, fill_mode=fill_mode, seed=5)
        return layer(PHOTOS, training=True) / 255

    both(program)


def test_elastic_masks_move_with_their_images():
    layer = layers.RandomElasticTransform((1.0, 1.0), interpolation="nearest", seed=1)
    images = np.repeat(MASKS, 3, axis=-1) * 100.0
    moved = layer({"images": images, "segmentation_masks": MASKS}, training=True)
    np.testing.assert_array_equal(moved["images"][..., :1], moved["segmentation_masks"] * 100.0)
    assert (moved["segmentation_masks"] != MASKS).any()


def test_elastic_images_compile():
    layer = layers.RandomElasticTransform(seed=5)
    eager = layer(PHOTOS, training=True)
    layer.generator.state.assign([5, 0])
    compiled = kerasish.jit(lambda x: layer(x, training=True))(PHOTOS)
    np.testing.assert_allclose(compiled, eager, atol=0.2)


CHAINS = {"num_chains": 2, "chain_depth": 3}


@pytest.mark.parametrize("all_ops", [True, False])
def test_mixed_chains_are_their_definition(all_ops):
    layer = layers.AugMix(seed=4, all_ops=all_ops, **CHAINS)
    drawn = layer.get_random_transformation(PHOTOS)
    mixed = 0.0
    for weight, indices, keys in zip(
        *(drawn[n] for n in ("chain_mixing_weights", "layer_idxes", "keys")), strict=True
    ):
        changed = PHOTOS
        for index, key in zip(indices, keys, strict=True):
            if index < len(layer.choices):
                chosen = getattr(layer, layer.choices[int(index)])
                numbers = chosen.draw(PHOTOS.shape, KeyStream(key))
                changed = chosen.transform_images(changed, numbers, training=True)
        mixed = mixed + weight * changed
    share = drawn["weight_sample"]
    wanted = np.clip(share * PHOTOS + (1 - share) * mixed, 0, 255)
    np.testing.assert_allclose(layer.transform_images(PHOTOS, drawn), wanted, atol=0.05)
    assert len(layer.choices) == (11 if all_ops else 7)


def test_chains_are_drawn_evenly():
    layer = layers.AugMix(seed=4, num_chains=30, chain_depth=40, alpha=2.0)
    drawn = layer.draw((1, 4, 4, 3), layer.generator)
    counts = np.bincount(np.ravel(drawn["layer_idxes"]), minlength=12)
    assert len(counts) == 12 and counts.min() > 60 and counts.max() < 140  # 100 each
    np.testing.assert_allclose(drawn["chain_mixing_weights"].sum(), 1.0, rtol=1e-5)
    assert len({tuple(key) for key in np.asarray(drawn["keys"]).reshape(-1, 2).tolist()}) == 1200


def test_masks_are_mixed_as_images_are():
    layer = layers.AugMix(seed=4, **CHAINS)
    data = {"images": PHOTOS, "segmentation_masks": MASKS}
    mixed = layer(data, training=True)["segmentation_masks"]
    assert mixed.dtype == "float32" and mixed.min() >= 0 and mixed.max() <= 1 + 1e-6


@pytest.mark.parametrize("name", ["RandAugment", "AugMix"])
def test_policies_work_in_fit_and_compiled(name):
    augment = getattr(layers, name)(value_range=(0, 1), seed=2)
    x = PHOTOS[:2] / 255
    eager = augment(x, training=True)
    augment.generator.state.assign([2, 0])
    compiled = kerasish.jit(lambda x: augment(x, training=True))(x)
    np.testing.assert_allclose(compiled, eager, atol=1e-4)
    model = kerasish.Sequential([kerasish.Input((24, 30, 3)), augment, layers.Flatten()])
    model.add(layers.Dense(1))
    model.compile("sgd", "mse")
    before = np.asarray(augment.generator.state)
    model.fit(x, x[:, 0, 0, 0], epochs=2, verbose=0)
    assert (np.asarray(augment.generator.state) != before).any()
    np.testing.assert_array_equal(augment(x, training=False), x)


def test_unevenly_tiled_contrast_is_keras():
    def program(k):
        clahe = k.layers.ContrastLimitedAdaptiveHistogramEqualization
        bytes_of = PHOTOS.astype("uint8")
        first = np.moveaxis(PHOTOS, -1, 1)
        return (
            clahe((0, 255), 2.0, (5, 7))(bytes_of),
            clahe(clip_limit=0.0)(PHOTOS[0]) / 255,
            clahe((0.0, 1.0), data_format="channels_first")(first / 255),
        )

    ours = both(program)
    assert ours[0].dtype == "uint8"


def test_box_numbers_other_than_the_default_go_through_configs():
    layer = layers.MaxNumBoundingBoxes(4, fill_value=0, bounding_box_format="xyxy")
    again = layers.MaxNumBoundingBoxes.from_config(layer.get_config())
    boxes = {"boxes": np.ones((1, 2, 4)), "labels": np.array([[5, 6]])}
    filled = again({"images": PHOTOS[:1], "bounding_boxes": boxes})["bounding_boxes"]
    np.testing.assert_array_equal(filled["labels"], [[5, 6, 0, 0]])


ERRORS = {
    r"`kernel_size` must be an odd positive": lambda: layers.RandomGaussianBlur(kernel_size=4),
    r"`sigma` must be a number from 0.0 to 1.0": lambda: layers.RandomGaussianBlur(sigma=3.0),
    r"`scale` must be from 0 to 1": lambda: layers.RandomPerspective(scale=1.5),
    r"`fill_mode` must be one of": lambda: layers.RandomElasticTransform(fill_mode="zeros"),
    r"`num_ops` must be a positive integer": lambda: layers.RandAugment(num_ops=0),
    r"`factor` must be a number from 0.0": lambda: layers.AugMix(factor=1.5),
    r"`alpha` must be a positive number": lambda: layers.AugMix(alpha=-1),
    r"`tile_grid_size` must be 2 integers": lambda: (
        layers.ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(0, 2))
    ),
    r"`max_number` must be a positive": lambda: layers.MaxNumBoundingBoxes(0),
    r"what a random field makes of a box": lambda: layers.RandomElasticTransform(
        bounding_box_format="xyxy"
    )(
        {
            "images": PHOTOS,
            "bounding_boxes": {"boxes": np.ones((3, 1, 4)), "labels": np.ones((3, 1))},
        },
        training=True,
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
