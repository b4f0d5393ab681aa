"""Long short-term memory whose states are images, over series of images."""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasish import activations
from kerasish.core.errors import bad_argument
from kerasish.kernels.recurrent_step import apply_functions, recompute_gates
from kerasish.layers.base.arguments import Named, known_size, make_weight, positive_int
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.convolutional.conv import set_window_options
from kerasish.layers.rnn.cell import RecurrentCell
from kerasish.layers.rnn.cell_arguments import with_cell
from kerasish.layers.rnn.lstm import LSTMCell, forget_gate_bias, lstm_update
from kerasish.layers.rnn.rnn import RNN
from kerasish.ops.nn import convolution


class ConvLSTMCell(RecurrentCell):
    """One step of `LSTMCell`, with convolutions where that has products of matrices.

    The state's convolution pads with zeros, so that states keep their size.
    """

    gates = 4
    paddings = ("valid", "same")

    def __init__(
        self,
        rank: int,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Named = "tanh",
        recurrent_activation: Named = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        recurrent_initializer: Named = "orthogonal",
        bias_initializer: Named = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Named = None,
        recurrent_regularizer: Named = None,
        bias_regularizer: Named = None,
        kernel_constraint: Named = None,
        recurrent_constraint: Named = None,
        bias_constraint: Named = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = positive_int(self, "filters", filters)
        set_window_options(self, kernel_size, strides, padding, data_format, dilation_rate)
        self.gate_axis = -1 if self.data_format == "channels_last" else -1 - rank
        self.set_cell_options(
            units=filters,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        self.set_seed_options(seed, implementation=1)  # each gate drops by itself
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.filters, self.filters]

    make_bias = forget_gate_bias

    def build(self, input_shape: tuple) -> None:
        if None in input_shape[1:]:
            hint = "Give all sizes but that of the batch and of the steps in `Input(shape=...)`."
            wanted = "known but for the batch"
            raise bad_argument(self, "input_shape", wanted, tuple(input_shape), hint)
        channels, width = known_size(self, input_shape, self.gate_axis), 4 * self.filters
        self.input_sizes = tuple(input_shape[1:])
        self.kernel = make_weight(self, "kernel", (*self.kernel_size, channels, width))
        rules = "recurrent_kernel", (*self.kernel_size, self.filters, width), "recurrent"
        self.recurrent_kernel = make_weight(self, *rules)
        self.bias = self.make_bias() if self.use_bias else None
        shapes = (1, *self.input_sizes), (*self.kernel_size, channels, self.filters)
        image, part = (jax.ShapeDtypeStruct(shape, "float32") for shape in shapes)
        self.state_sizes = jax.eval_shape(self._convolve, image, part).shape[1:]

    def sizes(self) -> tuple:
        return self.input_sizes, self.state_sizes

    def get_initial_state(self, batch_size: int | None = None) -> list:
        return [jnp.zeros((batch_size, *self.state_sizes), self.compute_dtype) for _ in range(2)]

    def _convolve(self, x, kernel):
        return convolution.conv(
            x, kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )

    def project(self, inputs: Any, masks: Any = None) -> jax.Array:
        """The convolution of the input, of one step or (time first) of many.

        Args:
            inputs: Images of a step, or of all steps.
            masks: Dropout masks, one for each gate.
        """
        kernel = self.kernel.value
        kernels = [kernel] if masks is None else jnp.split(kernel, 4, axis=-1)
        parts = []
        for part, mask in zip(kernels, masks or [None], strict=True):
            x = inputs if mask is None else inputs * mask
            images = jnp.reshape(x, (-1, *x.shape[-1 - self.rank :]))
            y = self._convolve(images, part)
            parts.append(jnp.reshape(y, (*x.shape[: -1 - self.rank], *y.shape[1:])))
        return parts[0] if masks is None else jnp.concatenate(parts, axis=self.gate_axis)

    def input_bias(self) -> jax.Array | None:
        bias = super().input_bias()
        return None if bias is None else jnp.reshape(bias, (-1, *(1,) * (-1 - self.gate_axis)))

    def rules(self) -> tuple:
        return self.activation, self.recurrent_activation, self.data_format

    finish = None  # pyright: ignore[reportAssignmentType]

    @staticmethod
    def functions(rules: tuple) -> tuple:
        return LSTMCell.functions(rules[:2])

    @classmethod
    def advance(cls, rules: tuple, weights: Any, x: list, states: Any, masks: Any) -> list:
        (kernel, _), (h, c), data_format = weights, states, rules[-1]
        axis = -1 if data_format == "channels_last" else 1
        kernels = [kernel] if masks is None else jnp.split(kernel, 4, axis=-1)
        parts = [
            convolution.conv(h if mask is None else h * mask, part, 1, "same", data_format)
            for part, mask in zip(kernels, masks or [None], strict=True)
        ]
        parts = jnp.split(parts[0], 4, axis=axis) if masks is None else parts

        def finish(gates, memory):
            return lstm_update(rules, apply_functions(cls.functions(rules), gates), memory)

        return recompute_gates(finish)([*map(jnp.add, x, parts)], c)


class ConvLSTM(RNN):
    """Base of `ConvLSTM1D`, `ConvLSTM2D` and `ConvLSTM3D`, which set `rank`."""

    cell_class = ConvLSTMCell
    old_arguments: ClassVar = {**RNN.old_arguments, "implementation": None}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] | None = 1,
        padding: Any = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Named = "tanh",
        recurrent_activation: Named = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        recurrent_initializer: Named = "orthogonal",
        bias_initializer: Named = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Named = None,
        recurrent_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        recurrent_constraint: Named = None,
        bias_constraint: Named = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**with_cell(ConvLSTMCell, {**locals(), "rank": type(self).rank}))
        self.input_spec = InputSpec(ndim=self.rank + 3)


class ConvLSTM1D(ConvLSTM):
    """Long short-term memory over series of series: `ConvLSTM2D` of one axis.

    Args:
        filters: Channels of the states and the output.
        kernel_size: Elements that both kernels cover.
        strides: Distance between the input kernel's positions.
        padding: `"valid"` or `"same"`, of the input's convolution; the state's is always `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring elements of the input kernel in the input.
        activation: Function of the candidate and of the new memory, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(*kernel_size, channels, 4 * filters)` kernel.
        recurrent_initializer: Initializer of the `(*kernel_size, filters, 4 * filters)` kernel.
        bias_initializer: Initializer of the bias, or its name.
        unit_forget_bias: Whether the forget gate's bias starts from 1: states last at first.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Probability of an element of the input to become 0 in training, for each gate by
            itself and the same ones at each step; from 0 to 1.
        recurrent_dropout: The same for the elements of the state, as its kernel sees them.
        seed: Integer; makes the dropout the same in each run.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.

    Shapes:
        `(batch, steps, rows, channels)` -> `(batch, new_rows, filters)`.

    Example:
        >>> ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3))).shape
        (2, 6, 4)
    """

    rank = 1


class ConvLSTM2D(ConvLSTM):
    """Long short-term memory over series of images: convolutions take the place of products.

    With `i, f, g, o` the four parts of `x * kernel + bias + h * recurrent_kernel` (`*` convolves),
    `s` the recurrent activation and `a` the activation: `c' = s(f) c + s(i) a(g)` and
    `h' = s(o) a(c')`.

    Args:
        filters: Channels of the states and the output.
        kernel_size: Rows and columns that both kernels cover, or one number for both.
        strides: Distance between the input kernel's positions in rows and columns, or one number.
        padding: `"valid"` or `"same"`, of the input's convolution; the state's is always `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring elements of the input kernel in the input.
        activation: Function of the candidate and of the new memory, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(*kernel_size, channels, 4 * filters)` kernel.
        recurrent_initializer: Initializer of the `(*kernel_size, filters, 4 * filters)` kernel.
        bias_initializer: Initializer of the bias, or its name.
        unit_forget_bias: Whether the forget gate's bias starts from 1: states last at first.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Probability of an element of the input to become 0 in training, for each gate by
            itself and the same ones at each step; from 0 to 1.
        recurrent_dropout: The same for the elements of the state, as its kernel sees them.
        seed: Integer; makes the dropout the same in each run.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.

    Shapes:
        `(batch, steps, rows, columns, channels)`, with a mask `(batch, steps)` ->
        `(batch, new_rows, new_columns, filters)`, or with `return_sequences` `(batch, steps, ...)`;
        with `return_state`, a tuple of that and the states `h` and `c`.

    References:
        Shi, Chen, Wang, Yeung, Wong and Woo, 2015, "Convolutional LSTM Network: A Machine Learning
        Approach for Precipitation Nowcasting".

    Example:
        >>> layer = ConvLSTM2D(4, 3, padding="same", return_sequences=True)
        >>> layer(np.ones((2, 5, 8, 8, 3))).shape
        (2, 5, 8, 8, 4)
    """

    rank = 2


class ConvLSTM3D(ConvLSTM):
    """Long short-term memory over series of volumes: `ConvLSTM2D` of three axes.

    Args:
        filters: Channels of the states and the output.
        kernel_size: Elements that both kernels cover along each of the three axes, or one number
            for all.
        strides: Distance between the input kernel's positions along the three axes, or one number.
        padding: `"valid"` or `"same"`, of the input's convolution; the state's is always `"same"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        dilation_rate: Distance of neighbouring elements of the input kernel in the input.
        activation: Function of the candidate and of the new memory, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(*kernel_size, channels, 4 * filters)` kernel.
        recurrent_initializer: Initializer of the `(*kernel_size, filters, 4 * filters)` kernel.
        bias_initializer: Initializer of the bias, or its name.
        unit_forget_bias: Whether the forget gate's bias starts from 1: states last at first.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Probability of an element of the input to become 0 in training, for each gate by
            itself and the same ones at each step; from 0 to 1.
        recurrent_dropout: The same for the elements of the state, as its kernel sees them.
        seed: Integer; makes the dropout the same in each run.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.

    Shapes:
        `(batch, steps, d1, d2, d3, channels)` -> `(batch, n1, n2, n3, filters)`.

    Example:
        >>> ConvLSTM3D(4, 2)(np.ones((1, 2, 3, 3, 3, 2))).shape
        (1, 2, 2, 2, 4)
    """

    rank = 3
