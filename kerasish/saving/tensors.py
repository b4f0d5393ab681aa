"""`.safetensors` files: a JSON header with each array's type, shape and place, then the bytes."""

import json
import math
import os
import pathlib
import struct
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from kerasish.saving.checksums import bytes_of
from kerasish.saving.hdf5 import BadFile, Window, room_for
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
        self.parts: dict[str, dict[str, np.ndarray]] = {}
        try:
            with open(path, "rb") as file:
                for name, value in _read(file):
                    where, inside, key = f"/{name}".rpartition("/vars/")
                    if inside:
                        self.parts.setdefault(where[1:], {})[key] = value
        except (*_MISTAKES, struct.error, RecursionError, OSError) as error:
            raise BadFile(f"{path} is no whole `.safetensors` file: {error}") from error

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path."""
        return self.parts.get(path, {})

    def verify(self) -> None:
        """Nothing to do: the format has no checksums."""


def _read(file):
    """Each array's name and the array, read to where variables can take it over."""
    size = os.fstat(file.fileno()).st_size
    (length,) = struct.unpack("<Q", file.read(8))
    body = Window(file.fileno(), 8 + length, size - 8 - length)
    if body.size < 0:
        raise ValueError(f"its header ends at byte {body.start} of {size}")
    header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    claimed = 0
    for name, entry in header.items():
        dtype, shape = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"])
        start, end = entry["data_offsets"]
        claimed += end - start
        if not 0 <= start <= end <= body.size or claimed > body.size:
            raise ValueError(f"{name!r} ends at byte {end} of {body.size}, or overlaps another")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError(f"{name!r} claims shape {shape} for {end - start} bytes")
        value = room_for(shape, dtype)
        body.read_at(start, bytes_of(value))
        yield name, value
