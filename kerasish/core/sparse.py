"""Sparse matrices of JAX (BCOO): telling them, and what an op does when it is given one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


def is_sparse(x: Any) -> bool:
    """Whether `x` is one of JAX's sparse matrices.

    Args:
        x: Any object.
    """
    # By its module's name: importing `jax.experimental.sparse` takes as long as all of kerasish.
    return type(x).__module__.startswith("jax.experimental.sparse")


class SparseInput(TypeError):
    """A function of arrays was given a sparse matrix."""

    def __init__(self):
        super().__init__(
            "A sparse matrix was given to a function of arrays; use its `todense()`, or `keras.ops`"
        )


class Rule(NamedTuple):
    """How an op computes on sparse matrices.

    Attributes:
        compute: Called on the function of arrays, then its arguments.
        is_sparse: Whether the output is sparse, of whether each array among the arguments is.
    """

    compute: Callable
    is_sparse: Callable


rules: dict[str, Rule] = {}


def holds_sparse(value: Any) -> bool:
    """Whether an argument is a sparse matrix, or a list, tuple or dict with one in it.

    Args:
        value: Any object.
    """
    if isinstance(value, list | tuple):
        return any(map(holds_sparse, value))
    return any(map(holds_sparse, value.values())) if type(value) is dict else is_sparse(value)


def densify(tree: Any) -> Any:
    """A pytree with its sparse matrices written out as arrays.

    Args:
        tree: Any pytree.
    """
    return jax.tree.map(lambda x: x.todense() if is_sparse(x) else x, tree, is_leaf=is_sparse)


def compute_sparse(name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
    """What an op gives for arguments among which there is a sparse matrix.

    Sparse where the op has a rule that keeps it so, and an array, right but large, elsewhere.

    Args:
        name: The op's name.
        function: The op as a function of arrays.
        args: Its arguments.
        kwargs: Its arguments by name.
    """
    if name in rules:
        return rules[name].compute(function, *args, **kwargs)
    return function(*densify(args), **densify(kwargs))
