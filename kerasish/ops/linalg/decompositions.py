"""Decompositions, inverses and norms of matrices, and systems of equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array, as_axes, as_float, as_matrices, square_matrices

# fmt: off
__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "solve", "solve_triangular", "svd",
]
# fmt: on


@symbolic
def cholesky(x: TensorLike, upper: bool = False) -> jax.Array:
    """The Cholesky factor: `L` with `L @ L.T == x`, or `U` with `U.T @ U == x`.

    Args:
        x: Symmetric positive definite matrices.
        upper: Whether the factor is upper triangular.

    Shapes:
        `(..., n, n)` -> the same.

    Raises:
        ValueError: If a matrix is not positive definite (outside of compiled code).

    Example:
        >>> print(keras.ops.cholesky([[4.0, 0.0], [0.0, 9.0]]))
        [[2. 0.]
         [0. 3.]]
    """
    factor = jnp.linalg.cholesky(square_matrices("cholesky", x), upper=upper)
    if not isinstance(factor, jax.core.Tracer) and np.isnan(factor).any():
        raise ValueError("cholesky: `x` must be positive definite; the decomposition failed.")
    return factor


@symbolic
def cholesky_inverse(x: TensorLike, upper: bool = False) -> jax.Array:
    """The inverse of the matrix whose Cholesky factor is given.

    Args:
        x: The factor, a triangular matrix.
        upper: Whether the factor is upper triangular.

    Shapes:
        `(n, n)` -> the same.

    Example:
        >>> print(keras.ops.cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]))
        [[0.25 0.  ]
         [0.   1.  ]]
    """
    x = square_matrices("cholesky_inverse", x)
    half = jax.scipy.linalg.solve_triangular(
        x, jnp.eye(x.shape[-1], dtype=x.dtype), lower=not upper
    )
    return half @ half.T if upper else half.T @ half


@symbolic
def det(x: TensorLike) -> jax.Array:
    """The determinant.

    Args:
        x: Square matrices.

    Shapes:
        `(..., n, n)` -> `(...)`.

    Example:
        >>> print(keras.ops.det([[2.0, 1.0], [0.0, 3.0]]))
        6.0
    """
    return jnp.linalg.det(square_matrices("det", x))


@symbolic
def eig(x: TensorLike) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and eigenvectors; on the CPU only.

    Args:
        x: Square matrices.

    Shapes:
        `(..., n, n)` -> `(..., n)` and `(..., n, n)`, a vector a column.

    Example:
        >>> print(keras.ops.eig([[2.0, 0.0], [0.0, 3.0]])[0])
        [2.+0.j 3.+0.j]
    """
    return jnp.linalg.eig(square_matrices("eig", x))


@symbolic
def eigh(x: TensorLike) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues, ascending, and eigenvectors of symmetric (or Hermitian) matrices.

    Args:
        x: Symmetric matrices.

    Shapes:
        `(..., n, n)` -> `(..., n)` and `(..., n, n)`, a vector a column.

    Example:
        >>> print(np.array(keras.ops.eigh([[2.0, 1.0], [1.0, 2.0]])[0]).round(2))
        [1. 3.]
    """
    return jnp.linalg.eigh(square_matrices("eigh", x))


@symbolic
def inv(x: TensorLike) -> jax.Array:
    """The inverse of matrices.

    Args:
        x: Square matrices.

    Shapes:
        `(..., n, n)` -> the same.

    Example:
        >>> print(keras.ops.inv([[2.0, 0.0], [0.0, 4.0]]))
        [[0.5  0.  ]
         [0.   0.25]]
    """
    return jnp.linalg.inv(square_matrices("inv", x))


@symbolic
def pinv(x: TensorLike, rcond: float | None = None) -> jax.Array:
    """The Moore-Penrose pseudoinverse of matrices.

    Args:
        x: Matrices.
        rcond: Singular values below so many times the largest count as 0.

    Shapes:
        `(..., n, m)` -> `(..., m, n)`.

    Example:
        >>> print(np.array(keras.ops.pinv([[2.0], [0.0]])).round(2))
        [[0.5 0. ]]
    """
    return jnp.linalg.pinv(as_matrices("pinv", x), rcond=rcond)


@symbolic
def matrix_rank(x: TensorLike, tol: float | None = None) -> jax.Array:
    """The number of singular values above a tolerance.

    Args:
        x: Matrices.
        tol: The tolerance; by default from the type's precision.

    Shapes:
        `(..., n, m)` -> `(...)`.

    Example:
        >>> print(keras.ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
        1
    """
    return jnp.linalg.matrix_rank(as_matrices("matrix_rank", x), tol=tol).astype("int32")


@symbolic
def lu_factor(x: TensorLike) -> tuple[jax.Array, jax.Array]:
    """The LU decomposition with pivoting: both factors in one matrix, and the pivots.

    Args:
        x: Matrices.

    Shapes:
        `(..., n, m)` -> the same and `(..., min(n, m))`.

    Example:
        >>> print(*keras.ops.lu_factor([[4.0, 2.0], [2.0, 3.0]]))
        [[4.  2. ]
         [0.5 2. ]] [0 1]
    """
    x = as_matrices("lu_factor", x)
    return tuple(jax.scipy.linalg.lu_factor(x))


@symbolic
def norm(
    x: TensorLike,
    ord: int | float | str | None = None,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> jax.Array:
    """The norm of vectors along one axis, or of matrices in two.

    Args:
        x: Array, Variable, number or list of numbers.
        ord: Which norm: a number, `"fro"` or `"nuc"`; by default the Euclidean one.
        axis: One axis for vectors, two for matrices; `None` is all elements.
        keepdims: Whether the axes gone over stay, with size 1.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.norm([3.0, 4.0]))
        5.0
    """
    x, axes = as_float(x), as_axes(axis)
    if ord is None or (ord == 2 and isinstance(axes, int)):
        # The gradient of the root at 0 is infinite: of vectors of zeros, it is 0 here.
        square = jnp.sum(jnp.real(x * jnp.conj(x)), axis=axes, keepdims=keepdims)
        some = square > 0
        return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1)), square)
    return jnp.linalg.norm(x, ord=ord, axis=axes, keepdims=keepdims)


@symbolic
def qr(x: TensorLike, mode: str = "reduced") -> tuple[jax.Array, jax.Array]:
    """The QR decomposition: `Q` with orthonormal columns, and `R` upper triangular.

    Args:
        x: Matrices.
        mode: `"reduced"`: `k = min(n, m)`; `"complete"`: `k = n`.

    Shapes:
        `(..., n, m)` -> `(..., n, k)` and `(..., k, m)`.

    Example:
        >>> print(np.array(keras.ops.qr([[2.0, 0.0], [0.0, 3.0]])[1]).round(2).tolist())
        [[2.0, 0.0], [0.0, 3.0]]
    """
    if mode not in ("reduced", "complete"):
        raise bad_argument("qr", "mode", "'reduced' or 'complete'", mode)
    return jnp.linalg.qr(as_matrices("qr", x), mode=mode)


@symbolic
def svd(
    x: TensorLike, full_matrices: bool = True, compute_uv: bool = True
) -> jax.Array | tuple[jax.Array, jax.Array, jax.Array]:
    """The singular value decomposition: `U`, `S` and `V^H` with `x == U @ diag(S) @ V^H`.

    Args:
        x: Matrices.
        full_matrices: Whether `U` and `V` are square.
        compute_uv: Whether to return all three rather than `S` only.

    Shapes:
        `(..., n, m)` -> `(..., n, n)`, `(..., min(n, m))`, `(..., m, m)`.

    Example:
        >>> print(keras.ops.svd([[3.0, 0.0], [0.0, 2.0]], compute_uv=False))
        [3. 2.]
    """
    x = as_matrices("svd", x)
    return jnp.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)


def _system(op, a, b):
    a, b = square_matrices(op, a), as_array(b)
    if b.ndim < 1 or b.shape[-1 if b.ndim == a.ndim - 1 else -2] != a.shape[-2]:
        raise bad_argument(op, "b", f"of {a.shape[-2]} rows, as `a`", b.shape)
    return a, b


@symbolic
def solve(a: TensorLike, b: TensorLike) -> jax.Array:
    """The solution of `a @ x == b`.

    Args:
        a: Square matrices.
        b: Right-hand sides, one a column.

    Shapes:
        `(..., n, n)` and `(..., n, m)` -> `(..., n, m)`.

    Example:
        >>> print(keras.ops.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]))
        [[1. ]
         [0.5]]
    """
    return jnp.linalg.solve(*_system("solve", a, b))


@symbolic
def solve_triangular(a: TensorLike, b: TensorLike, lower: bool = False) -> jax.Array:
    """The solution of `a @ x == b` for triangular matrices.

    Args:
        a: Triangular matrices.
        b: Right-hand sides, one a column.
        lower: Whether they are lower triangular.

    Shapes:
        `(..., n, n)` and `(..., n, m)` -> `(..., n, m)`.

    Example:
        >>> print(keras.ops.solve_triangular([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]))
        [[1. ]
         [0.5]]
    """
    return jax.scipy.linalg.solve_triangular(*_system("solve_triangular", a, b), lower=lower)


@symbolic
def lstsq(a: TensorLike, b: TensorLike, rcond: float | None = None) -> jax.Array:
    """The least-squares solution: the `x` for which `sum((a @ x - b)**2)` is smallest.

    Args:
        a: Matrix.
        b: Right-hand sides, one a column.
        rcond: Singular values below so many times the largest count as 0.

    Shapes:
        `(n, m)` and `(n, k)` -> `(m, k)`.

    Example:
        >>> print(np.array(keras.ops.lstsq([[1.0], [1.0]], [[1.0], [3.0]])).round(2))
        [[2.]]
    """
    return jnp.linalg.lstsq(as_array(a), as_array(b), rcond=rcond)[0]


@symbolic
def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> tuple:
    """The value of a function and its derivative in a direction.

    Args:
        fun: Function of arrays.
        primals: Where it is taken, a tuple with one element an argument.
        tangents: The direction, alike.
        has_aux: Whether the function returns `(value, anything)`.

    Example:
        >>> print(*keras.ops.jvp(lambda x: x**2, (3.0,), (1.0,)))
        9.0 6.0
    """
    arrays = [jax.tree.map(as_array, list(each)) for each in (primals, tangents)]
    return jax.jvp(fun, *arrays, has_aux=has_aux)
