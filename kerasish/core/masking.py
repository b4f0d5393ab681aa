"""Masks: which elements of an array count. They go from layer to layer with the array."""

import threading
import weakref
from typing import Any

_beside: dict[int, tuple] = {}  # tracers take no attributes: id -> (weak reference, mask)
_lock = threading.Lock()


def set_mask(x: Any, mask: Any) -> None:
    """Let `mask` travel with `x`.

    Args:
        x: An array or symbolic tensor.
        mask: Its mask.
    """
    try:
        x._keras_mask = mask
        return
    except AttributeError:
        pass
    key = id(x)
    with _lock:
        # The table by argument: when Python ends, the module's names are gone before its arrays.
        _beside[key] = (weakref.ref(x, lambda _, table=_beside: table.pop(key, None)), mask)


def get_mask(x: Any) -> Any:
    """The mask that travels with `x`, if any.

    Args:
        x: Array or symbolic tensor.
    """
    mask = getattr(x, "_keras_mask", None)
    if mask is None and _beside:
        reference, beside = _beside.get(id(x), (None, None))
        mask = beside if reference is not None and reference() is x else None
    return mask
