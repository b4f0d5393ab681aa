"""What is read from files of pictures, texts and sounds, and training on it."""

import wave

import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish.data import Files
from kerasish.data.resize_images import INTERPOLATIONS, resize_image
from kerasish.utils import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)

# --- pictures -------------------------------------------------------------------------------------

SIZES = {"larger": (5, 7, 12, 9), "smaller": (23, 31, 6, 8), "mixed": (10, 3, 3, 10)}


@pytest.mark.parametrize(
    "interpolation", ["bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"]
)
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("fit", ["stretch", "crop_to_aspect_ratio", "pad_to_aspect_ratio"])
def test_resizing_is_that_of_ops(interpolation, sizes, fit):
    image = np.random.default_rng(0).integers(0, 256, (*sizes[:2], 3), "uint8")
    kwargs = {"interpolation": interpolation} | ({} if fit == "stretch" else {fit: True})
    ours = resize_image(image, sizes[2:], **kwargs)
    theirs = keras.ops.image.resize(image.astype("float32"), sizes[2:], **kwargs)
    assert ours.dtype == "float32"
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-3)


def test_nearest_takes_the_op_s_side_of_every_tie():
    for entries in range(1, 40):
        row = np.arange(entries, dtype="float32")[None, :, None]
        for size in range(1, 40):
            scaled = (np.arange(size, dtype="float32") + 0.5) * entries / size
            ours = resize_image(row, (1, size), "nearest")[0, :, 0]
            np.testing.assert_array_equal(ours, np.floor(scaled.astype("float32")))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_even_picture_stays_even(interpolation):
    for size in [(3, 3), (5, 5), (9, 11)]:
        resized = resize_image(np.full((5, 5, 1), 77, "uint8"), size, interpolation)
        np.testing.assert_allclose(resized, np.full((*size, 1), 77), rtol=1e-6)


def test_area_is_the_mean_of_what_a_pixel_covers():
    image = np.random.default_rng(1).integers(0, 256, (6, 8, 2), "uint8")
    blocks = image.reshape(2, 3, 4, 2, 2).mean((1, 3))
    np.testing.assert_allclose(resize_image(image, (2, 4), "area"), blocks, rtol=1e-5)
    ramp = np.arange(3.0)[None, :, None]
    np.testing.assert_allclose(
        resize_image(ramp, (1, 2), "area")[0, :, 0], [1 / 3, 5 / 3], rtol=1e-6
    )


@pytest.mark.parametrize(
    "interpolation, weigh",
    [
        ("gaussian", lambda x: np.exp(-(x**2) / (2 * 0.5**2)) * (x < 1.5)),
        ("mitchellcubic", lambda x: {0: 16 / 18, 1: 1 / 18}.get(x, 0)),
    ],
)
def test_smoothing_by_its_definition(interpolation, weigh):
    image = np.zeros((1, 9, 1))
    image[0, 4] = 1
    weights = np.array([weigh(abs(distance)) for distance in range(-4, 5)])
    smoothed = resize_image(image, (1, 9), interpolation)[0, :, 0]
    np.testing.assert_allclose(smoothed, weights / weights.sum(), rtol=1e-5, atol=1e-7)


@pytest.fixture
def pictures(tmp_path):
    """Two classes of PNGs, all of other sizes: dark ones and bright ones."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 160), ("dark", 0)):
        (tmp_path / name).mkdir()
        for i in range(6):
            image = rng.integers(low, low + 90, (7 + i, 12 - i, 3), "uint8")
            keras.utils.save_img(tmp_path / name / f"{i}.png", image, scale=False)
    return tmp_path


def decoded(path, color_mode="rgb"):
    return keras.utils.img_to_array(keras.utils.load_img(path, color_mode=color_mode))


COLOURS = {"rgb": 3, "rgba": 4, "grayscale": 1}


@pytest.mark.parametrize("color_mode", COLOURS)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first", None])
def test_pictures_are_read_and_resized(pictures, color_mode, data_format):
    ds = image_dataset_from_directory(
        pictures,
        color_mode=color_mode,
        image_size=(8, 6),
        shuffle=False,
        batch_size=5,
        data_format=data_format,
    )
    x = np.concatenate([x for x, _ in ds])
    wanted = [keras.ops.image.resize(decoded(path, color_mode), (8, 6)) for path in ds.file_paths]
    x = np.moveaxis(x, 1, -1) if data_format == "channels_first" else x
    assert x.shape == (12, 8, 6, COLOURS[color_mode]) and x.dtype == "float32"
    np.testing.assert_allclose(x, wanted, rtol=1e-5, atol=1e-3)


def test_pictures_are_those_of_keras(pictures):
    ds = image_dataset_from_directory(
        pictures, image_size=8, interpolation="Bicubic", labels=None, batch_size=None, seed=1
    )
    for path, image in zip(ds.file_paths, [ds[i] for i in range(len(ds))], strict=True):
        theirs = oracle.ops.image.resize(decoded(path), (8, 8), interpolation="bicubic")
        np.testing.assert_allclose(image, theirs, rtol=1e-5, atol=1e-3)


def test_training_from_a_folder(pictures):
    train, held = image_dataset_from_directory(
        pictures,
        label_mode="binary",
        image_size=(6, 6),
        batch_size=4,
        seed=2,
        validation_split=0.25,
        subset="both",
    )
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.3), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(train.prefetch(2), validation_data=held, epochs=20, verbose=0).history
    assert history["val_accuracy"][-1] == 1
    assert model.evaluate(held.cache(), verbose=0, return_dict=True)["accuracy"] == 1
    assert model.predict(held, verbose=0).shape == (3, 1)


def test_every_kind_of_file(pictures):
    gray = np.full((4, 4, 1), 99)
    for ending in ("BMP", "gif", "jpeg", "jpg", "png"):
        keras.utils.save_img(pictures / "dark" / f"even.{ending}", gray, scale=False)
    ds = image_dataset_from_directory(pictures, class_names=["dark"], image_size=2, shuffle=False)
    x = ds[0][0][-5:]
    assert [path[-3:].lower() for path in ds.file_paths[-5:]] == ["bmp", "gif", "peg", "jpg", "png"]
    np.testing.assert_allclose(x, np.full((5, 2, 2, 3), 99), atol=1)


def test_the_old_name(pictures):
    assert keras.preprocessing.image_dataset_from_directory is image_dataset_from_directory
    assert keras.preprocessing.text_dataset_from_directory is text_dataset_from_directory
    assert isinstance(image_dataset_from_directory(pictures, format="grain"), Files)


# --- texts ----------------------------------------------------------------------------------------


def test_texts_are_strings_cut_by_characters(tmp_path):
    (tmp_path / "1.txt").write_bytes("Žluťoučký kůň\r\n".encode())
    (tmp_path / "2.txt").write_text("ab")
    (x,) = text_dataset_from_directory(tmp_path, labels=None, max_length=5, shuffle=False)
    assert x.dtype == object and x.tolist() == ["Žluťo", "ab"]
    whole = text_dataset_from_directory(tmp_path, None, batch_size=None, shuffle=False)
    assert whole[0] == "Žluťoučký kůň\r\n"


def test_texts_go_through_a_vocabulary_to_a_model(tmp_path):
    for name in ("cat", "dog", "eel"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} {i}")
    ds = text_dataset_from_directory(tmp_path, seed=0, batch_size=4)
    layer = keras.layers.TextVectorization(output_sequence_length=3)
    layer.adapt(ds.map(lambda x, y: x))
    assert {"cat", "dog", "eel"} <= set(layer.get_vocabulary())
    numbers = ds.map(lambda x, y: (layer(x), y))
    assert [x.shape for x, _ in numbers] == [(4, 3), (4, 3), (1, 3)]
    model = keras.Sequential([keras.layers.Embedding(30, 4), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    assert model.fit(numbers, epochs=15, verbose=0).history["accuracy"][-1] == 1


# --- sounds ---------------------------------------------------------------------------------------

VALUES = np.array([[0, -1], [0.5, 0.25], [-0.5, 0.75]])


def write_wav(path, values, width=2, rate=8000):
    whole = np.round(values * 2 ** (8 * width - 1)).astype("<i8")
    if width == 1:
        whole = whole + 128
    data = whole.reshape(-1, 1).view("uint8")[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setparams((values.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_sounds_of_every_width(tmp_path, width):
    write_wav(tmp_path / "a.wav", VALUES, width)
    (x,) = audio_dataset_from_directory(tmp_path, labels=None, sampling_rate=8000)
    assert x.dtype == "float32"
    np.testing.assert_array_equal(x, VALUES[None])


LENGTHS = [(None, 3), (2, 2), (5, 5)]


@pytest.mark.parametrize("wanted, length", LENGTHS)
def test_sounds_are_cut_or_filled_up(tmp_path, wanted, length):
    for name, rows in (("long", 3), ("short", 1)):
        (tmp_path / name).mkdir()
        write_wav(tmp_path / name / "1.wav", VALUES[:rows])
    ds = audio_dataset_from_directory(tmp_path, output_sequence_length=wanted, shuffle=False)
    ((x, y),) = ds
    full = np.zeros((2, 5, 2))
    full[0, :3], full[1, :1] = VALUES, VALUES[:1]
    np.testing.assert_array_equal(x, full[:, :length])
    assert y.tolist() == [0, 1]


def test_another_rate_is_told(tmp_path):
    write_wav(tmp_path / "x.wav", VALUES)
    ds = audio_dataset_from_directory(tmp_path, labels=None, sampling_rate=16000)
    with pytest.raises(ValueError, match=r"x.wav, 8000; got 16000. Resample the files first"):
        ds[0]
