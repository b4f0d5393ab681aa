"""Products of vectors, matrices and arrays of any rank."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array, binary, square_matrices

# fmt: off
__all__ = [
    "correlate", "cross", "dot", "einsum", "inner", "kron", "matmul", "outer", "slogdet",
    "tensordot", "vdot",
]
# fmt: on

dot = binary(
    "dot",
    jnp.dot,
    "Dot product: over the last axis of `x1` and the second to last of `x2`, or the only one",
    "[1, 2, 3], [4, 5, 6] -> 32",
    "`(n,)` twice -> `()`; `(..., n)` and `(..., n, m)` -> the rest of both.",
)


inner = binary(
    "inner",
    jnp.inner,
    "Inner product: sum of products over the last axis of both",
    "[1, 2, 3], [4, 5, 6] -> 32",
    "`(..., n)` twice -> the other axes of both.",
)


kron = binary(
    "kron",
    jnp.kron,
    "Kronecker product: blocks of `x2`, each multiplied by an element of `x1`",
    "[[1, 2]], [[1, 1]] -> [[1 1 2 2]]",
    "Two of one rank -> sizes multiplied.",
)


outer = binary(
    "outer",
    jnp.outer,
    "Outer product of two flattened arrays: `x1[i] * x2[j]`",
    "[1, 2], [3, 4] -> [[3 4]\n [6 8]]",
    "Of `n` and `m` elements -> `(n, m)`.",
)


vdot = binary(
    "vdot",
    jnp.vdot,
    "Dot product of two flattened arrays, the first one conjugated",
    "[1, 2, 3], [4, 5, 6] -> 32",
    "Two of as many elements -> `()`.",
)


def _accumulator(*arrays):
    """Products of 8-bit integers are added up in 32 bits."""
    return jnp.int32 if {a.dtype.name for a in arrays} == {"int8"} else None


@symbolic
def matmul(x1: TensorLike, x2: TensorLike) -> jax.Array:
    """The matrix product: over the last axis of `x1` and the second to last of `x2`.

    Args:
        x1: Array.
        x2: Array.

    Shapes:
        `(..., n, k)` and `(..., k, m)` -> `(..., n, m)`.

    Example:
        >>> print(keras.ops.matmul([[1, 2]], [[3], [4]]))
        [[11]]
    """
    x1, x2 = as_array(x1), as_array(x2)
    return jnp.matmul(x1, x2, preferred_element_type=_accumulator(x1, x2))


_MAX_LETTERS = 100  # of one operand: more than the axes an array can have


@symbolic
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> jax.Array:
    """The sum of products that letters for the axes spell out.

    Args:
        subscripts: Letters of each operand's axes, and of the result's: `"bij,bjk->bik"`.
        *operands: Arrays.
        **kwargs: Passed to `jax.numpy.einsum`.

    Shapes:
        As `subscripts` says.

    Example:
        >>> print(keras.ops.einsum("ij,jk->ik", [[1, 2]], [[3], [4]]))
        [[11]]
    """
    operands = tuple(map(as_array, operands))
    longest = _MAX_LETTERS * (len(operands) + 1)
    if isinstance(subscripts, str) and len(subscripts) > longest:
        wanted = f"at most {longest} characters for {len(operands)} operand(s)"
        raise bad_argument("einsum", "subscripts", wanted, f"{len(subscripts)} characters")
    kwargs.setdefault("preferred_element_type", _accumulator(*operands))
    return jnp.einsum(subscripts, *operands, **kwargs)


@symbolic
def tensordot(x1: TensorLike, x2: TensorLike, axes: Any = 2) -> jax.Array:
    """The sum of products over pairs of axes.

    Args:
        x1: Array.
        x2: Array.
        axes: How many last axes of `x1` go with first ones of `x2`, or two lists of axes.

    Shapes:
        `(..., k)` and `(k, ...)` -> the rest of both, for `axes=1`.

    Example:
        >>> print(keras.ops.tensordot([1, 2], [3, 4], axes=1))
        11
    """
    return jnp.tensordot(as_array(x1), as_array(x2), axes=axes)


@symbolic
def cross(
    x1: TensorLike,
    x2: TensorLike,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> jax.Array:
    """The cross product of vectors of 2 or 3 elements.

    Args:
        x1: Array.
        x2: Array.
        axisa: Axis of the vectors of `x1`.
        axisb: Axis of the vectors of `x2`.
        axisc: Axis of the vectors of the result.
        axis: Axis of all three, if given.

    Shapes:
        `(..., 3)` twice -> the same.

    Example:
        >>> print(keras.ops.cross([1, 0, 0], [0, 1, 0]))
        [0 0 1]
    """
    return jnp.cross(as_array(x1), as_array(x2), axisa=axisa, axisb=axisb, axisc=axisc, axis=axis)


@symbolic
def correlate(x1: TensorLike, x2: TensorLike, mode: str = "valid") -> jax.Array:
    """The cross-correlation of two 1-D arrays: `sum(x1[i + n] * x2[i])` for each shift `n`.

    Args:
        x1: Array.
        x2: Array.
        mode: `"valid"`, `"same"` or `"full"`.

    Shapes:
        `(n,)` and `(m,)` -> `(max(n, m) - min(n, m) + 1,)` with `"valid"`.

    Example:
        >>> print(keras.ops.correlate([1, 2, 3], [1, 1]))
        [3. 5.]
    """
    return jnp.correlate(as_array(x1), as_array(x2), mode)


@symbolic
def slogdet(x: TensorLike) -> tuple[jax.Array, jax.Array]:
    """The sign of the determinant and the logarithm of its modulus.

    Args:
        x: Square matrices.

    Shapes:
        `(..., n, n)` -> two of `(...)`.

    Example:
        >>> print(np.array(keras.ops.slogdet([[0.0, 1.0], [1.0, 0.0]])).round(2))
        [-1.  0.]
    """
    return tuple(jnp.linalg.slogdet(square_matrices("slogdet", x)))
