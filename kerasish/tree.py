"""`keras.tree`: functions over nests of lists, tuples and dicts; `None` is a leaf."""

from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.variable import is_variable

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def _is_leaf(x):
    return x is None or is_variable(x)


def flatten(structure: Any) -> list:
    """The leaves, in order."""
    return jax.tree.leaves(structure, is_leaf=_is_leaf)


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return isinstance(structure, list | tuple | dict)


def map_structure(func: Callable, *structures: Any) -> Any:
    """Apply a function to each leaf (or to leaves of the same place in several nests)."""
    return jax.tree.map(func, *structures, is_leaf=_is_leaf)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The nest of `structure` with new leaves."""
    return jax.tree.unflatten(jax.tree.structure(structure, is_leaf=_is_leaf), list(flat_sequence))


def assert_same_structure(a: Any, b: Any) -> None:
    """Raise a `ValueError` if two nests differ in form."""
    forms = [jax.tree.structure(x, is_leaf=_is_leaf) for x in (a, b)]
    if forms[0] != forms[1]:
        raise ValueError(f"The structures differ: {forms[0]} and {forms[1]}.")
