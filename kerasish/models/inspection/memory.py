"""How much memory training will take: asked of XLA before anything runs."""

from typing import Any, NamedTuple

import jax

from kerasish.core.text_tables import as_html, as_text, readable_bytes
from kerasish.models.inspection.batch_specs import sample_batch, trial_step


class MemoryEstimate(NamedTuple):
    """Bytes that training takes on the device, by what they are for.

    Attributes:
        batch_size: Rows of a batch.
        weights: The model's Variables: trained, frozen, statistics, random states.
        optimizer: The optimizer's state.
        metrics: The metrics' state.
        gradients: One number for each trained weight.
        activations: What layers keep for the gradient, and the scratch space of operations: what
            XLA plans for the step beside its arguments, less the gradients.
        data: The batches of a call, and those of the next one, which come in while it runs.
        program: The compiled program itself.
        steps: Number of steps, and of batches of data, in a call.
    """

    batch_size: int
    weights: int
    optimizer: int
    metrics: int
    gradients: int
    activations: int
    data: int
    program: int
    steps: int

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return sum(getattr(self, name) for name in _NAMES)

    def _table(self):
        rows = [[_NAMES[name], readable_bytes(getattr(self, name))] for name in _NAMES]
        title = f"Memory of training, {self.batch_size} rows a batch, {self.steps} steps a call"
        return title, ["What for", "Bytes"], [*rows, ["total", readable_bytes(self.total)]]

    def __repr__(self):
        return as_text(*self._table(), width=64, right=("Bytes",))

    def _repr_html_(self):
        return as_html(*self._table(), right=("Bytes",))


_NAMES = {
    "weights": "weights and other state of layers",
    "optimizer": "state of the optimizer",
    "metrics": "state of the metrics",
    "gradients": "gradients",
    "activations": "activations and scratch space",
    "data": "data of this call and the next",
    "program": "compiled program",
}


def estimate_memory(model: Any, batch_size: int, x: Any = None, y: Any = None) -> MemoryEstimate:
    """See `Model.estimate_memory`.

    Args:
        model: The model.
        batch_size: Rows of a batch.
        x: Inputs, or `None` for the model's own shapes.
        y: Targets, or `None`.
    """
    if not model.compiled or model.run_eagerly:
        raise ValueError(
            f"estimate_memory: {model.name!r} must be compiled, and not to run eagerly. Call "
            "`model.compile(optimizer=..., loss=...)` first."
        )
    batch = sample_batch(model, batch_size, x, y)
    step = trial_step(model, batch)
    compiled = step.trace(batch).lower().compile()
    planned = compiled.memory_analysis()
    steps = step.stack_room(batch) or 1
    gradients = min(_bytes(model.trainable_variables), planned.temp_size_in_bytes)
    data = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(batch))
    # Results that reuse no argument's memory: the logs.
    logs = planned.output_size_in_bytes - planned.alias_size_in_bytes
    return MemoryEstimate(
        batch_size,
        _bytes(model.variables),
        _bytes(model.optimizer.variables),
        _bytes(model.metrics_variables),
        gradients,
        planned.temp_size_in_bytes - gradients + max(logs, 0),
        2 * steps * data,
        planned.generated_code_size_in_bytes,
        steps,
    )


def _bytes(variables):
    return sum(v.size * v._value.dtype.itemsize for v in variables)
