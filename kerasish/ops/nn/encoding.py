"""Integers as vectors of zeros and ones."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.sparse import to_sparse
from kerasish.ops.wrappers import as_array, real_dtype

__all__ = ["multi_hot", "one_hot"]


@symbolic
def one_hot(
    x: TensorLike,
    num_classes: int,
    axis: int = -1,
    dtype: DTypeLike | None = None,
    sparse: bool = False,
) -> jax.Array:
    """Integers as vectors: 1 at the integer's position, 0 elsewhere.

    Args:
        x: Integers; those out of range give zeros.
        num_classes: Number of classes.
        axis: Where the new axis goes.
        dtype: Name of the type; by default the global float type.
        sparse: Whether to return a sparse matrix.

    Shapes:
        `(...)` -> `(..., num_classes)`.

    Example:
        >>> print(keras.ops.one_hot([0, 2], 3))
        [[1. 0. 0.]
         [0. 0. 1.]]
    """
    x, dtype = as_array(x), real_dtype(dtype, settings.floatx())
    hot = jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype)
    return to_sparse(hot, x.size) if sparse else hot


@symbolic
def multi_hot(
    inputs: TensorLike,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: DTypeLike | None = None,
    sparse: bool = False,
    **kwargs: Any,
) -> jax.Array:
    """Sets of integers as vectors: 1 at the position of each that occurs in a row, 0 elsewhere.

    Args:
        inputs: Integers.
        num_classes: Number of classes.
        axis: Where the new axis goes.
        dtype: Name of the type; by default the global float type.
        sparse: Whether to return a sparse matrix.
        **kwargs: `num_tokens`, the old name of `num_classes`.

    Shapes:
        `(batch, n)` -> `(batch, num_classes)`, `(n,)` -> `(num_classes,)`.

    Example:
        >>> print(keras.ops.multi_hot([[0, 2], [1, 1]], 3))
        [[1. 0. 1.]
         [0. 1. 0.]]
    """
    num_classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if num_classes is None:
        raise bad_argument("multi_hot", "num_classes", "given", None)
    x = as_array(inputs).astype("int32")
    hot = jax.nn.one_hot(x, num_classes, axis=axis, dtype=real_dtype(dtype, settings.floatx()))
    hot = jnp.max(hot, axis=1 if x.ndim > 1 else 0)
    return to_sparse(hot, x.size) if sparse else hot
