"""Resuming a `fit` where an earlier one was interrupted."""

from collections.abc import Callable
from typing import NamedTuple

from kerasish.training.chunk_sources import ChunkSource
from kerasish.training.compiled_step import CompiledStep


class ResumePoint(NamedTuple):
    """Where a callback wants a `fit` that begins to resume.

    Attributes:
        epoch: The epoch.
        batch: Number of its batches that are done.
        data: What `data_position` gave there.
        restore: Called once all Variables are made, to give them their values of then.
    """

    epoch: int
    batch: int
    data: dict
    restore: Callable[[], None]


def data_position(source: ChunkSource) -> dict:
    """The position of a training in its data, as plain numbers.

    Args:
        source: The training data.
    """
    return {"passes": source.passes, "position": source.position, "seed": source.batches.seed}


def resume(point: ResumePoint, source: ChunkSource, step: CompiledStep) -> None:
    """Bring data, Variables and callbacks to a point of an earlier run.

    Args:
        point: The point.
        source: The training data, at its start.
        step: The training step: its Variables are made before they are restored.
    """
    data = point.data
    if data["seed"] is not None and data["seed"] != source.batches.seed:
        source.batches.seed = data["seed"]
        source.start_pass()
    source.seek(data["passes"], data["position"])
    spec = source.batch_spec()
    if spec is not None:
        step.prepare(spec)
    point.restore()
