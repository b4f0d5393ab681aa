"""Running exported models with JAX alone: this file also travels inside each of them.

import sys
sys.path.insert(0, "model.zip")
from exported import load

model = load("model.zip")
model(x)          # in order ...
model(image=x)    # ... or by the inputs' names
"""

import io
import json
import zipfile

import jax
import ml_dtypes
import numpy as np


def load(path):
    """Make an exported model callable; the batch may have any size."""
    return ExportedModel(path)


class ExportedModel:
    """A model as compiled for this machine from its StableHLO.

    Attributes:
        meta: Dict with `inputs` (name, shape, dtype each), `platforms` and `versions`.
    """

    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            self.meta = json.loads(archive.read("meta.json"))
            program = jax.export.deserialize(bytearray(archive.read("program.bin")))
            with np.load(io.BytesIO(archive.read("weights.npz")), allow_pickle=False) as stored:
                weights = [stored[str(i)] for i in range(len(stored.files))]
        names = self.meta["weights"]
        self._weights = [jax.device_put(_typed(w, n)) for w, n in zip(weights, names, strict=True)]
        self._run = jax.jit(program.call)

    def __call__(self, *args, **kwargs):
        """The outputs for inputs, in order or by name."""
        wanted = self.meta["inputs"]
        names = [entry["name"] for entry in wanted]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or set(given) != set(names):
            got = [*names[: len(args)], *kwargs]
            raise TypeError(
                f"The model's inputs are {names}; got {len(args)} in order, named {got}."
            )
        arrays = [_as_input(given[entry["name"]], entry) for entry in wanted]
        return self._run(self._weights, arrays)


def _as_input(value, entry):
    value = np.asarray(value) if not hasattr(value, "dtype") else value
    shape = entry["shape"]
    fits = len(shape) == value.ndim and all(n in (None, m) for n, m in zip(shape, value.shape))  # noqa: B905
    if not fits:
        raise ValueError(f"Input {entry['name']!r} must have shape {shape}; got {value.shape}.")
    return value.astype(_type_named(entry["dtype"]))


def _type_named(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def _typed(value, name):
    return value if value.dtype.name == name else value.view(_type_named(name))
