"""Convolutions as products of matrices: what a CPU is fast for, inside loops too.

Images have their channels last, kernels are `(..., channels, filters)`, and `options` are as
`jax.lax.conv_general_dilated` takes them. Each way is linear in both of its arguments and has a
transpose that is as fast, so that it computes derivatives too.

These are written with `jax.lax`, as `jax.numpy`'s functions and operators, each a compiled function
of its own, take several times as long to trace and to differentiate.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.lax import add, sub

from kerasish.kernels.dense import matmul
from kerasish.kernels.noinline import materialize


def reach_and_pads(
    x: jax.Array, window: Sequence[int], options: dict
) -> tuple[list[int], list[tuple[int, int]]]:
    """What a window covers, and the padding around images, along each axis."""
    reach = [(n - 1) * d + 1 for n, d in zip(window, options["rhs_dilation"], strict=True)]
    padding, strides = options["padding"], options["window_strides"]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:-1], reach, strides, padding)
    return reach, list(padding)


# What is copied may take this much: as tiles of columns, as patches under the kernel, or as lines
# under it. Larger patches and lines do not pay; tiles would, but are kept for the gradient.
_TILES = 2**27
_PATCHES = 2**24
_LINES = 3 * 2**23
# Tiles pay from so many channels, filters and products of each entry on, and where at least this
# share of them is not padding.
_DEEP, _WIDE, _WORK = 16, 32, 2**16
_FILLED = 0.7
# From so many channels on, pieces of memory to copy are long enough.
_NARROW = 8
# Of one channel, so many products for each place are made as they are added up, if that rounds no
# more than a product of matrices, which adds up numbers of 16 bits as numbers of 32.
_BRIEF = 600
# XLA's own code for images is good from so many channels on; where no gradient is taken, between
# so few and so many, too, and at fewer places than these.
MANY = 128
_FEW, _SOME, _PLACES = 4, 32, 2000


def as_product(
    by_itself: Callable, x: jax.Array, kernel: jax.Array, options: dict, alone: bool = False
) -> Callable | None:
    """The way to compute a convolution as products of matrices, if that pays.

    Args:
        by_itself: The convolution as XLA computes it.
        x, kernel: Its arguments.
        options: Its options.
        alone: Whether no gradient is taken.
    """
    *sizes, filters = jax.eval_shape(by_itself, x, kernel).shape
    *window, channels = kernel.shape[:-1]
    if not all(isinstance(n, int) for n in (*sizes, filters, *window, channels)):
        return None
    places, images = math.prod(sizes), x.ndim == 4
    itemsize, last_step = kernel.dtype.itemsize, options["window_strides"][-1]
    if channels == 1 and itemsize >= 4 and math.prod(window) * filters <= _BRIEF:
        return product_of_entries
    if alone and not (images and places > _PLACES and (1 < channels <= _FEW or channels >= _SOME)):
        return None
    if x.ndim > 3 and window[-1] == 3 and last_step == options["rhs_dilation"][-1] == 1:
        deep = channels >= _DEEP and filters >= _WIDE and itemsize >= 4
        tiled = places // max(sizes[-1], 1) * 4 * _tiles_of(sizes[-1])
        copies = tiled * 6 // 4 * math.prod(window[:-1]) * channels
        pays = deep and places * channels * filters >= _WORK and places >= _FILLED * tiled
        if pays and copies * itemsize <= _TILES:
            return product_of_tiles
    if images and channels >= MANY:
        return None
    if places * math.prod(window) * channels * itemsize <= _PATCHES:
        return product_of_patches
    copies = places * math.prod(window[:-1]) * max(channels, filters)
    return product_of_lines if images and last_step == 1 and copies * itemsize <= _LINES else None


def _padded(x, pads, window):
    """Images with what is around them, in memory if they are read more than once."""
    if any(map(any, pads)):
        around = [(before, after, 0) for before, after in pads]
        x = lax.pad(x, np.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    # What is fused into the copies would be done again for each of them.
    return materialize(x) if math.prod(window) > 1 else x


def _entries(options, x, window) -> Iterator[jax.Array]:
    """What lies under the first, second, ... entry of a window, at all its places.

    A window of fewer axes than the images have takes all that there is along the others.
    """
    strides, dilation = (options[n][: len(window)] for n in ("window_strides", "rhs_dilation"))
    reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    sizes, others = x.shape[1 : 1 + len(window)], x.shape[1 + len(window) :]
    each = zip(sizes, reach, strides, strict=True)
    spans = [(n - r) // s * s + 1 for n, r, s in each]
    for place in itertools.product(*map(range, window)):
        start = [i * d for i, d in zip(place, dilation, strict=True)]
        ends = [first + n for first, n in zip(start, spans, strict=True)]
        none = [0] * len(others)
        limits = (x.shape[0], *ends, *others)
        yield lax.slice(x, (0, *start, *none), limits, (1, *strides, *[1 for _ in others]))


def _joined(entries):
    entries = list(entries)
    return lax.concatenate(entries, entries[0].ndim - 1) if entries[1:] else entries[0]


def _patches(options, x, window):
    """What lies under a window at all its places, in memory, in the order of a kernel's entries."""
    if x.shape[-1] > _NARROW:
        return _joined(_entries(options, x, window))
    # Copied along one axis after the other, entries of few channels come in longer pieces.
    strides, dilation = options["window_strides"], options["rhs_dilation"]
    for axis in range(len(window), 0, -1):
        width, stride, far = window[axis - 1], strides[axis - 1], dilation[axis - 1]
        span = (x.shape[axis] - (width - 1) * far - 1) // stride * stride + 1
        starts = range(0, width * far, far)
        parts = [lax.slice_in_dim(x, i, i + span, stride, axis) for i in starts]
        x = materialize(lax.concatenate(parts, x.ndim - 1))
    return x


def _flat_matmul(x, weights):
    flat = matmul(x.reshape(-1, x.shape[-1]), weights.reshape(x.shape[-1], -1))
    return flat.reshape(*x.shape[:-1], flat.shape[-1])


def product_of_patches(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution as one product of matrices: the patches under the kernel, and the kernel."""
    window = kernel.shape[:-2]
    x = _padded(x, reach_and_pads(x, window, options)[1], window)
    return _flat_matmul(_patches(options, x, window), kernel)


def product_of_lines(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution as one product of matrices, and a sum along the last axis of the window.

    The patches do not reach along that axis, so that they take a third of what those of a window of
    3x3 take: first comes what each of its entries contributes, then they are added up.
    """
    window = kernel.shape[:-2]
    x = _padded(x, reach_and_pads(x, window, options)[1], window)
    lines = _joined(_entries(options, x, window[:-1]))
    parts = _flat_matmul(lines, jnp.moveaxis(kernel, -3, -2))
    return _shifted_sum(materialize(parts), window[-1], options["rhs_dilation"][-1])


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _shifted_sum(x, width, step):
    """The sum of the parts of the channels, each a step further along the axis before."""
    size = x.shape[-2] - (width - 1) * step
    parts = jnp.split(x, width, axis=-1)
    shifted = [lax.slice_in_dim(p, i * step, i * step + size, axis=-2) for i, p in enumerate(parts)]
    return materialize(sum(shifted[1:], shifted[0]))


@_shifted_sum.defjvp
def _(width, step, primals, tangents):
    (x,), (dx,) = primals, tangents
    # Transposed, this is one padded array and slices of it put together: no zeros to add.
    far = (width - 1) * step
    none = [(0, 0, 0)] * (x.ndim - 2)
    pads = [(far - i * step, i * step, 0) for i in range(width)]
    parts = zip(jnp.split(dx, width, axis=-1), pads, strict=True)
    zero = jnp.zeros((), x.dtype)
    total = sum(lax.pad(part, zero, [*none, around, (0, 0, 0)]) for part, around in parts)
    size = x.shape[-2] - far
    dy = lax.slice_in_dim(materialize(total), far, far + size, axis=-2)
    return _shifted_sum(x, width, step), dy


# Four outputs of a window of three are sums of six products: of sums of the six inputs under them
# with sums of the three entries. So two products do the work of four.
def _of_inputs(a, b, c, d, e, f):
    even, odd = sub(e, _times(4, c)), sub(d, _times(4, b))
    far_even, far_odd = sub(e, c), _times(2, sub(d, b))
    first, last = sub(e, _times(5, c)), sub(f, _times(5, d))
    return (
        add(_times(4, a), first),
        *_both(even, odd),
        *_both(far_even, far_odd),
        add(_times(4, b), last),
    )


def _of_entries(a, b, c):
    even, odd = _times(-1 / 6, add(a, c)), _times(-1 / 6, b)
    far_even, far_odd = add(_times(1 / 24, a), _times(1 / 6, c)), _times(1 / 12, b)
    return _times(1 / 4, a), *_both(even, odd), *_both(far_even, far_odd), c


def _of_products(a, b, c, d, e, f):
    even, odd = _both(b, c)
    far_even, far_odd = _both(d, e)
    first, last = add(a, even), add(odd, f)
    return (
        add(first, far_even),
        add(odd, _times(2, far_odd)),
        add(even, _times(4, far_even)),
        add(last, _times(8, far_odd)),
    )


def _both(even, odd):
    return add(even, odd), sub(even, odd)


def _times(factor, x):
    return lax.mul(x, np.asarray(factor, x.dtype))


def _apart(x, axis):
    """The slices along an axis; of a split, the gradient puts them together without adding."""
    return [lax.squeeze(part, (axis,)) for part in lax.split(x, (1,) * x.shape[axis], axis)]


def _together(parts, axis):
    return lax.concatenate([lax.expand_dims(part, (axis,)) for part in parts], axis)


def _tiles_of(size):
    return -(-size // 4)


def product_of_tiles(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution, three wide along the last axis, with half as many products.

    Tiles of four outputs take six products of sums of columns, in place of twelve, along the other
    axes as patches. Its rounding errors are two to three times those of a plain product.

    References:
        Lavin and Gray, 2016, "Fast Algorithms for Convolutional Neural Networks", after Winograd,
        1980, "Arithmetic Complexity of Computations"; here in one dimension.
    """
    window = kernel.shape[:-2]
    *pads, (before, after) = reach_and_pads(x, window, options)[1]
    size = x.shape[-2] + before + after - 2
    tiles = _tiles_of(size)
    x = _padded(x, [*pads, (before, after + 4 * tiles + 2 - size)], window)
    x = x.reshape(*x.shape[:-2], tiles + 1, 4, x.shape[-1])
    columns, axis = _apart(x, x.ndim - 2), x.ndim - 3
    cut = partial(lax.slice_in_dim, axis=axis)
    inputs = [cut(c, 0, tiles) for c in columns] + [cut(c, 1, tiles + 1) for c in columns[:2]]
    sums = lax.concatenate(_of_inputs(*inputs), 0)
    lines = _joined(_entries(options, sums, window[:-1]))
    kernels = materialize(_together(_of_entries(*_apart(kernel, axis - 1)), 0))
    inner, filters = lines.shape[-1], kernel.shape[-1]
    numbers = ((2,), (1,)), ((0,), (0,))
    pair = lines.reshape(6, -1, inner), kernels.reshape(6, inner, filters)
    flat = lax.dot_general(*pair, numbers)
    products = _apart(flat.reshape(6, x.shape[0], *lines.shape[1:-1], filters), 0)
    outputs = _together(_of_products(*products), axis + 1)
    outputs = outputs.reshape(*outputs.shape[:axis], 4 * tiles, filters)
    return materialize(cut(outputs, 0, size))


# Each makes the program larger.
MOST_SHIFTS = 49


def shifted_products(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of each channel on its own: what lies under an entry, times that entry."""
    window = kernel.shape[:-2]
    x = _padded(x, reach_and_pads(x, window, options)[1], window)
    channels, filters = x.shape[-1], kernel.shape[-1]
    # One filter a channel needs no axis of its own, which XLA would copy entries along one by one.
    each = () if filters == channels else (filters // channels,)
    weights = kernel.reshape(-1, channels, *each)
    entries = (e.reshape(*e.shape, *(1 for _ in each)) for e in _entries(options, x, window))
    first, *others = [entry * weight for entry, weight in zip(entries, weights, strict=True)]
    total = sum(others, first)
    return total.reshape(*total.shape[: x.ndim - 1], filters)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def product_of_entries(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of images of one channel, without a copy of what lies under the kernel."""
    return materialize(shifted_products(options, x, kernel))


@partial(product_of_entries.defjvp, symbolic_zeros=True)
def _(options, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(product_of_patches(options, dx, kernel))
    if not isinstance(dkernel, SymbolicZero):
        parts.append(product_of_patches(options, x, dkernel))
    return product_of_entries(options, x, kernel), sum(parts[1:], parts[0])
