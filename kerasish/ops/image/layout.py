"""What functions of images share: one image or a batch, channels here or there."""

import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.ops.wrappers import as_array


def one_of(op, name, value, known):
    if value not in known:
        raise bad_argument(op, name, f"one of {tuple(known)}", value)


def as_images(op, images, data_format):
    """A batch of images, the axis of channels, and whether one image was given."""
    x = as_array(images)
    if x.ndim not in (3, 4):
        raise bad_argument(op, "images", "one image or a batch: of 3 or 4 axes", x.shape)
    last = settings.standardize_data_format(data_format) == "channels_last"
    return (x[None] if x.ndim == 3 else x), (-1 if last else -3), x.ndim == 3


def channels_last(x, channels):
    return jnp.moveaxis(x, channels, -1)
