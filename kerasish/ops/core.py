"""Conversion to and from arrays, types and shapes, and reading and writing parts of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.sparse import is_sparse
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array, as_indices, real_dtype

# fmt: off
__all__ = [
    "cast", "convert_to_numpy", "convert_to_tensor", "dtype", "is_tensor", "saturate_cast",
    "scatter", "scatter_update", "shape", "slice", "slice_update", "unstack",
]
# fmt: on


@symbolic
def convert_to_tensor(
    x: Any,
    dtype: DTypeLike | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
) -> jax.Array:
    """`x` as a JAX array, of the given type or its own.

    Args:
        x: Array, Variable, number, or list of numbers; a sparse matrix stays one.
        dtype: Name of the type.
        sparse: `False` makes a dense array of a sparse matrix.
        ragged: Must not be true: JAX has no ragged arrays.

    Shapes:
        Any -> the same.

    Example:
        >>> print(keras.ops.convert_to_tensor([1, 2], dtype="float32"))
        [1. 2.]
    """
    if ragged:
        raise bad_argument("convert_to_tensor", "ragged", "false", ragged)
    if is_sparse(x):
        x = x.todense() if sparse is False else x
        return x if dtype is None else x.astype(real_dtype(dtype))
    return _cast(x, dtype)


def _cast(x, dtype):
    if dtype is None or is_sparse(x):
        return as_array(x)
    if not isinstance(x, jax.Array | list | tuple) and not hasattr(x, "__jax_array__"):
        x = np.asarray(x)
    return dtypes.to_array(x, dtypes.standardize_dtype(dtype))


@symbolic
def cast(x: TensorLike, dtype: DTypeLike) -> jax.Array:
    """Elements of another type.

    Args:
        x: Array, Variable, number or list of numbers.
        dtype: Name of the type.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.cast([1.7, -1.7], "int32"))
        [ 1 -1]
    """
    return _cast(x, dtypes.standardize_dtype(dtype))


def convert_to_numpy(x: TensorLike) -> np.ndarray:
    """A NumPy copy of an array.

    Args:
        x: Array, Variable, number or list of numbers.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> keras.ops.convert_to_numpy(jnp.ones(2))
        array([1., 1.], dtype=float32)
    """
    return np.array(x.todense() if is_sparse(x) else x)


def is_tensor(x: Any) -> bool:
    """Whether `x` is a JAX array, dense or sparse; a Variable or NumPy array is not.

    Args:
        x: Anything.

    Example:
        >>> keras.ops.is_tensor(jnp.ones(2)), keras.ops.is_tensor(np.ones(2))
        (True, False)
    """
    return isinstance(x, jax.Array) or is_sparse(x)


def shape(x: TensorLike) -> tuple:
    """Sizes of the axes; `None` where a symbolic tensor's is unknown.

    Args:
        x: Array, Variable, number or list of numbers.

    Example:
        >>> keras.ops.shape(keras.Input((3,)))
        (None, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def dtype(x: TensorLike) -> str:
    """The name of the type of the elements.

    Args:
        x: Array, Variable, number or list of numbers.

    Example:
        >>> keras.ops.dtype(jnp.ones(2))
        'float32'
    """
    return dtypes.standardize_dtype(x.dtype)


def _limits(dtype):
    if jnp.issubdtype(dtype, bool):
        return 0, 1
    info = jnp.finfo(dtype) if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype)
    return info.min, info.max


@symbolic
def saturate_cast(x: TensorLike, dtype: DTypeLike) -> jax.Array:
    """Elements of another type; those it cannot hold become its largest or least number.

    Args:
        x: Array, Variable, number or list of numbers.
        dtype: Name of the type.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.saturate_cast([-5, 7, 300], "uint8"))
        [  0   7 255]
    """
    x = as_array(x)
    (least, most), (floor, ceiling) = _limits(x.dtype), _limits(real_dtype(dtype))
    # Limits that the type of `x` cannot hold are rounded to ones it can, inwards.
    low, high = (np.asarray(n).astype(x.dtype) for n in (max(least, floor), min(most, ceiling)))
    low = np.nextafter(low, 0, dtype=x.dtype) if low < floor else low
    high = np.nextafter(high, 0, dtype=x.dtype) if high > ceiling else high
    return _cast(jnp.clip(x.astype("int32") if x.dtype == bool else x, low, high), dtype)


# -- parts of arrays


@symbolic
def slice(inputs: TensorLike, start_indices: Any, shape: Sequence[int]) -> jax.Array:
    """The block of a given shape from `start_indices` on.

    Args:
        inputs: Array.
        start_indices: Index of its first element along each axis.
        shape: Its sizes; -1 is all that remains of an axis.

    Shapes:
        `(...)` -> `shape`.

    Example:
        >>> print(keras.ops.slice(np.arange(6).reshape(2, 3), (0, 1), (2, -1)))
        [[1 2]
         [4 5]]
    """
    x = as_array(inputs)
    sizes = [
        n - int(start) if size == -1 else size
        for n, start, size in zip(x.shape, start_indices, shape, strict=True)
    ]
    return jax.lax.dynamic_slice(x, _starts("slice", start_indices), sizes)


@symbolic
def slice_update(inputs: TensorLike, start_indices: TensorLike, updates: TensorLike) -> jax.Array:
    """`inputs` with the block from `start_indices` on replaced by `updates`.

    Args:
        inputs: Array.
        start_indices: Index of the block's first element along each axis.
        updates: The block, of as many axes.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.slice_update(np.zeros(4), (1,), np.ones(2)))
        [0. 1. 1. 0.]
    """
    x = as_array(inputs)
    starts = _starts("slice_update", start_indices)
    return jax.lax.dynamic_update_slice(x, as_array(updates).astype(x.dtype), starts)


def _starts(op, start_indices):
    return tuple(as_indices(op, "start_indices", n) for n in start_indices)


def _positions(op, indices):
    return tuple(jnp.moveaxis(as_indices(op, "indices", indices), -1, 0))


@symbolic
def scatter(indices: TensorLike, values: TensorLike, shape: Sequence[int]) -> jax.Array:
    """Zeros of a given shape, with each value added at its index.

    Args:
        indices: Integers, those of one position in the last axis.
        values: What is added.
        shape: Sizes of the axes.

    Shapes:
        `(n, axes)` and `(n, ...)` -> `shape`.

    Example:
        >>> print(keras.ops.scatter([[0], [2], [2]], [1, 2, 3], (4,)))
        [1 0 5 0]
    """
    values = as_array(values)
    return jnp.zeros(shape, values.dtype).at[_positions("scatter", indices)].add(values)


_REDUCTIONS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


@symbolic
def scatter_update(
    inputs: TensorLike, indices: TensorLike, updates: TensorLike, reduction: str | None = None
) -> jax.Array:
    """`inputs` with the elements at `indices` replaced by `updates`, or joined with them.

    Args:
        inputs: The array.
        indices: `(n, axes)` integers.
        updates: What goes there, `(n, ...)`.
        reduction: `None` to replace, or `"add"`, `"max"`, `"min"`, `"mul"`.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.scatter_update(np.zeros(3), [[1]], [5.0], reduction="add"))
        [0. 5. 0.]
    """
    method = reduction.lower() if isinstance(reduction, str) else reduction
    if method not in _REDUCTIONS:
        raise bad_argument("scatter_update", "reduction", f"one of {tuple(_REDUCTIONS)}", reduction)
    at = as_array(inputs).at[_positions("scatter_update", indices)]
    return getattr(at, _REDUCTIONS[method])(as_array(updates))


@symbolic
def unstack(x: TensorLike, num: int | None = None, axis: int = 0) -> list[jax.Array]:
    """The slices along an axis, as a list.

    Args:
        x: Array, Variable, number or list of numbers.
        num: Their number; found in the shape.
        axis: The axis.

    Shapes:
        `(n, ...)` -> `n` of `(...)`.

    Example:
        >>> [print(row) for row in keras.ops.unstack(np.eye(2))] and None
        [1. 0.]
        [0. 1.]
    """
    return list(jnp.unstack(as_array(x), axis=axis))
