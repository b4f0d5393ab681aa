"""What the second table measures: models of other kinds than the first, and the data they get.

Only data stand here, so that runners of any framework can read them: how many rows, of what shape,
and what is asked of them. `other_keras` and `other_torch` have the models, by the same names.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Task(NamedTuple):
    """A model's data.

    Attributes:
        data: Function of NumPy's generator and a number of rows that makes inputs and targets.
        batch: Rows of a step.
        steps: Steps of an epoch.
        loss: `"classes"`: cross-entropy of logits, over the last axis; `"mse"`; `"binary"`: of
            one logit; `"own"`: the model's own.
        fed: `"arrays"`, `"generator"` or `"dataset"` (one that is indexed, of threads).
    """

    data: Callable
    batch: int
    steps: int
    loss: str = "classes"
    fed: str = "arrays"


def normal(*shape, classes=10):
    """Normal inputs of this shape, and classes."""

    def make(rng, rows):
        x = rng.standard_normal((rows, *shape), dtype="float32")
        return x, rng.integers(0, classes, rows).astype("int32")

    return make


def itself(*shape, lowest=-1.0):
    """Uniform inputs that are to come back."""

    def make(rng, rows):
        x = rng.uniform(lowest, 1.0, (rows, *shape)).astype("float32")
        return x, x

    return make


def pixels(*shape, classes):
    """Images, and a class for each pixel."""

    def make(rng, rows):
        x = rng.standard_normal((rows, *shape), dtype="float32")
        return x, rng.integers(0, classes, (rows, *shape[:-1])).astype("int32")

    return make


def tokens(length, vocabulary, padded=False, classes=2):
    """Token ids, with zeros at the end if padded, and classes."""

    def make(rng, rows):
        x = rng.integers(1, vocabulary, (rows, length)).astype("int32")
        if padded:
            x[np.arange(length) >= rng.integers(length // 4, length + 1, (rows, 1))] = 0
        return x, rng.integers(0, classes, rows).astype("int32")

    return make


def next_tokens(length, vocabulary):
    """Token ids, and those that follow."""

    def make(rng, rows):
        x = rng.integers(0, vocabulary, (rows, length + 1)).astype("int32")
        return x[:, :-1].copy(), x[:, 1:].copy()

    return make


def categories(*sizes, numbers=0):
    """A column of ids for each size, numbers, and a label of 0 or 1."""

    def make(rng, rows):
        x = [rng.integers(0, size, rows).astype("int32") for size in sizes]
        if numbers:
            x.append(rng.standard_normal((rows, numbers), dtype="float32"))
        return tuple(x), rng.integers(0, 2, (rows, 1)).astype("float32")

    return make


def pairs(*shape):
    """Two inputs of one shape, and whether they match."""

    def make(rng, rows):
        x = tuple(rng.standard_normal((rows, *shape), dtype="float32") for _ in range(2))
        return x, rng.integers(0, 2, (rows, 1)).astype("float32")

    return make


def translation(length, vocabulary):
    """Token ids of a source and of what is made of it so far, and those that follow."""

    def make(rng, rows):
        source, target = rng.integers(0, vocabulary, (2, rows, length + 1)).astype("int32")
        return (source[:, 1:].copy(), target[:, :-1].copy()), target[:, 1:].copy()

    return make


TASKS = {
    "residual": Task(normal(32, 32, 3), 64, 6),
    "depthwise": Task(normal(32, 32, 3), 64, 12),
    "unet": Task(pixels(64, 64, 3, classes=4), 8, 10),
    "text-conv": Task(tokens(200, 20_000), 32, 20),
    "decoder": Task(next_tokens(128, 2000), 16, 8),
    "bidirectional-gru": Task(normal(60, 16), 32, 40),
    "masked-lstm": Task(tokens(80, 5000, padded=True), 32, 40),
    "dilated-conv": Task(normal(256, 8), 32, 20),
    "autoencoder": Task(itself(28, 28, 1), 64, 20, "mse"),
    "wide-and-deep": Task(categories(1000, 500, 200, 50, numbers=13), 256, 100, "binary"),
    "gan": Task(itself(32), 64, 60, "own"),
    "vae": Task(itself(28, 28, 1, lowest=0.0), 64, 12, "own"),
    "conv-lstm": Task(normal(8, 16, 16, 3), 8, 10),
    "masked-attention": Task(tokens(96, 5000, padded=True), 32, 12),
    "conv3d": Task(normal(16, 16, 16, 1), 16, 10),
    "grouped-conv": Task(normal(32, 32, 3), 32, 10),
    "mixer": Task(normal(64, 48), 64, 20),
    "squeeze-excite": Task(normal(32, 32, 3), 32, 10),
    "recommender": Task(categories(20_000, 10_000), 256, 60, "binary"),
    "siamese": Task(pairs(28, 28, 1), 32, 20, "binary"),
    "seq2seq": Task(translation(24, 1000), 32, 20),
    "augmented": Task(normal(32, 32, 3), 64, 20),
    "two-heads": Task(normal(64), 64, 200, "own"),
    "every-epoch": Task(normal(64), 32, 100),
    "generator": Task(normal(64), 32, 300, fed="generator"),
    "dataset": Task(normal(28, 28, 1), 32, 40, fed="dataset"),
}


def find_task(name: str) -> Task:
    """The task of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in TASKS:
        raise ValueError(f"no model {name!r}: one of {', '.join(TASKS)}")
    return TASKS[name]


def make_data(task: Task) -> tuple:
    """Inputs (a tuple where there are several) and targets, the same in every process."""
    return task.data(np.random.default_rng(0), task.batch * task.steps)


def as_list(x) -> list:
    """The inputs in a list, however many there are."""
    return list(x) if isinstance(x, tuple) else [x]
