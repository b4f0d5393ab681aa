"""The simple recurrent layer and its cell."""

from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.rnn.cell import RecurrentCell
from kerasish.layers.rnn.cell_layer import CellLayer, with_cell


class SimpleRNNCell(RecurrentCell):
    """One step of `h' = activation(x @ kernel + bias + h @ recurrent_kernel)`.

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
        dropout: Chance of an entry of the input to become 0 in training, the same ones at each
            step of a sequence; from 0 to 1.
        recurrent_dropout: The same for the entries of the state, as far as the recurrent kernel
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
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.keep_seed(seed)
        self.keep_rules(
            units,
            activation,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
        )

    @staticmethod
    def functions(rules):
        return rules

    @staticmethod
    def finish(rules, gates, states):
        return gates


class SimpleRNN(CellLayer):
    """Runs `SimpleRNNCell` over a sequence.

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

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**with_cell(SimpleRNNCell, locals()))
        self.input_spec = InputSpec(ndim=3)

    def get_config(self):
        config = super().get_config()
        if (
            config["seed"] is None
        ):  # Keras 3 never writes it; a seed that was given must not be lost
            del config["seed"]
        return config
