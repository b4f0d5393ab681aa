"""Convolutions of each channel by itself, and those followed by a mix of the channels."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax

from kerasish.layers.base.arguments import (
    Named,
    make_weight,
    positive_int,
    set_weight_options,
    show_defaults,
)
from kerasish.layers.base.layer import Layer
from kerasish.layers.convolutional.conv import (
    check_channels,
    finish,
    make_bias,
    set_output_options,
    set_window_options,
)
from kerasish.ops.nn import convolution

# Keras 2 wrote them for these layers too, though nothing used them.
_OF_PLAIN_CONVOLUTIONS = {
    "groups": (1,),
    "kernel_initializer": None,
    "kernel_regularizer": None,
    "kernel_constraint": None,
}


class DepthwiseConv(Layer):
    """Base of `DepthwiseConv1D` and `DepthwiseConv2D`, which set `rank`."""

    rank = 0
    paddings = ("valid", "same")
    old_arguments: ClassVar = _OF_PLAIN_CONVOLUTIONS

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        show_defaults(cls, ("strides", "dilation_rate"))

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Named = None,
        use_bias: bool = True,
        depthwise_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        depthwise_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        depthwise_constraint: Named = None,
        bias_constraint: Named = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = positive_int(self, "depth_multiplier", depth_multiplier)
        set_window_options(self, kernel_size, strides, padding, data_format, dilation_rate)
        rules = depthwise_initializer, depthwise_regularizer, depthwise_constraint
        set_weight_options(self, "depthwise", *rules)
        set_output_options(
            self, activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        )

    def build(self, input_shape: tuple) -> None:
        channels = check_channels(self, input_shape)
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = make_weight(self, "kernel", shape, "depthwise")
        self.bias = make_bias(self, channels * self.depth_multiplier)

    def call(self, inputs: jax.Array) -> jax.Array:
        y = convolution.depthwise_conv(
            inputs,
            self.kernel.value,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return finish(self, y)


class DepthwiseConv1D(DepthwiseConv):
    """Convolution along one axis, each channel with kernels of its own.

    Args:
        kernel_size: Steps a kernel covers.
        strides: Steps between its positions.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Number of output channels for each input channel.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        depthwise_initializer: Initializer of the kernels, or its name.
        bias_initializer: Initializer of the bias, or its name.
        depthwise_regularizer: Regularizer of the kernels.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        depthwise_constraint: Constraint on the kernels.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, channels * depth_multiplier)`.

    Example:
        >>> DepthwiseConv1D(3, depth_multiplier=2)(np.ones((2, 5, 4))).shape
        (2, 3, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Convolution over images, each channel with kernels of its own.

    Args:
        kernel_size: Rows and columns a kernel covers, or one number for both.
        strides: Distance between its positions, in rows and columns, or one number for both.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Number of output channels for each input channel.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        depthwise_initializer: Initializer of the kernels, or its name.
        bias_initializer: Initializer of the bias, or its name.
        depthwise_regularizer: Regularizer of the kernels.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        depthwise_constraint: Constraint on the kernels.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, rows, columns, channels)` -> the same with new rows, columns and
        `channels * depth_multiplier`.

    Example:
        >>> DepthwiseConv2D(3, padding="same")(np.ones((2, 5, 5, 4))).shape
        (2, 5, 5, 4)
    """

    rank = 2


class SeparableConv(Layer):
    """Base of `SeparableConv1D` and `SeparableConv2D`, which set `rank`."""

    rank = 0
    paddings = ("valid", "same")
    old_arguments: ClassVar = _OF_PLAIN_CONVOLUTIONS

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        show_defaults(cls, ("strides", "dilation_rate"))

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: Named = None,
        use_bias: bool = True,
        depthwise_initializer: Named = "glorot_uniform",
        pointwise_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        depthwise_regularizer: Named = None,
        pointwise_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        depthwise_constraint: Named = None,
        pointwise_constraint: Named = None,
        bias_constraint: Named = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, "filters", filters)
        self.depth_multiplier = positive_int(self, "depth_multiplier", depth_multiplier)
        set_window_options(self, kernel_size, strides, padding, data_format, dilation_rate)
        rules = depthwise_initializer, depthwise_regularizer, depthwise_constraint
        set_weight_options(self, "depthwise", *rules)
        rules = pointwise_initializer, pointwise_regularizer, pointwise_constraint
        set_weight_options(self, "pointwise", *rules)
        set_output_options(
            self, activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        )

    def build(self, input_shape: tuple) -> None:
        channels = check_channels(self, input_shape)
        depth, ones = self.depth_multiplier, [1] * self.rank
        shape = (*self.kernel_size, channels, depth)
        self.depthwise_kernel = make_weight(self, "depthwise_kernel", shape, "depthwise")
        shape = (*ones, channels * depth, self.filters)
        self.pointwise_kernel = make_weight(self, "pointwise_kernel", shape, "pointwise")
        self.bias = make_bias(self, self.filters)

    def call(self, inputs: jax.Array) -> jax.Array:
        y = convolution.separable_conv(
            inputs,
            self.depthwise_kernel.value,
            self.pointwise_kernel.value,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return finish(self, y)


class SeparableConv1D(SeparableConv):
    """Depthwise convolution along one axis, then a mix of the channels at each step.

    Args:
        filters: Number of output channels.
        kernel_size: Steps a kernel covers.
        strides: Steps between its positions.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        depth_multiplier: Number of depthwise kernels for each input channel.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        depthwise_initializer: Initializer of the depthwise kernels, or its name.
        pointwise_initializer: Initializer of the mixing kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        depthwise_regularizer: Regularizer of the depthwise kernels.
        pointwise_regularizer: Regularizer of the mixing kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        depthwise_constraint: Constraint on the depthwise kernels.
        pointwise_constraint: Constraint on the mixing kernel.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, filters)`.

    References:
        Chollet, 2017, "Xception: Deep Learning with Depthwise Separable Convolutions".

    Example:
        >>> SeparableConv1D(8, 3)(np.ones((2, 5, 4))).shape
        (2, 3, 8)
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """Depthwise convolution over images, then a mix of the channels at each pixel.

    Args:
        filters: Number of output channels.
        kernel_size: Rows and columns a kernel covers, or one number for both.
        strides: Distance between its positions, in rows and columns, or one number for both.
        padding: `"valid"` or `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        depth_multiplier: Number of depthwise kernels for each input channel.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        depthwise_initializer: Initializer of the depthwise kernels, or its name.
        pointwise_initializer: Initializer of the mixing kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        depthwise_regularizer: Regularizer of the depthwise kernels.
        pointwise_regularizer: Regularizer of the mixing kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        depthwise_constraint: Constraint on the depthwise kernels.
        pointwise_constraint: Constraint on the mixing kernel.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, new_rows, new_columns, filters)`.

    Example:
        >>> SeparableConv2D(8, 3, padding="same")(np.ones((2, 5, 5, 4))).shape
        (2, 5, 5, 8)
    """

    rank = 2
