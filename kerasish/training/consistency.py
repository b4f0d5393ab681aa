"""What processes must have in common before they train a model together."""

import zlib
from typing import Any

import numpy as np

from kerasish.core import processes

_MOST_BYTES = 2**28  # of values that are looked at
_MOST_ROWS = 64  # of each array of data


def compare_models(who: str, model: Any, **facts: Any) -> None:
    """Raise on every process unless all have the same model, with the same values.

    Args:
        who: Who compares, for the error.
        model: The model.
        **facts: What else must be the same; `_` in names stands for a space.
    """
    if processes.count() == 1:
        return
    weights = list(dict.fromkeys([*model.variables, *model.optimizer.variables]))
    specs = [(v.path, v.shape, v.dtype, v.trainable) for v in weights]
    processes.compare(
        who,
        {
            "number of weights": len(weights),
            "weights' names and shapes": _checksum(str(specs).encode()),
            "weights' values": _values(weights),
            **{name.replace("_", " "): value for name, value in facts.items()},
        },
    )


def _values(weights):
    """A checksum of those that each process has completely."""
    total, room = 0, _MOST_BYTES
    for weight in weights:
        value = weight.read()
        if processes.is_readable_here(value) and value.nbytes <= room:
            room -= value.nbytes
            total = zlib.crc32(np.ascontiguousarray(value).reshape(-1).view("u1").data, total)
    return f"{total:08x}"


def sample(array: np.ndarray) -> str:
    """A checksum of some of an array's rows.

    Args:
        array: The array.
    """
    rows = np.asarray(array[:: max(1, len(array) // _MOST_ROWS)])
    return _checksum(rows.tobytes())


def _checksum(data):
    return f"{zlib.crc32(data):08x}"
