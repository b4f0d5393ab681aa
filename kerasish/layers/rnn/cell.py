"""What the cells of recurrent layers share: gates in one kernel, dropout held over a sequence."""

import contextlib
import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import activations, random
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.state.seeds import SeedGenerator
from kerasish.core.state.variable import Variable
from kerasish.kernels.dense import dense_product
from kerasish.kernels.noinline import add_bias
from kerasish.kernels.recurrent_step import (
    Steps,
    TanhForm,
    apply_functions,
    combine_gates,
    recompute_gates,
)
from kerasish.layers.base.arguments import (
    Named,
    known_size,
    make_weight,
    positive_int,
    set_weight_options,
)
from kerasish.layers.base.layer import Layer
from kerasish.layers.regularization import dropping, shared_pattern

_TANH_FORMS = {
    activations.sigmoid: TanhForm(0.5, 0.5, 0.5, slope=lambda y: y * (1 - y)),
    activations.tanh: TanhForm(1.0, 1.0, 0.0, slope=lambda y: 1 - y * y),
}


class _Held(threading.local):
    masks: Mapping[int, tuple] = {}


_held = _Held()


class RecurrentCell(Layer):
    """Base of the cells: projects its input, then combines it with its state, gate by gate.

    The projection does not depend on the state, so a recurrent layer makes it for all steps at
    once. A subclass says what happens in a step once the state is projected too, in the static
    method `finish`, and which functions gates go through before it; or in `advance`, where a step
    is made in another way.
    """

    gates = 1
    unsummed_gates = 0  # how many gates at the end get the input and the state as two
    gate_axis = -1  # of the projected input: where gates, and in them units, stand

    def set_cell_options(
        self,
        *,
        units: int,
        activation: Named,
        use_bias: bool,
        kernel_initializer: Named,
        recurrent_initializer: Named,
        bias_initializer: Named,
        kernel_regularizer: Named,
        recurrent_regularizer: Named,
        bias_regularizer: Named,
        kernel_constraint: Named,
        recurrent_constraint: Named,
        bias_constraint: Named,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        """Store the arguments that all cells have."""
        self.units = positive_int(self, "units", units)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        set_weight_options(
            self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
        )
        rules = recurrent_initializer, recurrent_regularizer, recurrent_constraint
        set_weight_options(self, "recurrent", *rules)
        set_weight_options(self, "bias", bias_initializer, bias_regularizer, bias_constraint)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.state_size = self.output_size = self.units

    def set_seed_options(self, seed: int | None, implementation: int | None = None) -> None:
        """Store the seed, and whether each gate drops by itself.

        Args:
            seed: Integer, or `None`.
            implementation: 1: each gate drops by itself; 2: all gates alike.
        """
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        if self.gates > 1:
            self.implementation = 1 if self.recurrent_dropout else implementation

    def build(self, input_shape: tuple) -> None:
        features, width = known_size(self, input_shape, -1), self.gates * self.units
        self.kernel = make_weight(self, "kernel", (features, width))
        rules = "recurrent_kernel", (self.units, width), "recurrent"
        self.recurrent_kernel = make_weight(self, *rules)
        self.bias = self.make_bias() if self.use_bias else None

    def make_bias(self) -> Variable:
        """Add the bias; called where there is one."""
        return make_weight(self, "bias", (self.gates * self.units,))

    @classmethod
    def from_config(cls, config: dict) -> Any:
        return cls(**config)  # nothing made before it is asked for: seeds are drawn in Keras' order

    # -- a step

    def project(self, inputs: jax.Array, masks: list | None = None) -> jax.Array:
        """`inputs @ kernel`, of one step or (time first) of many.

        Args:
            inputs: Inputs of a step, or of all steps.
            masks: Dropout masks, one or one for each gate.

        Shapes:
            `(batch, features)` or `(steps, batch, features)` -> the same with `gates * units`.
        """
        return masked_matmul(inputs, self.kernel.value, masks)

    def to_project(self, inputs: jax.Array, masks: list | None = None) -> tuple:
        """The inputs and the kernel to project them; or projected ones and `None`.

        Args:
            inputs: Inputs of all steps.
            masks: Dropout masks, one or one for each gate.
        """
        mere = masks is None and self.finish is not None
        return (inputs, self.kernel.value) if mere else (self.project(inputs, masks), None)

    def input_bias(self) -> jax.Array | None:
        """What is to be added to the projected input."""
        return None if self.bias is None else self.bias.value

    def rules(self) -> tuple:
        """What `advance` goes by besides arrays."""
        return (self.activation,)

    def step_weights(self) -> tuple:
        """The recurrent kernel, and a bias of the products of unsummed gates, or `None`."""
        return self.recurrent_kernel.value, None

    def steps(self) -> Steps:
        """What happens in a step, for a loop."""
        rules = self.rules()
        functions = self.functions(rules)
        forms = tuple(map(_TANH_FORMS.get, functions))
        return Steps(
            self.advance, self.finish, functions, forms, self.unsummed_gates, rules, self.gate_axis
        )

    @classmethod
    def advance(cls, rules: tuple, weights: Any, x: list, states: Any, masks: Any) -> list:
        """The new states, of which the first is the output, from an input split by gates.

        Args:
            rules: What `rules()` gave: all that counts besides arrays.
            weights: What `step_weights()` gave.
            x: The projected input, split by gates.
            states: The states before the step.
            masks: Dropout masks of the state.
        """
        kernel, bias = weights
        gates = combine_gates(x, masked_matmul(states[0], kernel, masks), cls.unsummed_gates)
        if bias is not None:
            own = jnp.split(bias, cls.unsummed_gates)
            gates = [*gates[: len(x)], *map(jnp.add, gates[len(x) :], own)]

        def finish(gates, states):
            return cls.finish(rules, apply_functions(cls.functions(rules), gates), states)

        return recompute_gates(finish)(gates, states)

    @staticmethod
    def functions(rules: tuple) -> tuple:
        """The functions of the gates, `None` for one that `finish` gets as it is.

        Args:
            rules: What `rules()` gave: all that counts besides arrays.
        """
        raise NotImplementedError("A cell defines the functions of its gates.")

    @staticmethod
    def finish(rules: tuple, gates: list, states: Any) -> Any:
        """The new states from the gates: functions of sums of the two projections.

        Args:
            rules: What `rules()` gave: all that counts besides arrays.
            gates: The gates, after their functions.
            states: The states before the step.
        """
        raise NotImplementedError("A cell defines what happens in a step.")

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step: the output, and the states after it.

        Args:
            inputs: `(batch, ...)`, input of one step.
            states: States before the step: an array or a list of them.
            training: Whether this is training, so that dropout applies.
        """
        is_list = isinstance(states, list | tuple)
        of_inputs, of_states = self.dropout_masks(inputs.shape[0], training)
        x, bias = self.project(inputs, of_inputs), self.input_bias()
        x = jnp.split(x if bias is None else add_bias(x, bias), self.gates, axis=self.gate_axis)
        before = list(states) if is_list else [states]
        weights = self.step_weights()
        after = self.advance(self.rules(), weights, x, before, of_states)
        return after[0], after if is_list else after[0]

    def get_initial_state(self, batch_size: int | None = None) -> list[jax.Array]:
        """Zeros, one array for each state.

        Args:
            batch_size: Number of samples.

        Shapes:
            -> `(batch_size, size)` for each size in `state_size`.
        """
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [jnp.zeros((batch_size, size), self.compute_dtype) for size in sizes]

    # -- dropout

    def dropout_masks(self, batch: Any, training: bool | None) -> tuple:
        """Factors of the inputs and of the state, one for each gate or for all, if any.

        Within `holding`, those that are held for this cell.

        Args:
            batch: Number of samples.
            training: Whether it is a call of training.
        """
        held = _held.masks.get(id(self))
        return self.draw_masks(batch, training) if held is None else held

    def draw_masks(self, batch: Any, training: bool | None) -> tuple:
        """New factors, drawn in the order of Keras 3; in inference none, and no seed moves on.

        Args:
            batch: Number of samples.
            training: Whether it is a call of training.
        """
        of_input, of_state = self.sizes()
        return (
            self._draw(self.dropout, (batch, *of_input), training),
            self._draw(self.recurrent_dropout, (batch, *of_state), training),
        )

    def sizes(self) -> tuple[tuple, tuple]:
        """Shapes of an input and of a state, without the batch."""
        return (self.kernel.shape[0],), (self.units,)

    def _draw(self, rate, shape, training):
        if rate == 0 or not dropping(training):
            return None
        count = self.gates if getattr(self, "implementation", 2) == 1 else 1
        ones = jnp.ones(shape, self.compute_dtype)
        pattern = shared_pattern(None, ones)
        options = {"noise_shape": pattern, "seed": self.seed_generator}
        return [random.dropout(ones, rate, **options) for _ in range(count)]


def masked_matmul(x: jax.Array, kernel: jax.Array, masks: list | None) -> jax.Array:
    """`(x * mask) @ kernel`, with one mask, or one for each gate in the kernel, or none.

    Args:
        x: A batch of vectors.
        kernel: The kernel of all gates.
        masks: Dropout masks: one, one for each gate, or none.

    Shapes:
        `(..., n)` and `(n, m)` -> `(..., m)`.
    """
    if masks is None:
        return dense_product(x, kernel, 1)
    kernels = jnp.split(kernel, len(masks), axis=1)
    parts = [jnp.matmul(x * mask, part) for mask, part in zip(masks, kernels, strict=True)]
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)


@contextlib.contextmanager
def holding(masks: Mapping[int, tuple]) -> Iterator[None]:
    """Within it, cells (by their `id`) use these dropout masks at each step.

    Args:
        masks: What `draw_masks` gave, by the `id` of the cell.
    """
    before = _held.masks
    _held.masks = {**before, **masks}
    try:
        yield
    finally:
        _held.masks = before


def call_cell(cell: Any, inputs: Any, states: Any, training: bool | None) -> Any:
    """One step of any cell, a layer or not: `(output, new states)`.

    Args:
        cell: The cell.
        inputs: Input of the step.
        states: States before it.
        training: Whether it is a call of training.
    """
    options = {"training": training} if "training" in _parameters(cell) else {}
    call = cell if callable(cell) else cell.call
    return call(inputs, states, **options)


def _parameters(cell):
    return inspect.signature(cell.call).parameters


def zero_states(cell: Any, batch_size: int | None, dtype: Any) -> Any:
    """The state that a cell starts from, a pytree of the cell's `state_size`.

    Args:
        cell: The cell.
        batch_size: Number of samples.
        dtype: Dtype of zeros, for a cell that makes no states itself.
    """
    make = getattr(cell, "get_initial_state", None)
    if make is not None:
        return make(batch_size=batch_size)
    return jax.tree.map(lambda size: jnp.zeros((batch_size, size), dtype), cell.state_size)


def check_cell(owner: Any, name: str, cell: Any) -> None:
    """Raise a `ValueError` that says what a cell must have.

    Args:
        owner: Who asks, for the error.
        name: The argument's name, for the error.
        cell: What was given.
    """
    lacking = [n for n in ("call", "state_size") if not hasattr(cell, n)]
    if lacking:
        raise bad_argument(owner, name, f"a cell with `{lacking[0]}`", cell)


class StackedRNNCells(Layer):
    """Cells one on top of the other, used as one: each takes the output of the one before.

    Args:
        cells: The cells, the lowest first.

    Shapes:
        `(batch, features)` and a list of the cells' states -> the last cell's output, and a list of
        the new states.

    Example:
        >>> cell = StackedRNNCells([keras.layers.LSTMCell(4), keras.layers.GRUCell(3)])
        >>> keras.layers.RNN(cell)(np.ones((2, 5, 1))).shape
        (2, 3)
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(self, "cells", cell)
        self.cells = cells

    @property
    def state_size(self) -> list:
        """The cells' state sizes."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The last cell's output size."""
        return output_size(self.cells[-1])

    def build(self, input_shape: tuple) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size(cell))

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """A list of the cells' initial states.

        Args:
            batch_size: Number of samples.
        """
        return [zero_states(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """One step of each cell, on the output of the one below.

        Args:
            inputs: `(batch, ...)`, input of one step.
            states: For each cell its states.
            training: Whether this is training, so that dropout applies.
        """
        after = []
        for cell, before in zip(self.cells, states, strict=True):
            is_list = isinstance(before, list | tuple)
            inputs, new = call_cell(cell, inputs, list(before) if is_list else [before], training)
            after.append(new if is_list or not isinstance(new, list | tuple) else new[0])
        return inputs, after

    def get_config(self) -> dict:
        return {**super().get_config(), "cells": [serialize_keras_object(c) for c in self.cells]}


def output_size(cell: Any) -> int:
    """Width of a cell's output: its `output_size`, or the size of its first state.

    Args:
        cell: The cell.
    """
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size
        size = size[0] if isinstance(size, list | tuple) else size
    return size
