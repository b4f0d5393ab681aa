"""Convolutions on a CPU as XLA itself computes them best, inside loops too.

XLA's CPU backend has fast code for a convolution, but for its gradients only outside loops, where
it brings their axes into the one order that it knows; inside loops its code for them is a hundred
times slower. So they are products of matrices, or convolutions in that order.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from kerasish.kernels.convolution_choice import LIMITS, choose_product
from kerasish.kernels.convolution_im2col import im2col_product
from kerasish.kernels.convolution_shifted import MOST_SHIFTS, shifted_products
from kerasish.kernels.convolution_windows import reach_and_pads


def convolve_on_cpu(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
) -> jax.Array:
    """Convolution of images with channels last and a kernel `(..., channels / groups, filters)`.

    Args:
        x: Images.
        kernel: What they are convolved with.
        strides: Steps between the kernel's positions, for each axis.
        padding: `"VALID"`, `"SAME"`, or what comes before and after the images along each axis.
        dilation: Distance of the kernel's neighbouring elements, for each axis.
        groups: Number of groups of channels that do not mix.
    """
    options = {"window_strides": strides, "padding": padding, "rhs_dilation": dilation}
    options["feature_group_count"] = groups
    last = x.ndim - 1
    images = (0, last, *range(1, last))
    numbers = lax.ConvDimensionNumbers(images, (last, last - 1, *range(last - 1)), images)
    size = math.prod(kernel.shape[:-2])
    cut = not isinstance(padding, str) and min(map(min, padding), default=0) < 0
    mixed = 1 < groups < x.shape[-1]
    if cut or mixed or (groups > 1 and size > MOST_SHIFTS):
        return lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **options)
    if groups > 1:
        return shifted_products(options, x, kernel)
    if size == 1:
        return im2col_product(options, x, kernel)
    if last == 2 and kernel.shape[-2] >= LIMITS.many:
        return _as_image(x, kernel, strides, padding, dilation)
    return _with_fast_gradients(numbers, options)(x, kernel)


def _as_image(x, kernel, strides, padding, dilation):
    """A convolution along one axis as one of images of one row.

    Of many channels XLA is fast for those, and makes patches of lines.
    """
    padding = padding if isinstance(padding, str) else ((0, 0), *padding)
    options = (1, *strides), padding, (1, *dilation), 1
    return jnp.squeeze(convolve_on_cpu(x[:, None], kernel[None], *options), 1)


def _with_fast_gradients(numbers, options):
    """A convolution of images with channels last, whose gradients are such convolutions too.

    JAX's rule for the gradient of a convolution swaps what the axes stand for: batch and channels
    of images, channels and filters of a kernel. So each derivative is written with its axes in the
    positions where that swap leaves the order that XLA is fast for.
    """
    images, kernel_spec, _ = numbers
    last = len(images) - 1
    swapped_kernel = (last - 1, last, *kernel_spec[2:])
    apply = lax.conv_general_dilated

    def by_itself(x, kernel):
        return apply(x, kernel, dimension_numbers=numbers, **options)

    @jax.custom_jvp
    def convolution(x, kernel):
        way = choose_product(by_itself, x, kernel, options, forward_only=True)
        return way(options, x, kernel) if way else by_itself(x, kernel)

    def of_images(dx, kernel):
        swapped = lax.ConvDimensionNumbers(images, swapped_kernel, images)
        kernel = jnp.swapaxes(kernel, -1, -2)
        return apply(dx, kernel, dimension_numbers=swapped, **options)

    def of_kernel(x, dkernel):
        axes = tuple(range(1, last))
        swapped = lax.ConvDimensionNumbers(
            (last, 0, *axes), (last, 0, *axes), (last - 1, last, *range(last - 1))
        )
        reach, pads = reach_and_pads(x, dkernel.shape[:-2], options)
        x, dkernel = jnp.moveaxis(x, (-1, 0), (0, -1)), jnp.moveaxis(dkernel, -2, 0)
        part = {**options, "padding": [(0, 0), *pads[1:]], "dimension_numbers": swapped}
        if any(pads[0]):  # padded once, not in each of the parts
            x = lax.optimization_barrier(jnp.pad(x, [(0, 0), pads[0], *[(0, 0)] * (last - 1)]))
        step = options["window_strides"][0]
        positions = (x.shape[1] - reach[0]) // step + 1
        rows = _rows_in_cache(positions, x, dkernel, options["window_strides"])
        if rows is None or rows >= positions:
            return jnp.moveaxis(apply(x, dkernel, **part), -2, 0)
        ends = [min(i + rows, positions) for i in range(0, positions, rows)]
        parts = [
            apply(x[:, i * step : (j - 1) * step + reach[0]], dkernel, **part)
            for i, j in itertools.pairwise([0, *ends])
        ]
        return jnp.moveaxis(jnp.concatenate(parts), -2, 0)

    @functools.partial(convolution.defjvp, symbolic_zeros=True)
    def derivative(primals, tangents):
        (x, kernel), (dx, dkernel) = primals, tangents
        way = choose_product(by_itself, x, kernel, options)
        if way and isinstance(dx, SymbolicZero):
            return jax.jvp(lambda kernel: way(options, x, kernel), (kernel,), (dkernel,))
        if way and isinstance(dkernel, SymbolicZero):
            return jax.jvp(lambda x: way(options, x, kernel), (x,), (dx,))
        if way:
            return jax.jvp(functools.partial(way, options), primals, tangents)
        parts = []
        if not isinstance(dx, SymbolicZero):
            parts.append(of_images(dx, kernel))
        if not isinstance(dkernel, SymbolicZero):
            parts.append(of_kernel(x, dkernel))
        return convolution(x, kernel), sum(parts[1:], parts[0])

    return convolution


# The gradient of a kernel reads a part of the output's gradient for each of its elements; this
# many bytes of it stay in a core's cache.
_CACHED = 2**19
_MOST_PARTS = 16


def _rows_in_cache(rows, x, kernel, strides):
    """How many rows of a convolution's output to use at a time; `None`: all, or who knows."""
    if not all(isinstance(n, int) for n in (*x.shape, *kernel.shape)):
        return None
    others = [n // s for n, s in zip(x.shape[2:-1], strides[1:], strict=True)]
    row = math.prod(others) * x.shape[-1] * kernel.shape[-1] * x.dtype.itemsize
    return max(-(-rows // _MOST_PARTS), _CACHED // max(row, 1), 1)
