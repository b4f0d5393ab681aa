"""Image files and Pillow images as arrays, by Pillow (`pip install "kerasish[image]"`)."""

import io
import os
import pathlib
import warnings
from typing import Any

import numpy as np

from kerasish import ops
from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format

_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_GRAY = ("L", "I;16", "I")  # of 8, 16 and 32 bits
_RESAMPLING = ("bicubic", "bilinear", "box", "hamming", "lanczos", "nearest")


def _pillow():
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            'Pictures need Pillow: run `pip install "kerasish[image]"` (or `pip install pillow`).'
        ) from None
    return Image


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image file.

    Args:
        path: The file's path, or an open file or `io.BytesIO` with its bytes.
        color_mode: `"rgb"`, `"rgba"` or `"grayscale"`.
        target_size: `(height, width)` to resize to; `None` keeps the size.
        interpolation: How to resize: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"`
            or `"lanczos"`.
        keep_aspect_ratio: Whether to crop to the target's proportions, around the centre, instead
            of stretching.

    Returns:
        A Pillow image; `img_to_array` makes it an array.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "black.png")
        >>> save_img(path, np.zeros((4, 6, 3)))
        >>> load_img(path, target_size=(2, 3)).size
        (3, 2)
    """
    image_module = _pillow()
    if color_mode not in _MODES:
        raise bad_argument("load_img", "color_mode", f"one of {tuple(_MODES)}", color_mode)
    if interpolation not in _RESAMPLING:
        raise bad_argument("load_img", "interpolation", f"one of {_RESAMPLING}", interpolation)
    if isinstance(path, str | os.PathLike):
        path = io.BytesIO(pathlib.Path(path).read_bytes())
    image = image_module.open(path)
    if image.mode != _MODES[color_mode] and not (color_mode == "grayscale" and image.mode in _GRAY):
        image = image.convert(_MODES[color_mode])
    if target_size is None or image.size == tuple(target_size)[::-1]:
        return image
    height, width = target_size
    box = _middle(*image.size[::-1], height, width) if keep_aspect_ratio else None
    box = None if box is None else (box[1], box[0], box[1] + box[3], box[0] + box[2])
    return image.resize((width, height), image_module.Resampling[interpolation.upper()], box=box)


def _middle(height, width, wanted_height, wanted_width):
    """Top, left, height and width of the largest part with the wanted proportions."""
    kept_height = min(height, int(width * wanted_height / wanted_width))
    kept_width = min(width, int(height * wanted_width / wanted_height))
    return (height - kept_height) // 2, (width - kept_width) // 2, kept_height, kept_width


def img_to_array(img: Any, data_format: Any = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image as an array.

    Args:
        img: A Pillow image, or an array of 2 or 3 axes.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.
        dtype: Type of the numbers; `None` is the global float type.

    Shapes:
        `(height, width, channels)`, or channels first.

    Example:
        >>> img_to_array(array_to_img(np.zeros((4, 6, 3)))).shape
        (4, 6, 3)
    """
    first = standardize_data_format(data_format) == "channels_first"
    x = np.array(img, dtype=dtype or settings.floatx())
    if x.ndim not in (2, 3):
        raise bad_argument("img_to_array", "img", "of 2 or 3 axes", x.shape)
    if x.ndim == 2:
        return x[None] if first else x[..., None]
    is_image = not hasattr(img, "__array_interface__") or hasattr(img, "getbands")
    return np.moveaxis(x, -1, 0) if first and is_image else x


def array_to_img(x: Any, data_format: Any = None, scale: bool = True, dtype: Any = None) -> Any:
    """An array as a Pillow image.

    Args:
        x: The array.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.
        scale: Whether to stretch the values so that they span 0 to 255.
        dtype: Type to compute in; `None` is the global float type.

    Shapes:
        `(height, width, channels)` with 1, 3 or 4 channels, or channels first.

    Example:
        >>> array_to_img(np.zeros((4, 6, 3))).size
        (6, 4)
    """
    image_module = _pillow()
    x = np.asarray(x, dtype=dtype or settings.floatx())
    if x.ndim != 3:
        raise bad_argument("array_to_img", "x", "of 3 axes", x.shape)
    if standardize_data_format(data_format) == "channels_first":
        x = np.moveaxis(x, 0, -1)
    if x.shape[-1] not in (1, 3, 4):
        raise bad_argument("array_to_img", "x", "of 1, 3 or 4 channels", x.shape)
    if scale:
        x = x - x.min()
        x = 255 * x / (x.max() or 1)
    if x.shape[-1] > 1:
        return image_module.fromarray(x.astype("uint8"))
    wide = x.max() > 255
    return image_module.fromarray(x[..., 0].astype("int32" if wide else "uint8"))


def save_img(
    path: Any,
    x: Any,
    data_format: Any = None,
    file_format: Any = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image file.

    Args:
        path: Where to, or a file to write to.
        x: The array, as for `array_to_img`.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.
        file_format: `"png"`, `"jpeg"`, ...; `None` tells by the path's ending.
        scale: Whether to stretch the values so that they span 0 to 255.
        **kwargs: What Pillow's `save` takes besides.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "black.png")
        >>> save_img(path, np.zeros((4, 6, 3)))
        >>> load_img(path).size
        (6, 4)
    """
    image = array_to_img(x, data_format=data_format, scale=scale)
    file_format = {"jpg": "jpeg"}.get(file_format, file_format)
    is_jpeg = file_format == "jpeg" or str(path).lower().endswith((".jpg", ".jpeg"))
    if is_jpeg and image.mode == "RGBA":
        warnings.warn("JPEG has no transparency: the image is saved without it.", stacklevel=2)
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any,
    size: Any,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    backend_module: Any = None,
) -> Any:
    """Resize without distortion: crop to the wanted proportions around the centre, then resize.

    Args:
        x: Image or batch of images.
        size: `(height, width)` wanted.
        interpolation: As `keras.ops.image.resize` has it.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.
        backend_module: Kept for Keras' sake.

    Shapes:
        `(height, width, channels)` or `(batch, height, width, channels)`, or channels first.

    Returns:
        A NumPy array if one came, otherwise a JAX array.

    Example:
        >>> smart_resize(np.zeros((4, 8, 3)), (2, 2)).shape
        (2, 2, 3)
    """
    if len(size) != 2:
        raise bad_argument("smart_resize", "size", "(height, width)", size)
    if np.ndim(x) not in (3, 4):
        raise bad_argument("smart_resize", "x", "of 3 or 4 axes", np.shape(x))
    first = standardize_data_format(data_format) == "channels_first"
    rows, columns = (-2, -1) if first else (-3, -2)
    top, left, height, width = _middle(np.shape(x)[rows], np.shape(x)[columns], *size)
    cut: list = [slice(None)] * np.ndim(x)
    cut[rows], cut[columns] = slice(top, top + height), slice(left, left + width)
    layout = "channels_first" if first else "channels_last"
    resized = ops.image.resize(x[tuple(cut)], size, interpolation, data_format=layout)
    return np.asarray(resized) if isinstance(x, np.ndarray) else resized
