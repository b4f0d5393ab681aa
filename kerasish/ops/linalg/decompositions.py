"""Linear algebra: products, factorisations, systems of equations."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array, as_axes, as_float, binary

dot = binary("dot", jnp.dot)
inner = binary("inner", jnp.inner)
kron = binary("kron", jnp.kron)
outer = binary("outer", jnp.outer)
vdot = binary("vdot", jnp.vdot)


def _accumulator(*arrays):
    """Products of 8-bit integers are added up in 32 bits."""
    return jnp.int32 if {a.dtype.name for a in arrays} == {"int8"} else None


@symbolic
def matmul(x1, x2):
    """The matrix product over the last two axes."""
    x1, x2 = as_array(x1), as_array(x2)
    return jnp.matmul(x1, x2, preferred_element_type=_accumulator(x1, x2))


@symbolic
def einsum(subscripts, *operands, **kwargs):
    """The sum of products that `subscripts` spell out: `"bij,bjk->bik"`."""
    operands = [*map(as_array, operands)]
    kwargs.setdefault("preferred_element_type", _accumulator(*operands))
    return jnp.einsum(subscripts, *operands, **kwargs)


@symbolic
def tensordot(x1, x2, axes=2):
    """The sum of products over pairs of axes."""
    return jnp.tensordot(as_array(x1), as_array(x2), axes=axes)


@symbolic
def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The cross product of vectors of 2 or 3 entries."""
    return jnp.cross(as_array(x1), as_array(x2), axisa=axisa, axisb=axisb, axisc=axisc, axis=axis)


@symbolic
def correlate(x1, x2, mode="valid"):
    """The cross-correlation of two 1-D arrays."""
    return jnp.correlate(as_array(x1), as_array(x2), mode)


def _matrices(op, x):
    x = as_array(x)
    if x.ndim < 2:
        raise bad_argument(op, "x", "of rank 2 or more", x.shape)
    return x


def _square(op, x):
    x = _matrices(op, x)
    if x.shape[-1] != x.shape[-2]:
        raise bad_argument(op, "x", "square in its last two axes", x.shape)
    return x


@symbolic
def cholesky(x, upper=False):
    """The triangular `L` with `L @ L.T == x`, or `U` with `U.T @ U == x`."""
    factor = jnp.linalg.cholesky(_square("cholesky", x), upper=upper)
    if not isinstance(factor, jax.core.Tracer) and np.isnan(factor).any():
        raise ValueError("cholesky: `x` must be positive definite; the decomposition failed.")
    return factor


@symbolic
def cholesky_inverse(x, upper=False):
    """The inverse of the matrix whose Cholesky factor is `x`."""
    x = _square("cholesky_inverse", x)
    half = jax.scipy.linalg.solve_triangular(
        x, jnp.eye(x.shape[-1], dtype=x.dtype), lower=not upper
    )
    return half @ half.T if upper else half.T @ half


@symbolic
def det(x):
    """The determinant."""
    return jnp.linalg.det(_square("det", x))


@symbolic
def slogdet(x):
    """The sign of the determinant and the logarithm of its size."""
    return tuple(jnp.linalg.slogdet(_square("slogdet", x)))


@symbolic
def logdet(x):
    """The logarithm of the determinant's size."""
    return jnp.linalg.slogdet(_square("logdet", x))[1]


@symbolic
def eig(x):
    """Eigenvalues and eigenvectors. On the CPU only."""
    return jnp.linalg.eig(_square("eig", x))


@symbolic
def eigh(x):
    """Eigenvalues, ascending, and eigenvectors of a symmetric (or Hermitian) matrix."""
    return jnp.linalg.eigh(_square("eigh", x))


@symbolic
def inv(x):
    """The inverse."""
    return jnp.linalg.inv(_square("inv", x))


@symbolic
def pinv(x, rcond=None):
    """The pseudo-inverse; singular values below `rcond` times the largest count as 0."""
    return jnp.linalg.pinv(_matrices("pinv", x), rcond=rcond)


@symbolic
def matrix_rank(x, tol=None):
    """The number of singular values above `tol`."""
    return jnp.linalg.matrix_rank(_matrices("matrix_rank", x), tol=tol).astype("int32")


@symbolic
def lu_factor(x):
    """The LU factors in one matrix, and the pivots."""
    x = _matrices("lu_factor", x)
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
    return jnp.linalg.qr(_matrices("qr", x), mode=mode)


@symbolic
def svd(x, full_matrices=True, compute_uv=True):
    """The singular value decomposition `U`, `S`, `V^H`, or `S` alone."""
    x = _matrices("svd", x)
    return jnp.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)


def _system(op, a, b):
    a, b = _square(op, a), as_array(b)
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
def cdist(x, y):
    """Euclidean distances between all rows of `x` and all rows of `y`.

    Shapes:
        `(..., n, d)` and `(..., m, d)` -> `(..., n, m)`.
    """
    x, y = _matrices("cdist", x), _matrices("cdist", y)
    if x.shape[-1] != y.shape[-1]:
        raise bad_argument("cdist", "y", f"of {x.shape[-1]} columns, as `x`", y.shape)
    return jnp.sqrt(jnp.sum((x[..., :, None, :] - y[..., None, :, :]) ** 2, axis=-1))


@symbolic
def jvp(fun, primals, tangents, has_aux=False):
    """`fun(*primals)` and its derivative in the direction of `tangents`."""
    arrays = [jax.tree.map(as_array, list(each)) for each in (primals, tangents)]
    return jax.jvp(fun, *arrays, has_aux=has_aux)
