"""The choice of a source of chunks for some data."""

from typing import Any

import jax

from kerasish.core import processes
from kerasish.data import ArrayBatches, Batches
from kerasish.data.stream_batches import StreamBatches
from kerasish.distribution import distribution
from kerasish.training.chunk import batch_spec
from kerasish.training.chunk_sources import ChunkSource, StreamSource, array_source
from kerasish.training.consistency import sample
from kerasish.training.host_cache import HostSource
from kerasish.training.host_inputs import HostBatches
from kerasish.training.multihost_source import SharedSource, columns_of


def make_source(batches: Batches, epoch: int = 0, needed: int | None = None) -> ChunkSource:
    """The source of chunks for some batches, compared over the processes if there are several.

    Arrays come from where they are: on the host for the CPU, on other devices if they fit there.

    Args:
        batches: The data.
        epoch: Number of the first pass over it.
        needed: Most batches that will be taken in a pass; `None` if not known.
    """
    kind = _source_for(batches)
    if processes.count() > 1:
        _compare_data(batches, kind)
    return kind(batches, epoch, needed)


def _source_for(batches) -> Any:
    current = distribution()
    if processes.count() > 1:
        if current is None:
            raise RuntimeError(
                "There are several processes but no distribution, so each would train a model of "
                "its own. Call `keras.distribution.set_distribution(DataParallel())`, say, first."
            )
        read = batches.batches if isinstance(batches, HostBatches) else batches
        if isinstance(read, StreamBatches) or not current.auto_shard_dataset:
            return SharedSource
    if isinstance(batches, HostBatches) and batches.cache is not None:
        return HostSource if processes.count() == 1 else StreamSource
    if not isinstance(batches, ArrayBatches):
        return StreamSource
    return array_source(batches)


def _compare_data(batches, kind):
    """Make sure that what all processes must have in common is equal."""
    facts = {"kind of data": f"{type(batches).__name__} ({kind.__name__})"}
    if kind is not SharedSource:
        names = ("num_samples", "num_batches", "batch_size", "shuffle", "seed")
        facts |= {name.replace("_", " "): getattr(batches, name, None) for name in names}
        if isinstance(batches, ArrayBatches):
            facts["arrays"] = columns_of(batch_spec(batches.arrays))
            facts["arrays' values"] = " ".join(map(sample, jax.tree.leaves(batches.arrays)))
    processes.compare("fit, evaluate or predict", facts)
