"""Augmentation of images: masks, labels, layouts, and in `fit`.

That each layer draws and does what Keras' does is in `tests/contract`.
"""

import jax
import numpy as np
import pytest

import kerasish
from kerasish import layers
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
PHOTOS = RNG.uniform(0, 255, size=(5, 6, 8, 3)).astype("float32")
MASKS = RNG.integers(0, 4, size=(5, 6, 8, 1)).astype("int32")
LABELS = np.eye(5, dtype="float32")
SEED = {"seed": 7}

MOVES = {
    "flip": lambda k, **o: k.RandomFlip(**SEED, **o),
    "flip across": lambda k, **o: k.RandomFlip("horizontal", **SEED, **o),
    "flip upright": lambda k, **o: k.RandomFlip("vertical", **SEED, **o),
    "turn, reflect": lambda k, **o: k.RandomRotation(0.2, **SEED, **o),
    "turn, wrap": lambda k, **o: k.RandomRotation((0.1, 0.1), "wrap", **SEED, **o),
    "turn, nearest": lambda k, **o: k.RandomRotation((-0.2, 0), "nearest", "nearest", **SEED, **o),
    "turn, 9": lambda k, **o: k.RandomRotation(0.2, "constant", fill_value=9.0, **SEED, **o),
    "zoom": lambda k, **o: k.RandomZoom((0.2, 0.2), **SEED, **o),
    "zoom unevenly": lambda k, **o: k.RandomZoom(-0.3, (0.1, 0.4), "constant", **SEED, **o),
    "shift": lambda k, **o: k.RandomTranslation((0.2, 0.2), -0.4, **SEED, **o),
    "shear": lambda k, **o: k.RandomShear((0.2, 0.2), 0.4, **SEED, **o),
}
COLOURS = {
    "contrast": lambda k, **o: k.RandomContrast((0.2, 0.4), **SEED, **o),
    "brightness": lambda k, **o: k.RandomBrightness((0.2, 0.2), [0, 200], **SEED, **o),
    "grey": lambda k, **o: k.RandomGrayscale(0.5, **SEED, **o),
    "hue": lambda k, **o: k.RandomHue((0.2, 0.8), **SEED, **o),
    "saturation": lambda k, **o: k.RandomSaturation((0.1, 0.8), **SEED, **o),
    "inverted": lambda k, **o: k.RandomInvert((0.2, 0.8), **SEED, **o),
    "sharper": lambda k, **o: k.RandomSharpness((0.6, 0.9), **SEED, **o),
    "blurred": lambda k, **o: k.RandomSharpness(0.3, **SEED, **o),
    "few values": lambda k, **o: k.RandomPosterization((2, 5), **SEED, **o),
    "solarized": lambda k, **o: k.Solarization(0.3, (0.1, 0.5), **SEED, **o),
    "equalized": lambda k, **o: k.Equalization(bins=64, **o),
    "mixed up": lambda k, **o: k.MixUp(**SEED, **o),
    "cut and mixed": lambda k, **o: k.CutMix(**SEED, **o),
}


def channels_first(x):
    return np.moveaxis(x, -1, -3)


@pytest.mark.parametrize("name", ["flip across", "turn, nearest"])
def test_masks_are_moved_along_as_in_keras(name):
    def program(k):
        layer = MOVES[name](k.layers)
        seen = layer({"images": PHOTOS, "segmentation_masks": MASKS}, training=True)
        return seen["images"] / 255, np.asarray(seen["segmentation_masks"], "float32")

    both(program)


def test_jitter_is_keras():
    factors = 0.2, (0.1, 0.3), (0.3, 0.6), 0.2
    both(lambda k: k.layers.RandomColorJitter((0, 255), *factors, seed=7)(PHOTOS) / 255)


@pytest.mark.slow
@pytest.mark.parametrize("name", {**MOVES, **COLOURS})
def test_each_does_what_keras_does(name):
    both(lambda k: {**MOVES, **COLOURS}[name](k.layers)(PHOTOS, training=True) / 255)


@pytest.mark.parametrize("name", ["flip", "contrast"])
def test_one_image_and_channels_first_are_keras(name):
    def program(k):
        make = {**MOVES, **COLOURS}[name]
        layer, first = make(k.layers), make(k.layers, data_format="channels_first")
        one = layer({"images": PHOTOS[1], "labels": LABELS[1]}, training=True)
        moved = first(channels_first(PHOTOS), training=True)
        return one["images"] / 255, one["labels"], moved / 255

    both(program)


def test_a_rectangle_may_have_a_colour():
    layer = layers.RandomErasing((1.0, 1.0), 0.5, [1.0, 2.0, 300.0], seed=7)
    changed = np.asarray(layer(PHOTOS, training=True))
    covered = (changed != PHOTOS).all(axis=-1)
    assert (changed[covered] == [1.0, 2.0, 255.0]).all()
    assert 0 < covered.mean() < 0.5
    for rows in covered:  # a rectangle each
        assert rows.sum() == rows.any(axis=0).sum() * rows.any(axis=1).sum()


@pytest.mark.parametrize("name", ["mixed up", "cut and mixed"])
def test_labels_are_mixed_as_the_images_are(name):
    both(
        lambda k: COLOURS[name](k.layers)({"images": PHOTOS, "labels": LABELS}, training=True)[
            "labels"
        ]
    )
    data = {"images": np.broadcast_to(LABELS[:, None, None], (5, 64, 64, 5)), "labels": LABELS}
    mixed = COLOURS[name](layers)({**data, "segmentation_masks": data["images"]}, training=True)
    shares = mixed["images"].mean(axis=(1, 2))
    np.testing.assert_allclose(mixed["labels"], shares, atol=0.05)
    np.testing.assert_array_equal(mixed["segmentation_masks"], mixed["images"])


@pytest.mark.parametrize("name", [*MOVES, *COLOURS])
def test_out_of_training_nothing_happens_and_no_seed_moves(name):
    layer = {**MOVES, **COLOURS}[name](layers)
    x = PHOTOS.astype("uint8")
    y = layer(x, training=False)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, x)
    if layer.generator is not None:
        np.testing.assert_array_equal(layer.generator.state, [7, 0])


def test_dicts_of_users_stay_as_they_are():
    data = {"images": PHOTOS, "labels": LABELS, "names": np.arange(5)}
    changed = layers.MixUp()(data, training=True)
    assert data["images"] is PHOTOS and data["labels"] is LABELS
    np.testing.assert_array_equal(changed["names"], np.arange(5))


def test_each_step_of_fit_draws_anew_and_predict_does_not():
    first = layers.RandomFlip("horizontal", seed=1)
    steps = [first, layers.RandomRotation(0.1), layers.RandomZoom(0.1), layers.RandomContrast(0.2)]
    augment = layers.Pipeline([layers.RandomCrop(5, 6), *steps])
    model = kerasish.Sequential(
        [kerasish.Input((6, 8, 3)), augment, layers.Flatten(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x = np.tile(PHOTOS, (4, 1, 1, 1)) / 255
    model.fit(x, x[:, 0, 0, 0], batch_size=4, epochs=2, verbose=0)
    np.testing.assert_array_equal(first.generator.state, [1, 10])
    once, again = (model.predict(x, verbose=0) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(first.generator.state, [1, 10])


def test_the_same_seed_moves_images_and_their_transforms_can_be_kept():
    layer = layers.RandomTranslation(0.5, 0.5, seed=3)
    drawn = layer.get_random_transformation(PHOTOS)
    layer.generator.state.assign([3, 0])
    np.testing.assert_array_equal(layer(PHOTOS), layer.transform_images(PHOTOS, drawn))


def test_pipelines_are_keras_and_go_through_files(tmp_path):
    def program(k):
        steps = [k.layers.RandomFlip(seed=1), k.layers.Resizing(3, 4), k.layers.Rescaling(1 / 255)]
        pipe = k.layers.Pipeline(steps, name="pipe")
        model = k.Sequential([k.Input((6, 8, 3)), pipe])
        model.save(tmp_path / f"{k.__name__}.keras")
        return pipe(PHOTOS, training=True), model.get_config(), model.predict(PHOTOS, verbose=0)

    _, config, wanted = both(program)
    again = kerasish.Sequential.from_config(config).predict(PHOTOS, verbose=0)
    np.testing.assert_allclose(again, wanted, rtol=1e-6)
    for writer in ("kerasish", "keras"):
        model = kerasish.saving.load_model(tmp_path / f"{writer}.keras")
        np.testing.assert_allclose(model.predict(PHOTOS, verbose=0), wanted, rtol=1e-6)


def test_a_pipeline_passes_masks_on():
    pipe = layers.Pipeline([layers.Masking(), layers.LSTM(2, return_sequences=True)])
    x = np.array([[[1.0], [0.0], [2.0]]])
    wanted = layers.LSTM(2, return_sequences=True)
    masked = layers.Masking()(x)
    wanted(masked)
    pipe(x)
    wanted.set_weights(pipe.get_weights())
    np.testing.assert_allclose(pipe(x), wanted(masked), rtol=1e-6)


ERRORS = {
    r"`factor` must be a number from -1.0 to 1.0": lambda: layers.RandomRotation(2.0),
    r"`factor` must be a number from 1 to 8": lambda: layers.RandomPosterization(9),
    r"`factor` must be from 0 to 1; got 2": lambda: layers.RandomGrayscale(2),
    r"`height_factor` must be more than -1": lambda: layers.RandomZoom((-1.0, 0.0)),
    r"`x_factor` must be a number": lambda: layers.RandomShear("a"),
    r"`width_factor` must be a number": lambda: layers.RandomTranslation(0.1, (0.1, 0.2, 0.3)),
    r"`fill_mode` must be one of": lambda: layers.RandomShear(0.1, fill_mode="mirror"),
    r"`interpolation` must be one of": lambda: layers.RandomZoom(0.1, interpolation="cubic"),
    r"`mode` must be one of": lambda: layers.RandomFlip("both"),
    r"`value_range` must be two numbers": lambda: layers.RandomBrightness(0.1, value_range=255),
    r"`alpha` must be a positive number": lambda: layers.MixUp(0),
    r"`fill_value` must be a number, one": lambda: layers.RandomErasing(fill_value=[[1.0]]),
    r"`layers` must be a list of layers": lambda: layers.Pipeline(layers.RandomFlip()),
    r"`images` must be of 1 or 3 channels": lambda: layers.RandomGrayscale()(PHOTOS[..., :2]),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_works_within_jit():
    layer = layers.RandomErasing(seed=1)
    eager = layer(PHOTOS, training=True)
    layer.generator.state.assign([1, 0])
    compiled = kerasish.jit(lambda x: layer(x, training=True))(PHOTOS)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-4)
    assert isinstance(compiled, jax.Array)
