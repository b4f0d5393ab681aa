"""Transposed convolutions: on CPUs plain ones, with a filter for each position between inputs."""

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from kerasish.core.lowering import platform_dependent
from kerasish.kernels.convolution import convolve, fits_onednn
from kerasish.kernels.convolution_primitive import Geometry, convolution


def convolve_transposed(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    channels: int,
) -> jax.Array:
    """The gradient of a convolution by its images, with a kernel `(..., filters, channels)`.

    XLA's CPU backend would go through the zeros that strides put between the inputs.

    Args:
        x: Images, their channels on the last axis or the one after the first.
        kernel: What they are spread by.
        strides: Steps between the kernel's positions, for each axis.
        padding: Elements around the inputs, once they have these distances.
        dilation: Distance of the kernel's neighbouring elements, for each axis.
        channels: Axis of the channels, 1 or -1.
    """
    last = x.ndim - 1
    inside, spec = tuple(range(last - 1)), (last, last - 1, *range(last - 1))
    images = (0, last, *(a + 1 for a in inside)) if channels == -1 else tuple(range(last + 1))

    dilated = max(dilation) > 1

    def by_primitive(x, kernel, images=images):
        numbers = lax.ConvDimensionNumbers(images, spec, images)
        options = {"rhs_dilation": dilation, "transpose_kernel": True}
        return lax.conv_transpose(x, kernel, strides, padding, dimension_numbers=numbers, **options)

    def on_cpu(x, kernel):
        x = x if channels == -1 else jnp.moveaxis(x, 1, -1)
        if fits_onednn(x, kernel):
            y = _by_gradient(x, kernel, strides, padding, dilation)
        elif dilated:
            last_axis = (0, last, *range(1, last))
            y = by_primitive(x, kernel, last_axis)
        else:
            y = _by_phases(x, kernel, strides, padding)
        return y if channels == -1 else jnp.moveaxis(y, -1, 1)

    sizes = [x.shape[axis] for axis in images[2:]]
    if not all(isinstance(n, int) and n for n in sizes):
        return by_primitive(x, kernel)
    return platform_dependent(x, kernel, cpu=on_cpu, default=by_primitive)


def _by_gradient(x, kernel, strides, padding, dilation):
    """The gradient by its input of the convolution that has `x` as its output."""
    window = kernel.shape[:-2]
    reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    each = zip(x.shape[1:-1], strides, padding, reach, strict=True)
    image = tuple((n - 1) * s + sum(pads) - r + 2 for n, s, pads, r in each)
    pads = tuple((r - 1 - a, r - 1 - b) for (a, b), r in zip(padding, reach, strict=True))
    geometry = Geometry(image, window, tuple(strides), pads, tuple(dilation), 1)
    return convolution("input", geometry.canonical(), kernel, x)


def _by_phases(x, kernel, strides, padding):
    """One convolution: outputs at the distance of a stride see the same elements of the kernel."""
    axes = x.ndim - 2
    pads, sizes = [], []
    kernel = jnp.flip(kernel, range(axes))
    for axis, (stride, (before, after)) in enumerate(zip(strides, padding, strict=True)):
        width, size = kernel.shape[axis], x.shape[axis + 1]
        # Output `stride * i + phase` is the sum over `j` of input `i + j`, times element
        # `stride * j + before - phase`.
        first = -(before // stride)
        count = (width - 1 - before + stride - 1) // stride - first + 1
        front = stride - 1 - before - stride * first
        around = [(0, 0, 0)] * kernel.ndim
        around[axis] = (front, count * stride - front - width, 0)
        kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), around)
        sizes.append((size - 1) * stride + before + after - width + 2)
        positions = -(-sizes[-1] // stride)
        pads.append((-first, positions + first + count - 1 - size, 0))
    filters, channels = kernel.shape[-2:]
    counts = [n // stride for n, stride in zip(kernel.shape, strides, strict=False)]
    split = itertools.chain(*zip(counts, strides, strict=True))
    kernel = kernel.reshape(*split, filters, channels)
    phases = range(1, 2 * axes, 2)
    kernel = jnp.flip(kernel, phases)
    kernel = jnp.transpose(kernel, (*range(0, 2 * axes, 2), kernel.ndim - 1, *phases, 2 * axes))
    kernel = kernel.reshape(*kernel.shape[: axes + 1], math.prod(strides) * filters)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    y = convolve(x, kernel, (1,) * axes, "VALID", (1,) * axes, 1, -1)
    positions = y.shape[1:-1]
    y = y.reshape(x.shape[0], *positions, *strides, filters)
    order = [axis for i in range(axes) for axis in (1 + i, 1 + axes + i)]
    y = jnp.transpose(y, (0, *order, y.ndim - 1))
    whole = [n * stride for n, stride in zip(positions, strides, strict=True)]
    y = y.reshape(x.shape[0], *whole, filters)
    return lax.slice(y, [0] * y.ndim, (y.shape[0], *sizes, filters))
