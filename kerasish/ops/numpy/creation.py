"""Making arrays."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import (
    as_array,
    describe,
    real_dtype,
)

# fmt: off
__all__ = [
    "arange", "array", "empty", "empty_like", "eye", "full", "full_like", "geomspace",
    "identity", "linspace", "logspace", "meshgrid", "ones", "ones_like", "tri", "vander",
    "zeros", "zeros_like",
]
# fmt: on


def _filled(name, fn, what, example):
    def op(shape: int | Sequence[int], dtype: DTypeLike | None = None) -> jax.Array:
        return fn(shape, dtype=real_dtype(dtype, settings.floatx()))

    dtype = "Name of the type; by default the global float type."
    return describe(op, name, what, "-> `shape`.", example, shape="Sizes of the axes.", dtype=dtype)


empty = _filled(
    "empty", jnp.empty, "An array whose elements may be anything (they are 0)", "(2,) -> [0. 0.]"
)
ones = _filled("ones", jnp.ones, "An array of ones", "(2,) -> [1. 1.]")
zeros = _filled("zeros", jnp.zeros, "An array of zeros", "(2,) -> [0. 0.]")


def _filled_like(name, fn, what, example):
    def op(x: TensorLike, dtype: DTypeLike | None = None) -> jax.Array:
        return fn(as_array(x), dtype=real_dtype(dtype))

    dtype = "Name of the type; by default that of `x`."
    op = describe(op, name, what, "`(...)` -> the same.", example, dtype=dtype)
    return symbolic(op, name)


empty_like = _filled_like(
    "empty_like",
    jnp.empty_like,
    "An array like another whose elements may be anything",
    "[1, 2] -> [0 0]",
)
ones_like = _filled_like(
    "ones_like", jnp.ones_like, "Ones in the shape and type of another array", "[1, 2] -> [1 1]"
)
zeros_like = _filled_like(
    "zeros_like", jnp.zeros_like, "Zeros in the shape and type of another array", "[1, 2] -> [0 0]"
)


@symbolic
def full(
    shape: int | Sequence[int], fill_value: TensorLike, dtype: DTypeLike | None = None
) -> jax.Array:
    """An array of one value.

    Args:
        shape: Sizes of the axes.
        fill_value: The value.
        dtype: Name of the type; by default the global float type.

    Shapes:
        -> `shape`.

    Example:
        >>> print(keras.ops.full((2,), 7))
        [7. 7.]
    """
    return jnp.full(shape, as_array(fill_value), dtype=real_dtype(dtype, settings.floatx()))


@symbolic
def full_like(x: TensorLike, fill_value: TensorLike, dtype: DTypeLike | None = None) -> jax.Array:
    """An array of one value, of the shape and type of another.

    Args:
        x: Array, Variable, number or list of numbers.
        fill_value: The value.
        dtype: Name of the type; by default that of `x`.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.full_like([1, 2], 7))
        [7 7]
    """
    return jnp.full_like(as_array(x), as_array(fill_value), dtype=real_dtype(dtype))


def eye(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> jax.Array:
    """Ones on a diagonal of a matrix, zeros elsewhere.

    Args:
        N: Number of rows.
        M: Number of columns; by default `N`.
        k: Number of the diagonal, counted upwards from the main one.
        dtype: Name of the type; by default the global float type.

    Shapes:
        -> `(N, M)`.

    Example:
        >>> print(keras.ops.eye(2))
        [[1. 0.]
         [0. 1.]]
    """
    for name, size in (("N", N), ("M", M)):
        if isinstance(size, float) or dtypes.is_float(getattr(size, "dtype", "int32")):
            raise TypeError(f"eye: `{name}` must be an integer; got {size!r}.")
    return jnp.eye(N, M, k=k, dtype=real_dtype(dtype, settings.floatx()))


def identity(n: int, dtype: DTypeLike | None = None) -> jax.Array:
    """The identity matrix.

    Args:
        n: Number of rows and columns.
        dtype: Name of the type; by default the global float type.

    Shapes:
        -> `(n, n)`.

    Example:
        >>> print(keras.ops.identity(2))
        [[1. 0.]
         [0. 1.]]
    """
    return jnp.identity(n, dtype=real_dtype(dtype, settings.floatx()))


def tri(N: int, M: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> jax.Array:
    """Ones on and below a diagonal of a matrix, zeros elsewhere.

    Args:
        N: Number of rows.
        M: Number of columns; by default `N`.
        k: Number of the diagonal, counted upwards from the main one.
        dtype: Name of the type; by default the global float type.

    Shapes:
        -> `(N, M)`.

    Example:
        >>> print(keras.ops.tri(2))
        [[1. 0.]
         [1. 1.]]
    """
    return jnp.tri(N, M, k=k, dtype=real_dtype(dtype, settings.floatx()))


def arange(
    start: TensorLike,
    stop: TensorLike | None = None,
    step: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Numbers from `start` up to but without `stop`, in steps of `step`.

    Args:
        start: First number; the end, from 0, if `stop` is not given.
        stop: The end, not included.
        step: Difference of neighbours.
        dtype: Name of the type; by default that of the numbers.

    Shapes:
        -> `(n,)`.

    Example:
        >>> print(keras.ops.arange(1, 7, 2))
        [1 3 5]
    """
    if dtype is None:
        given = [n for n in (start, stop, step) if n is not None]
        dtype = dtypes.result_type(*(_number_type(n) for n in given))
    return jnp.arange(start, stop, step=step, dtype=real_dtype(dtype))


def _number_type(n):
    if hasattr(n, "dtype"):
        return jax.dtypes.canonicalize_dtype(n.dtype)
    return float if isinstance(n, float) else int  # a symbolic size counts as an integer


@symbolic
def linspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """Numbers in equal steps from `start` to `stop`.

    Args:
        start: First number.
        stop: Last number.
        num: How many numbers.
        endpoint: Whether `stop` is the last of them.
        retstep: Whether to return the step too.
        dtype: Name of the type; by default a float type.
        axis: Where the new axis goes.

    Shapes:
        -> `(num, ...)`.

    Example:
        >>> print(keras.ops.linspace(0, 1, 3))
        [0.  0.5 1. ]
    """
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.linspace(
        first, last, num, endpoint=endpoint, retstep=retstep, dtype=dtype, axis=axis
    )


@symbolic
def logspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    base: ArrayLike = 10,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> jax.Array:
    """`base` to the power of numbers in equal steps from `start` to `stop`.

    Args:
        start: First number.
        stop: Last number.
        num: How many numbers.
        endpoint: Whether `stop` is the last of them.
        base: What is raised.
        dtype: Name of the type; by default a float type.
        axis: Where the new axis goes.

    Shapes:
        -> `(num, ...)`.

    Example:
        >>> print(np.array(keras.ops.logspace(0, 2, 3)).round(2))
        [  1.  10. 100.]
    """
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.logspace(first, last, num, endpoint=endpoint, base=base, dtype=dtype, axis=axis)


@symbolic
def geomspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> jax.Array:
    """Numbers from `start` to `stop`, each the same multiple of the one before.

    Args:
        start: First number.
        stop: Last number.
        num: How many numbers.
        endpoint: Whether `stop` is the last of them.
        dtype: Name of the type; by default a float type.
        axis: Where the new axis goes.

    Shapes:
        -> `(num, ...)`.

    Example:
        >>> print(np.array(keras.ops.geomspace(1.0, 8.0, 4)).round(2))
        [1. 2. 4. 8.]
    """
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.geomspace(first, last, num, endpoint=endpoint, dtype=dtype, axis=axis)


@symbolic
def array(x: TensorLike, dtype: DTypeLike | None = None) -> jax.Array:
    """A new array of the same elements.

    Args:
        x: Array, Variable, number or list of numbers.
        dtype: Name of the type; by default that of `x`.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.array([1, 2], dtype="float32"))
        [1. 2.]
    """
    return jnp.array(x if isinstance(x, jax.Array | np.ndarray) else as_array(x), real_dtype(dtype))


@symbolic
def meshgrid(*x: TensorLike, indexing: str = "xy") -> list[jax.Array]:
    """Coordinates of the points of the grid that 1-D arrays span.

    Args:
        *x: 1-D arrays; others are flattened.
        indexing: `"xy"`: the first array runs along the second axis; `"ij"`: along the first.

    Shapes:
        `(n,)`, `(m,)`, ... -> one array each, of `(m, n, ...)`, or `(n, m, ...)` with `"ij"`.

    Example:
        >>> print(keras.ops.meshgrid([1, 2], [3, 4])[0])
        [[1 2]
         [1 2]]
    """
    return jnp.meshgrid(*(as_array(each).reshape(-1) for each in x), indexing=indexing)


@symbolic
def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> jax.Array:
    """The Vandermonde matrix: each row holds the powers of one element.

    Args:
        x: 1-D array.
        N: Number of powers; by default that of elements.
        increasing: Whether the powers begin at 0 rather than end there.

    Shapes:
        `(n,)` -> `(n, N)`.

    Example:
        >>> print(keras.ops.vander([2, 3], 3))
        [[4 2 1]
         [9 3 1]]
    """
    x = as_array(x)
    if x.ndim != 1:
        raise bad_argument("vander", "x", "1-D", x.shape)
    if N is not None and not isinstance(N, int):
        raise TypeError(f"vander: `N` must be an integer; got {N!r}.")
    if N is not None and N < 0:
        raise bad_argument("vander", "N", "at least 0", N)
    return jnp.vander(x, N=N, increasing=increasing)
