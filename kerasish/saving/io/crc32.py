"""Checksums: of arrays, at the speed of memory, and zip's CRC-32, joined from those of parts."""

import functools
import zlib
from typing import Any

import numpy as np

from kerasish.saving.io.file_window import as_bytes

_BLOCK = 2**16
_CRC_POLYNOMIAL = 0xEDB88320  # the highest bit of a number stands for x^0


def sum_of(name: str, value: np.ndarray) -> int:
    """Checksum of an array's name, type and bytes: CRC-32 of the 64-bit sums of its blocks.

    Args:
        name: Where the array belongs, so that no other one can pass for it.
        value: The array.
    """
    state = zlib.crc32(f"{name} {value.dtype.name}{value.shape}".encode())
    data = as_bytes(value)
    whole = data.size - data.size % _BLOCK
    sums: Any = data[:whole].view("u8").reshape(-1, _BLOCK // 8).sum(axis=1)
    return zlib.crc32(data[whole:], zlib.crc32(sums, state))


def joined(first: int, second: int, size: int) -> int:
    """The CRC-32 of two pieces in a row, from their own.

    Args:
        first: The first one's.
        second: The second one's.
        size: Bytes in the second one.
    """
    return _times(_shift(size), first) ^ second


@functools.lru_cache(1024)
def _shift(size):
    """What so many bytes do to the CRC of those before them: x^(8 size)."""
    power, square = 1 << 31, 1 << 23
    while size:
        if size & 1:
            power = _times(power, square)
        square, size = _times(square, square), size >> 1
    return power


def _times(a, b):
    """Product of two polynomials, modulo CRC-32's."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_CRC_POLYNOMIAL if b & 1 else 0)
    return product
