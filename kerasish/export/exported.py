"""Running exported models with JAX only: a copy of this file travels inside each of them.

Take `exported.py` out of an archive of your own, or from kerasish, and keep it beside your program:

from exported import load

model = load("model.zip")
model(x)          # in order ...
model(image=x)    # ... or by the inputs' names

An archive from somebody else is read within bounds, and nothing in it is run but its program, which
computes what its maker wanted. It may call no other libraries than those that JAX guarantees to
keep stable; what it computes, and for how long, nobody can tell before.
"""

import io
import json
import math
import re
import zipfile
from typing import Any

import jax
import ml_dtypes
import numpy as np


def load(path: Any) -> "ExportedModel":
    """Make an exported model callable; the batch may have any size.

    Args:
        path: Path of the file or folder.

    Example:
        >>> import pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.zip")
        >>> model.export(path, verbose=False)
        >>> load(path)(np.ones((5, 2), "float32")).shape
        (5, 3)
    """
    return ExportedModel(path)


class Endpoint:
    """One of an archive's programs.

    Attributes:
        inputs: Name, shape and dtype of each input.
        outputs: Name, shape and dtype of each output.

    Args:
        meta: What the archive says of it: `inputs`, `outputs`.
        program: The program, as JAX reads it.
        weights: The arrays it is called with.

    Example:
        >>> import pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.zip")
        >>> model.export(path, verbose=False)
        >>> ExportedModel(path).serve.inputs[0]["shape"]
        [None, 2]
    """

    def __init__(self, meta: Any, program: Any, weights: Any):
        self.inputs, self.outputs = meta["inputs"], meta.get("outputs")
        for entry in self.inputs:
            if not (isinstance(entry["name"], str) and isinstance(entry["shape"], list)):
                raise TypeError(f"an input is described as {str(entry)[:80]}")
            _type_named(entry["dtype"])
        self._weights, self._run = weights, jax.jit(program.call)

    def __call__(self, *args, **kwargs):
        """The outputs for inputs, in order or by name."""
        names = [spec["name"] for spec in self.inputs]
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        if len(args) > len(names) or set(given) != set(names):
            got = [*names[: len(args)], *kwargs]
            raise TypeError(
                f"The model's inputs are {names}; got {len(args)} in order, named {got}."
            )
        arrays = [_as_input(given[spec["name"]], spec) for spec in self.inputs]
        return self._run(self._weights, arrays)


class ExportedModel:
    """A model as compiled for this machine from its StableHLO.

    A call runs the first of its endpoints; each is an attribute, by its name.

    Attributes:
        meta: Dict with `inputs` and `outputs` (name, shape, dtype each), `platforms`, `versions`.
        endpoints: The programs by name.
        collections: Lists of arrays by name.

    Args:
        path: Path of the archive.

    Example:
        >>> import pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.zip")
        >>> model.export(path, verbose=False)
        >>> ExportedModel(path).endpoints.keys()
        dict_keys(['serve'])
    """

    def __init__(self, path: Any):
        with _Archive(path) as archive:
            self.meta = archive.meta
            weights = archive.weights()
            older = {"serve": {**self.meta, "program": "program.bin"}}
            self.endpoints = {}
            for name, meta in self.meta.get("endpoints", older).items():
                own = [weights[i] for i in meta["weights"]] if "endpoints" in self.meta else weights
                self.endpoints[name] = Endpoint(meta, archive.program(meta["program"]), own)
            held = self.meta.get("collections", {})
            self.collections = {name: [weights[i] for i in ids] for name, ids in held.items()}
            if not self.endpoints:
                raise ValueError("it has no programs")
        self._first = next(iter(self.endpoints.values()))

    def __call__(self, *args, **kwargs):
        """The outputs for inputs, in order or by name."""
        return self._first(*args, **kwargs)

    def __getattr__(self, name):
        found = self.__dict__.get("endpoints", {})
        if name in found:
            return found[name]
        raise AttributeError(f"There is no endpoint {name!r}; there are {list(found)}.")


# What packed data may unpack to: so many bytes in any case, and so many times what is stored.
_UNPACKED, _TIMES = 2**26, 100


class _Archive:
    """The members of an archive that anybody may have made; errors name the file."""

    def __init__(self, path):
        self.path = path
        self.file = None

    def __enter__(self):
        try:
            self.file = zipfile.ZipFile(self.path)
            self.meta = json.loads(self.read("meta.json"))
            if not isinstance(self.meta, dict):
                raise ValueError("meta.json is no dict")
        except FileNotFoundError:
            raise
        except Exception as error:
            self.__exit__()
            raise self.refused(error) from error
        return self

    def __exit__(self, kind=None, error=None, trace=None):
        if self.file is not None:
            self.file.close()
        if isinstance(error, Exception) and not str(error).startswith(str(self.path)):
            raise self.refused(error) from error

    def refused(self, error):
        return ValueError(f"{self.path} is no exported model, or a damaged one: {error}")

    def read(self, name):
        return _read(self.file, name, name)

    def weights(self):
        """The arrays, on the device."""
        with zipfile.ZipFile(io.BytesIO(self.read("weights.npz"))) as stored:
            members = range(len(stored.namelist()))
            values = [_array(_read(stored, f"{i}.npy", f"weight {i}"), i) for i in members]
        pairs = zip(values, self.meta["weights"], strict=True)
        return [jax.device_put(_typed(value, name)) for value, name in pairs]

    def program(self, name):
        """A program, if it calls nothing but what JAX knows."""
        program = jax.export.deserialize(bytearray(self.read(name)))
        for line in program.mlir_module().splitlines():
            if "custom_call" in line:
                found = re.search(r'stablehlo\.custom_call @("?)([^"(]+)\1\(', line)
                target = found[2] if found else line.strip()[:80]
                if target not in _STABLE or line.count("custom_call") > 1:
                    raise ValueError(
                        f"its program calls {target!r}, which is none of the calls that JAX keeps "
                        "stable: refused"
                    )
        return program


def _stable_calls():
    """The targets of calls that JAX guarantees; where it does not say, those of any sharding."""
    try:
        from jax._src.export import _export

        return frozenset(_export._CUSTOM_CALL_TARGETS_GUARANTEED_STABLE)
    except (ImportError, AttributeError):
        return frozenset({"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"})


_STABLE = _stable_calls()


def _read(archive, name, what):
    info = archive.getinfo(name)
    if info.file_size > max(_UNPACKED, _TIMES * info.compress_size):
        raise ValueError(f"{what} claims {info.file_size} bytes: refused")
    return archive.read(info)


def _array(data, number):
    """An array of NumPy's format that claims no more than is there."""
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = read[version](file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"weight {number} claims shape {shape} of {dtype}: refused")
    return np.load(io.BytesIO(data), allow_pickle=False)


def _as_input(value, spec):
    value = np.asarray(value) if not hasattr(value, "dtype") else value
    shape = spec["shape"]
    fits = len(shape) == value.ndim and all(n in (None, m) for n, m in zip(shape, value.shape))  # noqa: B905
    if not fits:
        raise ValueError(f"Input {spec['name']!r} must have shape {shape}; got {value.shape}.")
    return value.astype(_type_named(spec["dtype"]))


def _type_named(name):
    return np.dtype(getattr(ml_dtypes, name, name))


def _typed(value, name):
    return value if value.dtype.name == name else value.view(_type_named(name))
