"""Bytes of files where they lie: parts of files as files, and arrays filled from them."""

import contextlib
import io
import math
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

_ALIGNMENT = 64  # of arrays that JAX takes over without a copy


class BadFile(ValueError):
    """A file that is damaged, or claims what is refused."""


class Window(io.RawIOBase):
    """Part of an open file as a file of its own, to read in place.

    Args:
        file: The file, unbuffered.
        start: Where the part begins, in bytes.
        size: Its length, in bytes.
    """

    def __init__(self, file: Any, start: int, size: int):
        super().__init__()
        self.file, self.start, self.size, self.position = file, start, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a byte of the window.

        Args:
            offset: Bytes.
            whence: Where they count from, as for files.
        """
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = origin + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from where the window stands.

        Args:
            buffer: What is filled.
        """
        wanted = max(0, min(len(buffer), self.size - self.position))
        with memoryview(buffer)[:wanted] as target:
            read = _read_at(self.file, target, self.start + self.position)
        self.position += read
        return read

    def read_at(self, start: int, data: np.ndarray) -> None:
        """Fill an array of bytes from `start` on; several threads may at a time.

        Args:
            start: Byte of the window.
            data: The array.
        """
        done = 0
        while done < data.size:
            count = _read_at(self.file, data[done:], self.start + start + done)
            if not count:
                raise OSError("it ends too early")
            done += count

    def readable(self) -> bool:
        return True

    seekable = readable


def _by_position(file, target, start):
    return os.preadv(file.fileno(), [target], start)


_turn = threading.Lock()


def _in_turns(file, target, start):
    with _turn:
        file.seek(start)
        return file.readinto(target)


_read_at = _by_position if hasattr(os, "preadv") else _in_turns  # Windows has none


@contextlib.contextmanager
def file_window(path: str | os.PathLike) -> Iterator[Window]:
    """All of a file, open to read.

    Args:
        path: Path of the file.
    """
    with open(path, "rb", buffering=0) as file:
        yield Window(file, 0, os.fstat(file.fileno()).st_size)


def as_bytes(value: np.ndarray) -> Any:
    """An array's bytes, without a copy if it is contiguous.

    Args:
        value: The array.
    """
    return np.ascontiguousarray(value).reshape(-1).view("u1")


def aligned_empty(shape: tuple, dtype: Any) -> np.ndarray:
    """An array to be filled, placed so that JAX can take it over without a copy.

    Args:
        shape: Shape of the array.
        dtype: Its dtype.
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    room = np.empty(size + _ALIGNMENT, "u1")
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)
