"""Checksums: zip's own number, and one that moves when anything does."""

import zipfile
import zlib

import h5py
import numpy as np
import pytest

import kerasish as keras
from kerasish.saving.formats import zip_archive
from kerasish.saving.io import crc32, file_window
from kerasish.saving.io.parallel_reader import Reader, StoredArray
from kerasish.saving.weights_api import WEIGHTS_MEMBER

SIZES = [0, 1, 7, 2**16, 2**20 + 5]


@pytest.mark.parametrize("size", SIZES)
def test_the_crc_of_two_pieces_follows_from_theirs(size):
    data = np.random.default_rng(size).bytes(size + 100)
    first, second = data[:100], data[100:]
    assert crc32.joined(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(data)


def place(start, count):
    return StoredArray("x", "x", start, (count,), np.dtype("u1"), None)


@pytest.mark.parametrize("read_at", [file_window._read_at, file_window._in_turns])
def test_bytes_that_were_read_are_counted_once(read_at, monkeypatch, tmp_path):
    monkeypatch.setattr(file_window, "_read_at", read_at)
    data = np.random.default_rng(0).bytes(2**22)
    (tmp_path / "x").write_bytes(b"before" + data)
    places = [place(2**20, 2**19), place(7, 2**18), place(2**20 + 5, 2**19), place(0, 9)]
    with open(tmp_path / "x", "rb", buffering=0) as file:
        for crc in (zlib.crc32(data), zlib.crc32(data) ^ 1):
            reader = Reader(file_window.Window(file, 6, 2**22), "the file", crc)
            values = [wait() for wait in [reader.begin(place) for place in places]]
            if crc == zlib.crc32(data):
                reader.verify()
            else:
                with pytest.raises(
                    file_window.BadFile, match="the file is damaged: its checksum does not"
                ):
                    reader.verify()
            reader.close()
    assert [bytes(v) for v in values] == [data[p.start : p.start + p.shape[0]] for p in places]


def test_an_array_that_ends_after_the_file_is_an_error(tmp_path):
    (tmp_path / "x").write_bytes(bytes(2**16))
    with file_window.file_window(tmp_path / "x") as window:
        reader = Reader(window, "x")
        for count in (2**16, 9):
            with pytest.raises(OSError, match="ends too early"):
                reader.begin(place(2**16 - 5, count))()
        reader.close()


@pytest.mark.parametrize("sizes", [[9], [2**17, 99, 2**16, 2**18 + 5]])
def test_an_archive_begins_with_a_file_that_lies_open_in_it(sizes, tmp_path):
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 256, size).astype("u1") for size in sizes]

    def write(path, free, wrote):
        with open(path, "wb") as file:
            file.seek(free)
            for value in values:
                file.write(b"between")
                wrote(file.tell(), value)
                file.write(value)

    with zip_archive.new_archive(tmp_path / "x", "first", write) as archive:
        archive.writestr("last", "last")
    with zipfile.ZipFile(tmp_path / "x") as archive:
        assert archive.testzip() is None and archive.namelist() == ["last", "first"]
        assert archive.read("first") == b"".join(b"between" + bytes(value) for value in values)
        with zip_archive.open_member(archive, "first") as (window, crc):
            assert window.start == 512 and crc == zlib.crc32(archive.read("first"))


def test_hdf5_opens_a_saved_model_s_weights_where_they_lie(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d")])
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive, archive.open(WEIGHTS_MEMBER) as member:
        for file in (tmp_path / "m.keras", member):
            with h5py.File(file, "r") as h5:
                assert np.array_equal(h5["layers/dense/vars/0"], model.layers[0].kernel)


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
    assert crc32.sum_of("a", value) == crc32.sum_of("a", value.copy())
    assert crc32.sum_of(*CHANGES[change]("a", value)) != crc32.sum_of("a", value)


@pytest.mark.parametrize("read_at", [file_window._read_at, file_window._in_turns])
def test_a_window_reads_as_a_file_does(read_at, monkeypatch, tmp_path):
    monkeypatch.setattr(file_window, "_read_at", read_at)
    rng = np.random.default_rng(0)
    data = rng.bytes(2**17)
    (tmp_path / "x").write_bytes(b"before" + data + b"after")
    with open(tmp_path / "x", "rb", buffering=0) as file:
        window = file_window.Window(file, 6, len(data))
        for _ in range(2000):
            start = int(rng.choice([*rng.integers(0, len(data), 3), 0, len(data) - 9]))
            size = int(2 ** rng.uniform(0, 15))
            window.seek(start)
            assert window.read(size) == data[start : start + size]
            assert window.tell() == min(start + size, len(data))
