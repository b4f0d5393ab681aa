"""Dicts that keep their order through JAX, which else returns them with their keys sorted."""

from collections.abc import Callable
from typing import Any

import jax


class _InOrder:
    """A dict on its way into JAX: a pytree node that JAX makes a plain dict of again."""

    __slots__ = ("content",)

    def __init__(self, content):
        self.content = content


def _as_dict(keys, values) -> Any:
    return dict(zip(keys, values, strict=True))


jax.tree_util.register_pytree_with_keys(
    _InOrder,
    lambda node: (
        [(jax.tree_util.DictKey(key), value) for key, value in node.content.items()],
        tuple(node.content),
    ),
    _as_dict,
    lambda node: (tuple(node.content.values()), tuple(node.content)),
)


_NODES = (dict, list, tuple)


def in_order(tree: Any) -> Any:
    """A pytree whose dicts, at any depth of dicts, lists and tuples, keep their order in JAX.

    What goes through `jax.jit`, `jax.tree.map` and the like comes back as plain dicts.

    Args:
        tree: The pytree; it is returned as it is where the keys of all dicts are sorted.

    Example:
        >>> sizes = {"width": 2, "height": 3}
        >>> list(jax.tree.map(float, sizes)), list(jax.tree.map(float, in_order(sizes)))
        (['height', 'width'], ['width', 'height'])
    """
    if not isinstance(tree, _NODES):
        return tree
    kind = type(tree)
    if kind is dict:
        items = {key: in_order(value) for key, value in tree.items()}
        return items if _is_sorted(items) else _InOrder(items)
    if not any(isinstance(item, _NODES) for item in tree):
        return tree
    if kind is list or kind is tuple:
        return kind([in_order(item) for item in tree])
    is_named = isinstance(tree, tuple) and hasattr(kind, "_fields")
    return kind(*map(in_order, tree)) if is_named else tree


def order_of(tree: Any) -> Any:
    """The order of the keys of a pytree's dicts, for `reordered`; `None` if all are sorted.

    Args:
        tree: The pytree.
    """
    if type(tree) is dict:
        inside = {key: order_of(value) for key, value in tree.items()}
        return None if _is_sorted(tree) and not any(inside.values()) else inside
    if isinstance(tree, list | tuple):
        inside = [order_of(item) for item in tree]
        return inside if any(order is not None for order in inside) else None
    return None


def reordered(tree: Any, order: Any) -> Any:
    """A pytree whose dicts have the order that `order_of` found in one of the same structure.

    `jax.jit` gives dicts back sorted, and must be given plain ones: its fast path makes the result
    anew from the types that the first call returned.

    Args:
        tree: The pytree.
        order: What `order_of` returned.
    """
    if order is None:
        return tree
    if type(tree) is dict:
        return {key: reordered(tree[key], inside) for key, inside in order.items()}
    items = map(reordered, tree, order)
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def _is_sorted(keys):
    try:
        return len(keys) < 2 or list(keys) == sorted(keys)
    except TypeError:  # keys that cannot be compared
        return False


def map_in_order(fn: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """`jax.tree.map`, the dicts of the result being in the order of those given.

    Args:
        fn: Function of a leaf.
        tree: The pytree.
        is_leaf: Whether not to look inside of a node.
    """
    return jax.tree.map(fn, in_order(tree), is_leaf=is_leaf)
