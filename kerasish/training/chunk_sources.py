"""Where chunks of batches come from: arrays on the host or the device, or a stream.

A source knows nothing of the step that runs its chunks. The runner asks it for the spec of the next
batch, and tells it how many batches to take and how many a stack has room for.
"""

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from kerasish.core import processes
from kerasish.data import ArrayBatches, Batches, prefetch
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

# Waiting longer to fill a stack from a slow stream would only make the progress bar jump.
PATIENCE_SECONDS = 0.05


class ChunkSource:
    """Batches as chunks; knows its position, so that an epoch may end in the middle of a pass.

    Args:
        batches: The data.
        epoch: Number of the first pass over it, on which its order depends.
        needed: Most batches that will be taken in a pass, `None` if not known: a generator is read
            no further, as what is left in it is still its owner's.

    Attributes:
        passes: Number of the pass.
        position: Number of the next batch in the pass.
        opened: Whether a pass was started that no batch was taken of yet.
    """

    position = 0
    opened = False

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        self.batches = batches
        self.passes = epoch
        self.needed = needed
        self.start_pass()

    def start_pass(self) -> None:
        """Start a pass over the data."""
        raise NotImplementedError

    def seek(self, passes: int, position: int) -> None:
        """Go to a batch of a pass, to resume there.

        Args:
            passes: Number of the pass.
            position: Number of the batch in it.
        """
        raise NotImplementedError

    def batch_spec(self) -> Any:
        """Spec of the next full batch, or of one before; `None` if there is none."""
        raise NotImplementedError

    def can_stack(self) -> bool:
        """Whether the next chunk may be a stack of batches of the spec that `batch_spec` gives."""
        return True

    def restart(self) -> bool:
        """Start the next pass; false if the data can be read only once or is at its end."""
        self.passes += 1
        self.start_pass()
        return True

    def next_chunk(self, max_batches: int, stack_room: int) -> Chunk | None:
        """The next batches; `None` at the end of the pass.

        Args:
            max_batches: Most batches to take.
            stack_room: Batches that a stack has room for; 0 for a single batch without a stack.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of threads."""


class ArraySource(ChunkSource):
    """Arrays in the host's memory, gathered there while the device computes.

    Programs depend on the size of batches, not on how many there are.
    """

    batches: ArrayBatches

    def __init__(self, batches: ArrayBatches, epoch: int = 0, needed: int | None = None):
        self.on_host = jax.tree.map(np.asarray, batches.arrays)
        super().__init__(batches, epoch, needed)

    def start_pass(self) -> None:
        samples = self.batches.num_samples
        self.rows = min(self.batches.batch_size, samples)
        self.full, self.rest = divmod(samples, self.rows)
        if self.full + bool(self.rest) > 1:
            batch_sharding.check_divisible(self.rows)
        self.order = self.batches.order(self.passes)
        self.position = 0

    def seek(self, passes: int, position: int) -> None:
        self.passes = passes
        self.start_pass()
        self.position = position

    def can_stack(self) -> Any:
        return self.full > 1 and self.position < self.full

    def next_chunk(self, max_batches: int, stack_room: int) -> Any:
        start, last = self.position, self.full + bool(self.rest)
        if start >= last:
            return None
        if start == self.full:
            self.position = last
            return Chunk("batch", self.gather(start, self.rest), start, 1, self.rest)
        count = min(max_batches, stack_room or 1, self.full - start)
        self.position += count
        if not stack_room:
            return Chunk("batch", self.gather(start, self.rows), start, 1, self.rows)
        data = self.stack(start, count, stack_room)
        return Chunk("stack", data, 0, count, self.rows, stack_room)

    def batch_spec(self) -> Any:
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((self.rows, *a.shape[1:]), device_dtype(a)),
            self.batches.arrays,
        )

    def gather(self, start: int, count: int) -> Any:
        """The next `count` rows of every array, from batch number `start` on.

        Args:
            start: Number of the batch.
            count: Number of rows.
        """
        first = start * self.rows
        if self.order is None:
            return jax.tree.map(lambda a: a[first : first + count], self.on_host)
        order = self.order[first : first + count]
        return jax.tree.map(lambda a: np.take(a, order, axis=0), self.on_host)

    def stack(self, start: int, count: int, size: int) -> Any:
        """`count` batches along a new first axis, with room for `size` of them.

        Args:
            start: Number of the first batch.
            count: Number of batches.
            size: Length of the new axis.
        """
        rows = self.gather(start, count * self.rows)

        def fill(a):
            a = a.reshape(count, self.rows, *a.shape[1:])
            if count == size and a.dtype == device_dtype(a):
                return a
            stacked = np.zeros((size, *a.shape[1:]), device_dtype(a))
            stacked[:count] = a
            return stacked

        return jax.tree.map(fill, rows)


class ResidentSource(ArraySource):
    """Arrays put on the device once (on each, if there are many), and gathered there."""

    def __init__(self, batches: ArrayBatches, epoch: int = 0, needed: int | None = None):
        self.arrays = batch_sharding.replicate(batches.arrays)
        super().__init__(batches, epoch, needed)

    def start_pass(self) -> None:
        super().start_pass()
        order = np.arange(self.batches.num_samples) if self.order is None else self.order
        self.device_order = batch_sharding.replicate(order.astype("int32"))

    def stack(self, start: int, count: int, size: int) -> Any:
        return self.arrays, self.device_order

    def next_chunk(self, max_batches: int, stack_room: int) -> Any:
        start, chunk = self.position, super().next_chunk(max_batches, stack_room)
        if chunk is None or chunk.kind == "batch":
            return chunk
        return chunk._replace(kind="order", start=start)


def array_source(batches: ArrayBatches) -> type[ArraySource]:
    """The kind of source for arrays: where they are, or on the device if they fit there.

    Args:
        batches: The batches.
    """
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return ArraySource
    room = (device.memory_stats() or {}).get("bytes_limit", 0) / 4
    size = sum(a.nbytes for a in jax.tree.leaves(batches.arrays))
    return ResidentSource if size < room else ArraySource


class StreamSource(ChunkSource):
    """Batches from an iterable, read ahead by a thread and stacked."""

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        self.iterator: Iterator | None = None
        self.held: list = []  # batches read already
        self.last_spec: Any = None
        super().__init__(batches, epoch, needed)

    def start_pass(self) -> None:
        self.close()
        read = self.batches.epoch(self.passes)
        if self.batches.one_shot:
            read = itertools.islice(read, self.needed)
        self.iterator = prefetch(read)
        self.held = []
        self.seen = self.largest = 0

    @property
    def position(self) -> Any:
        return self.seen - len(self.held)

    def seek(self, passes: int, position: int) -> None:
        # A generator can be read only once: it is started again only for another pass.
        if passes != self.passes or self.position > position:
            self.passes = passes
            self.start_pass()
        while self.position < position:
            batch = self._next()
            if batch is None:
                break
            self.last_spec = batch_spec(batch)

    def batch_spec(self) -> Any:
        first = self._next()
        if first is None:
            return self.last_spec
        self.held.insert(0, first)
        return batch_spec(first)

    def restart(self) -> Any:
        return super().restart() if self.seen else False

    def close(self) -> None:
        if self.iterator is not None:
            self.iterator.close()
        self.iterator = None

    def _next(self):
        if self.held:
            return self.held.pop(0)
        batch = next(self.iterator or iter(()), None)
        self.seen += batch is not None
        return batch

    def next_chunk(self, max_batches: int, stack_room: int) -> Any:
        first = self._next()
        if first is None:
            return None
        # Processes must not go different ways because of a clock.
        patience = PATIENCE_SECONDS if processes.count() == 1 else math.inf
        most = min(max_batches, stack_room)
        batches = [first, *self._alike(spec_key(first), most - 1, patience)]
        self._note(rows_of(first), len(batches))
        if not stack_room:
            return single_batch_chunk(first)
        data = stack_of(batches, stack_room)
        return Chunk("stack", data, 0, len(batches), rows_of(first), stack_room)

    def _note(self, rows, count):
        """Note batches of so many rows: full ones must divide over the devices, others need not."""
        if rows == self.largest or (rows > self.largest and count > 1):
            batch_sharding.check_divisible(rows)
        self.largest = max(rows, self.largest)

    def _alike(self, key, most, patience):
        """The next batches while they have this `spec_key`, come soon, and are at most `most`."""
        begun, found = time.perf_counter(), []
        while len(found) < most and time.perf_counter() - begun < patience:
            batch = self._next()
            if batch is None:
                break
            if spec_key(batch) != key:
                self.held.insert(0, batch)
                break
            found.append(batch)
        return found
