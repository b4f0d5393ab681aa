"""Convolutions three wide by Winograd's F(4, 3): half as many multiplications."""

from functools import partial

import jax
import numpy as np
from jax import lax
from jax.lax import add, sub

from kerasish.kernels.convolution_windows import elements, joined, padded, reach_and_pads
from kerasish.kernels.noinline import materialize


# Four outputs of a window of three are sums of six products: of sums of the six inputs under them
# with sums of the three elements. So two products do the work of four.
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


def _of_kernel(a, b, c):
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


def _unstacked(x, axis):
    """The slices along an axis; of a split, the gradient puts them together without adding."""
    return [lax.squeeze(part, (axis,)) for part in lax.split(x, (1,) * x.shape[axis], axis)]


def _stacked(parts, axis):
    return lax.concatenate([lax.expand_dims(part, (axis,)) for part in parts], axis)


def tiles_of(size: int) -> int:
    """How many tiles of four outputs cover an axis.

    Args:
        size: Outputs along the axis.
    """
    return -(-size // 4)


def winograd_product(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution, three wide along the last axis, with half as many products.

    Tiles of four outputs take six products of sums of columns, instead of twelve, along the other
    axes as patches. Its rounding errors are two to three times those of a plain product.

    Args:
        options: Options of the convolution.
        x: Images.
        kernel: The kernel, three wide along its last spatial axis.

    References:
        Lavin and Gray, 2016, "Fast Algorithms for Convolutional Neural Networks", after Winograd,
        1980, "Arithmetic Complexity of Computations"; here in one dimension.
    """
    window = kernel.shape[:-2]
    *pads, (before, after) = reach_and_pads(x, window, options)[1]
    size = x.shape[-2] + before + after - 2
    tiles = tiles_of(size)
    x = padded(x, [*pads, (before, after + 4 * tiles + 2 - size)], window)
    x = x.reshape(*x.shape[:-2], tiles + 1, 4, x.shape[-1])
    columns, axis = _unstacked(x, x.ndim - 2), x.ndim - 3
    cut = partial(lax.slice_in_dim, axis=axis)
    inputs = [cut(c, 0, tiles) for c in columns] + [cut(c, 1, tiles + 1) for c in columns[:2]]
    sums = lax.concatenate(_of_inputs(*inputs), 0)
    lines = joined(elements(options, sums, window[:-1]))
    kernels = materialize(_stacked(_of_kernel(*_unstacked(kernel, axis - 1)), 0))
    inner, filters = lines.shape[-1], kernel.shape[-1]
    numbers = ((2,), (1,)), ((0,), (0,))
    pair = lines.reshape(6, -1, inner), kernels.reshape(6, inner, filters)
    flat = lax.dot_general(*pair, numbers)
    products = _unstacked(flat.reshape(6, x.shape[0], *lines.shape[1:-1], filters), 0)
    outputs = _stacked(_of_products(*products), axis + 1)
    outputs = outputs.reshape(*outputs.shape[:axis], 4 * tiles, filters)
    return materialize(cut(outputs, 0, size))
