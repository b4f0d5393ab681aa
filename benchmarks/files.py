"""Seconds to save and load 100 MB of weights, beside what h5py alone takes for the same bytes.

    python -m benchmarks.files

Saving is beside h5py followed by `fsync`, as a file saved here is on the disk when it is done.
"""

import os
import pathlib
import statistics
import tempfile
import time

import h5py
import numpy as np

import kerasish as keras
from kerasish import layers

ROUNDS = 9


def make_model():
    """20 matrices of 5 MB each."""
    sizes = [1024, 1280] * 10
    return keras.Sequential(
        [keras.Input((1280,)), *(layers.Dense(n, use_bias=False) for n in sizes)]
    )


def write_plainly(path, arrays):
    """The arrays with h5py, and on to the disk."""
    with h5py.File(path, "w") as file:
        for i, array in enumerate(arrays):
            file[f"layers/{i}/vars/0"] = array
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def read_plainly(path, count):
    """The arrays with h5py."""
    with h5py.File(path) as file:
        return [file[f"layers/{i}/vars/0"][()] for i in range(count)]


def main():
    """Let all take turns, and print the least and the middle time of each."""
    model = make_model()
    arrays = [np.asarray(w) for w in model.weights]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        plain = folder / "plain.h5"
        paths = [folder / f"model{end}" for end in (".weights.h5", ".safetensors", ".keras")]
        rows = {
            "write with h5py": lambda: write_plainly(plain, arrays),
            "save .weights.h5": lambda: model.save_weights(paths[0]),
            "save .safetensors": lambda: model.save_weights(paths[1]),
            "save .keras": lambda: model.save(paths[2]),
            "read with h5py": lambda: read_plainly(plain, len(arrays)),
            **{f"load {p.name[5:]}": lambda p=p: model.load_weights(p) for p in paths},
        }
        seconds = {what: [] for what in rows}
        for _ in range(ROUNDS):
            for what, act in rows.items():
                start = time.perf_counter()
                act()
                seconds[what].append(time.perf_counter() - start)
    for what, found in seconds.items():
        print(f"{what:20s} {min(found):6.3f} s at least, {statistics.median(found):6.3f} s mostly")


if __name__ == "__main__":
    main()
