"""What functions of images share: one image or a batch, channels here or there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array


def one_of(op: str, name: str, value: Any, known: Iterable) -> None:
    """Raise a `ValueError` unless a value is one of those known.

    Args:
        op: Name of the op, for the error.
        name: Name of the argument, for the error.
        value: The value.
        known: Those there are.
    """
    if value not in known:
        raise bad_argument(op, name, f"one of {tuple(known)}", value)


def as_images(op: str, images: TensorLike, data_format: str | None) -> tuple[jax.Array, int, bool]:
    """A batch of images, the axis of channels, and whether one image was given.

    Args:
        op: Name of the op, for the error.
        images: An image or a batch of them.
        data_format: `"channels_last"` or `"channels_first"`; the global setting if not given.
    """
    x = as_array(images)
    if x.ndim not in (3, 4):
        raise bad_argument(op, "images", "one image or a batch: of 3 or 4 axes", x.shape)
    last = settings.standardize_data_format(data_format) == "channels_last"
    return (x[None] if x.ndim == 3 else x), (-1 if last else -3), x.ndim == 3


def channels_last(x: jax.Array, channels: int) -> jax.Array:
    """Images with the axis of channels moved to the end.

    Args:
        x: The images.
        channels: Axis of the channels.
    """
    return jnp.moveaxis(x, channels, -1)
