"""Images as models trained on ImageNet take them, and the names of the classes they give."""

import functools
import json
from typing import Any

import numpy as np

from kerasish import backend, ops
from kerasish.core.errors import bad_argument
from kerasish.utils import get_file

CLASS_INDEX_PATH = (
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
)
CLASS_INDEX_HASH = "c2c37ea517e94d9795004a39431a14cb"

# Of ImageNet's images: red, green, blue of values from 0 to 1; blue, green, red from 0 to 255.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BGR_MEAN = (103.939, 116.779, 123.68)
_LAYOUTS = ("channels_last", "channels_first")
_MODES = ("caffe", "tf", "torch")


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Images of values from 0 to 255, scaled as a model was trained.

    Args:
        x: Images; an array, which stays as it is, or a symbolic tensor. Integers become floats.
        data_format: `"channels_last"`, `"channels_first"`, or `None`: the global setting.
        mode: `"tf"`: values from -1 to 1. `"torch"`: from 0 to 1, then ImageNet's mean subtracted
            and the rest divided by its standard deviation. `"caffe"`: blue, green and red in this
            order, and ImageNet's mean subtracted.

    Shapes:
        `(height, width, 3)` or `(batch, height, width, 3)` -> the same; 3 in front of the height
        with channels first. `"tf"` takes any shape, the others
        more axes too, as of frames.

    Returns:
        A NumPy array if `x` is one, else a tensor.

    Example:
        >>> image = np.array([[[255, 0, 51]]])
        >>> keras.applications.imagenet_utils.preprocess_input(image, mode="tf")
        array([[[ 1. , -1. , -0.6]]], dtype=float32)
    """
    if mode not in _MODES:
        raise bad_argument("preprocess_input", "mode", f"one of {_MODES}", mode)
    data_format = backend.image_data_format() if data_format is None else data_format
    if data_format not in _LAYOUTS:
        raise bad_argument("preprocess_input", "data_format", f"one of {_LAYOUTS}", data_format)
    on_host = isinstance(x, np.ndarray)
    x = x if on_host else ops.convert_to_tensor(x)
    if not backend.is_float_dtype(backend.standardize_dtype(x.dtype)):
        x = x.astype(backend.floatx()) if on_host else ops.cast(x, backend.floatx())
    if mode == "tf":
        return x / 127.5 - 1.0
    axis = _channels(x, data_format)

    def per_channel(values):
        shape = [1] * len(x.shape)
        shape[axis] = 3
        values = np.reshape(values, shape)
        return values.astype(x.dtype) if on_host else ops.convert_to_tensor(values, x.dtype)

    if mode == "torch":
        return (x / 255.0 - per_channel(_MEAN)) / per_channel(_DEVIATION)
    return (np.flip(x, axis) if on_host else ops.flip(x, axis)) - per_channel(_BGR_MEAN)


def _channels(x, data_format):
    """The axis of the three colours."""
    rank = len(x.shape)
    axis = rank - 1 if data_format == "channels_last" else min(rank - 3, 1)
    if rank < 3 or x.shape[axis] not in (3, None):
        wanted = f"images with 3 colours in axis {max(axis, 0)}, {data_format}"
        raise bad_argument("preprocess_input", "x", wanted, tuple(x.shape), "That is its shape.")
    return axis


def decode_predictions(preds: Any, top: int = 5) -> list:
    """The likeliest classes of each image, the likeliest first.

    Args:
        preds: Probabilities of ImageNet's classes.
        top: How many classes an image.

    Shapes:
        `(batch, 1000)` -> lists of `top` tuples `(WordNet id, name, probability)`.

    Raises:
        RuntimeError: If the names are not in the cache and cannot be downloaded.

    Example:
        >>> scores = np.eye(1000)[:1]
        >>> decode_predictions(scores, top=1)  # doctest: +SKIP
        [[('n01440764', 'tench', 1.0)]]
    """
    shape = tuple(getattr(preds, "shape", np.shape(preds)))
    if len(shape) != 2 or shape[1] != 1000:
        wanted = "an array of shape (batch, 1000)"
        raise bad_argument("decode_predictions", "preds", wanted, shape)
    if not isinstance(top, int | np.integer) or top < 1:
        raise bad_argument("decode_predictions", "top", "a positive integer", top)
    names = _names()
    decoded = []
    for row in ops.convert_to_numpy(preds):
        best = row.argsort()[-top:][::-1]
        found = [(*names[str(i)], row[i]) for i in best]
        decoded.append(sorted(found, key=lambda item: item[2], reverse=True))
    return decoded


@functools.lru_cache(1)
def _names():
    """Class number as text -> `[WordNet id, name]`."""
    path = get_file(
        "imagenet_class_index.json",
        CLASS_INDEX_PATH,
        cache_subdir="models",
        file_hash=CLASS_INDEX_HASH,
    )
    with open(path) as file:
        return json.load(file)


__all__ = ["decode_predictions", "preprocess_input"]
