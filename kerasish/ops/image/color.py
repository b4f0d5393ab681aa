"""Conversions of images between color spaces."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.image.layout import as_images
from kerasish.ops.wrappers import as_float

__all__ = ["hsv_to_rgb", "rgb_to_grayscale", "rgb_to_hsv"]


@symbolic
def rgb_to_grayscale(images: TensorLike, data_format: str | None = None) -> jax.Array:
    """Luminance: `0.2989 red + 0.5870 green + 0.1140 blue`.

    Args:
        images: One image or a batch of images.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> 1 channel.

    Example:
        >>> print(np.array(keras.ops.image.rgb_to_grayscale([[[1.0, 0.0, 0.0]]])).round(2))
        [[[0.3]]]
    """
    x, channels, single = as_images("rgb_to_grayscale", images, data_format)
    if x.shape[channels] not in (1, 3):
        raise bad_argument("rgb_to_grayscale", "images", "of 1 or 3 channels", x.shape)
    if x.shape[channels] == 3:
        weights = jnp.asarray([0.2989, 0.5870, 0.1140], as_float(x).dtype)
        bright = jnp.tensordot(as_float(x), weights, axes=(channels, -1))
        x = jnp.expand_dims(bright, channels).astype(x.dtype)
    return x[0] if single else x


def _float_images(op, images, data_format):
    x, channels, single = as_images(op, images, data_format)
    if not dtypes.is_float(x.dtype):
        raise bad_argument(op, "images", "of a float type", x.dtype.name)
    return x, channels, single


@symbolic
def rgb_to_hsv(images: TensorLike, data_format: str | None = None) -> jax.Array:
    """Red, green and blue to hue, saturation and value, all from 0 to 1.

    Args:
        images: Images of floats from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    Example:
        >>> print(keras.ops.image.rgb_to_hsv([[[1.0, 0.0, 0.0]]]))
        [[[0. 1. 1.]]]
    """
    x, channels, single = _float_images("rgb_to_hsv", images, data_format)
    x = jnp.where(jnp.abs(x) < jnp.finfo(x.dtype).eps, 0.0, x)
    r, g, b = jnp.moveaxis(x, channels, 0)
    value = jnp.maximum(jnp.maximum(r, g), b)
    spread = value - jnp.minimum(jnp.minimum(r, g), b)
    grey = spread <= 0
    unit = 1.0 / (6.0 * jnp.where(grey, 1.0, spread))
    hue = jnp.where(value == g, unit * (b - r) + 2.0 / 6.0, unit * (r - g) + 4.0 / 6.0)
    hue = jnp.where(value == r, unit * (g - b), hue)
    hue = jnp.where(grey, 0.0, hue) + (hue < 0)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    result = jnp.stack([hue, saturation, value], axis=channels)
    return result[0] if single else result


@symbolic
def hsv_to_rgb(images: TensorLike, data_format: str | None = None) -> jax.Array:
    """Hue, saturation and value to red, green and blue, all from 0 to 1.

    Args:
        images: Images of floats from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    Example:
        >>> print(keras.ops.image.hsv_to_rgb([[[0.0, 1.0, 1.0]]]))
        [[[1. 0. 0.]]]
    """
    x, channels, single = _float_images("hsv_to_rgb", images, data_format)
    hue, saturation, value = jnp.moveaxis(x, channels, 0)
    sixth = jnp.mod(hue, 1.0) * 6.0
    red = jnp.abs(sixth - 3.0) - 1.0
    green = 2.0 - jnp.abs(sixth - 2.0)
    blue = 2.0 - jnp.abs(sixth - 4.0)
    pure = [jnp.clip(channel, 0.0, 1.0) for channel in (red, green, blue)]
    mixed = [value * (1.0 - saturation + saturation * channel) for channel in pure]
    result = jnp.stack(mixed, axis=channels)
    return result[0] if single else result
