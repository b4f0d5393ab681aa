"""Pooling: the elements of each window reduced, with a gradient by slices on CPUs.

On the CPU the gradient of `lax.reduce_window` is slow, and very slow inside loops.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasish.core.lowering import platform_dependent
from kerasish.kernels.noinline import materialize

# Wider windows are left to the primitive: reading the input once for each element no longer pays.
_WIDEST = 8
# Windows of at most 2x2 elements are reduced at once, larger ones axis by axis.
_SMALL = 4


def window_max(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> jax.Array:
    """The largest element of each window, NaN above all; the gradient goes to the first of equals.

    Args:
        x: What windows are taken of.
        window: Their size along each axis.
        strides: Steps between them along each axis.
        padding: Elements to add before and after each axis, which are below all others.

    Shapes:
        Any -> `(size + padding - window) // strides + 1` along each axis.
    """

    def derivative(x, dx, window, strides):
        first, *others = _slices(x, window, strides)
        y, position = first, jnp.zeros(first.shape, "int8")
        for i, other in enumerate(others, 1):
            larger = (other > y) | jnp.isnan(other)
            y, position = (
                jnp.where(larger, other, y),
                jnp.where(larger, i, position).astype(position.dtype),
            )
        return materialize(y), _sum_of(dx, window, strides, materialize(position))

    return _reduce_windows(x, window, strides, padding, lowest(x.dtype), lax.max, derivative)


def lowest(dtype: Any) -> float:
    """The number below all others of a dtype.

    Args:
        dtype: The dtype.
    """
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def window_sum(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> jax.Array:
    """The sum of each window's elements, zero being those over the edge.

    Args:
        x: What windows are taken of.
        window: Their size along each axis.
        strides: Steps between them along each axis.
        padding: Zeros to add before and after each axis.

    Shapes:
        As `window_max`.
    """

    def derivative(x, dx, window, strides):
        return _sum_of(x, window, strides), _sum_of(dx, window, strides)

    return _reduce_windows(x, window, strides, padding, 0, lax.add, derivative)


def _reduce_windows(x, window, strides, padding, empty, primitive, derivative: Callable):
    """Windows reduced by the primitive for two scalars; the derivative of small ones is by slices.

    Where no gradient is taken XLA fuses the primitive with the convolutions around it.
    """
    empty = np.asarray(empty, x.dtype)[()]

    def by_window(x):
        return lax.reduce_window(x, empty, primitive, window, strides, padding)

    def by_slices(primals, tangents):
        (x,), (dx,) = primals, tangents
        pads = [(*around, 0) for around in padding]
        x, dx = lax.pad(x, empty, pads), lax.pad(dx, np.zeros_like(empty), pads)
        for stage in _stages(window, strides):
            x, dx = derivative(x, dx, *stage)
        return x, dx

    if max(window) > _WIDEST or not jnp.issubdtype(x.dtype, jnp.inexact):
        return by_window(x)
    on_cpu = jax.custom_jvp(by_window)
    on_cpu.defjvp(by_slices)
    return platform_dependent(x, cpu=on_cpu, default=by_window)


def _sum_of(x, window, strides, position=None):
    """The sum of each window's elements, or of the one at a position.

    Transposed, this spreads a gradient over the windows: over those that touch but do not overlap
    in one pass, without gaps to fill.
    """
    if window != strides:
        parts = list(_slices(x, window, strides))
        if position is not None:
            parts = [jnp.where(position == i, part, 0) for i, part in enumerate(parts)]
        return materialize(sum(parts[1:], parts[0]))
    blocks, within = _in_blocks(x, window)
    if position is not None:
        numbers = np.arange(math.prod(window)).reshape([blocks.shape[axis] for axis in within])
        outside = [axis for axis in range(blocks.ndim) if axis not in within]
        chosen = jnp.expand_dims(position, within) == np.expand_dims(numbers, outside)
        blocks = jnp.where(chosen, blocks, 0)
    return materialize(jnp.sum(blocks, within))


def _in_blocks(x, window):
    """Each axis of windows wider than one as two, and which of the axes are within a window."""
    counts = [n // width for n, width in zip(x.shape, window, strict=True)]
    ends = [n * width for n, width in zip(counts, window, strict=True)]
    shape, within = [], []
    for n, width in zip(counts, window, strict=True):
        shape.append(n)
        if width > 1:
            within.append(len(shape))
            shape.append(width)
    return lax.slice(x, [0] * x.ndim, ends).reshape(shape), tuple(within)


def _slices(x, window, strides) -> Iterator[jax.Array]:
    """The first, second, ... elements of all windows."""
    sizes = zip(x.shape, window, strides, strict=True)
    reach = [(size - width) // stride * stride + 1 for size, width, stride in sizes]
    for start in itertools.product(*map(range, window)):
        ends = [first + n for first, n in zip(start, reach, strict=True)]
        yield lax.slice(x, start, ends, strides)


def _stages(window, strides):
    window, strides = tuple(window), tuple(strides)
    if math.prod(window) <= _SMALL:
        return [(window, strides)]
    axes = [axis for axis in reversed(range(len(window))) if window[axis] > 1 or strides[axis] > 1]
    windows_by_axis = [tuple(n if i == axis else 1 for i, n in enumerate(window)) for axis in axes]
    steps = [tuple(n if i == axis else 1 for i, n in enumerate(strides)) for axis in axes]
    return zip(windows_by_axis, steps, strict=True)
