"""Pooling: the entries of each window joined, in the way that is best for the device at hand."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from kerasish.core.platforms import by_platform

# Wider windows are left to the primitive: reading the input once for each entry no longer pays.
_WIDEST = 8
# Windows of at most 2x2 entries are joined at once, larger ones axis by axis.
_SMALL = 4


def join_windows(
    x: jax.Array,
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    empty: jax.typing.ArrayLike,
    primitive: Callable,
    join: Callable,
) -> jax.Array:
    """The entries of each window joined by a function of two.

    On the CPU the gradient of the primitive is slow, and very slow inside loops.

    Args:
        x: What windows are taken of.
        window: Their size along each axis.
        strides: Steps between them along each axis.
        padding: Entries to add before and after each axis.
        empty: What they are; `primitive` of it and anything is that thing.
        primitive: Function of two scalars, as `lax.reduce_window` takes it.
        join: The same for arrays, differentiable.
    """

    def by_window(x):
        return lax.reduce_window(x, empty, primitive, window, strides, padding)

    def by_slices(x):
        x = lax.pad(x, jnp.asarray(empty, x.dtype), [(*around, 0) for around in padding])
        for stage in _stages(window, strides):
            x = functools.reduce(join, _slices(x, *stage))
        return x

    if max(window) > _WIDEST:
        return by_window(x)
    # Where no gradient is taken XLA joins the primitive with the convolutions around it.
    on_cpu = jax.custom_jvp(by_window)
    on_cpu.defjvp(lambda primals, tangents: jax.jvp(by_slices, primals, tangents))
    return by_platform(x, cpu=on_cpu, default=by_window)


def _slices(x, window, strides) -> Iterator[jax.Array]:
    """The first, second, ... entries of all windows."""
    sizes = zip(x.shape, window, strides, strict=True)
    reach = [(size - width) // stride * stride + 1 for size, width, stride in sizes]
    for start in itertools.product(*map(range, window)):
        ends = [first + n for first, n in zip(start, reach, strict=True)]
        yield lax.slice(x, start, ends, strides)


def _stages(window, strides):
    if math.prod(window) <= _SMALL:
        return [(window, strides)]
    axes = [axis for axis in reversed(range(len(window))) if window[axis] > 1 or strides[axis] > 1]
    alone = [[n if i == axis else 1 for i, n in enumerate(window)] for axis in axes]
    steps = [[n if i == axis else 1 for i, n in enumerate(strides)] for axis in axes]
    return zip(alone, steps, strict=True)
