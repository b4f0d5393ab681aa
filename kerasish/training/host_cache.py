"""What the host has made of strings in memory, kept over the epochs of a `fit`."""

from typing import Any

import numpy as np

from kerasish.core.symbolic.host_tensor import HostProgram
from kerasish.data import ArrayBatches
from kerasish.data.array_batches import RowBatches
from kerasish.training.chunk_sources import ArraySource, ChunkSource, StreamSource, array_source

MAX_BYTES = 2**30  # of numbers to keep


class RowCache:
    """The numbers of each row, put there batch by batch.

    It keeps nothing where a row's numbers depend on its batch, as lengths do that are those of the
    longest text in it, or may differ from time to time.

    Args:
        rows: Number of rows.
    """

    def __init__(self, rows: int):
        self.rows = rows
        self._reset(None)

    def _reset(self, program):
        self.program, self.version = program, program and program.version()
        self.arrays: list[np.ndarray] | None = None
        self.found = np.zeros(self.rows, bool)
        self.works = program is None or self.version is not None

    def put(self, program: HostProgram, rows: Any, results: list[np.ndarray]) -> None:
        """Take the numbers of some rows.

        Args:
            program: What made them.
            rows: Numbers of the rows, or a slice.
            results: An array for each result of the program.
        """
        if program is not self.program or program.version() != self.version:
            self._reset(program)
        if not self.works:
            return
        if self.arrays is None:
            per_row = sum(x[:1].nbytes for x in results)
            self.works = per_row * self.rows <= MAX_BYTES
            self.arrays = [
                np.zeros((self.rows * self.works, *x.shape[1:]), x.dtype) for x in results
            ]
        pairs = list(zip(self.arrays, results, strict=True))
        self.works = self.works and all(a.shape[1:] == x.shape[1:] for a, x in pairs)
        if self.works:
            for array, result in pairs:
                array[rows] = result
            self.found[rows] = True

    def complete(self) -> list[np.ndarray] | None:
        """An array of all rows for each result; `None` while some are missing."""
        is_current = self.program is not None and self.program.version() == self.version
        return self.arrays if self.works and is_current and self.found.all() else None


class HostSource(ChunkSource):
    """Chunks of `HostBatches`: read from a thread at first, from memory once all is known."""

    def __init__(self, batches: Any, epoch: int = 0, needed: int | None = None):
        self.inner: Any = None  # a `ChunkSource` from the first pass on
        super().__init__(batches, epoch, needed)

    def start_pass(self) -> None:
        arrays: Any = self.batches.from_memory()
        if isinstance(self.inner, ArraySource) and arrays is not None:
            self.inner.passes = self.passes
            self.inner.start_pass()
            return
        self.close()
        if arrays is None:
            self.inner = StreamSource(self.batches, self.passes, self.needed)
        else:
            self.inner = array_source(arrays)(arrays, self.passes, self.needed)

    @property
    def position(self) -> Any:
        return self.inner.position

    def seek(self, passes: int, position: int) -> None:
        self.passes = passes
        self.inner.seek(passes, position)

    def batch_spec(self) -> Any:
        return self.inner.batch_spec()

    def can_stack(self) -> Any:
        return self.inner.can_stack()

    def next_chunk(self, max_batches: int, stack_room: int) -> Any:
        return self.inner.next_chunk(max_batches, stack_room)

    def close(self) -> None:
        if self.inner is not None:
            self.inner.close()


def as_array_batches(batches: RowBatches, parts: tuple) -> ArrayBatches:
    """Batches of other arrays of as many rows, in the same order.

    Args:
        batches: The batches.
        parts: The arrays.
    """
    return ArrayBatches(parts, batches.batch_size, batches.shuffle, batches.seed)
