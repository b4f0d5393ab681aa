"""What TensorFlow 2.21 cannot read, or LiteRT has not, written with what they have.

Newer JAX writes some functions as composites, which are formulas here, equal to about 1e-7 of the
larger of 1 and the value.
"""

import math
import types
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasish.export import rules

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
    positions = lax.broadcasted_iota("int32", x.shape, axis)
    _, values, positions = lax.sort(
        (keys, x, positions), dimension=axis, num_keys=1, is_stable=True
    )
    return [lax.slice_in_dim(found, 0, k, axis=axis) for found in (values, positions)]


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


# -- LiteRT's


def _convolution(equation, x, kernel):
    """With zeros put between the inputs: LiteRT's transposed convolution takes other borders."""
    params = dict(equation.params)
    spread = params["lhs_dilation"]
    if all(n == 1 for n in spread):
        return NotImplemented
    axes = params["dimension_numbers"].lhs_spec[2:]
    between = dict(zip(axes, spread, strict=True))
    config = [(0, 0, between.get(axis, 1) - 1) for axis in range(x.ndim)]
    x = rules.padded(x, jnp.zeros((), x.dtype), config)
    params["lhs_dilation"] = (1,) * len(spread)
    plain = types.SimpleNamespace(primitive=equation.primitive, params=params)
    found = rules.RULES["conv_general_dilated"](plain, x, kernel)
    return equation.primitive.bind(x, kernel, **params) if found is NotImplemented else found


_MOST_SORTED = 512  # each is compared with each


def _ranks(x, axis):
    """Where each value comes along an axis: ascending, NaN last, equal ones as they stand."""
    x = jnp.moveaxis(x, axis, -1)
    one, other = x[..., :, None], x[..., None, :]
    earlier = np.tril(np.ones((x.shape[-1],) * 2, bool), -1)
    one_is_nan, other_is_nan = one != one, other != other
    same = (other == one) | (one_is_nan & other_is_nan)
    before = (other < one) | (one_is_nan & ~other_is_nan) | (same & earlier)
    return jnp.sum(before, axis=-1, dtype="int32")


def _by_rank(x, ranks, axis):
    """Values in the order of their ranks."""
    x = jnp.moveaxis(x, axis, -1)
    takes = ranks[..., None, :] == np.arange(x.shape[-1], dtype="int32")[:, None]
    return jnp.moveaxis(jnp.sum(jnp.where(takes, x[..., None, :], 0), -1, dtype=x.dtype), -1, axis)


def _sort(equation, *operands):
    """By counting what is smaller."""
    axis, size = equation.params["dimension"], operands[0].shape[equation.params["dimension"]]
    if equation.params["num_keys"] != 1 or not isinstance(size, int) or size > _MOST_SORTED:
        return NotImplemented
    ranks = _ranks(operands[0], axis)
    return [_by_rank(x, ranks, axis) for x in operands]


def _top_k_by_rank(equation, x):
    k, axis = equation.params["k"], equation.params.get("axis", x.ndim - 1) % x.ndim
    keys = -x if jnp.issubdtype(x.dtype, jnp.inexact) else lax.bitwise_not(x)
    if not isinstance(x.shape[axis], int) or x.shape[axis] > _MOST_SORTED:
        return _top_k(equation, x)
    ranks, positions = _ranks(keys, axis), lax.broadcasted_iota("int32", x.shape, axis)
    found = (_by_rank(x, ranks, axis), _by_rank(positions, ranks, axis))
    return [lax.slice_in_dim(each, 0, k, axis=axis) for each in found]


LITERT_RULES: dict[str, Callable] = {
    **RULES,
    "conv_general_dilated": _convolution,
    "sort": _sort,
    "top_k": _top_k_by_rank,
}
