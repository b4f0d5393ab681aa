"""Convolutions by shift and add: what is under each element of the kernel, times that element."""

from functools import partial

import jax
from jax.custom_derivatives import SymbolicZero

from kerasish.kernels.convolution_im2col import im2col_product
from kerasish.kernels.convolution_windows import elements, padded, reach_and_pads
from kerasish.kernels.noinline import materialize

# Each makes the program larger.
MOST_SHIFTS = 49


def shifted_products(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of each channel on its own: what is under an element, times that element.

    Args:
        options: Options of the convolution.
        x: Images.
        kernel: The kernel.
    """
    window = kernel.shape[:-2]
    x = padded(x, reach_and_pads(x, window, options)[1], window)
    channels, filters = x.shape[-1], kernel.shape[-1]
    # One filter a channel needs no axis of its own, along which XLA would copy one by one.
    each = () if filters == channels else (filters // channels,)
    weights = kernel.reshape(-1, channels, *each)
    parts = (e.reshape(*e.shape, *(1 for _ in each)) for e in elements(options, x, window))
    first, *others = [part * weight for part, weight in zip(parts, weights, strict=True)]
    total = sum(others, first)
    return total.reshape(*total.shape[: x.ndim - 1], filters)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def shift_and_add(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution of images of one channel, without a copy of what is under the kernel.

    Args:
        options: Strides, padding and dilation.
        x: The images.
        kernel: The kernel.
    """
    return materialize(shifted_products(options, x, kernel))


@partial(shift_and_add.defjvp, symbolic_zeros=True)
def _(options, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(im2col_product(options, dx, kernel))
    if not isinstance(dkernel, SymbolicZero):
        parts.append(im2col_product(options, x, dkernel))
    return shift_and_add(options, x, kernel), sum(parts[1:], parts[0])
