"""Sparse matrices: telling and making them."""

from typing import Any

import jax


def is_sparse(x: Any) -> bool:
    """Whether `x` is one of JAX's sparse matrices.

    Args:
        x: Any object.
    """
    # By its module's name: importing `jax.experimental.sparse` takes as long as all of kerasish.
    return type(x).__module__.startswith("jax.experimental.sparse")


def to_sparse(x: jax.Array, nonzeros: int | None = None) -> Any:
    """A sparse matrix of an array with at most so many nonzero elements.

    Args:
        x: The array.
        nonzeros: The number of elements to keep room for.
    """
    from jax.experimental.sparse import BCOO  # noqa: PLC0415

    return BCOO.fromdense(x, nse=nonzeros)
