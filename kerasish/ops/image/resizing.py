"""Images in other sizes, with other borders, or cut in patches."""

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.core import saturate_cast
from kerasish.ops.image.layout import as_images, channels_last, one_of
from kerasish.ops.nn.convolution import conv
from kerasish.ops.wrappers import as_array


def to_aspect(height, width, size):
    """The box that has the shape of `size` and shares a side with an image."""
    return int(float(width * size[0]) / size[1]), int(float(height * size[1]) / size[0])


@symbolic
def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format=None,
):
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
        whole = jnp.issubdtype(x.dtype, jnp.integer)
        resized = saturate_cast(jnp.round(resized) if whole else resized, x.dtype)
    resized = jnp.moveaxis(resized, -1, channels)
    return resized[0] if single else resized


def _borders(op, names, given, size):
    """Entries before and after, from two of: before, after, the size they lead to."""
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
    images,
    top_padding=None,
    left_padding=None,
    bottom_padding=None,
    right_padding=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """Images with zeros around; of top, bottom and target height give two, likewise across."""
    rows = top_padding, bottom_padding, target_height
    columns = left_padding, right_padding, target_width
    return _edges("pad_images", images, rows, columns, data_format)


@symbolic
def crop_images(
    images,
    top_cropping=None,
    left_cropping=None,
    bottom_cropping=None,
    right_cropping=None,
    target_height=None,
    target_width=None,
    data_format=None,
):
    """Images without their borders; of top, bottom and target height give two, likewise across."""
    rows = top_cropping, bottom_cropping, target_height
    columns = left_cropping, right_cropping, target_width
    return _edges("crop_images", images, rows, columns, data_format)


@symbolic
def scale_and_translate(
    images, output_shape, scale, translation, spatial_dims, method, antialias=True
):
    """Some axes stretched by `scale` and moved by `translation`, in an array of `output_shape`."""
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
    entries = int(np.prod(size)) * x.shape[-1 if last else 1]
    kernel = jnp.eye(entries, dtype=x.dtype).reshape(*size, -1, entries)
    result = conv(x, kernel, strides or size, padding, data_format, dilation_rate)
    return result[0] if single else result


@symbolic
def extract_patches(images, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """The pixels of each window of an image (or volume, with 3 sizes) as channels of one pixel."""
    if not isinstance(size, int | tuple | list):
        raise TypeError(f"extract_patches: `size` must be an integer or a tuple; got {size!r}.")
    size = (size, size) if isinstance(size, int) else tuple(size)
    if len(size) not in (2, 3):
        raise bad_argument("extract_patches", "size", "of 2 or 3 sizes", size)
    return _patches(images, size, strides, dilation_rate, padding, data_format)


@symbolic
def extract_patches_3d(
    volumes, size, strides=None, dilation_rate=1, padding="valid", data_format=None
):
    """The entries of each window of a volume as channels of one entry."""
    size = (size, size, size) if isinstance(size, int) else tuple(size)
    if len(size) != 3:
        raise bad_argument("extract_patches_3d", "size", "of 3 sizes", size)
    return _patches(volumes, size, strides, dilation_rate, padding, data_format)
