"""Images in other sizes, with other borders, or cut in patches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.core import saturate_cast
from kerasish.ops.image.layout import as_images, channels_last, one_of
from kerasish.ops.nn.convolution import conv
from kerasish.ops.wrappers import as_array

# fmt: off
__all__ = [
    "crop_images", "extract_patches", "extract_patches_3d", "pad_images", "resize",
    "scale_and_translate",
]
# fmt: on


def to_aspect(height: int, width: int, size: Sequence[int]) -> tuple[int, int]:
    """The box that has the shape of `size` and shares a side with an image.

    Args:
        height: Height of the image.
        width: Width of the image.
        size: Height and width of the shape.
    """
    return int(float(width * size[0]) / size[1]), int(float(height * size[1]) / size[0])


@symbolic
def resize(
    images: TensorLike,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> jax.Array:
    """Images in another size.

    Args:
        images: One image or a batch.
        size: `(height, width)`.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: Whether to smooth before making an image smaller.
        crop_to_aspect_ratio: Cut off what would change the image's proportions.
        pad_to_aspect_ratio: Add a border of `fill_value` that keeps them.
        fill_mode: `"constant"`.
        data_format: Where the channels are.
        fill_value: What the border is made of.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the new size.

    Example:
        >>> keras.ops.image.resize(np.ones((4, 4, 3)), (2, 8)).shape
        (2, 8, 3)
    """
    known = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")
    one_of("resize", "interpolation", interpolation, known)
    one_of("resize", "fill_mode", fill_mode, ("constant",))
    if len(size) != 2:
        raise bad_argument("resize", "size", "(height, width)", size)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "resize: only one of crop_to_aspect_ratio and pad_to_aspect_ratio may be true."
        )
    x, channels, single = as_images("resize", images, data_format)
    x = channels_last(x, channels)
    _, height, width, depth = x.shape
    if crop_to_aspect_ratio:
        tall, wide = to_aspect(height, width, size)
        tall, wide = max(min(height, tall), 1), max(min(width, wide), 1)
        top, left = (height - tall) // 2, (width - wide) // 2
        x = x[:, top : top + tall, left : left + wide]
    elif pad_to_aspect_ratio:
        tall, wide = to_aspect(height, width, size)
        top, left = max(tall - height, 0) // 2, max(wide - width, 0) // 2
        x = jnp.pad(x, [(0, 0), (top, top), (left, left), (0, 0)], constant_values=fill_value)
    shape = (x.shape[0], *size, depth)
    resized = jax.image.resize(x, shape, method=interpolation, antialias=antialias)
    if resized.dtype != x.dtype:
        is_integer = jnp.issubdtype(x.dtype, jnp.integer)
        resized = saturate_cast(jnp.round(resized) if is_integer else resized, x.dtype)
    resized = jnp.moveaxis(resized, -1, channels)
    return resized[0] if single else resized


def _borders(op, names, given, size):
    """Elements before and after, from two of: before, after, the size they lead to."""
    before, after, target = given
    if [before, after, target].count(None) != 1:
        raise ValueError(f"{op}: give exactly two of {', '.join(names)}; got {given}.")
    grow = 1 if op == "pad_images" else -1
    if target is not None:
        rest = grow * (target - size)
        before, after = (rest - after if before is None else before), after
        after = rest - before if after is None else after
    for name, value in zip(names, (before, after, target), strict=True):
        if value is not None and isinstance(value, int) and value < 0:
            raise bad_argument(op, name, "at least 0", value)
    return before, after


def _edges(op, images, rows, columns, data_format):
    x, channels, single = as_images(op, images, data_format)
    x = channels_last(x, channels)
    what = op.split("_")[0]
    what = {"pad": "padding", "crop": "cropping"}[what]
    names = (
        [f"top_{what}", f"bottom_{what}", "target_height"],
        [f"left_{what}", f"right_{what}", "target_width"],
    )
    top, bottom = _borders(op, names[0], rows, x.shape[1])
    left, right = _borders(op, names[1], columns, x.shape[2])
    if op == "pad_images":
        x = jnp.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)])
    else:
        x = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
    x = jnp.moveaxis(x, -1, channels)
    return x[0] if single else x


@symbolic
def pad_images(
    images: TensorLike,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> jax.Array:
    """Images with zeros around; of the two sides and the target size give two.

    Args:
        images: One image or a batch of images.
        top_padding: Pixels added there.
        left_padding: Pixels added there.
        bottom_padding: Pixels added there.
        right_padding: Pixels added there.
        target_height: Height of the result.
        target_width: Width of the result.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the new size.

    Example:
        >>> image = np.ones((4, 4, 3))
        >>> keras.ops.image.pad_images(image, 1, 0, target_height=6, target_width=8).shape
        (6, 8, 3)
    """
    rows = top_padding, bottom_padding, target_height
    columns = left_padding, right_padding, target_width
    return _edges("pad_images", images, rows, columns, data_format)


@symbolic
def crop_images(
    images: TensorLike,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> jax.Array:
    """Images without their borders; of the two sides and the target size give two.

    Args:
        images: One image or a batch of images.
        top_cropping: Pixels removed there.
        left_cropping: Pixels removed there.
        bottom_cropping: Pixels removed there.
        right_cropping: Pixels removed there.
        target_height: Height of the result.
        target_width: Width of the result.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the new size.

    Example:
        >>> image = np.ones((4, 4, 3))
        >>> keras.ops.image.crop_images(image, 1, 0, target_height=2, target_width=3).shape
        (2, 3, 3)
    """
    rows = top_cropping, bottom_cropping, target_height
    columns = left_cropping, right_cropping, target_width
    return _edges("crop_images", images, rows, columns, data_format)


@symbolic
def scale_and_translate(
    images: TensorLike,
    output_shape: Sequence[int],
    scale: TensorLike,
    translation: TensorLike,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> jax.Array:
    """Images stretched and moved: the pixel at `i` comes from `(i - translation) / scale`.

    Args:
        images: One image or a batch of images.
        output_shape: Sizes of the result.
        scale: Factor of each of `spatial_dims`.
        translation: Shift of each of `spatial_dims`.
        spatial_dims: Axes that are stretched.
        method: `"linear"`, `"cubic"`, `"lanczos3"`, `"lanczos5"` and their other names.
        antialias: Whether to smooth before making an image smaller.

    Shapes:
        `(...)` -> `output_shape`.

    Example:
        >>> image, shape, twice, none = np.ones((2, 2, 1)), (4, 4, 1), [2.0, 2.0], [0.0, 0.0]
        >>> keras.ops.image.scale_and_translate(image, shape, twice, none, (0, 1), "linear").shape
        (4, 4, 1)
    """
    known = (
        "linear",
        "bilinear",
        "trilinear",
        "cubic",
        "bicubic",
        "tricubic",
        "lanczos3",
        "lanczos5",
    )
    one_of("scale_and_translate", "method", method, known)
    x, scale, translation = as_array(images), as_array(scale), as_array(translation)
    return jax.image.scale_and_translate(
        x, output_shape, spatial_dims, scale, translation, method, antialias
    )


def _patches(images, size, strides, dilation_rate, padding, data_format):
    x, axes = as_array(images), len(size)
    single = x.ndim == axes + 1
    x = x[None] if single else x
    last = settings.standardize_data_format(data_format) == "channels_last"
    elements = int(np.prod(size)) * x.shape[-1 if last else 1]
    kernel = jnp.eye(elements, dtype=x.dtype).reshape(*size, -1, elements)
    result = conv(x, kernel, strides or size, padding, data_format, dilation_rate)
    return result[0] if single else result


@symbolic
def extract_patches(
    images: TensorLike,
    size: Any,
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The pixels of each window of an image, or volume with 3 sizes, as channels of one pixel.

    Args:
        images: One image or a batch of images.
        size: Sizes of a window, one number for both.
        strides: Steps from one window to the next; the window's size unless given.
        dilation_rate: Distance of neighbouring elements of a window.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)` -> `(rows, columns, window pixels * channels)`.

    Example:
        >>> keras.ops.image.extract_patches(np.ones((4, 4, 3)), 2).shape
        (2, 2, 12)
    """
    if not isinstance(size, int | tuple | list):
        raise TypeError(f"extract_patches: `size` must be an integer or a tuple; got {size!r}.")
    size = (size, size) if isinstance(size, int) else tuple(size)
    if len(size) not in (2, 3):
        raise bad_argument("extract_patches", "size", "of 2 or 3 sizes", size)
    return _patches(images, size, strides, dilation_rate, padding, data_format)


@symbolic
def extract_patches_3d(
    volumes: TensorLike,
    size: Any,
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The elements of each window of a volume as channels of one element.

    Args:
        volumes: One volume or a batch.
        size: Sizes of a window, one number for all.
        strides: Steps from one window to the next; the window's size unless given.
        dilation_rate: Distance of neighbouring elements of a window.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(depth, height, width, channels)` -> `(..., window elements * channels)`.

    Example:
        >>> keras.ops.image.extract_patches_3d(np.ones((4, 4, 4, 3)), 2).shape
        (2, 2, 2, 24)
    """
    size = (size, size, size) if isinstance(size, int) else tuple(size)
    if len(size) != 3:
        raise bad_argument("extract_patches_3d", "size", "of 3 sizes", size)
    return _patches(volumes, size, strides, dilation_rate, padding, data_format)
