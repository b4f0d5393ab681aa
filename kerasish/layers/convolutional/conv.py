"""Convolutions over one, two and three spatial axes, and their transposes."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasish import activations
from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.kernels.noinline import add_bias
from kerasish.layers.base.arguments import (
    Named,
    int_tuple,
    known_size,
    make_weight,
    one_of,
    positive_int,
    set_weight_options,
    show_defaults,
)
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.layers.base.lora import LoRALayer
from kerasish.ops.nn import convolution


def set_window_options(
    layer: Any,
    kernel_size: int | Sequence[int],
    strides: int | Sequence[int] | None,
    padding: Any,
    data_format: str | None,
    dilation_rate: int | Sequence[int],
) -> None:
    """Check and store how the window of a layer (or cell) moves over its `rank` axes.

    Args:
        layer: The layer or cell, which has `rank` and `paddings`.
        kernel_size: Size of the window.
        strides: Distance between its positions.
        padding: What is at the edges.
        data_format: Where the channels are.
        dilation_rate: Distance of neighbouring elements of the kernel in the input.

    Raises:
        ValueError: If one of them is wrong, or strides and dilation are both more than 1.
    """
    layer.kernel_size = int_tuple(layer, "kernel_size", kernel_size, layer.rank)
    layer.strides = int_tuple(layer, "strides", strides, layer.rank)
    layer.dilation_rate = int_tuple(layer, "dilation_rate", dilation_rate, layer.rank)
    layer.padding = one_of(layer, "padding", padding, layer.paddings)
    layer.data_format = standardize_data_format(data_format)
    layer.input_spec = InputSpec(ndim=layer.rank + 2)
    if max(layer.strides) > 1 and max(layer.dilation_rate) > 1:
        wanted = f"1 where `strides` are more than 1 (here {layer.strides})"
        raise bad_argument(layer, "dilation_rate", wanted, layer.dilation_rate)


def set_output_options(
    layer: Any,
    activation: Named,
    use_bias: bool,
    initializer: Named,
    regularizer: Named,
    constraint: Named,
) -> None:
    """Store what is done to the result of a convolution.

    Args:
        layer: The layer.
        activation: Function of the result.
        use_bias: Whether there is a bias.
        initializer: What the bias starts from.
        regularizer: The bias' penalty.
        constraint: What the bias is held to.
    """
    layer.activation = activations.get(activation)
    layer.use_bias = use_bias
    set_weight_options(layer, "bias", initializer, regularizer, constraint)


def check_channels(layer: Any, input_shape: tuple) -> int:
    """The number of input channels, which the input must have from now on.

    Args:
        layer: The layer, which gets an `input_spec`.
        input_shape: Shape of the input.

    Raises:
        ValueError: If it is unknown.
    """
    axis = -1 if layer.data_format == "channels_last" else 1
    channels = known_size(layer, input_shape, axis)
    layer.input_spec = InputSpec(ndim=layer.rank + 2, axes={axis: channels})
    return channels


def make_bias(layer: Any, size: int) -> Any:
    """The bias of a convolution, or `None`.

    Args:
        layer: The layer.
        size: The number of output channels.
    """
    return make_weight(layer, "bias", (size,)) if layer.use_bias else None


def finish(layer: Any, y: jax.Array) -> jax.Array:
    """The result of a convolution, with the bias added and through the activation.

    Args:
        layer: The layer.
        y: The result.
    """
    if layer.use_bias:
        bias = layer.bias.value
        if layer.data_format == "channels_first":
            bias = jnp.reshape(bias, (-1, *[1] * layer.rank))
        y = add_bias(y, bias)
    return layer.activation(y)


class Conv(LoRALayer):
    """Base of `Conv1D`, `Conv2D` and `Conv3D`, which set `rank`, the number of spatial axes."""

    rank = 0
    paddings = ("valid", "same")

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
        groups: int = 1,
        activation: Named = None,
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        *,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, "filters", filters)
        self.groups = positive_int(self, "groups", groups)
        if filters % groups:
            raise bad_argument(self, "groups", f"a divisor of the {filters} filters", groups)
        set_window_options(self, kernel_size, strides, padding, data_format, dilation_rate)
        set_weight_options(
            self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        set_output_options(
            self, activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        )
        self.set_lora_options(lora_rank, lora_alpha)

    def build(self, input_shape: tuple) -> None:
        channels = check_channels(self, input_shape)
        if channels % self.groups:
            raise bad_argument(self, "groups", f"a divisor of the {channels} channels", self.groups)
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = make_weight(self, "kernel", shape)
        self.bias = make_bias(self, self.filters)
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def call(self, inputs: jax.Array) -> jax.Array:
        padding = self.padding
        if padding == "causal":
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            steps = 1 if self.data_format == "channels_last" else 2
            inputs = jnp.pad(inputs, [(before if axis == steps else 0, 0) for axis in range(3)])
            padding = "valid"
        y = convolution.conv(
            inputs,
            self.adapted_weight(),
            strides=self.strides,
            padding=padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return finish(self, y)


class Conv1D(Conv):
    """Convolution along one axis: text, sound, series.

    Args:
        filters: Number of output channels.
        kernel_size: Steps a kernel covers.
        strides: Steps between its positions.
        padding: `"valid"`: only where it fits; `"same"`: zeros around, so that with stride 1 the
            length stays; `"causal"`: zeros in front only, so that no output sees later steps.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        groups: Number of groups that channels are split in; each output sees one.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: Train a correction of this rank instead of the kernel: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, filters)`; the kernel is
        `(kernel_size, channels / groups, filters)`.

    Example:
        >>> Conv1D(8, 3, padding="causal")(np.ones((2, 10, 4))).shape
        (2, 10, 8)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(Conv):
    """Convolution over images.

    Args:
        filters: Number of output channels.
        kernel_size: Rows and columns a kernel covers, or one number for both.
        strides: Distance between its positions, in rows and columns, or one number for both.
        padding: `"valid"`: only where it fits; `"same"`: zeros around, so that with stride 1 the
            size stays.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        groups: Number of groups that channels are split in; each output sees one.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: Train a correction of this rank instead of the kernel: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, new_rows, new_columns, filters)`; the kernel
        is `(*kernel_size, channels / groups, filters)`.

    Example:
        >>> Conv2D(8, 3, strides=2, padding="same")(np.ones((2, 10, 10, 3))).shape
        (2, 5, 5, 8)
    """

    rank = 2


class Conv3D(Conv):
    """Convolution over volumes.

    Args:
        filters: Number of output channels.
        kernel_size: Elements a kernel covers along each of the three axes, or one number for all.
        strides: Distance between its positions along each of the three axes, or one number for all.
        padding: `"valid"`: only where it fits; `"same"`: zeros around, so that with stride 1 the
            size stays.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the input.
        groups: Number of groups that channels are split in; each output sees one.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        lora_rank: Train a correction of this rank instead of the kernel: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, n1, n2, n3, filters)`.

    Example:
        >>> Conv3D(4, 2)(np.ones((1, 3, 4, 5, 2))).shape
        (1, 2, 3, 4, 4)
    """

    rank = 3


class ConvTranspose(Layer):
    """Base of `Conv1DTranspose`, `Conv2DTranspose` and `Conv3DTranspose`, which set `rank`."""

    rank = 0
    paddings = ("valid", "same")
    old_arguments: ClassVar = {"groups": (1,)}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        show_defaults(cls, ("strides", "dilation_rate"))

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Named = None,
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(self, "filters", filters)
        set_window_options(self, kernel_size, strides, padding, data_format, dilation_rate)
        if output_padding is not None:
            output_padding = int_tuple(self, "output_padding", output_padding, self.rank, least=0)
            if any(extra >= s for extra, s in zip(output_padding, self.strides, strict=True)):
                wanted = f"less than the strides {self.strides}"
                raise bad_argument(self, "output_padding", wanted, output_padding)
        self.output_padding = output_padding
        set_weight_options(
            self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        set_output_options(
            self, activation, use_bias, bias_initializer, bias_regularizer, bias_constraint
        )

    def build(self, input_shape: tuple) -> None:
        channels = check_channels(self, input_shape)
        self.kernel = make_weight(self, "kernel", (*self.kernel_size, self.filters, channels))
        self.bias = make_bias(self, self.filters)

    def call(self, inputs: jax.Array) -> jax.Array:
        y = convolution.conv_transpose(
            inputs,
            self.kernel.value,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return finish(self, y)


class Conv1DTranspose(ConvTranspose):
    """The transpose of `Conv1D`: from what has its output's shape to what has its input's.

    Args:
        filters: Number of output channels.
        kernel_size: Steps a kernel covers.
        strides: Steps between its positions in the output.
        padding: `"valid"` or `"same"`; with `"same"` the output has `strides` times the steps.
        output_padding: Steps more at the end, less than `strides`; `None`: from the padding.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the output.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, filters)`; the kernel is
        `(kernel_size, filters, channels)`.

    References:
        Dumoulin and Visin, 2016, "A Guide to Convolution Arithmetic for Deep Learning".

    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 5, 3))).shape
        (2, 10, 4)
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """The transpose of `Conv2D`: what goes back through one, as a layer.

    Args:
        filters: Number of output channels.
        kernel_size: Rows and columns a kernel covers, or one number for both.
        strides: Output rows and columns for each one of the input, or one number for both.
        padding: `"valid"` or `"same"`; with `"same"` the output has `strides` times the steps.
        output_padding: Steps more at the end, less than `strides`; `None`: from the padding.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring kernel elements in the output.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, new_rows, new_columns, filters)`.

    Example:
        >>> Conv2DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 5, 6, 3))).shape
        (2, 10, 12, 4)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """The transpose of `Conv3D`: what goes back through one, as a layer.

    As in Keras, `data_format` stands before `output_padding` here.

    Args:
        filters: Number of output channels.
        kernel_size: Elements a kernel covers along each of the three axes, or one number for all.
        strides: Output elements for each one of the input along the three axes, or one number for
            all.
        padding: `"valid"` or `"same"`; with `"same"` the output has `strides` times the steps.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        output_padding: Steps more at the end, less than `strides`; `None`: from the padding.
        dilation_rate: Distance of neighbouring kernel elements in the output.
        activation: Function of the result, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the kernel, or its name.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, n1, n2, n3, filters)`.

    Example:
        >>> Conv3DTranspose(4, 2, strides=2)(np.ones((1, 2, 3, 4, 3))).shape
        (1, 4, 6, 8, 4)
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Named = None,
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        **kwargs: Any,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )

    def get_config(self) -> dict:
        return {"activity_regularizer": None, **super().get_config()}
