"""The long short-term memory layer and its cell."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import activations
from kerasish.core.state.variable import Variable
from kerasish.kernels.noinline import materialize_cotangent
from kerasish.layers.base.arguments import Named
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.rnn.cell import RecurrentCell
from kerasish.layers.rnn.cell_arguments import with_cell
from kerasish.layers.rnn.rnn import RNN


def forget_gate_bias(self: RecurrentCell) -> Variable:
    """The bias of a cell's four gates, that of the forget gate starting from 1 if asked for.

    Args:
        self: The layer.
    """
    initializer, units = self.bias_initializer, self.units

    def forgetful(shape, dtype=None):
        first, rest = ((n * units,) for n in (1, 2))
        parts = [initializer(first, dtype=dtype), np.ones(first), initializer(rest, dtype=dtype)]
        return np.concatenate([np.asarray(part) for part in parts])

    return self.add_weight(
        shape=(4 * units,),
        name="bias",
        initializer=forgetful if self.unit_forget_bias else initializer,
        regularizer=self.bias_regularizer,
        constraint=self.bias_constraint,
    )


def lstm_update(rules: tuple, gates: list[jax.Array], memory: jax.Array) -> list[jax.Array]:
    """The new output and the new memory, from the gates.

    Args:
        rules: The activation, and what does not count here.
        gates: `i, f, g, o` after their functions.
        memory: The memory before the step.
    """
    (activation, *_), (i, f, g, o) = rules, gates
    c = materialize_cotangent(f * memory + i * g)
    return [o * activation(c), c]


def lstm_step(
    x: jax.Array,
    states: Sequence[jax.Array],
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array,
    activation: Callable = activations.tanh,
    recurrent_activation: Callable = activations.sigmoid,
) -> tuple[jax.Array, jax.Array]:
    """One step of long short-term memory by its equations: what the fast loops are tested against.

    Args:
        x: Input of the step.
        states: Output `h` and memory `c` before it.
        kernel: Weights of the input, gates `i, f, g, o` side by side.
        recurrent_kernel: Weights of `h`, in the same order.
        bias: Biases, in the same order.
        activation: Function of the candidate and of the new memory.
        recurrent_activation: Function of the gates.

    Shapes:
        `x` `(batch, features)`, states `(batch, units)`, kernels `(features, 4 * units)` and
        `(units, 4 * units)`, bias `(4 * units,)` -> the new `h` and `c`, `(batch, units)`.

    References:
        Hochreiter and Schmidhuber, 1997, "Long Short-Term Memory"; Gers, Schmidhuber and Cummins,
        2000, "Learning to Forget: Continual Prediction with LSTM".

    Example:
        >>> ones = np.ones((1, 4))
        >>> h, c = lstm_step(ones[:, :1], np.zeros((2, 1, 1)), ones, ones, 0)
        >>> float(c[0, 0]) == float(jax.nn.sigmoid(1.0) * jnp.tanh(1.0))
        True
    """
    h, c = states
    i, f, g, o = jnp.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
    return recurrent_activation(o) * activation(c), c


class LSTMCell(RecurrentCell):
    """One step of long short-term memory.

    With `x` the input of a step, `h` and `c` the states before it (output, memory), `W` the kernel,
    `U` the recurrent kernel and `b` the bias, each in four parts side by side for the gates `i`
    (input), `f` (forget), `g` (candidate) and `o` (output); `s` the recurrent activation, `a` the
    activation, and `*` elementwise::

        i = s(x @ W_i + h @ U_i + b_i)
        f = s(x @ W_f + h @ U_f + b_f)
        g = a(x @ W_g + h @ U_g + b_g)
        o = s(x @ W_o + h @ U_o + b_o)
        c' = f * c + i * g
        h' = o * a(c')

    `h'` is the output. `lstm_step` is this in code.

    Args:
        units: Size of the states and the output.
        activation: Function of the candidate and of the new memory, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, 4 * units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, 4 * units)` recurrent kernel.
        bias_initializer: Initializer of the bias, or its name.
        unit_forget_bias: Whether the forget gate's bias starts from 1: states last at first.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Probability of an element of the input to become 0 in training, the same ones at
            each step of a sequence; from 0 to 1.
        recurrent_dropout: The same for the elements of the state, as far as the recurrent kernel
            sees them; each gate then drops by itself.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        `(batch, features)` and states `h`, `c` of `(batch, units)` -> the new `h`, and the list of
        both.

    Example:
        >>> cell = LSTMCell(4)
        >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 2)
    """

    gates = 4

    def __init__(
        self,
        units: int,
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
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self.set_cell_options(
            units=units,
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
        self.set_seed_options(seed, implementation)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_size = [self.units, self.units]

    make_bias = forget_gate_bias

    def rules(self) -> tuple:
        return self.activation, self.recurrent_activation

    @staticmethod
    def functions(rules: tuple) -> tuple:
        activation, gate = rules
        return gate, gate, activation, gate

    @staticmethod
    def finish(rules: tuple, gates: list, states: Any) -> Any:
        return lstm_update(rules, gates, states[1])


class LSTM(RNN):
    """Long short-term memory: runs `LSTMCell` over a sequence.

    With `x` the input of a step, `h` and `c` the states before it (output, memory), `W` the kernel,
    `U` the recurrent kernel and `b` the bias, each in four parts side by side for the gates `i`
    (input), `f` (forget), `g` (candidate) and `o` (output); `s` the recurrent activation, `a` the
    activation, and `*` elementwise::

        i = s(x @ W_i + h @ U_i + b_i)
        f = s(x @ W_f + h @ U_f + b_f)
        g = a(x @ W_g + h @ U_g + b_g)
        o = s(x @ W_o + h @ U_o + b_o)
        c' = f * c + i * g
        h' = o * a(c')

    `h'` is the output. `lstm_step` is this in code.

    Args:
        units: Size of the states and the output.
        activation: Function of the candidate and of the new memory, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, 4 * units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, 4 * units)` recurrent kernel.
        bias_initializer: Initializer of the bias, or its name.
        unit_forget_bias: Whether the forget gate's bias starts from 1: states last at first.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Dropout of the input; see `LSTMCell`.
        recurrent_dropout: Dropout of the state; see `LSTMCell`.
        seed: Integer; makes the dropout the same in each run.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.
        unroll: As in `RNN`.
        use_cudnn: Kept for Keras' sake; XLA compiles the loop on every device.

    Shapes:
        `(batch, steps, features)`, with a mask `(batch, steps)` -> `(batch, units)`, or with
        `return_sequences` `(batch, steps, units)`; with `return_state`, a tuple of that and the
        states `h` and `c`, `(batch, units)` each.

    References:
        Hochreiter and Schmidhuber, 1997, "Long Short-Term Memory".
        Gal and Ghahramani, 2016, "A Theoretically Grounded Application of Dropout in Recurrent
        Neural Networks".

    Example:
        >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = LSTMCell

    def __init__(
        self,
        units: int,
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
        unroll: bool = False,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ):
        super().__init__(**with_cell(LSTMCell, locals()))
        self.input_spec = InputSpec(ndim=3)
        self.use_cudnn = use_cudnn
