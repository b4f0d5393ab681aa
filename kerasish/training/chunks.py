"""Batches in chunks, as the engine runs them: stacked on the host, or gathered on the device.

With several processes, arrays and `PyDataset`s are the same whole data in each, and every process
puts the rows of its devices there. A stream gives each process its own share of the rows: the batch
is what all processes got, in their order.
"""

import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from kerasish.core import processes
from kerasish.data import ArrayBatches, Batches, prefetch
from kerasish.data.streams import StreamBatches
from kerasish.distribution import batches as spread
from kerasish.distribution import distribution
from kerasish.training.together import sample

# Waiting longer to fill a stack from a slow stream would only make the progress bar jump.
PATIENCE_SECONDS = 0.05


class Chunk(NamedTuple):
    """Some batches to run in one call.

    Attributes:
        kind: `"batch"`: one batch; `"stack"`: batches along a new first axis; `"order"`: all rows
            of the data, and the order to take them in.
        data: The arrays.
        start: Number of the first batch, for `"order"`.
        count: Number of batches.
        rows: Rows of a batch.
        size: Number of batches there is room for.
    """

    kind: str
    data: Any
    start: int
    count: int
    rows: int
    size: int = 1


def alone(batch: Any) -> Chunk:
    """A chunk of one batch."""
    return Chunk("batch", batch, 0, 1, len(jax.tree.leaves(batch)[0]))


class Source:
    """Batches as chunks; knows where it stands, so that an epoch may end in mid-pass.

    Args:
        batches: The data.
        epoch: Number of the first pass over it, on which its order depends.
    """

    position = 0  # of the next batch in the pass

    def __init__(self, batches: Batches, epoch: int = 0):
        self.batches = batches
        self.passes = epoch
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

    def __init__(self, batches: ArrayBatches, epoch: int = 0):
        self.on_host = jax.tree.map(np.asarray, batches.arrays)
        super().__init__(batches, epoch)

    def begin(self):
        samples = self.batches.num_samples
        self.rows = min(self.batches.batch_size, samples)
        self.full, self.rest = divmod(samples, self.rows)
        if self.full + bool(self.rest) > 1:
            spread.refuse_uneven(self.rows)
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
            lambda a: jax.ShapeDtypeStruct((self.rows, *a.shape[1:]), _device_dtype(a)),
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
            if count == size and a.dtype == _device_dtype(a):
                return a
            stacked = np.zeros((size, *a.shape[1:]), _device_dtype(a))
            stacked[:count] = a
            return stacked

        return jax.tree.map(fill, rows)


class ResidentSource(ArraySource):
    """Arrays put on the device once (on each, if there are many), and gathered there."""

    def __init__(self, batches: ArrayBatches, epoch: int = 0):
        self.arrays = spread.replicate(batches.arrays)
        super().__init__(batches, epoch)

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

    def __init__(self, batches: Batches, epoch: int = 0):
        self.iterator: Iterator | None = None
        self.held: list = []  # batches read already
        self.last_form: Any = None
        super().__init__(batches, epoch)

    def begin(self):
        self.close()
        self.iterator = prefetch(self.batches.epoch(self.passes))
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
            self.last_form = shapes_of(batch)

    def form(self):
        first = self._next()
        if first is None:
            return self.last_form
        self.held.insert(0, first)
        return shapes_of(first)

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
        rows = _rows_of(first)
        size = 0 if step.eager else step.stack_size(shapes_of(first))
        # Processes must not part over a clock.
        patience = PATIENCE_SECONDS if processes.count() == 1 else math.inf
        batches = [first, *self._alike(form_of(first), min(most, size) - 1, patience)]
        self._note(rows, len(batches))
        if not size:
            return Chunk("batch", first, 0, 1, rows)
        return Chunk("stack", _stack(batches, size), 0, len(batches), rows, size)

    def _note(self, rows, count):
        """Note batches of so many rows: full ones must divide over the devices, others need not."""
        if rows == self.largest or (rows > self.largest and count > 1):
            spread.refuse_uneven(rows)
        self.largest = max(rows, self.largest)

    def _alike(self, form, most, patience):
        """The next batches while they are of a form, come soon, and are not more than `most`."""
        begun, found = time.perf_counter(), []
        while len(found) < most and time.perf_counter() - begun < patience:
            batch = self._next()
            if batch is None:
                break
            if form_of(batch) != form:
                self.held.insert(0, batch)
                break
            found.append(batch)
        return found


class SharedSource(StreamSource):
    """Batches to which each process brings its own rows: the whole is all of theirs in order.

    Before each chunk the processes tell each other what they have. Usually that is the same number
    of rows. Where it is not, as at the end, batches are made whole on every process, one by one,
    of all the rows there are; a process without any takes part with none until all are done.
    """

    def __init__(self, batches: Batches, epoch: int = 0):
        self.sizes: dict = {}  # forms of batches to how many of them run in a call
        super().__init__(batches, epoch)

    def take(self, most, step):
        first = self._next()
        found = [] if first is None else [first]
        if found:
            form = self.last_form = shapes_of(first)
            most = min(most, self.sizes.get(form_of(form), 1))
            found += self._alike(form_of(form), most - 1, math.inf)
        if self.last_form is None:
            said = processes.meet("the next batches", "none\t0\t0")
        else:
            rows = _rows_of(first) if found else 0
            said = processes.meet(
                "the next batches", f"{_columns(self.last_form)}\t{len(found)}\t{rows}"
            )
        columns, counts, rows = zip(*(text.split("\t") for text in said), strict=True)
        counts, rows = [int(n) for n in counts], [int(n) for n in rows]
        if not any(counts):
            return None
        _check_columns(columns)
        even = len(set(rows)) == 1 and spread.shares_fit(sum(rows))
        count = min(counts) if even else 1
        if len(set(rows)) == 1:
            self._note(sum(rows), count)
        self.held[:0] = found[count:]
        if not even:
            return self._uneven(found, rows)
        whole = _with_rows(self.last_form, sum(rows))
        if count == 1 and len(set(counts)) == 1:  # learn how many to read next time
            self.sizes[form_of(self.last_form)] = 0 if step.eager else step.stack_size(whole)
        return self._even(found[:count], sum(rows))

    def _even(self, found, rows):
        """Batches to which every process brings as many rows."""
        size = self.sizes.get(form_of(self.last_form), 0)
        if not size:
            return Chunk("batch", spread.join_batch(found[0]), 0, 1, rows)
        data = spread.join_batch(_stack(found, size), stacked=True)
        return Chunk("stack", data, 0, len(found), rows, size)

    def _uneven(self, found, rows):
        """One batch, of whatever rows the processes have."""
        own = found[0] if found else _with_rows(self.last_form, 0)

        def join(array):
            padded = np.zeros((max(rows), *array.shape[1:]), _device_dtype(array))
            if found:
                padded[: len(array)] = array
            parts = multihost_utils.process_allgather(padded)
            return np.concatenate([part[:n] for part, n in zip(parts, rows, strict=True)])

        return Chunk("batch", jax.tree.map(join, own), 0, 1, sum(rows))


def _rows_of(batch):
    return len(jax.tree.leaves(batch)[0])


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


def make_source(batches: Batches, epoch: int = 0) -> Source:
    """Arrays from where they are: on the host for the CPU, on other devices if they fit there."""
    kind = _source_for(batches)
    if processes.count() > 1:
        _compare_data(batches, kind)
    return kind(batches, epoch)


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
            facts["arrays"] = _columns(shapes_of(batches.arrays))
            facts["arrays' values"] = " ".join(map(sample, jax.tree.leaves(batches.arrays)))
    processes.compare("fit, evaluate or predict", facts)


def _stack(batches, size):
    def stack(*arrays):
        stacked = np.zeros((size, *arrays[0].shape), _device_dtype(arrays[0]))
        for i, array in enumerate(arrays):
            stacked[i] = array
        return stacked

    return jax.tree.map(stack, *batches)


def fetch(kind: str, data: Any, i: Any, rows: int) -> Any:
    """Batch number `i` of a chunk's data, on the device."""
    if kind == "stack":
        return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), data)
    arrays, order = data
    index = jax.lax.dynamic_slice_in_dim(order, i * rows, rows)
    return jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds"), arrays)


def placed(chunk: Chunk, eager: bool = False) -> Any:
    """A chunk's data, on the devices where they are to be; JAX itself brings it to a single one."""
    if chunk.kind == "order" or (distribution() is None and not eager):
        return chunk.data
    return spread.distribute_batch(chunk.data, stacked=chunk.kind == "stack")


def sample_of(chunk: Chunk) -> Any:
    """Shapes of one batch of a chunk."""
    if chunk.kind == "batch":
        return shapes_of(chunk.data)
    data, lead = (chunk.data, ()) if chunk.kind == "stack" else (chunk.data[0], (chunk.rows,))
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((*lead, *a.shape[1:]), _device_dtype(a)), data
    )


def shapes_of(batch: Any) -> Any:
    """Shapes and dtypes that a batch has on the device."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, _device_dtype(a)), batch)


def form_of(batch: Any) -> tuple:
    """Structure, shapes and dtypes of a batch, to tell whether two are alike."""
    leaves, tree = jax.tree.flatten(batch)
    return tree, tuple((a.shape, _device_dtype(a)) for a in leaves)


def _device_dtype(array):
    return jax.dtypes.canonicalize_dtype(array.dtype)
