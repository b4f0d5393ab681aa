"""What the op tables are built from: converted arguments, and the forms that signatures take."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.symbolic.operation import symbolic


def as_array(x: Any) -> jax.Array:
    """`x` as a JAX array; lists, NumPy arrays, numbers and Variables become one."""
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


def as_float(x: Any) -> jax.Array:
    """`x` as a JAX array of floats: integers and booleans become the global float type."""
    x = as_array(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(settings.floatx())


def real_dtype(dtype: Any, default: Any = None) -> Any:
    """The NumPy dtype JAX has for a dtype's name; 64-bit ones need JAX's `x64` switch."""
    dtype = default if dtype is None else dtype
    return None if dtype is None else jax.dtypes.canonicalize_dtype(dtypes.standardize_dtype(dtype))


def as_axes(axis: Any) -> Any:
    """An axis, a tuple of them or `None`, never a list."""
    return tuple(axis) if isinstance(axis, list | np.ndarray) else axis


def _finish(function, name, what):
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}."
    return symbolic(function, name)


def unary(name: str, fn: Callable, convert: Callable = as_array) -> Callable:
    """An op `name(x)`: `fn` of each entry."""

    def op(x):
        return fn(convert(x))

    return _finish(op, name, f"`{name}` of each entry of `x`")


def binary(name: str, fn: Callable) -> Callable:
    """An op `name(x1, x2)`: `fn` of two arrays."""

    def op(x1, x2):
        return fn(as_array(x1), as_array(x2))

    return _finish(op, name, f"`{name}` of `x1` and `x2`")


def bitwise(name: str, fn: Callable) -> Callable:
    """An op `name(x, y)`: `fn` of the bits of two arrays of integers."""

    def op(x, y):
        return fn(as_array(x), as_array(y))

    return _finish(op, name, f"`{name}` of the bits of `x` and `y`")


def reduction(name: str, fn: Callable, convert: Callable = as_array) -> Callable:
    """An op `name(x, axis=None, keepdims=False)`: `fn` over some axes, or all."""

    def op(x, axis=None, keepdims=False):
        return fn(convert(x), axis=as_axes(axis), keepdims=keepdims)

    return _finish(op, name, f"`{name}` over the given axes of `x`, or over all")
