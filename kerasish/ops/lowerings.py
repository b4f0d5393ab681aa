"""How products and convolutions are computed: each kind of device has its own best way.

For convolutions, everywhere but on the CPU, that is JAX's primitive. XLA's CPU backend has fast
code for it too, but for gradients only outside loops, where it brings their axes into the one order
that it knows; inside loops its code for them is a hundred times slower.
"""

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from kerasish.core.fences import in_memory
from kerasish.core.platforms import by_platform, traced


def one_product(x: jax.Array, kernel: jax.Array, axes: int) -> jax.Array:
    """The last `axes` of `x` times the first of `kernel`, as a product of two matrices.

    XLA's CPU backend then has less to transpose, above all for the gradient of the kernel.
    """
    if x.ndim == kernel.ndim == 2:
        return _matmul(x, kernel)
    rows, columns = x.shape[: x.ndim - axes], kernel.shape[axes:]
    size = math.prod(kernel.shape[:axes])
    y = _matmul(x.reshape(math.prod(rows), size), kernel.reshape(size, math.prod(columns)))
    return y.reshape(*rows, *columns)


def _matmul(x, kernel):
    turned = _worth_turning(x, kernel)
    return _turning_matmul(turned, x, kernel) if turned else jnp.matmul(x, kernel)


def _worth_turning(x, kernel):
    """Which factor of the kernel's gradient is to be turned before it is computed, if any.

    Without that the CPU's product reads columns, with one thread where its result is small. Turned
    is `"x"` or the `"gradient"` of the product, and then the result once more.
    """
    sizes = (*x.shape, kernel.shape[1])
    if not traced.for_cpu or x.dtype != kernel.dtype or not all(isinstance(n, int) for n in sizes):
        return None
    rows, inner, outer = sizes
    if outer == 1:
        return None
    if outer <= 16 <= inner:
        return "gradient"
    some = 512 <= rows <= 2**12 and 32 <= inner <= 256
    return "x" if some or rows * inner <= 2**12 else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _turning_matmul(turned, x, kernel):
    """`x @ kernel`, in whose derivative the kernel's part has one factor turned."""
    return jnp.matmul(x, kernel)


@functools.partial(_turning_matmul.defjvp, symbolic_zeros=True)
def _(turned, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(_turning_matmul(turned, dx, kernel))
    if not isinstance(dkernel, SymbolicZero):
        if turned == "x":
            x = in_memory(x)  # turning what it would compute on the way is slow
            parts.append(lax.dot_general(in_memory(x.T), dkernel, (((0,), (0,)), ((), ()))))
        else:  # transposed: the gradient, turned, times x
            across = in_memory(dkernel.T)  # else XLA would turn the result before it is computed
            parts.append(in_memory(lax.dot_general(across, x, (((1,), (1,)), ((), ())))).T)
    return _turning_matmul(turned, x, kernel), sum(parts[1:], parts[0])


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    groups: int,
    channels: int,
) -> jax.Array:
    """Convolution with a kernel `(..., channels / groups, filters)`.

    Args:
        x: Images, their channels on the last axis or the one after the first.
        kernel: What they are convolved with.
        strides: Steps between the kernel's places, for each axis.
        padding: `"VALID"` or `"SAME"`.
        dilation: Distance of the kernel's neighbouring entries, for each axis.
        groups: Number of groups of channels that do not mix.
        channels: Axis of the channels, 1 or -1.
    """
    options = {"window_strides": strides, "padding": padding, "rhs_dilation": dilation}
    options["feature_group_count"] = groups
    last = x.ndim - 1
    spatial, kernel_spec = tuple(range(last - 1)), (last, last - 1, *range(last - 1))
    channels_last = (0, last, *(axis + 1 for axis in spatial))

    def by_primitive(x, kernel):
        images = channels_last if channels == -1 else tuple(range(last + 1))
        numbers = lax.ConvDimensionNumbers(images, kernel_spec, images)
        return lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **options)

    def on_cpu(x, kernel):
        numbers = lax.ConvDimensionNumbers(channels_last, kernel_spec, channels_last)
        if groups > 1:
            product = functools.partial(_shifted_products, options)
        elif math.prod(kernel.shape[:-2]) == 1:
            product = functools.partial(_product_of_patches, options)
        else:
            product = _with_fast_gradients(numbers, options)
        if channels == -1:
            return product(x, kernel)
        return jnp.moveaxis(product(jnp.moveaxis(x, 1, -1), kernel), -1, 1)

    mixed = 1 < groups < x.shape[channels]
    if mixed or (groups > 1 and math.prod(kernel.shape[:-2]) > _MOST_SHIFTS):
        return by_primitive(x, kernel)
    return by_platform(x, kernel, cpu=on_cpu, default=by_primitive)


def _with_fast_gradients(numbers, options):
    """A convolution of images with channels last, whose gradients are such convolutions too.

    JAX's rule for the gradient of a convolution swaps what the axes stand for: batch and channels
    of images, channels and filters of a kernel. So each derivative is written with its axes in the
    places where that swap leaves the order that XLA is fast for.
    """
    images, kernel_spec, _ = numbers
    last = len(images) - 1
    swapped_kernel = (last - 1, last, *kernel_spec[2:])
    apply = lax.conv_general_dilated

    def by_itself(x, kernel):
        return apply(x, kernel, dimension_numbers=numbers, **options)

    @jax.custom_jvp
    def convolution(x, kernel):
        way = _as_product(by_itself, x, kernel, options, alone=True)
        return way(options, x, kernel) if way else by_itself(x, kernel)

    def of_images(dx, kernel):
        turned = lax.ConvDimensionNumbers(images, swapped_kernel, images)
        kernel = jnp.swapaxes(kernel, -1, -2)
        return apply(dx, kernel, dimension_numbers=turned, **options)

    def of_kernel(x, dkernel):
        axes = tuple(range(1, last))
        turned = lax.ConvDimensionNumbers(
            (last, 0, *axes), (last, 0, *axes), (last - 1, last, *range(last - 1))
        )
        reach, pads = _reach_and_pads(x, dkernel.shape[:-2], options)
        x, dkernel = jnp.moveaxis(x, (-1, 0), (0, -1)), jnp.moveaxis(dkernel, -2, 0)
        part = {**options, "padding": [(0, 0), *pads[1:]], "dimension_numbers": turned}
        if any(pads[0]):  # padded once, not in each of the parts
            x = lax.optimization_barrier(jnp.pad(x, [(0, 0), pads[0], *[(0, 0)] * (last - 1)]))
        step = options["window_strides"][0]
        places = (x.shape[1] - reach[0]) // step + 1
        rows = _rows_in_cache(places, x, dkernel, options["window_strides"])
        if rows is None or rows >= places:
            return jnp.moveaxis(apply(x, dkernel, **part), -2, 0)
        ends = [min(i + rows, places) for i in range(0, places, rows)]
        parts = [
            apply(x[:, i * step : (j - 1) * step + reach[0]], dkernel, **part)
            for i, j in itertools.pairwise([0, *ends])
        ]
        return jnp.moveaxis(jnp.concatenate(parts), -2, 0)

    @functools.partial(convolution.defjvp, symbolic_zeros=True)
    def derivative(primals, tangents):
        (x, kernel), (dx, dkernel) = primals, tangents
        product, by_images, by_kernel = convolution, of_images, of_kernel
        if way := _as_product(by_itself, x, kernel, options):
            product = by_images = by_kernel = functools.partial(way, options)
        parts = []
        if not isinstance(dx, SymbolicZero):
            parts.append(by_images(dx, kernel))
        if not isinstance(dkernel, SymbolicZero):
            parts.append(by_kernel(x, dkernel))
        return product(x, kernel), sum(parts[1:], parts[0])

    return convolution


def _reach_and_pads(x, window, options):
    """What a window covers, and the padding around images, along each axis."""
    reach = [(n - 1) * d + 1 for n, d in zip(window, options["rhs_dilation"], strict=True)]
    pads = lax.padtype_to_pads(x.shape[1:-1], reach, options["window_strides"], options["padding"])
    return reach, pads


# The gradient of a kernel reads a part of the output's gradient for each of its entries; this
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


# What is copied may take this much, as patches under the kernel, or as lines under it: larger
# copies no longer pay.
_PATCHES = 2**24
_LINES = 3 * 2**23
# XLA's own code for images is good from so many channels on; where no gradient is taken, between
# so few and so many, too, and at fewer places than these.
_MANY = 128
_FEW, _SOME, _PLACES = 4, 32, 2000


def _as_product(by_itself, x, kernel, options, alone=False):
    """The way to compute a convolution as one product of matrices, if that pays.

    Args:
        by_itself: The convolution as XLA computes it.
        x, kernel: Its arguments.
        options: As `lax.conv_general_dilated` takes them.
        alone: Whether no gradient is taken.
    """
    *sizes, filters = jax.eval_shape(by_itself, x, kernel).shape
    *window, channels = kernel.shape[:-1]
    if not all(isinstance(n, int) for n in (*sizes, filters, *window, channels)):
        return None
    places, images = math.prod(sizes), x.ndim == 4
    if images and channels >= _MANY:
        return None
    if alone and not (images and places > _PLACES and (1 < channels <= _FEW or channels >= _SOME)):
        return None
    copies = places * math.prod(window) * channels
    if copies * kernel.dtype.itemsize <= _PATCHES:
        return _product_of_patches
    copies = places * math.prod(window[:-1]) * max(channels, filters)
    steps = options["window_strides"][-1]
    if images and steps == 1 and copies * kernel.dtype.itemsize <= _LINES:
        return _product_of_lines
    return None


def _entries(options, x, kernel, axes=None):
    """What lies under the first, second, ... entry of the kernel, at all its places.

    Args:
        options: As `lax.conv_general_dilated` takes them.
        x: Images, channels last.
        kernel: The kernel.
        axes: How many axes of the kernel count, if not all: along the others all of the padded
            images is given.
    """
    window, strides = kernel.shape[:-2], options["window_strides"]
    reach, pads = _reach_and_pads(x, window, options)
    if any(map(any, pads)):
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    if math.prod(window) > 1:
        # What is fused into the copies would be done again for each of them.
        x = in_memory(x)
    if axes is not None:
        cut = lambda sizes: [*sizes[:axes], *[1] * (len(sizes) - axes)]  # noqa: E731
        window, reach, strides = cut(window), cut(reach), cut(strides)
    each = zip(x.shape[1:-1], reach, strides, strict=True)
    spans = [(n - r) // s * s + 1 for n, r, s in each]
    for place in itertools.product(*map(range, window)):
        start = [i * d for i, d in zip(place, options["rhs_dilation"], strict=True)]
        ends = [first + n for first, n in zip(start, spans, strict=True)]
        limits = (x.shape[0], *ends, x.shape[-1])
        yield lax.slice(x, (0, *start, 0), limits, (1, *strides, 1))


def _product_of_patches(options, x, kernel):
    """A convolution as one product of matrices: the patches under the kernel, and the kernel."""
    entries = list(_entries(options, x, kernel))
    patches = jnp.concatenate(entries, axis=-1) if entries[1:] else entries[0]
    flat = _matmul(patches.reshape(-1, patches.shape[-1]), kernel.reshape(-1, kernel.shape[-1]))
    return flat.reshape(*patches.shape[:-1], kernel.shape[-1])


def _product_of_lines(options, x, kernel):
    """A convolution as one product of matrices, and a sum along the last axis of the window.

    The patches do not reach along that axis, so that they take a third of what those of a window of
    3x3 take: first comes what each of its entries contributes, then they are added up.
    """
    width, filters = kernel.shape[-3], kernel.shape[-1]
    axes = len(kernel.shape) - 3
    lines = jnp.concatenate(list(_entries(options, x, kernel, axes)), axis=-1)
    weights = jnp.moveaxis(kernel, axes, -2).reshape(-1, width * filters)
    parts = _matmul(lines.reshape(-1, lines.shape[-1]), weights)
    parts = in_memory(parts).reshape(*lines.shape[:-1], width * filters)
    return _shifted_sum(parts, width, options["rhs_dilation"][-1])


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _shifted_sum(x, width, step):
    """The sum of the parts of the channels, each a step further along the axis before."""
    size = x.shape[-2] - (width - 1) * step
    parts = jnp.split(x, width, axis=-1)
    shifted = [lax.slice_in_dim(p, i * step, i * step + size, axis=-2) for i, p in enumerate(parts)]
    return in_memory(sum(shifted[1:], shifted[0]))


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
    dy = lax.slice_in_dim(in_memory(total), far, far + size, axis=-2)
    return _shifted_sum(x, width, step), dy


# Each makes the program larger.
_MOST_SHIFTS = 49


def _shifted_products(options, x, kernel):
    """A convolution of each channel on its own: what lies under an entry, times that entry."""
    per_channel = kernel.reshape(-1, x.shape[-1], kernel.shape[-1] // x.shape[-1])
    entries = zip(_entries(options, x, kernel), per_channel, strict=True)
    first, *others = [entry[..., None] * weights for entry, weights in entries]
    total = sum(others, first)
    return total.reshape(*total.shape[:-2], kernel.shape[-1])
