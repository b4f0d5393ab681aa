"""Primitives that newer JAX writes as composites, which TensorFlow 2.21 cannot read, as formulas.

Equal to what JAX computes to about 1e-7 of the larger of 1 and the value.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

_LOG_2 = math.log(2)


def _erf(equation, x):
    """A power series near 0, and one minus the complement elsewhere."""
    near = jnp.clip(x, -0.5, 0.5)
    square, series = near * near, 0.0
    for n in range(8, -1, -1):
        series = series * square + (-1) ** n / (math.factorial(n) * (2 * n + 1))
    return jnp.where(jnp.abs(x) < 0.5, 2 / math.sqrt(math.pi) * near * series, 1 - lax.erfc(x))


def _asin(equation, x):
    return lax.atan2(x, lax.sqrt((1 - x) * (1 + x)))


def _acos(equation, x):
    return lax.atan2(lax.sqrt((1 - x) * (1 + x)), x)


def _sinh(equation, x):
    size = jnp.abs(x)
    grown = lax.expm1(jnp.minimum(size, 1.0))
    near = (grown + grown / (grown + 1)) / 2
    far = lax.exp(size - _LOG_2) - lax.exp(-size - _LOG_2)
    return jnp.sign(x) * jnp.where(size < 1, near, far)


def _cosh(equation, x):
    size = jnp.abs(x)
    return lax.exp(size - _LOG_2) + lax.exp(-size - _LOG_2)


def _asinh(equation, x):
    size = jnp.abs(x)
    bounded = jnp.minimum(size, 1e4)
    square = bounded * bounded
    near = lax.log1p(bounded + square / (1 + lax.sqrt(square + 1)))
    return jnp.sign(x) * jnp.where(size < 1e4, near, lax.log(jnp.maximum(size, 1.0)) + _LOG_2)


def _acosh(equation, x):
    bounded = jnp.minimum(x, 1e4)
    near = lax.log(bounded + lax.sqrt((bounded + 1) * (bounded - 1)))
    return jnp.where(x < 1e4, near, lax.log(jnp.maximum(x, 1.0)) + _LOG_2)


def _atanh(equation, x):
    return 0.5 * (lax.log1p(x) - lax.log1p(-x))


def _top_k(equation, x):
    """By sorting the negatives, which keeps the order of what is equal."""
    k, axis = equation.params["k"], equation.params.get("axis", x.ndim - 1) % x.ndim
    keys = -x if jnp.issubdtype(x.dtype, jnp.inexact) else lax.bitwise_not(x)
    places = lax.broadcasted_iota("int32", x.shape, axis)
    _, values, places = lax.sort((keys, x, places), dimension=axis, num_keys=1, is_stable=True)
    return [lax.slice_in_dim(found, 0, k, axis=axis) for found in (values, places)]


RULES: dict[str, Callable] = {
    "erf": _erf,
    "asin": _asin,
    "acos": _acos,
    "sinh": _sinh,
    "cosh": _cosh,
    "asinh": _asinh,
    "acosh": _acosh,
    "atanh": _atanh,
    "top_k": _top_k,
}
