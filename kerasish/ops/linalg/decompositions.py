"""Decompositions, inverses and norms of matrices, and systems of equations."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.keras_tensor import symbolic
from kerasish.ops.wrappers import as_array, as_axes, as_float, as_matrices, square_matrices

# fmt: off
__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "solve", "solve_triangular", "svd",
]
# fmt: on


@symbolic
def cholesky(x, upper=False):
    """The triangular `L` with `L @ L.T == x`, or `U` with `U.T @ U == x`."""
    factor = jnp.linalg.cholesky(square_matrices("cholesky", x), upper=upper)
    if not isinstance(factor, jax.core.Tracer) and np.isnan(factor).any():
        raise ValueError("cholesky: `x` must be positive definite; the decomposition failed.")
    return factor


@symbolic
def cholesky_inverse(x, upper=False):
    """The inverse of the matrix whose Cholesky factor is `x`."""
    x = square_matrices("cholesky_inverse", x)
    half = jax.scipy.linalg.solve_triangular(
        x, jnp.eye(x.shape[-1], dtype=x.dtype), lower=not upper
    )
    return half @ half.T if upper else half.T @ half


@symbolic
def det(x):
    """The determinant."""
    return jnp.linalg.det(square_matrices("det", x))


@symbolic
def eig(x):
    """Eigenvalues and eigenvectors. On the CPU only."""
    return jnp.linalg.eig(square_matrices("eig", x))


@symbolic
def eigh(x):
    """Eigenvalues, ascending, and eigenvectors of a symmetric (or Hermitian) matrix."""
    return jnp.linalg.eigh(square_matrices("eigh", x))


@symbolic
def inv(x):
    """The inverse."""
    return jnp.linalg.inv(square_matrices("inv", x))


@symbolic
def pinv(x, rcond=None):
    """The pseudo-inverse; singular values below `rcond` times the largest count as 0."""
    return jnp.linalg.pinv(as_matrices("pinv", x), rcond=rcond)


@symbolic
def matrix_rank(x, tol=None):
    """The number of singular values above `tol`."""
    return jnp.linalg.matrix_rank(as_matrices("matrix_rank", x), tol=tol).astype("int32")


@symbolic
def lu_factor(x):
    """The LU factors in one matrix, and the pivots."""
    x = as_matrices("lu_factor", x)
    return tuple(jax.scipy.linalg.lu_factor(x))


@symbolic
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of vectors (along one axis) or matrices (two axes): `ord` says which."""
    return jnp.linalg.norm(as_float(x), ord=ord, axis=as_axes(axis), keepdims=keepdims)


@symbolic
def qr(x, mode="reduced"):
    """The factors `Q` (orthonormal columns) and `R` (upper triangular)."""
    if mode not in ("reduced", "complete"):
        raise bad_argument("qr", "mode", "'reduced' or 'complete'", mode)
    return jnp.linalg.qr(as_matrices("qr", x), mode=mode)


@symbolic
def svd(x, full_matrices=True, compute_uv=True):
    """The singular value decomposition `U`, `S`, `V^H`, or `S` alone."""
    x = as_matrices("svd", x)
    return jnp.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)


def _system(op, a, b):
    a, b = square_matrices(op, a), as_array(b)
    if b.ndim < 1 or b.shape[-1 if b.ndim == a.ndim - 1 else -2] != a.shape[-2]:
        raise bad_argument(op, "b", f"of {a.shape[-2]} rows, as `a`", b.shape)
    return a, b


@symbolic
def solve(a, b):
    """The `x` with `a @ x == b`."""
    return jnp.linalg.solve(*_system("solve", a, b))


@symbolic
def solve_triangular(a, b, lower=False):
    """The `x` with `a @ x == b`, for a triangular `a`."""
    return jax.scipy.linalg.solve_triangular(*_system("solve_triangular", a, b), lower=lower)


@symbolic
def lstsq(a, b, rcond=None):
    """The `x` that makes `a @ x - b` least in the square."""
    return jnp.linalg.lstsq(as_array(a), as_array(b), rcond=rcond)[0]


@symbolic
def jvp(fun, primals, tangents, has_aux=False):
    """`fun(*primals)` and its derivative in the direction of `tangents`."""
    arrays = [jax.tree.map(as_array, list(each)) for each in (primals, tangents)]
    return jax.jvp(fun, *arrays, has_aux=has_aux)
