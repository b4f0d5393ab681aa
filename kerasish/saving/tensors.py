"""`.safetensors` files: a JSON header with each array's type, shape and place, then the bytes."""

import json
import pathlib
import struct
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from kerasish.saving.hdf5 import BadFile
from kerasish.saving.tree import own_arrays, walk

_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16,
    "U32": np.uint32, "I32": np.int32, "U64": np.uint64, "I64": np.int64, "F16": np.float16,
    "BF16": ml_dtypes.bfloat16, "F32": np.float32, "F64": np.float64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_MISTAKES = (ValueError, TypeError, KeyError, AttributeError)
_NAMES = {np.dtype(dtype): name for name, dtype in _TYPES.items()}


def write_tensors(saveable: Any, path: pathlib.Path, skipped=()) -> None:
    """Write all parts' arrays, named by their place in Keras' tree: `layers/dense/vars/0`."""
    arrays = {
        f"{where}/vars/{key}" if where else f"vars/{key}": np.asarray(value, order="C")
        for where, part in walk(saveable, seen={id(part) for part in skipped})
        for key, value in own_arrays(part).items()
    }
    header: dict[str, Any] = {"__metadata__": {"format": "keras"}}
    end = 0
    for name, value in arrays.items():
        start, end = end, end + value.nbytes
        shape = list(value.shape)
        header[name] = {"dtype": _NAMES[value.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in arrays.values():
            file.write(value.reshape(-1).view("u1"))


class Tensors:
    """The tree that a `.safetensors` file holds."""

    def __init__(self, path: pathlib.Path):
        self.where = path
        data = np.fromfile(path, "u1")
        try:
            (length,) = struct.unpack("<Q", data[:8].tobytes())
            header = json.loads(data[8 : 8 + length].tobytes())
            header.pop("__metadata__", None)
            body = data[8 + length :]
            self.arrays = {name: _array(body, **entry) for name, entry in header.items()}
        except (*_MISTAKES, struct.error, RecursionError) as error:
            raise BadFile(f"{path} is no whole `.safetensors` file: {error}") from error

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path."""
        start = f"{path}/vars/" if path else "vars/"
        names = [name for name in self.arrays if name.startswith(start)]
        return {name[len(start) :]: self.arrays[name] for name in names}

    def verify(self) -> None:
        """Nothing to do: the format has no checksums."""


def _array(body, dtype, shape, data_offsets):
    start, end = data_offsets
    if not 0 <= start <= end <= len(body):
        raise ValueError(f"an array ends at byte {end} of {len(body)}")
    return body[start:end].view(_TYPES[dtype]).reshape(shape)
