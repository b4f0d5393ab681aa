"""Images from one colour space to another."""

import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.image.layout import as_images
from kerasish.ops.wrappers import as_float


@symbolic
def rgb_to_grayscale(images, data_format=None):
    """How bright red, green and blue together look; one channel."""
    x, channels, single = as_images("rgb_to_grayscale", images, data_format)
    if x.shape[channels] not in (1, 3):
        raise bad_argument("rgb_to_grayscale", "images", "of 1 or 3 channels", x.shape)
    if x.shape[channels] == 3:
        weights = jnp.asarray([0.2989, 0.5870, 0.1140], as_float(x).dtype)
        bright = jnp.tensordot(as_float(x), weights, axes=(channels, -1))
        x = jnp.expand_dims(bright, channels).astype(x.dtype)
    return x[0] if single else x


def _colours(op, images, data_format):
    x, channels, single = as_images(op, images, data_format)
    if not dtypes.is_float(x.dtype):
        raise bad_argument(op, "images", "of a float type", x.dtype.name)
    return x, channels, single


@symbolic
def rgb_to_hsv(images, data_format=None):
    """Red, green and blue (0 to 1) to hue, saturation and value (0 to 1)."""
    x, channels, single = _colours("rgb_to_hsv", images, data_format)
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
def hsv_to_rgb(images, data_format=None):
    """Hue, saturation and value (0 to 1) to red, green and blue (0 to 1)."""
    x, channels, single = _colours("hsv_to_rgb", images, data_format)
    hue, saturation, value = jnp.moveaxis(x, channels, 0)
    sixth = jnp.mod(hue, 1.0) * 6.0
    red = jnp.abs(sixth - 3.0) - 1.0
    green = 2.0 - jnp.abs(sixth - 2.0)
    blue = 2.0 - jnp.abs(sixth - 4.0)
    pure = [jnp.clip(colour, 0.0, 1.0) for colour in (red, green, blue)]
    mixed = [value * (1.0 - saturation + saturation * colour) for colour in pure]
    result = jnp.stack(mixed, axis=channels)
    return result[0] if single else result
