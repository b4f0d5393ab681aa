"""The simple recurrent layer and its cell."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax

from kerasish import activations
from kerasish.layers.base.arguments import Named
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.rnn.cell import RecurrentCell
from kerasish.layers.rnn.cell_arguments import with_cell
from kerasish.layers.rnn.rnn import RNN


def simple_rnn_step(
    x: jax.Array,
    h: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array,
    activation: Callable = activations.tanh,
) -> jax.Array:
    """One step of a simple recurrent network: what the fast loops are tested against.

    Args:
        x: Input of the step.
        h: State before it.
        kernel: Weights of the input.
        recurrent_kernel: Weights of the state.
        bias: Biases.
        activation: Function of the sum.

    Shapes:
        `x` `(batch, features)`, `h` `(batch, units)`, kernels `(features, units)` and
        `(units, units)`, bias `(units,)` -> the new state `(batch, units)`.

    References:
        Elman, 1990, "Finding Structure in Time".

    Example:
        >>> one = np.ones((1, 1))
        >>> float(simple_rnn_step(one, one, one, one, 0, activation=lambda y: y)[0, 0])
        2.0
    """
    return activation(x @ kernel + h @ recurrent_kernel + bias)


class SimpleRNNCell(RecurrentCell):
    """One step of a simple recurrent network: `h' = a(x @ W + h @ U + b)`.

    With `x` the input of a step, `h` the state before it, `W` the kernel, `U` the recurrent kernel,
    `b` the bias and `a` the activation, the new state, which is the output, is::

        h' = a(x @ W + h @ U + b)

    `simple_rnn_step` is this in code.

    Args:
        units: Size of the state and output.
        activation: Function of the result, or its name. `None` leaves the result as it is.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, units)` recurrent kernel, or its name.
        bias_initializer: Initializer of the `(units,)` bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Probability of an element of the input to become 0 in training, the same ones at
            each step of a sequence; from 0 to 1.
        recurrent_dropout: The same for the elements of the state, as far as the recurrent kernel
            sees them.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        `(batch, features)` and a state `(batch, units)` -> the new state, twice.

    Example:
        >>> cell = SimpleRNNCell(4)
        >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Named = "tanh",
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        recurrent_initializer: Named = "orthogonal",
        bias_initializer: Named = "zeros",
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
        self.set_seed_options(seed)
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

    @staticmethod
    def functions(rules: tuple) -> tuple:
        return rules

    @staticmethod
    def finish(rules: tuple, gates: list, states: Any) -> Any:
        return gates


class SimpleRNN(RNN):
    """Simple recurrent network: runs `SimpleRNNCell` over a sequence.

    With `x` the input of a step, `h` the state before it, `W` the kernel, `U` the recurrent kernel,
    `b` the bias and `a` the activation, the new state, which is the output, is::

        h' = a(x @ W + h @ U + b)

    `simple_rnn_step` is this in code.

    Args:
        units: Size of the state and output.
        activation: Function of the result of a step, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, units)` recurrent kernel, or its name.
        bias_initializer: Initializer of the `(units,)` bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Dropout of the input; see `SimpleRNNCell`.
        recurrent_dropout: Dropout of the state; see `SimpleRNNCell`.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.
        unroll: As in `RNN`.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        `(batch, steps, features)`, with a mask `(batch, steps)` -> `(batch, units)`, or with
        `return_sequences` `(batch, steps, units)`; with `return_state`, a tuple of that and the
        state `(batch, units)`.

    References:
        Elman, 1990, "Finding Structure in Time".

    Example:
        >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    cell_class = SimpleRNNCell
    old_arguments: ClassVar = {**RNN.old_arguments, "implementation": None}

    def __init__(
        self,
        units: int,
        activation: Named = "tanh",
        use_bias: bool = True,
        kernel_initializer: Named = "glorot_uniform",
        recurrent_initializer: Named = "orthogonal",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        recurrent_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        recurrent_constraint: Named = None,
        bias_constraint: Named = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**with_cell(SimpleRNNCell, locals()))
        self.input_spec = InputSpec(ndim=3)

    def get_config(self) -> dict:
        config = super().get_config()
        if (
            config["seed"] is None
        ):  # Keras 3 never writes it; a seed that was given must not be lost
            del config["seed"]
        return config
