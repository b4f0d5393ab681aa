"""A file is replaced by a whole one, or not at all."""

import os
import time

import pytest

from kerasish.core import atomic_files


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    (tmp_path / "x").write_text("old")
    with atomic_files.replacing(tmp_path / "x") as beside:
        beside.write_text("new")
        assert (tmp_path / "x").read_text() == "old"
    assert (tmp_path / "x").read_text() == "new" and left_in(tmp_path) == ["x"]


@pytest.mark.parametrize("when", ["while it is written", "at its end"])
def test_a_disk_that_fails_leaves_the_old_file(when, tmp_path, monkeypatch):
    (tmp_path / "x").write_text("old")
    failed = []

    def fsync(handle):
        failed.append(handle)
        if len(failed) == 1:  # a system says but once that a write failed
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)

    def write():
        with atomic_files.replacing(tmp_path / "x") as beside:
            beside.write_text("new")
            while when == "while it is written" and not failed:
                time.sleep(0.001)

    with pytest.raises(OSError, match="No space left"):
        write()
    assert (tmp_path / "x").read_text() == "old" and left_in(tmp_path) == ["x"]
