"""Where chunks of batches come from: arrays on the host or the device, or a stream."""

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from kerasish.core import processes
from kerasish.data import ArrayBatches, Batches, prefetch
from kerasish.distribution import batch_sharding as spread
from kerasish.training.chunk import Chunk, batch_spec, device_dtype, rows_of, spec_key, stack_of

# Waiting longer to fill a stack from a slow stream would only make the progress bar jump.
PATIENCE_SECONDS = 0.05


class Source:
    """Batches as chunks; knows where it stands, so that an epoch may end in mid-pass.

    Args:
        batches: The data.
        epoch: Number of the first pass over it, on which its order depends.
        needed: Most batches that will be taken in a pass, `None` if not known: a generator is read
            no further, as what is left in it is still its owner's.
    """

    position = 0  # of the next batch in the pass

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        self.batches = batches
        self.passes = epoch
        self.needed = needed
        self.begin()

    def begin(self) -> None:
        """Start a pass over the data."""
        raise NotImplementedError

    def seek(self, passes: int, position: int) -> None:
        """Go to a batch of a pass, to go on from there."""
        raise NotImplementedError

    def form(self) -> Any:
        """Shapes and dtypes of the next full batch, or of one before; `None` if there is none."""
        raise NotImplementedError

    def restart(self) -> bool:
        """Start the next pass; false if the data can be read only once or is at its end."""
        self.passes += 1
        self.begin()
        return True

    def take(self, most: int, step: Any) -> Chunk | None:
        """The next batches, at most `most`; `None` at the end of the pass."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of threads."""


class ArraySource(Source):
    """Arrays in the host's memory, gathered there while the device computes.

    Programs depend on the size of batches alone, not on how many there are.
    """

    batches: ArrayBatches

    def __init__(self, batches: ArrayBatches, epoch: int = 0, needed: int | None = None):
        self.on_host = jax.tree.map(np.asarray, batches.arrays)
        super().__init__(batches, epoch, needed)

    def begin(self):
        samples = self.batches.num_samples
        self.rows = min(self.batches.batch_size, samples)
        self.full, self.rest = divmod(samples, self.rows)
        if self.full + bool(self.rest) > 1:
            spread.check_divisible(self.rows)
        self.order = self.batches.order(self.passes)
        self.position = 0

    def seek(self, passes, position):
        self.passes = passes
        self.begin()
        self.position = position

    def take(self, most, step):
        start, last = self.position, self.full + bool(self.rest)
        if start >= last:
            return None
        if start == self.full:
            self.position = last
            return Chunk("batch", self.gather(start, self.rest), start, 1, self.rest)
        size = 0 if self.full == 1 or step.eager else step.stack_size(self.form())
        count = min(most, size or 1, self.full - start)
        self.position += count
        if not size:
            return Chunk("batch", self.gather(start, self.rows), start, 1, self.rows)
        data = self.stack(start, count, size)
        return Chunk("stack", data, 0, count, self.rows, size)

    def form(self):
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((self.rows, *a.shape[1:]), device_dtype(a)),
            self.batches.arrays,
        )

    def gather(self, start: int, count: int) -> Any:
        """The next rows of every array, from a batch on."""
        first = start * self.rows
        if self.order is None:
            return jax.tree.map(lambda a: a[first : first + count], self.on_host)
        order = self.order[first : first + count]
        return jax.tree.map(lambda a: np.take(a, order, axis=0), self.on_host)

    def stack(self, start: int, count: int, size: int) -> Any:
        """Batches along a new first axis, with room for `size` of them."""
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
        self.arrays = spread.replicate(batches.arrays)
        super().__init__(batches, epoch, needed)

    def begin(self):
        super().begin()
        order = np.arange(self.batches.num_samples) if self.order is None else self.order
        self.device_order = spread.replicate(order.astype("int32"))

    def stack(self, start, count, size):
        return self.arrays, self.device_order

    def take(self, most, step):
        start, chunk = self.position, super().take(most, step)
        if chunk is None or chunk.kind == "batch":
            return chunk
        return chunk._replace(kind="order", start=start)


class StreamSource(Source):
    """Batches from an iterable, read ahead by a thread and stacked."""

    def __init__(self, batches: Batches, epoch: int = 0, needed: int | None = None):
        self.iterator: Iterator | None = None
        self.held: list = []  # batches read already
        self.last_form: Any = None
        super().__init__(batches, epoch, needed)

    def begin(self):
        self.close()
        read = self.batches.epoch(self.passes)
        if getattr(self.batches, "one_shot", False):
            read = itertools.islice(read, self.needed)
        self.iterator = prefetch(read)
        self.seen = self.largest = 0

    @property
    def position(self):
        return self.seen - len(self.held)

    def seek(self, passes, position):
        # A generator can be read only once: it is started again only for another pass.
        if passes != self.passes or self.position > position:
            self.passes = passes
            self.begin()
        while self.position < position:
            batch = self._next()
            if batch is None:
                break
            self.last_form = batch_spec(batch)

    def form(self):
        first = self._next()
        if first is None:
            return self.last_form
        self.held.insert(0, first)
        return batch_spec(first)

    def restart(self):
        return super().restart() if self.seen else False

    def close(self):
        if self.iterator is not None:
            self.iterator.close()
        self.iterator = None

    def _next(self):
        if self.held:
            return self.held.pop(0)
        batch = next(self.iterator or iter(()), None)
        self.seen += batch is not None
        return batch

    def take(self, most, step):
        first = self._next()
        if first is None:
            return None
        rows = rows_of(first)
        size = 0 if step.eager else step.stack_size(batch_spec(first))
        # Processes must not part over a clock.
        patience = PATIENCE_SECONDS if processes.count() == 1 else math.inf
        batches = [first, *self._alike(spec_key(first), min(most, size) - 1, patience)]
        self._note(rows, len(batches))
        if not size:
            return Chunk("batch", first, 0, 1, rows)
        return Chunk("stack", stack_of(batches, size), 0, len(batches), rows, size)

    def _note(self, rows, count):
        """Note batches of so many rows: full ones must divide over the devices, others need not."""
        if rows == self.largest or (rows > self.largest and count > 1):
            spread.check_divisible(rows)
        self.largest = max(rows, self.largest)

    def _alike(self, form, most, patience):
        """The next batches while they are of a form, come soon, and are not more than `most`."""
        begun, found = time.perf_counter(), []
        while len(found) < most and time.perf_counter() - begun < patience:
            batch = self._next()
            if batch is None:
                break
            if spec_key(batch) != form:
                self.held.insert(0, batch)
                break
            found.append(batch)
        return found
