"""Batches in chunks, as the engine runs them: stacked on the host, or gathered on the device."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from kerasish.data import ArrayBatches, Batches, prefetch

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
        size = 1 if self.full == 1 or step.eager else step.stack_size(self.form())
        count = min(most, size, self.full - start)
        self.position += count
        if size == 1:
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
    """Arrays put on the device once, and gathered there."""

    def __init__(self, batches: ArrayBatches, epoch: int = 0):
        self.arrays = as_arrays(batches.arrays)
        super().__init__(batches, epoch)

    def begin(self):
        super().begin()
        order = np.arange(self.batches.num_samples) if self.order is None else self.order
        self.device_order = jax.device_put(order.astype("int32"))

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
        self.held: Any = None
        self.last_form: Any = None
        super().__init__(batches, epoch)

    def begin(self):
        self.close()
        self.iterator = prefetch(self.batches.epoch(self.passes))
        self.seen = 0

    @property
    def position(self):
        return self.seen - (self.held is not None)

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
        self.held = self._next()
        return self.last_form if self.held is None else shapes_of(self.held)

    def restart(self):
        return super().restart() if self.seen else False

    def close(self):
        if self.iterator is not None:
            self.iterator.close()
        self.iterator = None

    def _next(self):
        held, self.held = self.held, None
        if held is None:
            held = next(self.iterator or iter(()), None)
            self.seen += held is not None
        return held

    def take(self, most, step):
        first = self._next()
        if first is None:
            return None
        rows = len(jax.tree.leaves(first)[0])
        size = 1 if step.eager else step.stack_size(shapes_of(first))
        if size == 1:
            return Chunk("batch", first, 0, 1, rows)
        batches, begun, form = [first], time.perf_counter(), form_of(first)
        while len(batches) < min(most, size) and time.perf_counter() - begun < PATIENCE_SECONDS:
            batch = self._next()
            if batch is None:
                break
            if form_of(batch) != form:
                self.held = batch
                break
            batches.append(batch)
        return Chunk("stack", _stack(batches, size), 0, len(batches), rows, size)


def make_source(batches: Batches, epoch: int = 0) -> Source:
    """Arrays from where they are: on the host for the CPU, on other devices if they fit there."""
    if not isinstance(batches, ArrayBatches):
        return StreamSource(batches, epoch)
    device = jax.devices()[0]
    if device.platform == "cpu":
        return ArraySource(batches, epoch)
    room = (device.memory_stats() or {}).get("bytes_limit", 0) / 4
    size = sum(a.nbytes for a in jax.tree.leaves(batches.arrays))
    return (ResidentSource if size < room else ArraySource)(batches, epoch)


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


def as_arrays(batch: Any) -> Any:
    """A nest of arrays on the device."""

    def put(array):
        dtype = _device_dtype(array)
        return jax.device_put(array if array.dtype == dtype else array.astype(dtype))

    return jax.tree.map(put, batch)


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
