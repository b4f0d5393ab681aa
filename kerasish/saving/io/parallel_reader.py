"""Arrays read from an open file, several at a time, and checked as they come."""

import concurrent.futures
import functools
import math
import os
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from kerasish.saving.io.crc32 import joined, sum_of
from kerasish.saving.io.file_window import BadFile, Window, aligned_empty, as_bytes

_SMALL = 2**16  # bytes that are read sooner than a thread wakes up
_PIECE = 2**20


class StoredArray(NamedTuple):
    """Where an array is.

    Attributes:
        who: The file's path and the array's name there, for errors.
        name: The name that its checksum counts.
        start: Where it begins, in bytes.
        shape: Its shape.
        dtype: Its type.
        checksum: What `sum_of` must give, if known.
    """

    who: str
    name: str
    start: int
    shape: tuple
    dtype: Any
    checksum: int | None


def check_sum(value: np.ndarray, stored: StoredArray) -> None:
    """Raise if an array is not what it was when written, as far as that is known.

    Args:
        value: The array.
        stored: What the file says of it.
    """
    if stored.checksum is not None and sum_of(stored.name, value) != stored.checksum:
        raise BadFile(f"{stored.who} is damaged: its checksum does not fit.")


def crc_of(window: Window, known: Iterable[tuple[int, int, int]] = ()) -> int:
    """The CRC-32 of a window's bytes.

    Args:
        window: The bytes.
        known: Start, size and CRC-32 of parts that need not be looked at again.
    """
    state, at = 0, 0
    for start, size, crc in sorted(known):
        if start >= at:  # else some of its bytes are in the one before
            state = joined(_count(window, at, start, state), crc, size)
            at = start + size
    return _count(window, at, window.size, state)


def _count(window, start, end, state):
    piece: Any = np.empty(min(_PIECE, end - start), "u1")
    for at in range(start, end, _PIECE):
        data = piece[: end - at]
        window.read_at(at, data)
        state = zlib.crc32(data, state)
    return state


def make_threads() -> concurrent.futures.Executor:
    """As many threads as reading is faster with."""
    return concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1))


class Reader:
    """Reads arrays from a file's bytes, several at a time.

    Args:
        window: The bytes.
        where: The file's path, for errors.
        crc: What the CRC-32 of all bytes must be, if known.
        threads: What reads, if it is to be shared; it must end before the file is closed.
    """

    def __init__(
        self,
        window: Window,
        where: Any,
        crc: int | None = None,
        threads: concurrent.futures.Executor | None = None,
    ):
        self.window, self.where, self.expected_crc = window, where, crc
        self._known: list[tuple[int, int, int]] = []  # start, size and CRC of what was read
        self._all_checked = True
        self._owns_threads = threads is None
        self._threads = threads or make_threads()

    def begin(self, stored: StoredArray) -> Callable[[], np.ndarray]:
        """Begin to read an array; what is returned waits for it.

        Args:
            stored: What the file says of the array.
        """
        self._all_checked = self._all_checked and stored.checksum is not None
        if math.prod(stored.shape) * stored.dtype.itemsize < _SMALL:
            return functools.partial(self._read, stored)
        return self._threads.submit(self._read, stored).result

    def _read(self, stored):
        value = aligned_empty(stored.shape, stored.dtype)
        data = as_bytes(value)
        self.window.read_at(stored.start, data)  # not mapped, as others may shorten the file
        check_sum(value, stored)
        if self.expected_crc is not None and stored.checksum is None and data.size >= _SMALL:
            self._known.append((stored.start, data.size, zlib.crc32(data)))
        return value

    def verify(self) -> None:
        """Raise if anything that was read is not what it was when written, as far as is known."""
        if self.expected_crc is None or self._all_checked:
            return
        if crc_of(self.window, self._known) != self.expected_crc:
            raise BadFile(f"{self.where} is damaged: its checksum does not fit.")

    def close(self) -> None:
        """Drop what was begun and not waited for, unless the threads are another's."""
        if self._owns_threads:
            self._threads.shutdown(cancel_futures=True)
