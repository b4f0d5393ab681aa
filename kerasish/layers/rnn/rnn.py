"""`RNN`: a cell run over the steps of a sequence."""

import functools
import operator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.state.functional import capture
from kerasish.core.state.loops import scan
from kerasish.core.state.variable import Variable, is_variable
from kerasish.kernels.recurrent import compiled_steps, run_steps
from kerasish.kernels.recurrent_step import Order, like
from kerasish.layers.base.arguments import without_old_arguments
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.layers.rnn.cell import (
    RecurrentCell,
    StackedRNNCells,
    call_cell,
    check_cell,
    holding,
    zero_states,
)
from kerasish.layers.rnn.cell_arguments import cell_arguments


class RNN(Layer):
    """Runs a cell over a sequence, step by step.

    A cell is an object with `state_size` (a size, or a list of sizes, one for each state) and
    `call(inputs, states) -> (output, new states)`, where `states` is a list. It may say its
    `output_size` and make its `get_initial_state(batch_size)`; without them, the output is as wide
    as the first state, and states start from zeros.

    Masked steps leave the state as it is; their output is that of the step before. So also in a
    call with `initial_state`, where Keras 3 forgets the mask that travels with the input.

    Args:
        cell: The cell, or a list of cells to stack.
        return_sequences: Whether to return the outputs of all steps, not just of the last.
        return_state: Whether to return the last states too.
        go_backwards: Whether to start from the last step; the outputs come in the order in which
            they were computed.
        stateful: Whether each batch starts from the states that the one before ended with, sample
            by sample, until `reset_state`. Batches must all have the size the layer was built with.
        unroll: Whether to lay out all steps one after the other in the compiled program: faster
            for few steps, slower to compile.
        zero_output_for_mask: Whether the output of masked steps is 0.

    Shapes:
        `(batch, steps, features)`, with a mask `(batch, steps)` -> `(batch, size)`, or with
        `return_sequences` `(batch, steps, size)`; with `return_state`, a tuple of that and the
        states, `(batch, state size)` each.

    Example:
        >>> class Sum:
        ...     state_size = 2
        ...     def call(self, inputs, states):
        ...         total = states[0] + inputs
        ...         return total, [total]
        >>> RNN(Sum())(np.ones((1, 5, 2)))
        Array([[5., 5.]], dtype=float32)
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(self, "cell", cell)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self._kept = _Kept(None)
        sizes = cell.state_size
        if not isinstance(sizes, int | list | tuple):
            raise bad_argument(self, "cell.state_size", "an integer, or a list of them", sizes)
        self.state_size = [sizes] if isinstance(sizes, int) else list(sizes)

    old_arguments: ClassVar = {"time_major": (False,), "enable_caching_device": None}

    # Of a subclass that makes its cell: arguments of the cell are attributes of the layer too.
    cell_class: Any = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if vars(cls).get("cell_class"):
            for name in cell_arguments(cls.cell_class):
                setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        """Build the cell.

        Args:
            sequences_shape: Shape of the sequences: `(batch, steps, ...)`.
            initial_state_shape: Shapes of the initial states, unused.
        """
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
            self.cell.built = True
        if isinstance(self.cell, RecurrentCell):  # else nobody knows what it makes of its input
            axes = {self.cell.gate_axis: sequences_shape[self.cell.gate_axis]}
            self.input_spec = InputSpec(ndim=len(sequences_shape), axes=axes)
        if self.unroll and sequences_shape[1] is None:
            hint = "Give the number of steps in `Input(shape=...)`."
            wanted = "False where the number of steps is unknown"
            raise bad_argument(self, "unroll", wanted, True, hint)
        if self.stateful and self.states is None:
            self._make_states(sequences_shape[0])

    # -- states

    def _make_states(self, batch_size):
        if batch_size is None:
            hint = "Give `batch_size` to `Input`."
            raise bad_argument(
                self, "stateful", "False where the batch size is unknown", True, hint
            )
        dtype = self.variable_dtype
        self._kept = _Kept(
            jax.tree.map(
                lambda x: Variable(x, dtype=dtype, trainable=False, name="rnn_state"),
                self.get_initial_state(batch_size),
            )
        )

    @property
    def states(self) -> list | None:
        """Variables with the states that the next batch starts from; `None` if not stateful."""
        return self._kept.states

    def _passing_variables(self):
        return [*super()._passing_variables(), *_variables(self.states)]

    def get_initial_state(self, batch_size: int | None) -> list:
        """The states to start from: a list, also of a single one.

        Args:
            batch_size: Number of samples.
        """
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        if hasattr(self.cell, "get_initial_state"):
            states = zero_states(self.cell, batch_size, dtype)
        else:
            states = jax.tree.map(lambda n: jnp.zeros((batch_size, n), dtype), self.state_size)
        return list(states) if isinstance(states, list | tuple) else [states]

    def reset_state(self) -> None:
        """Let the next batch start from the initial state again."""
        if self.states is not None:
            variables = _variables(self.states)
            first = jax.tree.leaves(self.get_initial_state(variables[0].shape[0]))
            for variable, value in zip(variables, first, strict=True):
                variable.assign(value)

    reset_states = reset_state

    def _first_states(self, initial_state, batch_size):
        states = initial_state
        if states is None:
            states = self.states if self.stateful else self.get_initial_state(batch_size)
        states = list(states) if isinstance(states, list | tuple) else [states]
        wanted, given = (len(jax.tree.leaves(s)) for s in (self.state_size, states))
        if wanted != given:
            raise bad_argument(self, "initial_state", f"of {wanted} arrays", f"{given} arrays")
        if self.stateful:
            self._check_batch_size(batch_size)
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return jax.tree.map(lambda x: dtypes.to_array(x, dtype), states)

    def _check_batch_size(self, batch_size):
        kept = _variables(self.states)[0].shape[0]
        if isinstance(batch_size, int) and batch_size != kept:
            raise ValueError(
                f"{self.name}: a stateful layer takes batches of one size, {kept} here, since each "
                f"sample resumes where that of the batch before ended; got {batch_size} samples."
            )

    # -- running

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Run the cell over all steps.

        Args:
            sequences: `(batch, steps, ...)`.
            initial_state: States before the first step; zeros unless given, or what the last batch
                left where `stateful`.
            mask: `(batch, steps)`: steps to take; others leave output and states as they were.
            training: Whether this is training, so that dropout applies.
        """
        states = self._first_states(initial_state, sequences.shape[0])
        masks = self._dropout_masks(self.cell, sequences.shape[0], training)
        xs = jnp.swapaxes(sequences, 0, 1)
        keep = None if mask is None else _time_first(mask)
        if self.go_backwards:
            xs, keep = jnp.flip(xs, 0), None if keep is None else jnp.flip(keep, 0)
        with holding(masks):
            plain = (
                type(self.cell).call is RecurrentCell.call and not self.cell.activity_regularizer
            )
            run = self._run_gates if plain else self._run_cell
            last, outputs, states = run(xs, states, keep, training)
        last, outputs, states = jax.tree.map(
            lambda x: x.astype(self.compute_dtype), (last, outputs, states)
        )
        if self.stateful:
            new = jax.tree.leaves(states)
            for variable, value in zip(_variables(self.states), new, strict=True):
                variable.assign(value)
        output = last
        if self.return_sequences:
            output = jax.tree.map(lambda y: jnp.swapaxes(y, 0, 1), outputs)
        return (output, *states) if self.return_state else output

    def _dropout_masks(self, cell, batch, training):
        """The masks of the cell, or of those stacked in it, drawn once for all steps."""
        if isinstance(cell, StackedRNNCells):
            inner = [self._dropout_masks(c, batch, training) for c in cell.cells]
            return functools.reduce(operator.or_, inner, {})
        if not isinstance(cell, RecurrentCell):
            return {}
        return {id(cell): cell.draw_masks(batch, training)}

    def _run_gates(self, xs, states, keep, training):
        """All steps of a cell of ours, the inputs projected before."""
        cell = self.cell
        with dtypes.autocast(cell.compute_dtype):
            of_inputs, of_states = cell.dropout_masks(xs.shape[1], training)
            xs, kernel = cell.to_project(xs.astype(cell.compute_dtype), of_inputs)
            weights, bias = (kernel, *cell.step_weights()), cell.input_bias()
        # Eager calls share one compiled program; a new one each time would take far longer to make.
        eager = not isinstance(xs, jax.core.Tracer) and _stands_alone(cell.rules())
        run = compiled_steps if eager else run_steps
        order = Order(self.unroll, self.return_sequences, self.zero_output_for_mask)
        return run(cell.steps(), order, weights, bias, xs, states, keep, of_states)

    def _run_cell(self, xs, states, keep, training):
        """All steps of any cell."""
        structure, dtype_of = jax.tree.structure(states), jax.tree.map(lambda s: s.dtype, states)

        def step(states, x):
            output, new = call_cell(self.cell, x, states, training)
            new = jax.tree.unflatten(structure, jax.tree.leaves(new))
            return output, jax.tree.map(lambda s, dtype: s.astype(dtype), new, dtype_of)

        def body(carry, at):
            (states, before), (x, kept) = carry, at
            output, new = step(states, x)
            if kept is None:
                return (new, None), output
            new = jax.tree.map(lambda a, b: jnp.where(like(kept, a), a, b), new, states)
            output = jax.tree.map(lambda a, b: jnp.where(like(kept, a), a, b), output, before)
            return (new, before if self.zero_output_for_mask else output), output

        before = None if keep is None else self._output_before(step, xs, states)
        start = states, before
        (states, _), outputs = scan(body, start, (xs, keep), unroll=self.unroll or 1)
        return jax.tree.map(lambda y: y[-1], outputs), outputs, states

    def _output_before(self, step, xs, states):
        """What masked steps at the start put out: the first state if it is an output, or zeros."""
        output, _ = capture(step, states, xs[0]).result
        first = states[-1] if isinstance(states[0], list | tuple) else states
        first = first[0] if isinstance(first, list | tuple) else first
        is_output = hasattr(output, "shape") and output.shape == first.shape
        if is_output and not self.zero_output_for_mask:
            return first.astype(output.dtype)
        return jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), output)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the steps, if the output has them.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        mask = mask if self.return_sequences else None
        return [mask, *(None for _ in self.state_size)] if self.return_state else mask

    def _origin_of_mask(self, inputs, masks):
        return masks[0] if self.return_sequences else None

    def get_config(self) -> dict:
        config = super().get_config()
        if self.cell_class is None:
            return {**config, "cell": serialize_keras_object(self.cell)}
        return {k: v for k, v in config.items() if k not in ("cell", "use_cudnn")}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        if cls.cell_class is None:
            return super().from_config(config)
        config = without_old_arguments(cls, config)
        return cls(**config)  # nothing made before it is asked for: seeds are drawn in Keras' order


class _Kept:
    """The states between batches: no part of the layer that files keep."""

    def __init__(self, states: Any):
        self.states = states


def _variables(states):
    return jax.tree.leaves(states, is_leaf=is_variable)


def _time_first(mask):
    """`(batch, steps)`, or with more axes, as booleans `(steps, batch, 1)`: whether any counts."""
    mask = jnp.swapaxes(mask.astype(bool), 0, 1)
    return jnp.any(mask, axis=tuple(range(2, mask.ndim)))[..., None]


def _stands_alone(rules):
    """Whether functions read nothing but their arguments, so that a program of them can be kept."""
    return all(getattr(r, "__module__", "kerasish.").startswith("kerasish.") for r in rules)
