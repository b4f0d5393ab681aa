"""`keras.tree`: functions over pytrees of lists, tuples, deques and dicts; `None` is a leaf.

Leaves of a dict come in the order of its sorted keys, as JAX has them. What is made from a dict
keeps the dict's own order.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.state.variable import is_variable

__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


class MAP_TO_NONE:  # noqa: N801  (Keras' name)
    """What a function given to `traverse` returns to put `None` for a part.

    Example:
        >>> traverse(lambda x: MAP_TO_NONE if x == 1 else None, [1, 2])
        [None, 2]
    """


class _Deque:
    """A deque on its way into JAX, which knows none: a pytree node that becomes a deque again."""

    def __init__(self, items, maxlen):
        self.items, self.maxlen = items, maxlen


def _as_deque(maxlen, items):
    return deque(items, maxlen)


jax.tree_util.register_pytree_with_keys(
    _Deque,
    lambda node: (
        [(jax.tree_util.SequenceKey(i), item) for i, item in enumerate(node.items)],
        node.maxlen,
    ),
    _as_deque,  # pyright: ignore[reportArgumentType]
    lambda node: (tuple(node.items), node.maxlen),
)


def _readable(structure):
    """The pytree with what JAX takes in place of its deques; itself if there are none."""
    if isinstance(structure, deque):
        return _Deque([_readable(item) for item in structure], structure.maxlen)
    if isinstance(structure, dict):
        items = {key: _readable(value) for key, value in structure.items()}
        if all(items[key] is value for key, value in structure.items()):
            return structure
        twin = structure.copy()
        twin.update(items)
        return twin
    if isinstance(structure, list | tuple):
        parts = [_readable(item) for item in structure]
        if all(new is old for new, old in zip(parts, structure, strict=True)):
            return structure
        named = hasattr(structure, "_fields")
        return type(structure)(*parts) if named else type(structure)(parts)
    return structure


def _is_leaf(x):
    return x is None or is_variable(x)


def _is_shape(x):
    return isinstance(x, list | tuple) and all(n is None or isinstance(n, int) for n in x)


def _in_own_order(made, structure):
    """JAX makes dicts with sorted keys: with those of `structure` in its order instead."""
    if isinstance(structure, dict) and isinstance(made, dict):
        items = {key: _in_own_order(made[key], value) for key, value in structure.items()}
        made.clear()
        made.update(items)
    elif isinstance(structure, list | tuple | deque) and isinstance(made, list | tuple | deque):
        for part, of in zip(made, structure, strict=False):
            _in_own_order(part, of)
    return made


def flatten(structure: Any) -> list:
    """The leaves, in order.

    Args:
        structure: Lists, tuples and dicts of leaves, or a leaf.

    Example:
        >>> keras.tree.flatten({"b": 2, "a": [1, 3]})
        [1, 3, 2]
    """
    return jax.tree.leaves(_readable(structure), is_leaf=_is_leaf)


def flatten_with_path(structure: Any) -> list[tuple]:
    """Pairs of a leaf's path (a tuple of keys and indices) and the leaf, in order.

    Args:
        structure: Lists, tuples and dicts of leaves, or a leaf.

    Example:
        >>> flatten_with_path({"b": [5], "a": 6})
        [(('a',), 6), (('b', 0), 5)]
    """
    found, _ = jax.tree_util.tree_flatten_with_path(_readable(structure), is_leaf=_is_leaf)
    return [(tuple(map(_key, path)), leaf) for path, leaf in found]


def _key(element):
    return next(getattr(element, name) for name in ("key", "idx", "name") if hasattr(element, name))


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple, deque or dict.

    Args:
        structure: Anything.

    Example:
        >>> keras.tree.is_nested([1]), keras.tree.is_nested(1)
        (True, False)
    """
    return isinstance(structure, list | tuple | dict | deque)


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """Apply a function to each leaf (or to leaves of the same position in several pytrees).

    With `none_is_leaf=False` each `None` stays as it is, and the function does not see it.

    Args:
        func: Function of one leaf of each structure.
        *structures: Pytrees of one structure.
        none_is_leaf: Whether `None` is a leaf rather than an empty subtree.

    Example:
        >>> keras.tree.map_structure(lambda a, b: a + b, [1, (2,)], [3, (4,)])
        [4, (6,)]
    """
    if not callable(func) or not structures:
        raise TypeError(f"map_structure: wants a function and at least one pytree; got {func!r}.")
    is_leaf = _is_leaf if none_is_leaf else is_variable
    made = jax.tree.map(func, *map(_readable, structures), is_leaf=is_leaf)
    return _in_own_order(made, structures[0])


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """`map_structure` of pytrees that may be deeper than the first, whose leaves are the ends.

    Args:
        shallow_structure: Pytree whose leaves are the ends.
        func: Function of one part of each structure.
        *structures: Pytrees at least as deep.

    Example:
        >>> map_structure_up_to([0, 0], len, [[7, 8], [9]])
        [2, 1]
    """
    form = jax.tree.structure(_readable(shallow_structure), is_leaf=_is_leaf)
    rows = zip(*map(form.flatten_up_to, map(_readable, structures)), strict=True)
    return _in_own_order(form.unflatten([func(*row) for row in rows]), shallow_structure)


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """Apply a function to each shape, a list or tuple of integers and `None`s, in a pytree.

    Args:
        func: Function of a shape.
        structure: Shapes, in any pytree.

    Example:
        >>> keras.tree.map_shape_structure(len, [(None, 3), (2,)])
        [2, 1]
    """
    return _in_own_order(jax.tree.map(func, _readable(structure), is_leaf=_is_shape), structure)


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The pytree of `structure` with new leaves.

    Args:
        structure: Lists, tuples and dicts of leaves, or a leaf.
        flat_sequence: The new leaves, in order.

    Example:
        >>> keras.tree.pack_sequence_as([0, (0,)], [1, 2])
        [1, (2,)]
    """
    form, leaves = jax.tree.structure(_readable(structure), is_leaf=_is_leaf), list(flat_sequence)
    if form.num_leaves != len(leaves):
        raise ValueError(
            f"pack_sequence_as: `flat_sequence` must hold {form.num_leaves} leaves; got "
            f"{len(leaves)}."
        )
    return _in_own_order(jax.tree.unflatten(form, leaves), structure)


def lists_to_tuples(structure: Any) -> Any:
    """The pytree with tuples instead of its lists.

    Args:
        structure: Lists, tuples and dicts of leaves, or a leaf.

    Example:
        >>> keras.tree.lists_to_tuples([1, [2]])
        (1, (2,))
    """
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """The pytree with each part (leaves and subtrees alike) that `func` answers for replaced.

    Args:
        func: Function of a part: returns what replaces it, `None` to keep it, or
            `MAP_TO_NONE` to put `None` there.
        structure: The pytree.
        top_down: Whether `func` sees a subtree before its parts, which it then never sees if it
            answers for the subtree; otherwise it sees the parts first.

    Example:
        >>> traverse(lambda x: x + 1 if isinstance(x, int) else None, [1, ("a", 2)])
        [2, ('a', 3)]
    """
    if top_down:
        answer = func(structure)
        if answer is not None:
            return None if answer is MAP_TO_NONE else answer
    if isinstance(structure, dict):
        twin = structure.copy()  # of its own type: ordered, or with a default
        twin.update({key: traverse(func, part, top_down) for key, part in structure.items()})
        structure = twin
    elif isinstance(structure, list | tuple):
        parts = [traverse(func, part, top_down) for part in structure]
        named = hasattr(structure, "_fields")
        structure = type(structure)(*parts) if named else type(structure)(parts)
    elif isinstance(structure, deque):
        parts = [traverse(func, part, top_down) for part in structure]
        structure = deque(parts, structure.maxlen)
    if not top_down:
        answer = func(structure)
        if answer is not None:
            return None if answer is MAP_TO_NONE else answer
    return structure


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raise a `ValueError` if two pytrees differ in structure. `check_types` does nothing.

    Args:
        a: Lists, tuples and dicts of leaves, or a leaf.
        b: Lists, tuples and dicts of leaves, or a leaf.
        check_types: Without effect.

    Example:
        >>> keras.tree.assert_same_structure([1, 2], [3, 4])

    """
    forms = [jax.tree.structure(_readable(x), is_leaf=_is_leaf) for x in (a, b)]
    if forms[0] != forms[1]:
        raise ValueError(f"The structures differ: {forms[0]} and {forms[1]}.")


def assert_same_paths(a: Any, b: Any) -> None:
    """Raise a `ValueError` if the paths to the leaves of two pytrees differ, of whatever types.

    Args:
        a: Lists, tuples and dicts of leaves, or a leaf.
        b: Lists, tuples and dicts of leaves, or a leaf.

    Example:
        >>> keras.tree.assert_same_paths([1, 2], (3, 4))

    """
    paths = [{path for path, _ in flatten_with_path(x)} for x in (a, b)]
    if paths[0] != paths[1]:
        odd = sorted(paths[0] ^ paths[1], key=str)
        raise ValueError(f"The structures differ: only one of them has leaves at {odd}.")
