"""Labels that no loss can make sense of, noticed on the host before a step is run on them.

Compiled code cannot complain. Arrays are looked at once; batches of streams as they come.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core import processes
from kerasish.training.chunk import Chunk, batch_spec, spec_of_one
from kerasish.training.chunk_sources import ArraySource, ChunkSource
from kerasish.training.compiled_step import CompiledStep


def check_labels(model: Any, source: ChunkSource) -> None:
    """Raise if labels in arrays are outside of what the loss takes.

    Args:
        model: The model, whose loss has been traced.
        source: The data.

    Raises:
        ValueError: There are such labels.
    """
    if isinstance(source, ArraySource):
        _check_batch(model, source.batches.arrays)


def label_check(
    model: Any, step: CompiledStep, source: ChunkSource
) -> Callable[[Chunk], None] | None:
    """What looks at the labels of each chunk; `None` where `check_labels` has seen them all.

    Args:
        model: The model.
        step: The step that runs the chunks.
        source: Where they come from.
    """
    if isinstance(source, ArraySource) or model._compiled_loss is None or step.eager:
        return None

    def check(chunk):
        step.prepare(spec_of_one(chunk))  # the loss learns the number of classes
        check_chunk(model, chunk)

    return check


def check_batch_labels(model: Any, step: CompiledStep, batch: tuple) -> None:
    """Raise if labels in one batch are outside of what the loss takes.

    Args:
        model: The model.
        step: The step that is to run the batch.
        batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    Raises:
        ValueError: There are such labels.
    """
    if model._compiled_loss is None or step.eager or len(batch) == 1:
        return
    if not model._compiled_loss.made:
        step.prepare(batch_spec(batch))
    if model._compiled_loss.has_label_rules:
        _check_batch(model, batch)


def check_chunk(model: Any, chunk: Chunk) -> None:
    """Raise if labels in a chunk are outside of what the loss takes.

    Args:
        model: The model, whose loss has been traced.
        chunk: The batches.

    Raises:
        ValueError: There are such labels.
    """
    if model._compiled_loss is None or not model._compiled_loss.has_label_rules:
        return
    count = chunk.count if chunk.kind == "stack" else None
    _check_batch(model, jax.tree.map(lambda a: _on_host(a, count), chunk.data[1:]), first=1)


def _check_batch(model, parts, first=0):
    """`parts` are those of `(x, y, sample_weight)` from number `first` on."""
    _, y, sample_weight = ((None,) * first + tuple(parts) + (None, None))[:3]
    if model._compiled_loss is not None and y is not None:
        model._compiled_loss.check_labels(y, sample_weight)


def _on_host(array, count):
    """The batches of a stack that are filled; of an array over processes, this one's part."""
    if isinstance(array, jax.Array) and not processes.is_readable_here(array):
        axis = 0 if count is None else 1
        shards = {shard.index[axis].start or 0: shard for shard in array.addressable_shards}
        array = np.concatenate([np.asarray(shards[at].data) for at in sorted(shards)], axis)
    return np.asarray(array)[:count]
