"""Data of several processes, and the choice of a source for some data.

Arrays and `PyDataset`s are the same whole data in each process, and each puts the rows of its
devices there. A stream gives each process its own share of the rows: the batch is what all
processes got, in their order.
"""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from kerasish.core import processes
from kerasish.data import ArrayBatches, Batches
from kerasish.data.stream_batches import StreamBatches
from kerasish.distribution import batch_sharding as spread
from kerasish.distribution import distribution
from kerasish.training.chunk import Chunk, batch_spec, device_dtype, rows_of, spec_key, stack_of
from kerasish.training.chunk_sources import ArraySource, ResidentSource, Source, StreamSource
from kerasish.training.consistency import sample


class SharedSource(StreamSource):
    """Batches to which each process brings its own rows: the whole is all of theirs in order.

    Before each chunk the processes tell each other what they have. Usually that is the same number
    of rows. Where it is not, as at the end, batches are made whole on every process, one by one,
    of all the rows there are; a process without any takes part with none until all are done.
    """

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        self.sizes: dict = {}  # forms of batches to how many of them run in a call
        super().__init__(batches, epoch, needed)

    def take(self, most, step):
        first = self._next()
        found = [] if first is None else [first]
        if found:
            form = self.last_form = batch_spec(first)
            most = min(most, self.sizes.get(spec_key(form), 1))
            found += self._alike(spec_key(form), most - 1, math.inf)
        if self.last_form is None:
            said = processes.exchange("the next batches", "none\t0\t0")
        else:
            rows = rows_of(first) if found else 0
            said = processes.exchange(
                "the next batches", f"{_columns(self.last_form)}\t{len(found)}\t{rows}"
            )
        columns, counts, rows = zip(*(text.split("\t") for text in said), strict=True)
        counts, rows = [int(n) for n in counts], [int(n) for n in rows]
        if not any(counts):
            return None
        _check_columns(columns)
        even = len(set(rows)) == 1 and spread.local_rows_match(sum(rows))
        count = min(counts) if even else 1
        if len(set(rows)) == 1:
            self._note(sum(rows), count)
        self.held[:0] = found[count:]
        if not even:
            return self._uneven(found, rows)
        whole = _with_rows(self.last_form, sum(rows))
        if count == 1 and len(set(counts)) == 1:  # learn how many to read next time
            self.sizes[spec_key(self.last_form)] = 0 if step.eager else step.stack_size(whole)
        return self._even(found[:count], sum(rows))

    def _even(self, found, rows):
        """Batches to which every process brings as many rows."""
        size = self.sizes.get(spec_key(self.last_form), 0)
        if not size:
            return Chunk("batch", spread.join_batch(found[0]), 0, 1, rows)
        data = spread.join_batch(stack_of(found, size), stacked=True)
        return Chunk("stack", data, 0, len(found), rows, size)

    def _uneven(self, found, rows):
        """One batch, of whatever rows the processes have."""
        own = found[0] if found else _with_rows(self.last_form, 0)

        def join(array):
            padded = np.zeros((max(rows), *array.shape[1:]), device_dtype(array))
            if found:
                padded[: len(array)] = array
            parts = multihost_utils.process_allgather(padded)
            return np.concatenate([part[:n] for part, n in zip(parts, rows, strict=True)])

        return Chunk("batch", jax.tree.map(join, own), 0, 1, sum(rows))


def _with_rows(form, rows):
    """Shapes of a batch of another number of rows."""
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((rows, *s.shape[1:]), s.dtype), form)


def _columns(form):
    """What a row is made of, in words."""
    leaves, tree = jax.tree.flatten(form)
    return f"{tree} of {[(s.shape[1:], s.dtype.name) for s in leaves]}"


def _check_columns(columns):
    for i, theirs in enumerate(columns):
        if theirs != columns[0]:
            raise ValueError(
                f"The data of process {i} has other batches than that of process 0: {theirs} (rows "
                f"aside), not {columns[0]}. Each process must give its share of the same data, and "
                "at least one batch."
            )


def make_source(batches: Batches, epoch: int = 0, needed: int | None = None) -> Source:
    """Arrays from where they are: on the host for the CPU, on other devices if they fit there."""
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
        if isinstance(batches, StreamBatches) or not current.auto_shard_dataset:
            return SharedSource
    if not isinstance(batches, ArrayBatches):
        return StreamSource
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return ArraySource
    room = (device.memory_stats() or {}).get("bytes_limit", 0) / 4
    size = sum(a.nbytes for a in jax.tree.leaves(batches.arrays))
    return ResidentSource if size < room else ArraySource


def _compare_data(batches, kind):
    """Make sure that all processes have what they must have alike."""
    facts = {"kind of data": f"{type(batches).__name__} ({kind.__name__})"}
    if kind is not SharedSource:
        names = ("num_samples", "num_batches", "batch_size", "shuffle", "seed")
        facts |= {name.replace("_", " "): getattr(batches, name, None) for name in names}
        if isinstance(batches, ArrayBatches):
            facts["arrays"] = _columns(batch_spec(batches.arrays))
            facts["arrays' values"] = " ".join(map(sample, jax.tree.leaves(batches.arrays)))
    processes.compare("fit, evaluate or predict", facts)
