"""Checksums at the speed of memory: zip's CRC-32 of a file's bytes, and one of arrays."""

import os
import zlib
from collections.abc import Callable

import numpy as np

_PIECE = 2**18  # bytes that are still in the processor's cache when they are looked at again
_BLOCK = 2**16
# CRC-32's polynomial divides x^91639 + x^41678 + 1, and so that one's 64th power: a word of 64
# bits may be added (exclusive or) to those 49961 and 91639 words further on, and forgotten.
_FAR, _NEAR = 91639, 49961
_STEP = _FAR - _NEAR  # words from which none is added to another of them


def bytes_of(value: np.ndarray) -> np.ndarray:
    """An array's bytes, without a copy if it lies in one piece."""
    return np.ascontiguousarray(value).reshape(-1).view("u1")


def sum_of(name: str, value: np.ndarray, fill: Callable | None = None) -> int:
    """Checksum of an array's place, type and bytes: CRC-32 of the 64-bit sums of its blocks.

    Args:
        name: Where the array belongs, so that no other one can take its place.
        value: The array.
        fill: If given, `fill(piece, at)` first puts the bytes there, piece by piece.
    """
    state = zlib.crc32(f"{name} {value.dtype.name}{value.shape}".encode())
    data = bytes_of(value)
    for at in range(0, data.size, _PIECE):
        piece = data[at : at + _PIECE]
        if fill is not None:
            fill(piece, at)
        whole = piece.size - piece.size % _BLOCK
        sums = piece[:whole].view("u8").reshape(-1, _BLOCK // 8).sum(axis=1)
        state = zlib.crc32(piece[whole:], zlib.crc32(sums, state))
    return state


def crc_of(handle: int, start: int, size: int) -> int:
    """CRC-32 of a part of an open file, several times as fast as zlib's own.

    All but the last words are folded into those that follow; zlib counts what is left.
    """
    rest = np.empty(min(size, 8 * _FAR + size % 8), "u1")
    if size <= 2 * rest.size:
        return zlib.crc32(read_into(np.empty(size, "u1"), handle, start))
    folded, block = np.zeros(_FAR, "<u8"), np.empty(_STEP, "<u8")
    slot, at, end = 0, start, start + size - rest.size
    while at < end:
        count = min(_STEP, _FAR - slot, (end - at) // 8)
        words = read_into(block[:count].view("u1"), handle, at).view("<u8")
        if at == start:
            words[0] ^= np.uint64(0xFFFFFFFF)  # what CRC-32 begins with
        here = folded[slot : slot + count]
        here ^= words
        near = (slot + _NEAR) % _FAR
        fits = min(count, _FAR - near)
        folded[near : near + fits] ^= here[:fits]
        folded[: count - fits] ^= here[fits:]
        slot, at = (slot + count) % _FAR, at + 8 * count
    last = read_into(rest, handle, end)[: 8 * _FAR].view("<u8")
    last ^= np.roll(folded, -slot)
    return zlib.crc32(rest, 0xFFFFFFFF)


def read_into(data: np.ndarray, handle: int, start: int) -> np.ndarray:
    """Fill an array of bytes from an open file, and return it."""
    done = 0
    while done < data.size:
        count = os.preadv(handle, [data[done:]], start + done)
        if not count:
            raise OSError("it ends too early")
        done += count
    return data
