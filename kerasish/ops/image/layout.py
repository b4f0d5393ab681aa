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
    if value not in known:
        raise bad_argument(op, name, f"one of {tuple(known)}", value)


def as_images(op: str, images: TensorLike, data_format: str | None) -> tuple[jax.Array, int, bool]:
    """A batch of images, the axis of channels, and whether one image was given."""
    x = as_array(images)
    if x.ndim not in (3, 4):
        raise bad_argument(op, "images", "one image or a batch: of 3 or 4 axes", x.shape)
    last = settings.standardize_data_format(data_format) == "channels_last"
    return (x[None] if x.ndim == 3 else x), (-1 if last else -3), x.ndim == 3


def channels_last(x: jax.Array, channels: int) -> jax.Array:
    return jnp.moveaxis(x, channels, -1)
