"""Sizes of the accelerator's models and their data, and the loop of those without `fit`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """A model's sizes and its data's.

    Attributes:
        kind: `"mlp"`, `"residual"` or `"decoder"`.
        width: Units, filters of the first stage, or width of tokens.
        depth: Layers, blocks of a stage, or blocks.
        extent: Features, pixels of a side, or tokens.
        batch: Rows of a step.
        steps: Steps of an epoch.
    """

    kind: str
    width: int
    depth: int
    extent: int
    batch: int
    steps: int


CASES = {
    "full": {
        "mlp-small": Case("mlp", 64, 3, 64, 32, 2000),
        "mlp-large": Case("mlp", 4096, 4, 1024, 1024, 50),
        "residual": Case("residual", 64, 3, 32, 256, 40),
        "decoder": Case("decoder", 512, 6, 256, 32, 30),
        "decoder-long": Case("decoder", 512, 4, 1024, 8, 20),
    },
    "small": {
        "mlp-small": Case("mlp", 16, 2, 8, 8, 20),
        "residual": Case("residual", 4, 1, 8, 4, 3),
        "decoder": Case("decoder", 16, 1, 8, 2, 3),
    },
}
CLASSES, VOCABULARY, HEADS = 10, 2048, 8


def make_data(case):
    """Inputs and targets, the same in every process."""
    rng, rows = np.random.default_rng(0), case.batch * case.steps
    if case.kind == "decoder":
        x = rng.integers(0, VOCABULARY, (rows, case.extent + 1)).astype("int32")
        return x[:, :-1].copy(), x[:, 1:].copy()
    side = case.extent
    shape = (side, side, 3) if case.kind == "residual" else (side,)
    return (
        rng.standard_normal((rows, *shape), dtype="float32"),
        rng.integers(0, CLASSES, rows).astype("int32"),
    )


def epochs_of(case: Case, step: Callable) -> Callable:
    """Training by a function of a batch that gives the loss: shuffled epochs, one look at each end.

    Args:
        case: The model's sizes.
        step: The function.
    """

    def train(x, y, tick, epochs):
        rng = np.random.default_rng(1)
        for _ in range(epochs):
            for rows in rng.permutation(len(x)).reshape(case.steps, case.batch):
                loss = step(x[rows], y[rows])
            float(loss)
            tick()

    return train
