"""Trials before a long training: one batch learnt by heart, and a step of everything."""

import contextlib
import copy
import pathlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.callbacks import (
    BackupAndRestore,
    CSVLogger,
    MLflowLogger,
    ModelCheckpoint,
    OrbaxCheckpoint,
    RemoteMonitor,
    TensorBoard,
    WandbLogger,
)
from kerasish.core.errors import bad_argument
from kerasish.core.text_tables import as_html, as_text, readable_seconds
from kerasish.data import make_batches, unpack_x_y_sample_weight
from kerasish.models.inspection.batch_specs import trial_step
from kerasish.training.chunk import batch_spec, single_batch_chunk
from kerasish.training.learning_rate_finder import kept_random_state, kept_values

_ENOUGH = 0.1  # of the first loss: what is left when a batch is known by heart
_WRITERS = {  # callbacks that write, and the argument that says where
    ModelCheckpoint: "filepath",
    BackupAndRestore: "backup_dir",
    CSVLogger: "filename",
    TensorBoard: "log_dir",
}
_LEFT_OUT = (OrbaxCheckpoint, MLflowLogger, WandbLogger, RemoteMonitor)


class OverfitReport:
    """How well a model learnt one batch by heart; made by `overfit_one_batch`.

    Attributes:
        losses: The loss of the batch before each step, and after the last.
        overfits: Whether the loss fell to a tenth of the first.
        unchanged: Paths of weights that are to be trained and that no step changed.

    Example:
        >>> OverfitReport([8.0, 2.0, 0.1], []).overfits
        True
    """

    def __init__(self, losses: Any, unchanged: list[str]):
        self.losses = np.asarray(losses, "float64")
        self.unchanged = unchanged
        first, last = self.losses[0], self.losses[-1]
        self.overfits = bool(np.isfinite(last) and (last <= _ENOUGH * first or first <= 0 > last))

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the losses.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
        axis.plot(self.losses)
        axis.set(xlabel="steps on one batch", ylabel="loss")
        if self.losses.min() > 0:
            axis.set_yscale("log")
        axis.grid(alpha=0.3)
        if path is not None:
            figure.savefig(path, dpi=110)
        if show is None:
            show = path is None and figure.canvas.required_interactive_framework is not None
        plt.show() if show else plt.close(figure)
        return figure

    def __repr__(self):
        first, last = self.losses[0], self.losses[-1]
        said = "overfits" if self.overfits else "does not overfit"
        text = f"{said} one batch: loss {first:.3g} to {last:.3g} in {len(self.losses) - 1} steps"
        if self.unchanged:
            text += f"; no step changed {', '.join(self.unchanged)}"
        return f"<OverfitReport: {text}>"


def overfit_one_batch(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int = 200,
) -> OverfitReport:
    """Train on one batch over and over, to see whether a model can learn at all; undo it.

    A model that cannot learn a single batch by heart has a fault: labels that do not belong to
    inputs, a loss that takes other outputs, a part without a gradient, a learning rate that is far
    off. Dropout and augmentation stay on, and make it harder. Afterwards weights, optimizer,
    metrics and random states are what they were.

    Args:
        model: The model, compiled.
        x: Inputs, as for `fit`; the first batch is taken.
        y: Targets.
        sample_weight: Weight of each sample.
        batch_size: Samples in the batch; 32 for arrays.
        steps: Number of steps.

    Returns:
        The losses, whether they fell enough, and weights that stayed as they were, with `plot()`.

    References:
        Karpathy, 2019, "A Recipe for Training Neural Networks".

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.1), "mse")
        >>> report = overfit_one_batch(model, np.eye(4), np.arange(4.0))
        >>> report.overfits, report.unchanged
        (True, [])
    """
    who = "overfit_one_batch"
    model._require_compiled(who)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise bad_argument(who, "steps", "a positive number of steps", steps)
    with kept_random_state():
        batches = make_batches(x, y, sample_weight, batch_size=batch_size)
        with contextlib.closing(batches):
            batch = next(iter(batches.epoch(0)))
        step = trial_step(model, batch_spec(batch))
        with kept_values(model):
            weights = model.trainable_variables
            before = [weight.numpy() for weight in weights]
            losses = []
            for _ in range(steps):
                model.reset_metrics()
                logs, _ = step.execute(single_batch_chunk(batch))
                losses.append(logs["loss"])
            after = zip(weights, before, strict=True)
            unchanged = [w.path for w, value in after if np.array_equal(w.numpy(), value)]
            losses.append(_loss_now(model, step, batch))
    return OverfitReport(np.asarray(losses, "float64"), unchanged)


def _loss_now(model, step, batch):
    """The loss that one more step starts from."""
    model.reset_metrics()
    logs, _ = step.execute(single_batch_chunk(batch))
    return logs["loss"]


class DryRun:
    """What a dry run did, and how long it took; made by `dry_run`.

    Attributes:
        seconds: Seconds of each part, by name. Compiling is in them.
        logs: Results of the one step of training, and of validation.
        left_out: Callbacks that were left out, as they report to services.

    Example:
        >>> DryRun({"train": 0.5}, {"loss": 1.0}, []).seconds["train"]
        0.5
    """

    def __init__(self, seconds: dict[str, float], logs: dict, left_out: list[str]):
        self.seconds, self.logs, self.left_out = seconds, logs, left_out

    def _table(self):
        rows = [[part, readable_seconds(seconds)] for part, seconds in self.seconds.items()]
        lines = [f"Left out: {', '.join(self.left_out)}."] if self.left_out else []
        results = ", ".join(f"{name} {np.asarray(v).mean():.4g}" for name, v in self.logs.items())
        return "Dry run: all of it ran", ["Part", "Time"], rows, [f"Results: {results}.", *lines]

    def __repr__(self):
        return as_text(*self._table(), width=72, right=("Time",))

    def _repr_html_(self):
        return as_html(*self._table(), right=("Time",))


def dry_run(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    validation_data: Any = None,
    callbacks: Any = None,
    class_weight: Mapping | str | None = None,
) -> DryRun:
    """Do one step of all that a training will do, so that it does not fail at the end of its hours.

    A step of training, one of validation, the hooks of the callbacks for an epoch of one batch, a
    prediction, and the saving of the model, its weights read back. Afterwards weights, optimizer,
    metrics, random states, frozen layers and history are what they were; callbacks are copies, and
    those of kerasish that write files write them into a folder that is deleted. What callbacks of
    your own write is written. Of a generator one batch is taken.

    Args:
        model: The model, compiled. It is built, if it is not.
        x: Inputs, as for `fit`.
        y: Targets.
        sample_weight: Weight of each sample.
        batch_size: Samples in a batch; 32 for arrays.
        validation_data: As for `fit`.
        callbacks: As for `fit`.
        class_weight: As for `fit`.

    Returns:
        The times and results, shown as a table.

    Raises:
        Exception: Whatever fails, with a note that says in which part.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> done = dry_run(model, np.ones((64, 3)), np.ones((64, 1)))
        >>> list(done.seconds), list(done.logs)
        (['train', 'predict', 'save', 'load weights'], ['loss'])
    """
    model._require_compiled("dry_run")
    arrays = make_batches(x, y, sample_weight).num_samples is not None
    size = (batch_size or 32) if arrays else None
    seconds: dict[str, float] = {}
    with contextlib.ExitStack() as undo:
        undo.enter_context(kept_random_state())
        folder = pathlib.Path(undo.enter_context(tempfile.TemporaryDirectory()))
        batch = _first_batch(x, y, sample_weight, size) if arrays else None
        if batch is not None:
            trial_step(model, batch_spec(batch))
        undo.enter_context(_kept_run(model))
        run, left_out = _copies(callbacks, folder)
        part = "train, validate" if validation_data is not None else "train"
        with _timed(part, seconds):
            history = model.fit(
                x,
                y,
                batch_size=size,
                verbose=0,
                callbacks=run,
                validation_data=validation_data,
                class_weight=class_weight,
                sample_weight=sample_weight,
                steps_per_epoch=1,
                validation_steps=None if validation_data is None else 1,
                validation_batch_size=size,
            )
        if batch is not None:
            with _timed("predict", seconds):
                model.predict_on_batch(unpack_x_y_sample_weight(batch)[0])
        with _timed("save", seconds):
            model.save(folder / "dry_run.keras")
            model.save_weights(folder / "dry_run.weights.h5")
        with _timed("load weights", seconds):
            model.load_weights(folder / "dry_run.weights.h5")
        logs = {name: values[-1] for name, values in history.history.items()}
    return DryRun(seconds, logs, left_out)


def _first_batch(x, y, sample_weight, size):
    batches = make_batches(x, y, sample_weight, batch_size=size)
    with contextlib.closing(batches):
        return next(iter(batches.epoch(0)))


@contextlib.contextmanager
def _timed(part, seconds) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    except Exception as error:
        error.add_note(f"dry_run: this came of the part {part!r}.")
        raise
    seconds[part] = time.perf_counter() - began


@contextlib.contextmanager
def _kept_run(model) -> Iterator[None]:
    """Let a model's values, frozen layers and history be as they were."""
    layers = [(layer, layer.trainable) for layer in model._flatten_layers()]
    history, stop = model.history, model.stop_training
    slots = [variable.numpy() for variable in model.optimizer.variables]
    with kept_values(model):
        try:
            yield
        finally:
            if any(layer.trainable != value for layer, value in layers):
                for layer, value in layers:
                    layer.trainable = value
                model._step("train")  # lets the optimizer follow, with state made anew
                for variable, value in zip(model.optimizer.variables, slots, strict=True):
                    variable.assign(value)
            model.history, model.stop_training = history, stop


def _copies(callbacks, folder):
    """Callbacks to run, writing into a folder, and the names of those left out."""
    run, left_out = [], []
    for number, given in enumerate(jax.tree.leaves(callbacks)):
        if isinstance(given, _LEFT_OUT):
            left_out.append(type(given).__name__)
            continue
        made = copy.copy(given)
        for name, value in vars(given).items():
            if isinstance(value, list | dict | set):
                vars(made)[name] = copy.copy(value)
        for kind, argument in _WRITERS.items():
            if isinstance(given, kind):
                own = folder / str(number)
                own.mkdir()
                name = pathlib.PurePath(getattr(given, argument)).name
                vars(made)[argument] = str(own / name)
        run.append(made)
    return run, left_out


__all__ = ["DryRun", "OverfitReport", "dry_run", "overfit_one_batch"]
