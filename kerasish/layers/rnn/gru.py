"""The gated recurrent unit and its cell."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import activations
from kerasish.kernels.recurrent_step import combine_gates, recompute_gates
from kerasish.layers.base.arguments import Named, make_weight
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.rnn.cell import RecurrentCell, masked_matmul
from kerasish.layers.rnn.cell_arguments import with_cell
from kerasish.layers.rnn.rnn import RNN


def gru_step(
    x: jax.Array,
    h: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array,
    recurrent_bias: jax.Array | None = None,
    activation: Callable = activations.tanh,
    recurrent_activation: Callable = activations.sigmoid,
) -> jax.Array:
    """One step of a gated recurrent unit by its equations: what the fast loops are tested against.

    Args:
        x: Input of the step.
        h: State before it.
        kernel: Weights of the input, gates `z, r` and the candidate side by side.
        recurrent_kernel: Weights of the state, in the same order.
        bias: Biases of the input, in the same order.
        recurrent_bias: Biases of the state; `None`: the reset gate acts before the recurrent
            kernel, as with `reset_after=False`.
        activation: Function of the candidate.
        recurrent_activation: Function of the gates.

    Shapes:
        `x` `(batch, features)`, `h` `(batch, units)`, kernels `(features, 3 * units)` and
        `(units, 3 * units)`, biases `(3 * units,)` -> the new state `(batch, units)`.

    References:
        Cho et al., 2014, "Learning Phrase Representations Using RNN Encoder-Decoder for
        Statistical Machine Translation".

    Example:
        >>> one, zeros = np.ones((1, 1)), np.zeros((1, 3))
        >>> gru_step(one, one, zeros, zeros, np.zeros(3))
        Array([[0.5]], dtype=float32)
    """
    of_x = jnp.split(x @ kernel + bias, 3, axis=-1)
    if recurrent_bias is None:
        u_z, u_r, u_n = jnp.split(recurrent_kernel, 3, axis=-1)
        z, r = recurrent_activation(of_x[0] + h @ u_z), recurrent_activation(of_x[1] + h @ u_r)
        candidate = activation(of_x[2] + (r * h) @ u_n)
    else:
        of_h = jnp.split(h @ recurrent_kernel + recurrent_bias, 3, axis=-1)
        z, r = (recurrent_activation(a + b) for a, b in zip(of_x[:2], of_h[:2], strict=True))
        candidate = activation(of_x[2] + r * of_h[2])
    return z * h + (1 - z) * candidate


class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit.

    With `x` the input of a step, `h` the state before it, `W` the kernel, `U` the recurrent kernel,
    `b` the bias of the input and `d` that of the state, each in three parts side by side for the
    gates `z` (update) and `r` (reset) and the candidate `n`; `s` the recurrent activation, `a` the
    activation, and `*` elementwise::

        z = s(x @ W_z + b_z + h @ U_z + d_z)
        r = s(x @ W_r + b_r + h @ U_r + d_r)
        n = a(x @ W_n + b_n + r * (h @ U_n + d_n))
        h' = z * h + (1 - z) * n

    `h'` is the output. With `reset_after=False` there is no `d`, and
    `n = a(x @ W_n + b_n + (r * h) @ U_n)`. `gru_step` is this in code.

    Args:
        units: Size of the states and the output.
        activation: Function of the candidate, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, 3 * units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, 3 * units)` recurrent kernel.
        bias_initializer: Initializer of the bias, or its name.
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
        reset_after: Whether the reset gate acts on the state after the recurrent kernel (which then
            has a bias of its own, as GPU libraries have it), or before, as in the paper.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        `(batch, features)` and a state `(batch, units)` -> the new state, twice.

    Example:
        >>> cell = GRUCell(4)
        >>> output, states = cell(np.ones((2, 3)), cell.get_initial_state(2))
        >>> output.shape, len(states)
        ((2, 4), 1)
    """

    gates = 3
    unsummed_gates = 1

    def __init__(
        self,
        units: int,
        activation: Named = "tanh",
        recurrent_activation: Named = "sigmoid",
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
        reset_after: bool = True,
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
        self.reset_after = reset_after

    def make_bias(self) -> Any:
        width = 3 * self.units
        # Two rows: one for the input, one for the state.
        return make_weight(self, "bias", (2, width) if self.reset_after else (width,))

    def input_bias(self) -> jax.Array | None:
        bias = super().input_bias()
        if bias is None or not self.reset_after:
            return bias
        of_input, of_state = bias
        met = 2 * self.units  # of the last gate, the two meet only in `finish`
        return jnp.concatenate([of_input[:met] + of_state[:met], of_input[met:]])

    def rules(self) -> tuple:
        return self.activation, self.recurrent_activation, self.reset_after

    def step_weights(self) -> tuple:
        has_own = self.use_bias and self.reset_after
        bias: Any = self.bias
        bias = bias.value[1, 2 * self.units :] if has_own else None
        return self.recurrent_kernel.value, bias

    def steps(self) -> Any:
        steps = super().steps()
        return steps if self.reset_after else steps._replace(finish=None)

    @classmethod
    def advance(cls, rules: tuple, weights: Any, x: list, states: Any, masks: Any) -> list:
        (activation, gate, reset_after), (kernel, _), (h,) = rules, weights, states
        if reset_after:
            return super().advance(rules, weights, x, states, masks)
        of_gates, of_candidate = (None, None) if masks is None else (masks[:2], masks[2:])
        split = 2 * h.shape[-1]
        z, r = combine_gates(x[:2], masked_matmul(h, kernel[:, :split], of_gates), 0)
        inner = masked_matmul(gate(r) * h, kernel[:, split:], of_candidate)

        def mix(z, x, inner, h):
            z = gate(z)
            return [z * h + (1 - z) * activation(x + inner)]

        return recompute_gates(mix)(z, x[2], inner, h)

    @staticmethod
    def functions(rules: tuple) -> tuple:
        _, gate, _ = rules
        return gate, gate, None

    @staticmethod
    def finish(rules: tuple, gates: list, states: Any) -> Any:
        (activation, *_), (z, r, x, inner), (h,) = rules, gates, states
        return [z * h + (1 - z) * activation(x + r * inner)]


class GRU(RNN):
    """Gated recurrent units: runs `GRUCell` over a sequence.

    With `x` the input of a step, `h` the state before it, `W` the kernel, `U` the recurrent kernel,
    `b` the bias of the input and `d` that of the state, each in three parts side by side for the
    gates `z` (update) and `r` (reset) and the candidate `n`; `s` the recurrent activation, `a` the
    activation, and `*` elementwise::

        z = s(x @ W_z + b_z + h @ U_z + d_z)
        r = s(x @ W_r + b_r + h @ U_r + d_r)
        n = a(x @ W_n + b_n + r * (h @ U_n + d_n))
        h' = z * h + (1 - z) * n

    `h'` is the output. With `reset_after=False` there is no `d`, and
    `n = a(x @ W_n + b_n + (r * h) @ U_n)`. `gru_step` is this in code.

    Args:
        units: Size of the states and the output.
        activation: Function of the candidate, or its name.
        recurrent_activation: Function of the gates, or its name.
        use_bias: Whether to add a trainable bias.
        kernel_initializer: Initializer of the `(features, 3 * units)` kernel, or its name.
        recurrent_initializer: Initializer of the `(units, 3 * units)` recurrent kernel.
        bias_initializer: Initializer of the bias, or its name.
        kernel_regularizer: Regularizer of the kernel.
        recurrent_regularizer: Regularizer of the recurrent kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        kernel_constraint: Constraint on the kernel.
        recurrent_constraint: Constraint on the recurrent kernel.
        bias_constraint: Constraint on the bias.
        dropout: Dropout of the input; see `GRUCell`.
        recurrent_dropout: Dropout of the state; see `GRUCell`.
        seed: Integer; makes the dropout the same in each run.
        return_sequences: As in `RNN`.
        return_state: As in `RNN`.
        go_backwards: As in `RNN`.
        stateful: As in `RNN`.
        unroll: As in `RNN`.
        reset_after: Whether the reset gate acts on the state after the recurrent kernel (which then
            has a bias of its own, as GPU libraries have it), or before, as in the paper.
        use_cudnn: Kept for Keras' sake; XLA compiles the loop on every device.

    Shapes:
        `(batch, steps, features)`, with a mask `(batch, steps)` -> `(batch, units)`, or with
        `return_sequences` `(batch, steps, units)`; with `return_state`, a tuple of that and the
        state `(batch, units)`.

    References:
        Cho et al., 2014, "Learning Phrase Representations Using RNN Encoder-Decoder for
        Statistical Machine Translation".

    Example:
        >>> GRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Named = "tanh",
        recurrent_activation: Named = "sigmoid",
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
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: str | bool = "auto",
        **kwargs: Any,
    ):
        super().__init__(**with_cell(GRUCell, locals()))
        self.input_spec = InputSpec(ndim=3)
        self.use_cudnn = use_cudnn
