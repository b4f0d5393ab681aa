"""The loop of `predict`."""

from typing import Any

import jax
import numpy as np

from kerasish.callbacks import CallbackList
from kerasish.core.dict_order import reordered
from kerasish.training.chunk import Chunk
from kerasish.training.chunk_sources import ChunkSource
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.epoch_loop import at_end, no_batch
from kerasish.training.step_runner import run_steps


def predict(
    model: Any,
    step: CompiledStep,
    source: ChunkSource,
    steps: int | None,
    callbacks: CallbackList,
    max_batches: int | None = None,
) -> Any:
    """Outputs of a step for all batches, joined along the first axis, as NumPy arrays.

    Args:
        model: The model.
        step: The compiled step of prediction.
        source: The data.
        steps: Batches to take; `None` for all.
        callbacks: Whose hooks to call.
        max_batches: Batches in one call; `None` to choose by time.
    """
    found: list = []
    callbacks.on_predict_begin()
    source.batches.on_epoch_begin()
    together = None if model.steps_per_execution == "auto" else model.steps_per_execution
    done, last = 0, steps or source.batches.num_batches
    runs = run_steps(step, source, steps, max_batches, on_compile=callbacks.show_compiling)
    while done != last and not (done and (model.stop_predicting or (steps and at_end(source)))):
        callbacks.on_predict_batch_begin(done)
        taken, wanted = [], done + (together or 1)
        for ran in runs:
            taken.append(host_rows(ran.outputs, ran.chunk))
            if ran.done >= wanted:
                break
        if not taken:
            break
        done = ran.done
        found.append(_joined(taken))
        number = wanted if together else done
        callbacks.on_predict_batch_end(number - 1, {"outputs": found[-1]})
    runs.close()
    source.batches.on_epoch_end()
    callbacks.on_predict_end()
    if not found:
        raise no_batch("predict")
    return reordered(_joined(found), step.output_order)


def _joined(outputs):
    return outputs[0] if len(outputs) == 1 else jax.tree.map(_concatenated, *outputs)


def _concatenated(*arrays):
    return np.concatenate(arrays)


def host_rows(outputs: Any, chunk: Chunk) -> Any:
    """The outputs of a call as NumPy arrays, one row per sample.

    Args:
        outputs: Pytree of arrays as the step left them.
        chunk: The batches of the call.

    Shapes:
        `(size, rows, ...)` -> `(count * rows, ...)` of a stack; others stay as they are.
    """
    if chunk.kind == "batch":
        return jax.tree.map(np.asarray, outputs)
    return jax.tree.map(lambda a: np.asarray(a)[: chunk.count].reshape(-1, *a.shape[2:]), outputs)
