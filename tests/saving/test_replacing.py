"""Saving over what is there: the old model or the new one, whatever happens in between."""

import errno
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.core import atomic_files
from kerasish.core.atomic_files import replacing
from kerasish.saving.formats import model_folder

X = np.ones((2, 3), "float32")


class Noted(layers.Layer):
    """A layer with a file of its own."""

    def __init__(self, note="", **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def call(self, inputs):
        return inputs

    def save_assets(self, folder):
        pathlib.Path(folder, "note").write_text(self.note)

    def load_assets(self, folder):
        self.read = pathlib.Path(folder, "note").read_text()


def old(note=True):
    stack = [keras.Input((3,)), layers.Dense(2), *([Noted("old")] if note else [])]
    return keras.Sequential(stack)


def new(note=True):
    stack = [keras.Input((3,)), layers.Dense(4), layers.Dense(2)]
    return keras.Sequential([*stack, *([Noted("new")] if note else [])])


def load(path):
    return keras.models.load_model(path, {"Noted": Noted})


def interrupted_at(monkeypatch, count):
    """Let the `count`-th step that changes the folder's list of files be the last one."""
    done = []

    def stopping(fn):
        def step(*args, **kwargs):
            if len(done) >= count:
                raise KeyboardInterrupt
            done.append(fn)
            return fn(*args, **kwargs)

        return step

    monkeypatch.setattr(os, "replace", stopping(os.replace))
    monkeypatch.setattr(model_folder.shutil, "rmtree", stopping(shutil.rmtree))
    return done


@pytest.mark.parametrize("notes", [(True, True), (True, False), (False, True), (False, False)])
def test_a_folder_holds_one_of_two_models_at_every_moment(notes, tmp_path):
    before, after = old(notes[0]), new(notes[1])
    outputs = [m.predict(X, verbose=0) for m in (before, after)]
    seen = []
    for count in range(30):
        path = tmp_path / str(count)
        before.save(path, zipped=False)
        with pytest.MonkeyPatch.context() as patch:
            done = interrupted_at(patch, count)
            try:
                after.save(path, zipped=False)
                finished = True
            except KeyboardInterrupt:
                finished = False
        loaded = load(path)
        is_new = len(loaded.layers) == len(after.layers) and loaded.layers[0].units == 4
        np.testing.assert_array_equal(loaded.predict(X, verbose=0), outputs[is_new])
        if notes[is_new]:
            assert loaded.layers[-1].read == ("new" if is_new else "old")
        seen.append(is_new)
        before.save(path, zipped=False)  # whatever was left is no hindrance
        np.testing.assert_array_equal(load(path).predict(X, verbose=0), outputs[0])
        left = {name for name in os.listdir(path) if not name.startswith(atomic_files.BESIDE)}
        assert left <= {"config.json", "metadata.json", "model.weights.h5", "assets"}
        if finished:
            break
    assert finished and len(done) >= 4
    assert seen == sorted(seen) and {*seen} == {False, True}


def test_keras_reads_the_folder(tmp_path):
    oracle = pytest.importorskip("keras")
    model = new(note=False)
    for _ in range(2):
        model.save(tmp_path / "m", zipped=False)
    theirs = oracle.saving.load_model(tmp_path / "m")
    np.testing.assert_allclose(theirs.predict(X, verbose=0), model.predict(X, verbose=0), 1e-6)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("m.keras", lambda model, path: model.save(path)),
        ("m.weights.h5", lambda model, path: model.save_weights(path)),
    ],
)
def test_a_symlink_stays_and_what_it_points_to_is_replaced(name, save, tmp_path):
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / name, tmp_path / name
    save(old(), real)
    size = real.stat().st_size
    link.symlink_to(real)
    save(new(), link)
    assert link.is_symlink() and real.stat().st_size != size
    assert os.listdir(tmp_path / "store") == [name]


def test_a_symlink_to_nothing_yet(tmp_path):
    (tmp_path / "m.keras").symlink_to(tmp_path / "other.keras")
    new().save(tmp_path / "m.keras")
    assert (tmp_path / "other.keras").is_file() and (tmp_path / "m.keras").is_symlink()


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_names_as_long_as_the_file_system_allows(letter, tmp_path):
    name = letter * ((255 - len(".keras")) // len(letter.encode())) + ".keras"
    model = new(note=False)
    for _ in range(2):
        model.save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    np.testing.assert_array_equal(load(tmp_path / name).predict(X), model.predict(X))


FULL = {
    "system": OSError(errno.ENOSPC, "No space left on device", "/x/.partial-1-m.keras"),
    "HDF5": OSError("Can't write data (file write failed: errno = 28, error message = 'No space')"),
    "HDF5, at the end": RuntimeError("Can't decrement id ref count (write failed: errno = 28, x)"),
}


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_a_full_disk_is_said_in_one_line(error, tmp_path):
    path = tmp_path / "m.keras"
    path.write_text("old")
    with pytest.raises(OSError, match=rf"No space left on the disk of: '{path}'"), replacing(path):
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["m.keras"]


def test_a_full_disk_really(tmp_path):
    mount = shutil.which("mount")
    small = tmp_path / "small"
    small.mkdir()
    made = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "none", str(small)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        model = keras.Sequential([keras.Input((200,)), layers.Dense(200)])
        for save in (model.save, lambda path: model.save_weights(path.with_suffix(".weights.h5"))):
            with pytest.raises(OSError, match="No space left on the disk of"):
                save(small / "m.keras")
            assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_other_errors_stay(tmp_path):
    with pytest.raises(RuntimeError, match=r"^other$"), replacing(tmp_path / "m"):
        raise RuntimeError("other")
    assert atomic_files.BESIDE not in "".join(os.listdir(tmp_path))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"there is no folder {tmp_path}/absent"):
        new().save(tmp_path / "absent" / "m.keras")
