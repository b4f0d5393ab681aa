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


class Endpoint:
    """One of an archive's programs.

    Attributes:
        inputs: Name, shape and dtype of each input.
        outputs: Name, shape and dtype of each output.
    """

    def __init__(self, meta, program, weights):
        self.inputs, self.outputs = meta["inputs"], meta.get("outputs")
        self._weights, self._run = weights, jax.jit(program.call)

    def __call__(self, *args, **kwargs):
        """The outputs for inputs, in order or by name."""
        names = [entry["name"] for entry in self.inputs]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or set(given) != set(names):
            got = [*names[: len(args)], *kwargs]
            raise TypeError(
                f"The model's inputs are {names}; got {len(args)} in order, named {got}."
            )
        arrays = [_as_input(given[entry["name"]], entry) for entry in self.inputs]
        return self._run(self._weights, arrays)


class ExportedModel:
    """A model as compiled for this machine from its StableHLO.

    A call runs the first of its endpoints; each is an attribute, by its name.

    Attributes:
        meta: Dict with `inputs` and `outputs` (name, shape, dtype each), `platforms`, `versions`.
        endpoints: The programs by name.
        collections: Lists of arrays by name.
    """

    def __init__(self, path):
        with zipfile.ZipFile(path) as archive:
            self.meta = json.loads(archive.read("meta.json"))
            with np.load(io.BytesIO(archive.read("weights.npz")), allow_pickle=False) as stored:
                values = [stored[str(i)] for i in range(len(stored.files))]
            names = self.meta["weights"]
            pairs = zip(values, names, strict=True)
            weights = [jax.device_put(_typed(w, n)) for w, n in pairs]
            older = {"serve": {**self.meta, "program": "program.bin"}}
            self.endpoints = {}
            for name, meta in self.meta.get("endpoints", older).items():
                program = jax.export.deserialize(bytearray(archive.read(meta["program"])))
                own = [weights[i] for i in meta["weights"]] if "endpoints" in self.meta else weights
                self.endpoints[name] = Endpoint(meta, program, own)
        held = self.meta.get("collections", {})
        self.collections = {name: [weights[i] for i in ids] for name, ids in held.items()}
        self._first = next(iter(self.endpoints.values()))

    def __call__(self, *args, **kwargs):
        """The outputs for inputs, in order or by name."""
        return self._first(*args, **kwargs)

    def __getattr__(self, name):
        found = self.__dict__.get("endpoints", {})
        if name in found:
            return found[name]
        raise AttributeError(f"There is no endpoint {name!r}; there are {list(found)}.")


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
