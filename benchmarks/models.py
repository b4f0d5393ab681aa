"""What is measured: models as plain data, which each framework's runner builds its own way.

A layer is a tuple of its kind and its sizes:
    ("dense", units, relu?)   ("conv", filters, size, "valid" or "same")   ("pool", size)
    ("flatten",)   ("batch_norm",)   ("relu",)   ("dropout", rate)   ("lstm", units, sequences?)
    ("block", heads, hidden): attention and two dense layers, each normalized before and added
    ("mean",): over the tokens
Convolutions are followed by ReLU. The last dense layer gives logits of ten classes, the loss is
cross-entropy, the optimizer Adam at 0.001, and there are no metrics: all frameworks do equal work.
"""

import re
from typing import NamedTuple

import numpy as np


class Model(NamedTuple):
    """One model and the data it is fed.

    Attributes:
        shape: Shape of one input.
        layers: The layers, in order.
        batch: Samples a step.
        steps: Steps an epoch.
    """

    shape: tuple
    layers: list
    batch: int
    steps: int


def mlp(*units):
    """Dense layers of these sizes, with ReLU on all but the last."""
    return [*(("dense", n, True) for n in units[:-1]), ("dense", units[-1], False)]


def convolutions(padding, *filters):
    """Convolutions of 3 x 3, each number a layer and each `None` a pooling of 2 x 2."""
    return [("conv", n, 3, padding) if n else ("pool", 2) for n in filters]


LOGITS = ("dense", 10, False)
NORMALIZED = [("dense", 64, False), ("batch_norm",), ("relu",), ("dropout", 0.2)]
CNN = [*convolutions("valid", 32, None, 64, None), ("flatten",), ("dropout", 0.5), LOGITS]
VGG = [*convolutions("same", 32, 32, None, 64, 64, None, 128, 128, None), ("flatten",), LOGITS]

MODELS = {
    "mlp-tiny": Model((8,), mlp(30, 10), batch=32, steps=1000),
    "mlp-mnist": Model((784,), mlp(300, 100, 10), batch=32, steps=500),
    "mlp-deep": Model((3072,), mlp(*[100] * 20, 10), batch=32, steps=200),
    "mlp-wide": Model((784,), mlp(1024, 1024, 10), batch=512, steps=40),
    "normalized": Model((64,), [*NORMALIZED * 4, LOGITS], batch=32, steps=500),
    "cnn": Model((28, 28, 1), CNN, batch=32, steps=60),
    "vgg": Model((32, 32, 3), VGG, batch=32, steps=20),
    "lstm": Model((50, 16), [("lstm", 64, True), ("lstm", 64, False), LOGITS], batch=32, steps=60),
    "transformer": Model((64, 64), [*[("block", 4, 256)] * 2, ("mean",), LOGITS], 32, steps=40),
}


def find_model(name: str) -> Model:
    """A model of the registry, or `mlp:WIDTHxDEPTH@BATCH`: dense layers, steps to fill a second."""
    if name in MODELS:
        return MODELS[name]
    found = re.fullmatch(r"mlp:(\d+)x(\d+)@(\d+)", name)
    if not found:
        raise ValueError(f"no model {name!r}: one of {', '.join(MODELS)}, or mlp:64x3@32")
    width, depth, batch = map(int, found.groups())
    work = 6 * batch * width * (64 + width * (depth - 1))  # additions and products of a step
    return Model((64,), mlp(*[width] * depth, 10), batch, steps=int(min(2000, 2e10 / work)))


def known(name: str) -> str:
    """A name for which there is a model; an error otherwise."""
    find_model(name)
    return name


def make_data(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Normal inputs and random classes, the same in every process."""
    rng = np.random.default_rng(0)
    rows = model.batch * model.steps
    x = rng.standard_normal((rows, *model.shape), dtype="float32")
    return x, rng.integers(0, 10, rows).astype("int32")
