"""Seconds to save and load 100 MB of weights, and how many times what h5py alone takes.

    python -m benchmarks.files

h5py alone: the same arrays, from NumPy into one file over the last one, then `fsync`, as a file
saved here is on the disk when it is done; and from that file into new NumPy arrays, no `fsync`.
All files are in the system's cache when they are read. All take turns in every round, in another
order each time: what one leaves in memory and on the disk changes the next.
"""

import os
import pathlib
import random
import statistics
import tempfile
import time

import h5py
import numpy as np

import kerasish as keras
from kerasish import layers

ROUNDS = 15


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


def make_rows(folder):
    """What is timed: its name to the function, and the name of what it stands beside."""
    model = make_model()
    arrays = [np.asarray(w) for w in model.weights]
    plain = folder / "plain.h5"
    names = (".weights.h5", ".weights.json", ".safetensors", ".keras")
    paths = {name: folder / f"model{name}" for name in names}
    saves = {
        ".weights.h5": model.save_weights,
        ".weights.json": lambda path: model.save_weights(path, max_shard_size=0.03),
        ".safetensors": model.save_weights,
        ".keras": model.save,
    }
    rows = {"h5py: write": (lambda: write_plainly(plain, arrays), "h5py: write")}
    for name, path in paths.items():
        rows[f"save {name}"] = lambda name=name, path=path: saves[name](path), "h5py: write"
    rows["h5py: read"] = lambda: read_plainly(plain, len(arrays)), "h5py: read"
    for name, path in paths.items():
        rows[f"load {name}"] = lambda path=path: model.load_weights(path), "h5py: read"
    return rows


def main():
    """Let all take turns; print the least and the middle time of each, and the ratio of those."""
    with tempfile.TemporaryDirectory() as name:
        rows = make_rows(pathlib.Path(name))
        seconds = {what: [] for what in rows}
        later = [what for what in rows if what.startswith("load") or what == "h5py: read"]
        first = [what for what in rows if what not in later]
        for _ in range(ROUNDS):
            for what in random.sample(first, len(first)) + random.sample(later, len(later)):
                act, _ = rows[what]
                start = time.perf_counter()
                act()
                seconds[what].append(time.perf_counter() - start)
    print("| | least, ms | median, ms | median beside h5py |\n| --- | ---: | ---: | ---: |")
    for what, (_, beside) in rows.items():
        least, median = min(seconds[what]) * 1e3, statistics.median(seconds[what]) * 1e3
        ratio = median / statistics.median(seconds[beside]) / 1e3
        print(f"| {what} | {least:.0f} | {median:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
