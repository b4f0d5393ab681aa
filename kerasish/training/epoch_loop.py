"""One epoch of steps, with the hooks of callbacks around them: what `fit` and `evaluate` share."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from kerasish.callbacks import CallbackList, Logs
from kerasish.core import processes, settings
from kerasish.data import Batches
from kerasish.training.chunk import Chunk
from kerasish.training.chunk_sources import ChunkSource
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.source_choice import make_source
from kerasish.training.step_runner import Ran, run_steps


@contextlib.contextmanager
def opened(who: str, batches: Batches, epoch: int = 0, needed: int | None = None) -> Iterator:
    """The source of some data, closed at the end; failures of other processes are named inside.

    Args:
        who: What runs, for errors: "fit".
        batches: The data.
        epoch: Number of the first pass over it.
        needed: Most batches that will be taken in a pass; `None` if not known.
    """
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(processes.failures_named(who))
        cleanup.callback(batches.close)
        source = make_source(batches, epoch, needed)
        cleanup.callback(source.close)
        yield source


def run_epoch(
    model: Any,
    kind: str,
    step: CompiledStep,
    source: ChunkSource,
    limit: int | None,
    callbacks: CallbackList,
    done: int = 0,
    check: Callable[[Chunk], None] | None = None,
) -> tuple[int, Logs]:
    """One epoch of training or evaluation, some steps of which may be done already.

    Args:
        model: The model.
        kind: `"train"` or `"test"`: which hooks to call.
        step: The compiled step.
        source: Where batches come from.
        limit: Steps of the epoch; `None` for one pass over the data.
        callbacks: Whose hooks to call.
        done: Steps of the epoch that were done in an earlier run.
        check: Called with each chunk before it runs.

    Returns:
        The number of steps done, and their results.
    """
    wants = getattr(callbacks, f"wants_{kind}_batches")
    begin, end = (getattr(callbacks, f"on_{kind}_batch_{part}") for part in ("begin", "end"))
    training = kind == "train"
    together = None if model.steps_per_execution == "auto" else model.steps_per_execution
    max_batches = together
    if wants or (training and model.stop_training):  # it was told to before the first
        max_batches = max_batches or 1
    stop = "stop_training" if training else "stop_evaluating"
    before, last = done, limit or source.batches.num_batches
    logs = Logs(model.get_metrics_result() if before else {})
    steps = limit and limit - before
    number = done  # as callbacks count: in whole groups of `steps_per_execution`
    runs = run_steps(
        step, source, steps, max_batches, check, callbacks.show_compiling, resumes=done > 0
    )
    with contextlib.closing(runs):
        while True:
            begin(number)
            ran = advanced(runs, done - before + (together or 1))
            if ran is None:
                break
            number = number + together if together else before + ran.done
            done, logs = before + ran.done, Logs(ran.logs)
            end(number - 1, logs)
            if done == last or getattr(model, stop) or (limit and at_end(source)):
                break
    if limit is not None and 0 < done < limit and not getattr(model, stop):
        warnings.warn(
            f"The data ran out after {done} of {limit} batches, which ends the epoch: for full "
            "ones it must yield `steps_per_epoch * epochs` batches.",
            stacklevel=4,
        )
    return done, logs


def advanced(runs: Iterator[Ran], steps: int) -> Ran | None:
    """What was run last of the calls that bring a run to so many steps; `None` at its end.

    Args:
        runs: The calls.
        steps: Number of steps since the run's beginning.
    """
    ran = None
    for ran in runs:
        if ran.done >= steps:
            break
    return ran


def at_end(source: ChunkSource) -> bool:
    """Whether a pass over data of known length is at its end.

    Args:
        source: The data.
    """
    number = source.batches.num_batches
    return number is not None and source.position >= number


def no_batch(who: str) -> ValueError:
    """The error for data without a batch.

    Args:
        who: What runs: "fit".
    """
    hint = "Is the dataset empty, or a generator already used up?"
    return ValueError(f"{who}: the data gave no batch at all. {hint}")


def at_most(number: int | None, limit: int | None) -> int | None:
    """The lesser of two numbers, where `None` is no limit.

    Args:
        number: The number.
        limit: The limit.
    """
    return number if limit is None else limit if number is None else min(number, limit)


def limited(steps: int | None, batches: Batches) -> int | None:
    """Batches of a pass: as asked for, but no more than `keras.config.set_max_steps_per_epoch`.

    Args:
        steps: Batches asked for; `None` for all.
        batches: The data.
    """
    limit = settings.max_steps_per_epoch()
    return steps if limit is None else at_most(steps or batches.num_batches, limit)
