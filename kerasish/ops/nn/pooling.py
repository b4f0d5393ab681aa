"""Pooling: one number for each window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.kernels.pooling import lowest, window_max, window_sum
from kerasish.ops.nn.convolution import channel_axis, padding_name, per_axis
from kerasish.ops.wrappers import as_array, in_32_bits

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]


def _windows(op, x, pool_size, strides, padding, data_format):
    axes = x.ndim - 2
    around = (lambda n: (1, *n, 1)) if channel_axis(data_format) == -1 else (lambda n: (1, 1, *n))
    window = around(per_axis(pool_size, axes))
    strides = window if strides is None else around(per_axis(strides, axes))
    return window, strides, lax.padtype_to_pads(x.shape, window, strides, padding_name(op, padding))


@symbolic
def max_pool(
    inputs: TensorLike,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The largest element of each window.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        pool_size: Size of the window, for all axes or each.
        strides: Steps from one window to the next; the window's size unless given.
        padding: `"valid"`, or `"same"`: windows may reach over the edge.
        data_format: Where the channels are.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., channels)`.

    Example:
        >>> print(keras.ops.max_pool(np.array([[[1.0], [5.0], [2.0], [3.0]]]), 2)[0, :, 0])
        [5. 3.]
    """
    x = as_array(inputs)
    return window_max(x, *_windows("max_pool", x, pool_size, strides, padding, data_format))


@symbolic
def average_pool(
    inputs: TensorLike,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The mean of each window's elements; what is over the edge does not count.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        pool_size: Size of the window, for all axes or each.
        strides: Steps from one window to the next; the window's size unless given.
        padding: `"valid"`, or `"same"`: windows may reach over the edge.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., channels)`.

    Example:
        >>> print(keras.ops.average_pool(np.array([[[1.0], [5.0], [2.0], [3.0]]]), 2)[0, :, 0])
        [3.  2.5]
    """
    x = as_array(inputs)
    window, strides, pads = _windows("average_pool", x, pool_size, strides, padding, data_format)
    wide = in_32_bits(x) if dtypes.is_float(x.dtype) else x
    total = window_sum(wide, window, strides, pads)
    if padding.lower() == "valid":
        mean = total / math.prod(window)
    else:
        sizes = [n if w > 1 else 1 for n, w in zip(x.shape, window, strict=True)]
        mean = total / window_sum(jnp.ones(sizes, wide.dtype), window, strides, pads)
    return mean.astype(x.dtype) if wide is not x else mean


def _adaptive_windows(size, count):
    """Where each of `count` windows that share an axis takes its elements, and which are real."""
    start = np.arange(count) * size // count
    end = -(-np.arange(1, count + 1) * size // count)
    positions = start[:, None] + np.arange((end - start).max())
    return np.minimum(positions, size - 1), positions < end[:, None]


def _adaptive(op, inputs, output_size, data_format, reduce):
    x = as_array(inputs)
    if x.ndim not in (3, 4, 5):
        raise bad_argument(op, "inputs", "of 3, 4 or 5 axes", x.shape)
    first = 1 if channel_axis(data_format) == -1 else 2
    for axis, count in enumerate(per_axis(output_size, x.ndim - 2), first):
        positions, real = _adaptive_windows(x.shape[axis], count)
        real = real.reshape(*real.shape, *(1,) * (x.ndim - axis - 1))
        x = reduce(jnp.take(x, positions, axis), real, axis + 1)
    return x


@symbolic
def adaptive_max_pool(
    inputs: TensorLike, output_size: int | Sequence[int], data_format: str | None = None
) -> jax.Array:
    """The largest element in each of a number of nearly equal parts of each axis.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        output_size: Sizes of the result, for all axes or each.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(batch, ..., channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> print(keras.ops.adaptive_max_pool(np.arange(5.0).reshape(1, 5, 1), 2)[0, :, 0])
        [2. 4.]
    """

    def reduce(x, real, axis):
        return jnp.max(x, axis, where=real, initial=lowest(x.dtype))

    return _adaptive("adaptive_max_pool", inputs, output_size, data_format, reduce)


@symbolic
def adaptive_average_pool(
    inputs: TensorLike, output_size: int | Sequence[int], data_format: str | None = None
) -> jax.Array:
    """The mean of each of a number of nearly equal parts of each axis.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        output_size: Sizes of the result, for all axes or each.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(batch, ..., channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> print(keras.ops.adaptive_average_pool(np.arange(5.0).reshape(1, 5, 1), 2)[0, :, 0])
        [1. 3.]
    """

    def reduce(x, real, axis):
        return jnp.mean(x, axis, where=real)

    return _adaptive("adaptive_average_pool", inputs, output_size, data_format, reduce)
