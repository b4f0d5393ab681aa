"""What the op tables are built from: converted arguments, and the forms that signatures take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.sparse import SparseInput, is_sparse
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike


def as_array(x: Any) -> jax.Array:
    """`x` as a JAX array; lists, NumPy arrays, numbers and Variables become one.

    Args:
        x: Array, Variable, number or list of numbers.
    """
    if isinstance(x, jax.Array):
        return x
    if is_sparse(x):
        raise SparseInput
    return jnp.asarray(x)


def as_float(x: Any) -> jax.Array:
    """`x` as a JAX array of floats: integers and booleans become the global float type.

    Args:
        x: Array, Variable, number or list of numbers.
    """
    x = as_array(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(settings.floatx())


def in_32_bits(x: jax.Array) -> jax.Array:
    """`x` in 32 bits at least: 16-bit floats overflow when many are added up.

    Args:
        x: Array, Variable, number or list of numbers.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def real_dtype(dtype: Any, default: Any = None) -> Any:
    """The NumPy dtype JAX has for a dtype's name; 64-bit ones need JAX's `x64` switch.

    Args:
        dtype: The dtype, or its name.
        default: The one for `None`.
    """
    dtype = default if dtype is None else dtype
    return None if dtype is None else jax.dtypes.canonicalize_dtype(dtypes.standardize_dtype(dtype))


def as_indices(op: str, name: str, x: Any) -> jax.Array:
    """`x` as an array of integers; floats without fractions become them.

    Args:
        op: Name of the op, for the error.
        name: Name of the argument, for the error.
        x: Array, Variable, number or list of numbers.
    """
    x = as_array(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    if not isinstance(x, jax.core.Tracer) and not np.array_equal(x, np.floor(x)):
        raise bad_argument(op, name, "integers", np.asarray(x).tolist())
    return x.astype("int32")


def as_axis(op: str, axis: int, rank: int) -> int:
    """An axis counted from the first; one that is not there is a `ValueError`.

    Args:
        op: Name of the op, for the error.
        axis: The axis.
        rank: Number of axes of the array.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"{op}: axis {axis} is out of bounds for an array of rank {rank}.")
    return axis % rank


def as_axes(axis: Any) -> Any:
    """An axis, a tuple of them or `None`, never a list.

    Args:
        axis: The axis, or axes.
    """
    return tuple(axis) if isinstance(axis, list | np.ndarray) else axis


def as_matrices(op: str, x: Any) -> jax.Array:
    """`x` as an array of matrices: of at least two axes.

    Args:
        op: Name of the op, for the error.
        x: Array, Variable, number or list of numbers.
    """
    x = as_array(x)
    if x.ndim < 2:
        raise bad_argument(op, "x", "of rank 2 or more", x.shape)
    return x


def square_matrices(op: str, x: Any) -> jax.Array:
    """`x` as an array of square matrices.

    Args:
        op: Name of the op, for the error.
        x: Array, Variable, number or list of numbers.
    """
    x = as_matrices(op, x)
    if x.shape[-1] != x.shape[-2]:
        raise bad_argument(op, "x", "square in its last two axes", x.shape)
    return x


_ARGUMENTS = {
    "axis": "Axis, or axes, to go over; `None` is all.",
    "keepdims": "Whether the axes gone over stay, with size 1.",
    "x": "Array, Variable, number or list of numbers.",
    "x1": "Array, Variable, number or list of numbers.",
    "x2": "The same, of a shape that broadcasts with that of `x1`.",
    "y": "The same, of a shape that broadcasts with that of `x`.",
}


def describe(
    op: Callable, name: str, what: str, shapes: str, example: str, **arguments: str
) -> Callable:
    """Give an op made by a table its name, and a docstring like that of others.

    Args:
        op: The function.
        name: Its name.
        what: What it computes, a sentence without the full stop.
        shapes: Of what it takes and returns.
        example: Arguments and the printed result: `"[1.0, 4.0] -> [1. 2.]"`. Fractions in it are
            rounded to two decimals.
        **arguments: What arguments are that are not the usual ones.
    """
    known = _ARGUMENTS | arguments
    args, result = example.split(" -> ")
    call = f"keras.ops.{name}({args})"
    lines = [f"{what}.", "", "Args:"]
    lines += [f"    {key}: {known[key]}" for key in inspect.signature(op).parameters]
    lines += ["", "Shapes:", f"    {shapes}", "", "Example:"]
    lines += [
        f"    >>> print(np.array({call}).round(2))" if "." in result else f"    >>> print({call})"
    ]
    lines += [f"    {line}" for line in result.splitlines()]
    op.__name__ = op.__qualname__ = name
    op.__doc__ = "\n".join(lines) + "\n"
    return op


def unary(
    name: str, fn: Callable, what: str, example: str, convert: Callable = as_array
) -> Callable:
    """An op `name(x)`: `fn` of each element.

    Args:
        name: Name of the op.
        fn: Function of arrays.
        what: What it computes, a sentence without the full stop.
        example: As `describe` takes it.
        convert: What makes an array of the argument.
    """

    def op(x: TensorLike) -> jax.Array:
        return fn(convert(x))

    return symbolic(describe(op, name, what, "`(...)` -> the same.", example), name)


_BROADCAST = "Two that broadcast -> what they broadcast to."


def binary(name: str, fn: Callable, what: str, example: str, shapes: str = _BROADCAST) -> Callable:
    """An op `name(x1, x2)`: `fn` of two arrays.

    Args:
        name: Name of the op.
        fn: Function of arrays.
        what: What it computes, a sentence without the full stop.
        example: As `describe` takes it.
        shapes: Of what it takes and returns.
    """

    def op(x1: TensorLike, x2: TensorLike) -> jax.Array:
        return fn(as_array(x1), as_array(x2))

    return symbolic(describe(op, name, what, shapes, example), name)


def bitwise(name: str, fn: Callable, what: str, example: str) -> Callable:
    """An op `name(x, y)`: `fn` of the bits of two arrays of integers.

    Args:
        name: Name of the op.
        fn: Function of arrays.
        what: What it computes, a sentence without the full stop.
        example: As `describe` takes it.
    """

    def op(x: TensorLike, y: TensorLike) -> jax.Array:
        return fn(as_array(x), as_array(y))

    return symbolic(describe(op, name, what, _BROADCAST, example), name)


def reduction(
    name: str, fn: Callable, what: str, example: str, convert: Callable = as_array
) -> Callable:
    """An op `name(x, axis=None, keepdims=False)`: `fn` over some axes, or all.

    Args:
        name: Name of the op.
        fn: Function of arrays.
        what: What it computes, a sentence without the full stop.
        example: As `describe` takes it.
        convert: What makes an array of the argument.
    """

    def op(
        x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False
    ) -> jax.Array:
        return fn(convert(x), axis=as_axes(axis), keepdims=keepdims)

    shapes = "`(...)` -> that without the axes gone over, or of size 1 there."
    return symbolic(describe(op, name, what, shapes, example), name)
