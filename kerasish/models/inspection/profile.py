"""Where a model's time goes: each layer forward and backward, and an epoch as a whole."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.text_tables import as_html, as_text, readable_seconds
from kerasish.data import make_batches, unpack_x_y_sample_weight
from kerasish.models.inspection.batch_specs import refuse_strings, trial_step
from kerasish.models.inspection.layer_calls import Call, calls_of, isolated
from kerasish.training.chunk import fetch, put_on_devices
from kerasish.training.learning_rate_finder import kept_random_state, kept_values
from kerasish.training.source_choice import make_source
from kerasish.training.step_runner import run_steps
from kerasish.training.step_timing import Times

_LEAST_SECONDS = 0.02  # to measure one program for
_MOST_RUNS = 50
_WARM_UP = 9  # steps: one to compile, eight to see how long they take


class LayerTime(NamedTuple):
    """Seconds that a layer takes for one batch, by itself on the device.

    Attributes:
        name: Its name, after those of the layers it is inside of.
        kind: Its class's name.
        forward: Seconds of its call.
        backward: Seconds of the gradients by its weights and inputs.
    """

    name: str
    kind: str
    forward: float
    backward: float


class Profile:
    """Where the time of training goes; made by `model.profile`.

    Each layer is compiled and timed by itself, on what it is called on in the model. The model as a
    whole is faster than the sum of its layers, because XLA fuses across them; what one layer takes
    of it is best read from the shares.

    Attributes:
        layers: A `LayerTime` for each innermost layer, in order of their calls.
        batch_size: Rows of the batch.
        step: Seconds of a whole training step, as `fit` runs it.
        steps: Number of steps that were run to measure it.
        times: Seconds a step by who was busy: `"device"`, `"host"`, `"input"`, `"waiting"`, as
            `FitReport` explains them.
    """

    def __init__(
        self, layers: list, batch_size: int, step: float, steps: int, times: dict[str, float]
    ):
        self.layers, self.batch_size = layers, batch_size
        self.step, self.steps, self.times = step, steps, times

    def _table(self):
        total = sum(row.forward + row.backward for row in self.layers) or 1.0
        rows = [
            [
                f"{row.name} ({row.kind})",
                readable_seconds(row.forward),
                readable_seconds(row.backward),
                f"{(row.forward + row.backward) / total:.1%}",
            ]
            for row in self.layers
        ]
        lines = [
            f"Layers one by one: {readable_seconds(total)}. A whole training step, with loss and "
            f"update, as XLA fuses it: {readable_seconds(self.step)} ({self.steps} steps seen).",
            "Of each step, device at work at most: {device}; host: {host}; waiting for data: "
            "{input}; host waiting for the device: {waiting}.".format(
                **{name: readable_seconds(value) for name, value in self.times.items()}
            ),
        ]
        return f"Batches of {self.batch_size}", list(_COLUMNS), rows, lines

    def __repr__(self):
        return as_text(*self._table(), width=100, right=_COLUMNS[1:])

    def _repr_html_(self):
        return as_html(*self._table(), right=_COLUMNS[1:])

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw a bar for each layer, forward and backward.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415

        names = [row.name for row in self.layers]
        forward, backward = (
            np.array([getattr(row, part) * 1e3 for row in self.layers])
            for part in ("forward", "backward")
        )
        height = 1.5 + 0.3 * len(names)
        figure, axis = plt.subplots(figsize=(7, height), layout="constrained")
        axis.barh(names, forward, label="forward")
        axis.barh(names, backward, left=forward, label="backward")
        axis.invert_yaxis()
        axis.set(xlabel="ms a batch", title=f"Layers by themselves, batches of {self.batch_size}")
        axis.legend()
        if path is not None:
            figure.savefig(path)
        if show is None:
            show = path is None and figure.canvas.required_interactive_framework is not None
        plt.show() if show else plt.close(figure)
        return figure


_COLUMNS: tuple[str, ...] = ("Layer (type)", "Forward", "Backward", "Share")


def profile(
    model: Any, x: Any, y: Any, sample_weight: Any, batch_size: int | None, steps: int | None
) -> Profile:
    """See `Model.profile`.

    Args:
        model: The model.
        x: Inputs, or `None` for the model's own shapes.
        y: Targets, or `None`.
        sample_weight: Weights of samples, or `None`.
        batch_size: Rows of a batch.
        steps: Number of steps to time.
    """
    model._require_compiled("profile")
    refuse_strings(model, "profile")
    if model.run_eagerly:
        raise ValueError("profile: compile the model without `run_eagerly`: fused code is timed.")
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise bad_argument("profile", "steps", "a positive integer or None", steps)
    with contextlib.ExitStack() as undo:
        undo.enter_context(kept_random_state())
        batches = make_batches(x, y, sample_weight, batch_size=batch_size, shuffle=True)
        undo.callback(batches.close)
        source = make_source(batches)
        undo.callback(source.close)
        step = trial_step(model, source.batch_spec())
        undo.enter_context(kept_values(model))
        chunk = _last(run_steps(step, source, _WARM_UP))
        step.times = Times()
        chunk = _last(run_steps(step, source, steps or batches.num_batches)) or chunk
        batch = _one_batch(chunk)
    if not step.times.steps:
        raise ValueError("profile: the data ran out. Give arrays, or more batches.")
    seen = step.times.shares()
    times = {name.removesuffix("_seconds"): s / step.times.steps for name, s in seen.items()}
    rows = len(jax.tree.leaves(batch)[0])
    layers = time_layers(model, unpack_x_y_sample_weight(batch)[0])
    return Profile(layers, rows, step.seconds or times["device"], step.times.steps, times)


def _last(runs):
    chunk = None
    for _, _, _, chunk in runs:  # noqa: B007
        pass
    return chunk


def _one_batch(chunk):
    if chunk.kind == "batch":
        return put_on_devices(chunk, eager=True)
    return fetch(chunk.kind, put_on_devices(chunk, eager=True), 0, chunk.rows)


def time_layers(model: Any, inputs: Any) -> list[LayerTime]:
    """Seconds of each innermost layer for these inputs, as in training.

    Args:
        model: The model.
        inputs: What the model is called on.
    """
    calls = calls_of(model, inputs, training=True, values=True)
    outer = {id(layer) for call in calls for layer in call.outer}
    found: dict[str, LayerTime] = {}
    for call in calls:
        if id(call.layer) in outer:
            continue
        name = "/".join(layer.name for layer in (*call.outer, call.layer))
        forward, backward = _time_call(call, model.trainable_variables)
        if name in found:  # the layer is called more than once
            forward, backward = forward + found[name].forward, backward + found[name].backward
        found[name] = LayerTime(name, type(call.layer).__name__, forward, backward)
    return list(found.values())


def _time_call(call: Call, trainable):
    functions = isolated(call, trainable)
    nothing = _seconds(lambda *args: (), functions.arguments)
    forward = _seconds(functions.forward, functions.arguments) - nothing
    if functions.both is None:
        return max(forward, 0.0), 0.0
    ones = [jnp.ones(s.shape, s.dtype) for s in functions.upstream]
    both = _seconds(functions.both, (*functions.arguments, ones)) - nothing
    return max(forward, 0.0), max(both - forward, 0.0)


def _seconds(fn: Callable, args: tuple) -> float:
    """Median seconds of a run of the compiled function."""
    compiled = jax.jit(fn)
    jax.block_until_ready(compiled(*args))
    runs: list[float] = []
    while sum(runs) < _LEAST_SECONDS and len(runs) < _MOST_RUNS:
        start = time.perf_counter()
        jax.block_until_ready(compiled(*args))
        runs.append(time.perf_counter() - start)
    return float(np.median(runs))
