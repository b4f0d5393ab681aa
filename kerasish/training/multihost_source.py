"""Data of several processes.

Arrays and `PyDataset`s are the same complete data in each process, and each puts the rows of its
devices there. A stream gives each process its own share of the rows: the batch is what all
processes got, in their order.
"""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from kerasish.core import processes
from kerasish.data import Batches
from kerasish.distribution import batch_sharding
from kerasish.training.chunk import (
    Chunk,
    batch_spec,
    device_dtype,
    rows_of,
    single_batch_chunk,
    spec_key,
    stack_of,
)
from kerasish.training.chunk_sources import StreamSource


class SharedSource(StreamSource):
    """Batches to which each process brings its own rows: a batch is all of theirs in order.

    Before each chunk the processes tell each other what they have. Usually that is the same number
    of rows. Where it is not, as at the end, batches are gathered on every process, one by one, of
    all the rows there are; a process without any takes part with none until all are done.
    """

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        # The spec of this process's share when all last had as many rows, and of the whole batch.
        self.agreed: tuple[Any, Any] | None = None
        super().__init__(batches, epoch, needed)

    def can_stack(self) -> Any:
        return self.agreed is not None  # the same on every process

    def batch_spec(self) -> Any:
        return super().batch_spec() if self.agreed is None else self.agreed[1]

    def next_chunk(self, max_batches: int, stack_room: int) -> Any:
        first = self._next()
        found = [] if first is None else [first]
        if found:
            spec = self.last_spec = batch_spec(first)
            known = self.agreed is not None and spec_key(spec) == spec_key(self.agreed[0])
            most = min(max_batches, stack_room if known else 1)
            found += self._alike(spec_key(spec), most - 1, math.inf)
        counts, rows = self._tell(found)
        if not any(counts):
            return None
        even = len(set(rows)) == 1 and batch_sharding.local_rows_match(sum(rows))
        count = min(counts) if even else 1
        if len(set(rows)) == 1:
            self._note(sum(rows), count)
        self.held[:0] = found[count:]
        if not even:
            return self._uneven(found, rows)
        whole = _with_rows(self.last_spec, sum(rows))
        known = self.agreed is not None and spec_key(whole) == spec_key(self.agreed[1])
        self.agreed = self.last_spec, whole
        if not (known and stack_room):
            return Chunk("batch", batch_sharding.join_batch(found[0]), 0, 1, sum(rows))
        data = batch_sharding.join_batch(stack_of(found[:count], stack_room), stacked=True)
        return Chunk("stack", data, 0, count, sum(rows), stack_room)

    def _tell(self, found):
        """What every process has: numbers of batches, and of the rows of their first ones."""
        if self.last_spec is None:
            said = processes.exchange("the next batches", "none\t0\t0")
        else:
            rows = rows_of(found[0]) if found else 0
            said = processes.exchange(
                "the next batches", f"{columns_of(self.last_spec)}\t{len(found)}\t{rows}"
            )
        columns, counts, rows = zip(*(text.split("\t") for text in said), strict=True)
        counts, rows = [int(n) for n in counts], [int(n) for n in rows]
        if any(counts):
            _check_columns(columns)
        return counts, rows

    def _uneven(self, found, rows):
        """One batch, of whatever rows the processes have."""
        own = found[0] if found else _with_rows(self.last_spec, 0)

        def join(array):
            padded = np.zeros((max(rows), *array.shape[1:]), device_dtype(array))
            if found:
                padded[: len(array)] = array
            parts = multihost_utils.process_allgather(padded)
            return np.concatenate([part[:n] for part, n in zip(parts, rows, strict=True)])

        return single_batch_chunk(jax.tree.map(join, own))


def _with_rows(spec, rows):
    """The spec of a batch of another number of rows."""
    return jax.tree.map(lambda s: jax.ShapeDtypeStruct((rows, *s.shape[1:]), s.dtype), spec)


def columns_of(spec: Any) -> str:
    """What a row of batches of a spec is made of, in words.

    Args:
        spec: The spec.
    """
    leaves, tree = jax.tree.flatten(spec)
    return f"{tree} of {[(s.shape[1:], s.dtype.name) for s in leaves]}"


def _check_columns(columns):
    for i, theirs in enumerate(columns):
        if theirs != columns[0]:
            raise ValueError(
                f"The data of process {i} has other batches than that of process 0: {theirs} (rows "
                f"aside), not {columns[0]}. Each process must give its share of the same data, and "
                "at least one batch."
            )
