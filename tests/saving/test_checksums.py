"""Checksums: zip's own number, and one that moves when anything does."""

import tempfile
import zlib

import numpy as np
import pytest

from kerasish.saving import checksums

FAR = 8 * 91639  # bytes that are left to zlib
SIZES = [0, 1, 7, 1000, FAR, 2 * FAR, 2 * FAR + 1, 2 * FAR + 8, 3 * FAR + 13, 2**22 + 5]


@pytest.mark.parametrize("size", SIZES)
def test_a_part_of_a_file_has_the_crc_that_zlib_counts(size):
    data = np.random.default_rng(size).bytes(size + 200)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        for start in (0, 97):
            found = checksums.crc_of(file.fileno(), start, size)
            assert found == zlib.crc32(data[start : start + size])


def test_a_part_that_ends_after_the_file_is_an_error():
    with tempfile.TemporaryFile() as file, pytest.raises(OSError, match="ends too early"):
        checksums.crc_of(file.fileno(), 0, 10)


CHANGES = {
    "a bit": lambda name, value: (name, np.where(np.arange(value.size) == 7, -value, value)),
    "the last entry": lambda name, value: (name, np.append(value[:-1], 3.0).astype("f4")),
    "the shape": lambda name, value: (name, value.reshape(2, -1)),
    "the type": lambda name, value: (name, value.view("i4")),
    "the place": lambda name, value: ("b", value),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_array_s_sum_moves_with(change):
    value = np.linspace(1, 2, 300_002, dtype="f4")
    assert checksums.sum_of("a", value) == checksums.sum_of("a", value.copy())
    assert checksums.sum_of(*CHANGES[change]("a", value)) != checksums.sum_of("a", value)
