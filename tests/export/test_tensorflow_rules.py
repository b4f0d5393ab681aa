"""Formulas in place of composites: what JAX computes, and nothing of theirs in the program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export, lax

from kerasish.export.portable import portable
from kerasish.export.tensorflow_rules import LITERT_RULES, RULES

X = np.concatenate(
    [[-80, -9, -1.0, -0.5, -1e-3, 0, 1e-6, 0.3, 1.0, 30, 2e5], np.linspace(-3, 3, 50)]
)
X = X.astype("float32")
INNER = np.linspace(-1, 1, 61, dtype="float32")
CASES = {
    "erf": (lax.erf, X),
    "asin": (lax.asin, INNER),
    "acos": (lax.acos, INNER),
    "sinh": (lax.sinh, np.clip(X, -80, 80)),
    "cosh": (lax.cosh, np.clip(X, -80, 80)),
    "asinh": (lax.asinh, X),
    "acosh": (lax.acosh, 1 + abs(X)),
    "atanh": (lax.atanh, 0.999 * INNER),
    "top_k": (lambda x: lax.top_k(x, 3), np.array([[3, 1, 3, 2, 0], [5, 5, 5, -1, 7]], "float32")),
    "top_k of integers": (lambda x: lax.top_k(x, 2), np.array([[-(2**31), 4, 2**31 - 1]], "int32")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_formula_gives_what_jax_does(name):
    fn, x = CASES[name]
    plain = portable(fn, RULES)
    for got, wanted in zip(plain(x), jax.tree.leaves(fn(x)), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=2e-7)
    spec = jax.ShapeDtypeStruct((*export.symbolic_shape("b"), *x.shape[1:]), x.dtype)
    text = export.export(jax.jit(plain))(spec).mlir_module()
    assert "composite" not in text and "chlo" not in text


ROWS = np.array([[3, 1, 3, 2, 0], [-5, 5, 5, -np.inf, 7]], "float32")
TRANSPOSED = [((2, 2), "SAME"), ((3, 1), "VALID"), ((2, 3), [(1, 2), (0, 3)])]
ON_PHONES = {
    "sort": (lambda x: lax.sort(x, dimension=1), ROWS),
    "sort with NaN": (
        lambda x: lax.sort(x, dimension=1),
        np.where(ROWS == 3, np.nan, ROWS).astype("float32"),
    ),
    "sort down": (lambda x: lax.sort(x, dimension=0), ROWS),
    "argsort": (lambda x: lax.sort_key_val(x, lax.broadcasted_iota("int32", x.shape, 1)), ROWS),
    "top_k": (lambda x: lax.top_k(x, 3), ROWS),
    **{
        f"transposed convolution {i}": (
            lambda x, s=strides, p=padding: lax.conv_transpose(
                x,
                jnp.arange(24.0).reshape(3, 2, 2, 2),
                s,
                p,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            ),
            np.arange(40, dtype="float32").reshape(1, 4, 5, 2),
        )
        for i, (strides, padding) in enumerate(TRANSPOSED)
    },
}


@pytest.mark.parametrize("name", ON_PHONES)
def test_what_litert_has_not_is_written_otherwise(name):
    fn, x = ON_PHONES[name]
    plain = portable(fn, LITERT_RULES)
    for got, wanted in zip(plain(x), jax.tree.leaves(fn(x)), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    text = jax.jit(plain).lower(x).as_text()
    assert "stablehlo.sort" not in text and "lhs_dilation = array<i64: 2" not in text


def test_every_formula_has_a_case():
    assert set(RULES) == {name.split()[0] for name in CASES}


def test_other_formats_keep_the_primitives():
    from kerasish.export.portable import trace

    assert " erf " in str(trace(lax.erf, [jax.ShapeDtypeStruct((2,), jnp.float32)]))
