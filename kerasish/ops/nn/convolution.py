"""Convolution and pooling: functions of sliding windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.kernels.convolution import convolve
from kerasish.kernels.transposed_convolution import convolve_transposed
from kerasish.ops.wrappers import as_array

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]

# -- the layout of images


def per_axis(n: int | Sequence[int], axes: int) -> tuple:
    """One number for each axis, from one for all or a sequence.

    Args:
        n: A number, or one for each axis.
        axes: How many axes there are.
    """
    return (n,) * axes if isinstance(n, int) else tuple(n)


def channel_axis(data_format: str | None) -> int:
    """The axis of channels: -1 or 1.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; the global setting if not given.
    """
    return -1 if settings.standardize_data_format(data_format) == "channels_last" else 1


def padding_name(op: str, padding: Any) -> str:
    """JAX's name of a padding.

    Args:
        op: Name of the op, for the error.
        padding: `"valid"` or `"same"`, in any case.
    """
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise bad_argument(op, "padding", "'valid' or 'same'", padding)
    return padding.upper()


# -- convolution


def _convolve(inputs, kernel, strides, padding, dilation_rate, data_format, groups):
    axes = inputs.ndim - 2
    strides, dilation = per_axis(strides, axes), per_axis(dilation_rate, axes)
    options = (strides, padding, dilation, groups, channel_axis(data_format))
    product = convolve(inputs, kernel, *options)
    if 0 in product.shape and 0 not in inputs.shape:
        wanted = f"large enough for a kernel of shape {kernel.shape}"
        raise bad_argument("conv", "inputs", wanted, inputs.shape, "The result would be empty.")
    return product


@symbolic
def conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """The sum of a window's elements times a kernel, at each position.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        kernel: `(..., channels, filters)`; with fewer channels than the inputs have, the inputs'
            channels are taken in groups.
        strides: Steps from one position to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: Where the channels are.
        dilation_rate: Distance of neighbouring kernel elements.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., filters)`.

    Example:
        >>> print(keras.ops.conv(np.ones((1, 3, 1)), np.ones((2, 1, 1)))[0, :, 0])
        [2. 2.]
    """
    kernel = as_array(kernel)
    inputs = as_array(inputs).astype(kernel.dtype)
    channels, taken = inputs.shape[channel_axis(data_format)], kernel.shape[-2]
    if channels % taken:
        hint = f"The kernel takes {taken} at a time."
        raise bad_argument("conv", "channels", f"a multiple of {taken}", channels, hint)
    padding = padding_name("conv", padding)
    return _convolve(
        inputs, kernel, strides, padding, dilation_rate, data_format, channels // taken
    )


@symbolic
def depthwise_conv(
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """Convolution of each channel on its own.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        kernel: `(..., channels, multiplier)`.
        strides: Steps from one window to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        dilation_rate: Distance of neighbouring elements of a window.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., channels * multiplier)`.

    Example:
        >>> keras.ops.depthwise_conv(np.ones((1, 5, 2)), np.ones((3, 2, 4))).shape
        (1, 3, 8)
    """
    inputs, kernel = as_array(inputs), as_array(kernel)
    channels = inputs.shape[channel_axis(data_format)]
    if kernel.shape[-2] != channels:
        raise bad_argument("depthwise_conv", "kernel", f"for {channels} channels", kernel.shape)
    kernel = kernel.reshape(*kernel.shape[:-2], 1, channels * kernel.shape[-1])
    padding = padding_name("depthwise_conv", padding)
    return _convolve(inputs, kernel, strides, padding, dilation_rate, data_format, channels)


@symbolic
def separable_conv(
    inputs: TensorLike,
    depthwise_kernel: TensorLike,
    pointwise_kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """`depthwise_conv`, then `conv` with a kernel of one position.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        depthwise_kernel: `(..., channels, multiplier)`.
        pointwise_kernel: `(1, ..., channels * multiplier, filters)`.
        strides: Steps from one window to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        dilation_rate: Distance of neighbouring elements of a window.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., filters)`.

    Example:
        >>> x, depthwise, pointwise = np.ones((1, 5, 2)), np.ones((3, 2, 4)), np.ones((1, 8, 6))
        >>> keras.ops.separable_conv(x, depthwise, pointwise).shape
        (1, 3, 6)
    """
    options = {"data_format": data_format, "dilation_rate": dilation_rate}
    separate = depthwise_conv(inputs, depthwise_kernel, strides, padding, **options)
    return conv(separate, pointwise_kernel, 1, "valid", **options)


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
    inputs: TensorLike,
    kernel: TensorLike,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """Transposed convolution: each element spreads a kernel over the result, where they are added.

    Args:
        inputs: `(batch, ..., channels)`, or `(batch, channels, ...)` with `"channels_first"`.
        kernel: `(..., filters, channels)`.
        strides: Steps from one window to the next, for all axes or each.
        padding: `"valid"`, or `"same"`: zeros around, so that strides of 1 keep the size.
        output_padding: Elements added at the end of the result, for all axes or each.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.
        dilation_rate: Distance of neighbouring elements of a window.

    Shapes:
        `(batch, ..., channels)` -> `(batch, ..., filters)`.

    Example:
        >>> keras.ops.conv_transpose(np.ones((1, 4, 2)), np.ones((3, 5, 2)), strides=2).shape
        (1, 9, 5)
    """
    inputs, kernel = as_array(inputs), as_array(kernel)
    channels, axes = inputs.shape[channel_axis(data_format)], inputs.ndim - 2
    if kernel.shape[-1] != channels:
        raise bad_argument("conv_transpose", "kernel", f"for {channels} channels", kernel.shape)
    padding = padding_name("conv_transpose", padding)
    strides, dilation = per_axis(strides, axes), per_axis(dilation_rate, axes)
    extra = (None,) * axes if output_padding is None else per_axis(output_padding, axes)
    each = zip(kernel.shape[:-2], strides, dilation, extra, strict=True)
    pads = [_transpose_padding(n, s, d, padding, e) for n, s, d, e in each]
    axis = channel_axis(data_format)
    return convolve_transposed(inputs, kernel, strides, pads, dilation, axis)


# -- pooling
