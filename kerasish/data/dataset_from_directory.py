"""Folders of images, text files or audio files as data sets."""

import functools
import pathlib
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.data.audio_files import pad_and_stack, read_wav
from kerasish.data.image_files import load_img
from kerasish.data.labelled_files import Files, files_in
from kerasish.data.resize_images import INTERPOLATIONS, resize_image

_PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_COLOURS = ("rgb", "rgba", "grayscale")
_FORMATS = ("tf", "grain")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: Any = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: Any = None,
    format: str = "tf",
    verbose: bool = True,
) -> Files | tuple[Files, Files]:
    """Image files of a folder as a data set: floats from 0 to 255, all of one size.

    Needs Pillow (`pip install "kerasish[image]"`). Takes `.png`, `.jpg`, `.jpeg`, `.bmp`, and of
    `.gif` the first image.

    Args:
        directory: The folder, with a folder for each class if labels are inferred.
        labels: `"inferred"`: the number of the class; a list of numbers, in the order of the
            files' paths; or `None` for none. With the last two, all files below the folder count.
        label_mode: `"int"`: int32 `(batch,)`; `"binary"`: float32 `(batch, 1)`; `"categorical"`:
            one-hot float32 `(batch, classes)`; `None`: no labels.
        class_names: The classes' folders, in the order of their numbers; `None`: all, sorted.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`: 3, 4 or 1 channels.
        batch_size: Images in a batch; `None` gives them one by one, without a batch axis.
        image_size: `(height, width)` to resize to.
        shuffle: Whether to shuffle the files once, and then draw a new order for each epoch.
        seed: Integer that fixes the orders; `None` draws one.
        validation_split: Fraction of the files to hold out, strictly between 0 and 1.
        subset: `"training"`: all but the held out; `"validation"`: these; `"both"`: a pair, of
            which the second is not shuffled anew.
        interpolation: How to resize, as `keras.ops.image.resize` does without smoothing:
            `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`; or tf.data's
            `"area"`, `"gaussian"` or `"mitchellcubic"`. All are computed in NumPy.
        follow_links: Whether to go into linked folders.
        crop_to_aspect_ratio: Cut off what would change an image's proportions.
        pad_to_aspect_ratio: Add zeros that keep them.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.
        format: Kept for Keras' sake, where it says for which library the result is.
        verbose: Whether to print how many files and classes there are.

    Shapes:
        Images `(batch, height, width, channels)`, or channels first; labels by `label_mode`.

    Returns:
        A data set (two for `subset="both"`) for `fit` or a `for` loop, with `class_names` and
        `file_paths`, and with `map`, `take`, `skip`, `cache`, `batch`, `shuffle` as tf.data has
        them.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     keras.utils.save_img(folder / name / "a.png", np.ones((9, 9, 3)))
        >>> ds = image_dataset_from_directory(folder, image_size=(8, 8))
        Found 2 files belonging to 2 classes.
        >>> [(x.shape, y.shape) for x, y in ds], ds.class_names
        ([((2, 8, 8, 3), (2,))], ['cat', 'dog'])
    """
    who = "image_dataset_from_directory"
    _one_of(who, "format", format, _FORMATS)
    _one_of(who, "color_mode", color_mode, _COLOURS)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not (isinstance(size, list | tuple) and len(size) == 2 and min(size) > 0):
        raise bad_argument(who, "image_size", "(height, width)", image_size)
    interpolation = interpolation.lower()
    _one_of(who, "interpolation", interpolation, INTERPOLATIONS)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise bad_argument(who, "pad_to_aspect_ratio", "False where images are cropped", True)
    read = functools.partial(
        _read_picture,
        color_mode=color_mode,
        first=standardize_data_format(data_format) == "channels_first",
        size=tuple(size),
        interpolation=interpolation,
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
    )
    return files_in(
        who,
        directory,
        _PICTURES,
        read,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
    )


def _read_picture(path, color_mode, first, **kwargs):
    image = np.asarray(load_img(path, color_mode))
    image = resize_image(image if image.ndim == 3 else image[..., None], **kwargs)
    return np.moveaxis(image, -1, 0) if first else image


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: Any = None,
    shuffle: Any = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Files | tuple[Files, Files]:
    """Text files (`.txt`, in UTF-8) of a folder as a data set of strings.

    Args:
        directory: The folder, as for `image_dataset_from_directory`.
        labels: As there.
        label_mode: As there.
        class_names: As there.
        batch_size: Texts in a batch; `None` gives them one by one, without a batch axis.
        max_length: Characters of a text to keep; `None`: all.
        shuffle: As there.
        seed: As there.
        validation_split: As there.
        subset: As there.
        follow_links: As there.
        format: Kept for Keras' sake.
        verbose: Whether to print how many files and classes there are.

    Shapes:
        Texts `(batch,)`, an array of strings as `TextVectorization` takes it; labels by
        `label_mode`.

    Returns:
        A data set as `image_dataset_from_directory` makes it.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, text in (("bad", "Dull."), ("good", "Lovely!")):
        ...     (folder / name).mkdir()
        ...     _ = (folder / name / "1.txt").write_text(text)
        >>> ds = text_dataset_from_directory(folder, shuffle=False)
        Found 2 files belonging to 2 classes.
        >>> next(iter(ds))
        (array(['Dull.', 'Lovely!'], dtype=object), array([0, 1], dtype=int32))
    """
    who = "text_dataset_from_directory"
    _one_of(who, "format", format, _FORMATS)
    _check_count(who, "max_length", max_length)
    return files_in(
        who,
        directory,
        (".txt",),
        functools.partial(_read_text, max_length=max_length),
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
    )


def _read_text(path, max_length):
    return pathlib.Path(path).read_bytes().decode()[:max_length]


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: Any = None,
    output_sequence_length: Any = None,
    ragged: bool = False,
    shuffle: Any = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Files | tuple[Files, Files]:
    """Sound files (`.wav`, PCM of 8 to 32 bits) of a folder as a data set: floats from -1 to 1.

    Args:
        directory: The folder, as for `image_dataset_from_directory`.
        labels: As there.
        label_mode: As there.
        class_names: As there.
        batch_size: Sounds in a batch; `None` gives them one by one, without a batch axis.
        sampling_rate: Samples a second that every file must have; none is resampled.
        output_sequence_length: Samples to cut each sound to, or to fill it up to with zeros;
            `None`: as many as the batch's longest has.
        ragged: Kept for Keras' sake; False.
        shuffle: As there.
        seed: As there.
        validation_split: As there.
        subset: As there.
        follow_links: As there.
        verbose: Whether to print how many files and classes there are.

    Shapes:
        Sounds `(batch, samples, channels)`; labels by `label_mode`.

    Returns:
        A data set as `image_dataset_from_directory` makes it.

    Example:
        >>> import pathlib, tempfile, wave
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with wave.open(str(folder / "a.wav"), "wb") as file:
        ...     file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...     file.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())
        >>> ds = audio_dataset_from_directory(folder, labels=None)
        Found 1 files.
        >>> next(iter(ds))[0, :, 0]
        array([ 0. ,  0.5, -1. ], dtype=float32)
    """
    who = "audio_dataset_from_directory"
    if ragged:
        hint = "JAX has no ragged arrays: sounds are filled up to the batch's longest."
        raise bad_argument(who, "ragged", "False", ragged, hint)
    _check_count(who, "sampling_rate", sampling_rate)
    _check_count(who, "output_sequence_length", output_sequence_length)
    return files_in(
        who,
        directory,
        (".wav",),
        functools.partial(
            read_wav, sampling_rate=sampling_rate, output_sequence_length=output_sequence_length
        ),
        pad_and_stack,
        labels=labels,
        label_mode=label_mode,
        class_names=class_names,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        subset=subset,
        follow_links=follow_links,
        verbose=verbose,
    )


def _one_of(who, name, value, known):
    if value not in known:
        raise bad_argument(who, name, f"one of {known}", value)


def _check_count(who, name, value):
    if value is not None and not (isinstance(value, int | np.integer) and value > 0):
        raise bad_argument(who, name, "a positive integer or None", value)
