"""The loop of `evaluate`, and of validation in `fit`."""

from typing import Any

from kerasish.callbacks import CallbackList, Logs
from kerasish.training.chunk_sources import ChunkSource
from kerasish.training.epoch_loop import no_batch, run_epoch
from kerasish.training.label_check import check_labels, label_check
from kerasish.training.multihost_source import SharedSource


def start_evaluation_pass(source: ChunkSource) -> None:
    """Start a pass over the data, unless one was started that no batch was taken of yet.

    Args:
        source: The data.
    """
    if not source.opened:
        source.batches.on_epoch_begin()
        source.start_pass()
        source.opened = True


def check_before_evaluation(model: Any, source: ChunkSource) -> None:
    """Raise if the data does not fit the model: shapes, and the labels that are at hand.

    Args:
        model: The model, compiled.
        source: The data; of a stream the first batch is read, and kept.
    """
    if isinstance(source, SharedSource):
        return  # one process cannot tell the shape of all their batches
    step = model._step("test")
    start_evaluation_pass(source)
    spec = None if step.eager else source.batch_spec()
    if spec is not None:
        step.prepare(spec)
        check_labels(model, source)


def evaluate(
    model: Any,
    source: ChunkSource,
    steps: int | None,
    callbacks: CallbackList,
    may_be_empty: bool = False,
) -> Logs:
    """Loss and metrics of a model on data.

    Args:
        model: The model, compiled.
        source: The data.
        steps: Batches to take; `None` for all.
        callbacks: Whose hooks to call.
        may_be_empty: Whether data that gave batches before may have none left.

    Returns:
        The results; none for no batch.
    """
    model.reset_metrics()
    model.stop_evaluating = False
    callbacks.on_test_begin()
    start_evaluation_pass(source)
    source.opened = False
    step = model._step("test")
    check = label_check(model, step, source)
    done, logs = run_epoch(model, "test", step, source, steps, callbacks, check=check)
    if not done and not may_be_empty:
        raise no_batch("evaluate")
    source.batches.on_epoch_end()
    callbacks.on_test_end(logs)
    return logs
