"""`.safetensors` files: a JSON header (type, shape and offsets of arrays), then the bytes."""

import contextlib
import json
import math
import pathlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from kerasish.saving.io import bounded_json
from kerasish.saving.io.crc32 import sum_of
from kerasish.saving.io.file_window import BadFile, Window, file_window
from kerasish.saving.io.parallel_reader import Reader, StoredArray
from kerasish.saving.state.walk import own_arrays, walk

_TYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16,
    "U32": np.uint32, "I32": np.int32, "U64": np.uint64, "I64": np.int64, "F16": np.float16,
    "BF16": ml_dtypes.bfloat16, "F32": np.float32, "F64": np.float64,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip
_MISTAKES = (ValueError, TypeError, KeyError, AttributeError, struct.error, OSError)
_NAMES = {np.dtype(dtype): name for name, dtype in _TYPES.items()}


def write_tensors(saveable: Any, path: pathlib.Path, skipped: Any = ()) -> None:
    """Write all parts' arrays, named by their path in Keras' tree: `layers/dense/vars/0`.

    Args:
        saveable: The model or layer.
        path: Path of the file.
        skipped: Parts to leave out.
    """
    arrays = {
        f"{where}/vars/{key}" if where else f"vars/{key}": np.asarray(value, order="C")
        for where, part in walk(saveable, seen={id(part) for part in skipped})
        for key, value in own_arrays(part).items()
    }
    # Metadata are strings; readers look at no others than those they know.
    sums = json.dumps({name: sum_of(name, value) for name, value in arrays.items()})
    header: dict[str, Any] = {"__metadata__": {"format": "keras", "checksums": sums}}
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
            file.write(value.reshape(-1).view("u1"))  # pyright: ignore[reportArgumentType]


class Tensors:
    """The tree that a `.safetensors` file holds."""

    def __init__(self, path: pathlib.Path):
        self.where = path
        self.parts: dict[str, dict[str, np.ndarray]] = {}
        try:
            with file_window(path) as window:
                header, body = _header(window, path)
                with contextlib.closing(Reader(body, path)) as reader:
                    stored = _stored_arrays(header, body.size, path)
                    begun = [(name, reader.begin(array)) for name, array in stored]
                    for name, wait in begun:
                        where, inside, key = f"/{name}".rpartition("/vars/")
                        if inside:
                            self.parts.setdefault(where[1:], {})[key] = wait()
        except BadFile:
            raise
        except _MISTAKES as error:
            raise BadFile(f"{path} is no whole `.safetensors` file: {error}") from error

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path.

        Args:
            path: Path in the file.
        """
        return self.parts.get(path, {})

    def stored_parts(self) -> Iterable[str]:
        """Paths of the parts that have arrays."""
        return self.parts

    def verify(self) -> None:
        """Nothing to do: each array was checked."""


def _header(window, path):
    """What the file says of its arrays, and the bytes of them."""
    (length,) = struct.unpack("<Q", window.read(8))
    if 8 + length > window.size:
        raise ValueError(f"its header ends at byte {8 + length} of {window.size}")
    if length > bounded_json.LIMIT:
        raise ValueError(f"its header claims {length} bytes")
    header = bounded_json.parse(window.read(length), path, "its header")
    return header, Window(window.file, 8 + length, window.size - 8 - length)


def _stored_arrays(header, size, path):
    """Each array's name and position, after all checks of what it claims."""
    sums = header.pop("__metadata__", {}).get("checksums")
    sums = (
        dict.fromkeys(header) if sums is None else bounded_json.parse(sums, path, "its checksums")
    )
    if set(sums) != set(header):
        raise ValueError("its checksums are not those of its arrays")
    claimed, stored = 0, []
    for name, element in header.items():
        dtype, shape = np.dtype(_TYPES[element["dtype"]]), tuple(element["shape"])
        start, end = element["data_offsets"]
        claimed += end - start
        if not 0 <= start <= end <= size or claimed > size:
            raise ValueError(f"{name!r} ends at byte {end} of {size}, or overlaps another")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != end - start:
            raise ValueError(f"{name!r} claims shape {shape} for {end - start} bytes")
        stored.append((name, StoredArray(f"{path}: {name}", name, start, shape, dtype, sums[name])))
    return stored
