"""Convolution and pooling: functions of sliding windows."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.kernels.convolution import convolve
from kerasish.kernels.pooling import lowest, window_max, window_sum
from kerasish.kernels.transposed_convolution import convolve_transposed
from kerasish.ops.wrappers import as_array

# -- the layout of images


def _per_axis(n, axes):
    return (n,) * axes if isinstance(n, int) else tuple(n)


def _channel_axis(data_format):
    return -1 if settings.standardize_data_format(data_format) == "channels_last" else 1


def _padding(op, padding):
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise bad_argument(op, "padding", "'valid' or 'same'", padding)
    return padding.upper()


# -- convolution


def _convolve(inputs, kernel, strides, padding, dilation_rate, data_format, groups):
    axes = inputs.ndim - 2
    strides, dilation = _per_axis(strides, axes), _per_axis(dilation_rate, axes)
    options = (strides, padding, dilation, groups, _channel_axis(data_format))
    product = convolve(inputs, kernel, *options)
    if 0 in product.shape and 0 not in inputs.shape:
        wanted = f"large enough for a kernel of shape {kernel.shape}"
        raise bad_argument("conv", "inputs", wanted, inputs.shape, "The result would be empty.")
    return product


@symbolic
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """The sum of a window's entries times a kernel, at each place.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        kernel: `(..., channels, filters)`; with fewer channels than the inputs have, the inputs'
            channels are taken in groups.
        strides: Steps from one place to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: Where the channels are.
        dilation_rate: Distance of neighbouring kernel entries.
    """
    kernel = as_array(kernel)
    inputs = as_array(inputs).astype(kernel.dtype)
    channels, taken = inputs.shape[_channel_axis(data_format)], kernel.shape[-2]
    if channels % taken:
        hint = f"The kernel takes {taken} at a time."
        raise bad_argument("conv", "channels", f"a multiple of {taken}", channels, hint)
    padding = _padding("conv", padding)
    return _convolve(
        inputs, kernel, strides, padding, dilation_rate, data_format, channels // taken
    )


@symbolic
def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """As `conv`, each channel on its own: a kernel `(..., channels, multiplier)`."""
    inputs, kernel = as_array(inputs), as_array(kernel)
    channels = inputs.shape[_channel_axis(data_format)]
    if kernel.shape[-2] != channels:
        raise bad_argument("depthwise_conv", "kernel", f"for {channels} channels", kernel.shape)
    kernel = kernel.reshape(*kernel.shape[:-2], 1, channels * kernel.shape[-1])
    padding = _padding("depthwise_conv", padding)
    return _convolve(inputs, kernel, strides, padding, dilation_rate, data_format, channels)


@symbolic
def separable_conv(
    inputs,
    depthwise_kernel,
    pointwise_kernel,
    strides=1,
    padding="valid",
    data_format=None,
    dilation_rate=1,
):
    """`depthwise_conv`, then `conv` with a kernel of one place."""
    options = {"data_format": data_format, "dilation_rate": dilation_rate}
    apart = depthwise_conv(inputs, depthwise_kernel, strides, padding, **options)
    return conv(apart, pointwise_kernel, 1, "valid", **options)


def _transpose_padding(size, stride, dilation, padding, output_padding):
    size = (size - 1) * dilation + 1
    if padding == "VALID":
        extra = max(stride - size, 0) if output_padding is None else output_padding
        return size - 1, size - 1 + extra
    extra = stride - size % 2 if output_padding is None else output_padding
    total = size + size % 2 - 2 + extra
    left = min((total + 1) // 2, size - 1)
    return left, total - left


@symbolic
def conv_transpose(
    inputs,
    kernel,
    strides=1,
    padding="valid",
    output_padding=None,
    data_format=None,
    dilation_rate=1,
):
    """The gradient of `conv` as a layer: each entry spreads a kernel `(..., filters, channels)`."""
    inputs, kernel = as_array(inputs), as_array(kernel)
    channels, axes = inputs.shape[_channel_axis(data_format)], inputs.ndim - 2
    if kernel.shape[-1] != channels:
        raise bad_argument("conv_transpose", "kernel", f"for {channels} channels", kernel.shape)
    padding = _padding("conv_transpose", padding)
    strides, dilation = _per_axis(strides, axes), _per_axis(dilation_rate, axes)
    extra = (None,) * axes if output_padding is None else _per_axis(output_padding, axes)
    each = zip(kernel.shape[:-2], strides, dilation, extra, strict=True)
    pads = [_transpose_padding(n, s, d, padding, e) for n, s, d, e in each]
    axis = _channel_axis(data_format)
    return convolve_transposed(inputs, kernel, strides, pads, dilation, axis)


# -- pooling


def _windows(op, x, pool_size, strides, padding, data_format):
    axes = x.ndim - 2
    around = (lambda n: (1, *n, 1)) if _channel_axis(data_format) == -1 else (lambda n: (1, 1, *n))
    window = around(_per_axis(pool_size, axes))
    strides = window if strides is None else around(_per_axis(strides, axes))
    return window, strides, lax.padtype_to_pads(x.shape, window, strides, _padding(op, padding))


@symbolic
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The largest entry of each window.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        pool_size: Size of the window, for all axes or each.
        strides: Steps from one window to the next; the window's size unless given.
        padding: `"valid"`, or `"same"`: windows may reach over the edge.
        data_format: Where the channels are.
    """
    x = as_array(inputs)
    return window_max(x, *_windows("max_pool", x, pool_size, strides, padding, data_format))


@symbolic
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """The mean of each window's entries; what is over the edge does not count.

    Args: As for `max_pool`.
    """
    x = as_array(inputs)
    window, strides, pads = _windows("average_pool", x, pool_size, strides, padding, data_format)
    total = window_sum(x, window, strides, pads)
    if padding.lower() == "valid":
        return total / math.prod(window)
    sizes = [n if w > 1 else 1 for n, w in zip(x.shape, window, strict=True)]
    return total / window_sum(jnp.ones(sizes, x.dtype), window, strides, pads)


def _adaptive_windows(size, count):
    """Where each of `count` windows that share an axis takes its entries, and which are real."""
    start = np.arange(count) * size // count
    end = -(-np.arange(1, count + 1) * size // count)
    places = start[:, None] + np.arange((end - start).max())
    return np.minimum(places, size - 1), places < end[:, None]


def _adaptive(op, inputs, output_size, data_format, reduce):
    x = as_array(inputs)
    if x.ndim not in (3, 4, 5):
        raise bad_argument(op, "inputs", "of 3, 4 or 5 axes", x.shape)
    first = 1 if _channel_axis(data_format) == -1 else 2
    for axis, count in enumerate(_per_axis(output_size, x.ndim - 2), first):
        places, real = _adaptive_windows(x.shape[axis], count)
        real = real.reshape(*real.shape, *(1,) * (x.ndim - axis - 1))
        x = reduce(jnp.take(x, places, axis), real, axis + 1)
    return x


@symbolic
def adaptive_max_pool(inputs, output_size, data_format=None):
    """The largest entry in each of `output_size` nearly equal parts of each axis."""

    def reduce(x, real, axis):
        return jnp.max(x, axis, where=real, initial=lowest(x.dtype))

    return _adaptive("adaptive_max_pool", inputs, output_size, data_format, reduce)


@symbolic
def adaptive_average_pool(inputs, output_size, data_format=None):
    """The mean of each of `output_size` nearly equal parts of each axis."""

    def reduce(x, real, axis):
        return jnp.mean(x, axis, where=real)

    return _adaptive("adaptive_average_pool", inputs, output_size, data_format, reduce)
