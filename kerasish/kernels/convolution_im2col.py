"""Convolutions as one product of matrices: im2col, and row im2col.

Each is linear in both of its arguments and has a transpose that is as fast, so that it computes
derivatives too.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kerasish.kernels.convolution_windows import elements, joined, padded, reach_and_pads
from kerasish.kernels.dense import matmul
from kerasish.kernels.noinline import materialize

# From so many channels on, pieces of memory to copy are long enough.
_NARROW = 8


def _patches(options, x, window):
    """What is under a window at all its positions, materialized, in the kernel's order."""
    if x.shape[-1] > _NARROW:
        return joined(elements(options, x, window))
    # Copied along one axis after the other, elements of few channels come in longer pieces.
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


def im2col_product(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution as one product of matrices: the patches under the kernel, and the kernel.

    Args:
        options: Options of the convolution.
        x: Images.
        kernel: The kernel.
    """
    window = kernel.shape[:-2]
    x = padded(x, reach_and_pads(x, window, options)[1], window)
    return _flat_matmul(_patches(options, x, window), kernel)


def row_im2col_product(options: dict, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution as one product of matrices, and a sum along the last axis of the window.

    The patches do not reach along that axis, so that they take a third of what those of a window of
    3x3 take: first comes what each of its elements contributes, then they are added up.

    Args:
        options: Options of the convolution.
        x: Images.
        kernel: The kernel.
    """
    window = kernel.shape[:-2]
    x = padded(x, reach_and_pads(x, window, options)[1], window)
    lines = joined(elements(options, x, window[:-1]))
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
    total: Any = sum(lax.pad(part, zero, [*none, around, (0, 0, 0)]) for part, around in parts)
    size = x.shape[-2] - far
    dy = lax.slice_in_dim(materialize(total), far, far + size, axis=-2)
    return _shifted_sum(x, width, step), dy
