"""Conversion to and from arrays, types and shapes, and reading and writing parts of arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.sparse import is_sparse
from kerasish.ops.wrappers import as_array, real_dtype


@symbolic
def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """`x` as a JAX array, of the given type or its own.

    Args:
        x: Array, Variable, number, or nested lists of them; a sparse matrix stays one.
        dtype: Name of the type.
        sparse: `False` makes a dense array of a sparse matrix.
        ragged: Must not be true: JAX has no ragged arrays.
    """
    if ragged:
        raise bad_argument("convert_to_tensor", "ragged", "false", ragged)
    if is_sparse(x):
        x = x.todense() if sparse is False else x
        return x if dtype is None else x.astype(real_dtype(dtype))
    return _cast(x, dtype)


def _cast(x, dtype):
    if dtype is None:
        return as_array(x)
    if not isinstance(x, jax.Array | list | tuple) and not hasattr(x, "__jax_array__"):
        x = np.asarray(x)
    return dtypes.to_array(x, dtypes.standardize_dtype(dtype))


@symbolic
def cast(x, dtype):
    """`x` in another type."""
    return _cast(x, dtypes.standardize_dtype(dtype))


def convert_to_numpy(x) -> np.ndarray:
    """A NumPy copy of `x`."""
    return np.array(x.todense() if is_sparse(x) else x)


def is_tensor(x) -> bool:
    """Whether `x` is a JAX array, dense or sparse; a Variable or NumPy array is not."""
    return isinstance(x, jax.Array) or is_sparse(x)


def shape(x) -> tuple:
    """Sizes of the axes; `None` where a symbolic tensor's is unknown."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)


def dtype(x) -> str:
    """The name of the type of `x`."""
    return dtypes.standardize_dtype(x.dtype)


def _limits(dtype):
    if jnp.issubdtype(dtype, bool):
        return 0, 1
    info = jnp.finfo(dtype) if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype)
    return info.min, info.max


@symbolic
def saturate_cast(x, dtype):
    """`x` in another type; what that cannot hold becomes its largest or least number."""
    x = as_array(x)
    (least, most), (floor, ceiling) = _limits(x.dtype), _limits(real_dtype(dtype))
    # Limits that the type of `x` cannot hold are rounded to ones it can, inwards.
    low, high = (np.asarray(n).astype(x.dtype) for n in (max(least, floor), min(most, ceiling)))
    low = np.nextafter(low, 0, dtype=x.dtype) if low < floor else low
    high = np.nextafter(high, 0, dtype=x.dtype) if high > ceiling else high
    return _cast(jnp.clip(x.astype("int32") if x.dtype == bool else x, low, high), dtype)


# -- parts of arrays


@symbolic
def slice(inputs, start_indices, shape):
    """The block of that shape from `start_indices` on; -1 is all that remains of an axis."""
    x = as_array(inputs)
    sizes = [
        n - start if size == -1 else size
        for n, start, size in zip(x.shape, start_indices, shape, strict=True)
    ]
    return jax.lax.dynamic_slice(x, tuple(start_indices), sizes)


@symbolic
def slice_update(inputs, start_indices, updates):
    """`inputs` with the block from `start_indices` on replaced by `updates`."""
    x = as_array(inputs)
    return jax.lax.dynamic_update_slice(x, as_array(updates).astype(x.dtype), tuple(start_indices))


def _positions(indices):
    return tuple(jnp.moveaxis(as_array(indices), -1, 0))


@symbolic
def scatter(indices, values, shape):
    """Zeros of that shape, with each value added at its index (the last axis of `indices`)."""
    values = as_array(values)
    return jnp.zeros(shape, values.dtype).at[_positions(indices)].add(values)


_REDUCTIONS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


@symbolic
def scatter_update(inputs, indices, updates, reduction=None):
    """`inputs` with the entries at `indices` replaced by `updates`, or joined with them.

    Args:
        inputs: The array.
        indices: `(n, axes)` integers.
        updates: What goes there, `(n, ...)`.
        reduction: `None` to replace, or `"add"`, `"max"`, `"min"`, `"mul"`.
    """
    method = reduction.lower() if isinstance(reduction, str) else reduction
    if method not in _REDUCTIONS:
        raise bad_argument("scatter_update", "reduction", f"one of {tuple(_REDUCTIONS)}", reduction)
    at = as_array(inputs).at[_positions(indices)]
    return getattr(at, _REDUCTIONS[method])(as_array(updates))
