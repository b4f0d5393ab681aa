"""`keras.ops.linalg`: the ops of linear algebra."""

# Packed by hand: one name a line would be hundreds.
# fmt: off
# ruff: noqa: I001

from kerasish.ops.linalg.decompositions import (
    cholesky, cholesky_inverse, det, eig, eigh, inv, jvp, lstsq, lu_factor, matrix_rank, norm, pinv,
    qr, solve, solve_triangular, svd,
)

__all__ = [
    "cholesky", "cholesky_inverse", "det", "eig", "eigh", "inv", "jvp", "lstsq", "lu_factor",
    "matrix_rank", "norm", "pinv", "qr", "solve", "solve_triangular", "svd",
]
