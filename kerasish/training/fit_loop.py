"""The loop of `fit`, short enough to copy."""

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from kerasish.callbacks import CallbackList, LayerStatistics, Logs, TerminateOnNaN
from kerasish.core import processes, settings
from kerasish.training.argument_errors import in_argument
from kerasish.training.chunk_sources import ArraySource, ChunkSource
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.epoch_loop import no_batch, run_epoch
from kerasish.training.evaluate_loop import check_before_evaluation, evaluate
from kerasish.training.label_check import check_labels, label_check
from kerasish.training.resume import resume


@dataclasses.dataclass
class Validation:
    """What to evaluate on during training, and when.

    Attributes:
        source: The data.
        steps: Batches of it to take; `None` for all.
        frequency: Number of epochs between evaluations, or the epochs (from 1) to evaluate after.
        done: Whether it was evaluated on.
    """

    source: ChunkSource
    steps: int | None
    frequency: int | Collection[int]
    done: bool = False

    def is_due(self, epoch: int) -> bool:
        """Whether to evaluate after this epoch, which counts from 0.

        Args:
            epoch: Number of the epoch.
        """
        if isinstance(self.frequency, int):
            return (epoch + 1) % self.frequency == 0
        return (epoch + 1) in self.frequency

    def run(self, model: Any, callbacks: CallbackList) -> Logs:
        """Evaluate; a generator that was read to its end gives no results, and a warning.

        Args:
            model: The model.
            callbacks: Whose hooks to call.
        """
        results = evaluate(model, self.source, self.steps, callbacks, may_be_empty=self.done)
        self.done = True
        return results


def fit(
    model: Any,
    source: ChunkSource,
    validation: Validation | None,
    callbacks: CallbackList,
    epochs: int,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
) -> None:
    """Train for some epochs.

    Args:
        model: The model, compiled.
        source: The training data.
        validation: What to evaluate on; `None` for nothing.
        callbacks: Whose hooks to call.
        epochs: Number of the last epoch.
        initial_epoch: Number of epochs done before.
        steps_per_epoch: Batches in an epoch; `None` for one pass over the data.
    """
    callbacks.on_train_begin()
    first, done, point = initial_epoch, 0, model._take_resume_point()
    if point is not None:
        first, done = point.epoch, point.batch
        resume(point, source, model._step("train"))
        epochs = first if model.stop_training else epochs  # a callback had just ended that run
    logs, noticed = Logs(), any(isinstance(c, TerminateOnNaN | LayerStatistics) for c in callbacks)
    for epoch in range(first, epochs):
        if not done:
            model.reset_metrics()
        processes.say_position(f"epoch {epoch + 1}")
        callbacks.on_epoch_begin(epoch)
        step = model._step("train")  # a callback may have frozen or unfrozen layers
        source.batches.on_epoch_begin()
        if steps_per_epoch is None and source.position and not done:
            source.restart()
        if validation is not None and epoch == first:
            check_validation(model, step, source, validation)
        check = label_check(model, step, source)
        ran, results = run_epoch(
            model, "train", step, source, steps_per_epoch, callbacks, done, check
        )
        if not ran and epoch > first:
            break  # the data ran out, of which they have warned
        if not ran:
            raise no_batch("fit")
        logs, done = results, 0
        source.batches.on_epoch_end()
        if validation is not None and validation.is_due(epoch):
            results = validation.run(model, callbacks)
            logs = Logs({**logs, **{f"val_{name}": value for name, value in results.items()}})
        callbacks.on_epoch_end(epoch, logs)
        last = epoch == epochs - 1 or model.stop_training
        noticed = noticed or notice_nan(logs, last)
        if model.stop_training:
            break
    if model.optimizer is not None:  # a `train_step` of the user's own needs none
        model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)


def check_data(model: Any, source: ChunkSource, validation: Validation | None) -> None:
    """Raise before training if the data does not fit the model, as far as it can be told.

    Args:
        model: The model, compiled.
        source: The training data.
        validation: The validation data.
    """
    step = model._step("train")
    if isinstance(source, ArraySource) and not step.eager and model._compiled_loss is not None:
        step.prepare(source.batch_spec())
        check_labels(model, source)
    if validation is not None and model.built:
        with in_argument("fit", "validation_data"):
            check_before_evaluation(model, validation.source)


def check_validation(
    model: Any, step: CompiledStep, source: ChunkSource, validation: Validation
) -> None:
    """`check_data` for a model that is built by the first batch of a stream.

    Args:
        model: The model, compiled.
        step: The training step.
        source: The training data.
        validation: The validation data.
    """
    if not validation.source.opened and not step.eager and processes.count() == 1:
        spec = source.batch_spec()
        if spec is not None:
            step.prepare(spec)
            with in_argument("fit", "validation_data"):
                check_before_evaluation(model, validation.source)


@contextlib.contextmanager
def only_fit(model: Any) -> Iterator[None]:
    """Refuse a second `fit` of a model while one runs: both would write the same weights.

    Args:
        model: The model.

    Raises:
        RuntimeError: Another `fit` of the model runs.
    """
    own = object()
    if model.__dict__.setdefault("_fit", own) is not own:
        raise RuntimeError(
            f"fit: the model {model.name!r} is being trained by another `fit`, in another thread "
            "or around a callback. Wait until that one has ended, or train a copy: "
            "`keras.models.clone_model(model)`."
        )
    try:
        yield
    finally:
        model.__dict__.pop("_fit", None)


def notice_nan(logs: Logs, last: bool) -> bool:
    """Warn if the loss is NaN, and say how to find where it comes from.

    Args:
        logs: An epoch's results. They are looked at if someone has read them from the device.
        last: Whether it is the last epoch: then they are looked at in any case.

    Returns:
        Whether it has warned.
    """
    if settings.nan_checks_enabled() or (logs.pending and not last) or "loss" not in logs:
        return False
    loss = dict.__getitem__(logs, "loss")
    if not math.isnan(np.mean(loss)):
        return False
    warnings.warn(
        "fit: the loss is NaN. `keras.config.enable_nan_checks()` before `fit` finds the layer "
        "in which it appears first; look at the data and the learning rate too.",
        stacklevel=4,
    )
    return True
