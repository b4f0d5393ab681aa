"""The same elements in another arrangement, or some of them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import (
    as_array,
    as_axes,
    as_axis,
    as_indices,
    describe,
    unary,
)

# fmt: off
__all__ = [
    "append", "array_split", "broadcast_to", "concatenate", "diag", "diagflat", "diagonal",
    "dsplit", "dstack", "expand_dims", "flip", "fliplr", "flipud", "get_item", "hsplit",
    "hstack", "moveaxis", "ndim", "pad", "ravel", "repeat", "reshape", "roll", "rot90", "size",
    "split", "squeeze", "stack", "swapaxes", "take", "take_along_axis", "tile", "trace",
    "transpose", "tril", "triu", "unravel_index", "vsplit", "vstack",
]
# fmt: on

# -- axes and shapes

fliplr = unary(
    "fliplr",
    jnp.fliplr,
    "Elements in reverse order along the second axis",
    "[[1, 2], [3, 4]] -> [[2 1]\n [4 3]]",
)
flipud = unary(
    "flipud",
    jnp.flipud,
    "Elements in reverse order along the first axis",
    "[[1, 2], [3, 4]] -> [[3 4]\n [1 2]]",
)
ravel = unary(
    "ravel",
    jnp.ravel,
    "All elements in one axis, the last axis varying fastest",
    "[[1, 2], [3, 4]] -> [1 2 3 4]",
)


def ndim(x: TensorLike) -> int:
    """The number of axes.

    Args:
        x: Array, Variable, number or list of numbers.

    Example:
        >>> keras.ops.ndim([[1, 2], [3, 4]])
        2
    """
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@symbolic
def size(x: TensorLike) -> int | None:
    """The number of elements.

    Args:
        x: Array, Variable, number or list of numbers.

    Example:
        >>> keras.ops.size([[1, 2], [3, 4]])
        4
    """
    return jnp.size(as_array(x))


@symbolic
def reshape(x: TensorLike, newshape: Any) -> jax.Array:
    """The same elements in another shape.

    One size may be -1: worked out from the others. `None`, as `ops.shape` gives for the batch of a
    symbolic tensor, is the size that `x` has at that position.

    Args:
        x: Array, Variable, number or list of numbers.
        newshape: Sizes of the axes.

    Shapes:
        `(...)` -> `newshape`.

    Example:
        >>> print(keras.ops.reshape([1, 2, 3, 4], (2, -1)))
        [[1 2]
         [3 4]]
    """
    x = as_array(x)
    newshape = tuple(newshape) if hasattr(newshape, "__iter__") else (newshape,)
    newshape = tuple(x.shape[i] if n is None else n for i, n in enumerate(newshape))
    if len([n for n in newshape if isinstance(n, int) and n == -1]) > 1:
        raise bad_argument("reshape", "newshape", "without more than one -1", newshape)
    if any(isinstance(n, int) and n < -1 for n in newshape):
        raise bad_argument("reshape", "newshape", "of sizes of at least 0, and one -1", newshape)
    return jnp.reshape(x, newshape)


@symbolic
def expand_dims(x: TensorLike, axis: int | Sequence[int]) -> jax.Array:
    """New axes of size 1.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Where they go, a number or several.

    Shapes:
        `(...)` -> `(..., 1, ...)`.

    Example:
        >>> keras.ops.expand_dims(np.ones((2, 3)), 1).shape
        (2, 1, 3)
    """
    return jnp.expand_dims(as_array(x), as_axes(axis))


@symbolic
def squeeze(x: TensorLike, axis: int | Sequence[int] | None = None) -> jax.Array:
    """Axes of size 1 removed.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Which ones; `None` is all.

    Shapes:
        `(..., 1, ...)` -> `(...)`.

    Example:
        >>> keras.ops.squeeze(np.ones((1, 3, 1))).shape
        (3,)
    """
    return jnp.squeeze(as_array(x), as_axes(axis))


@symbolic
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> jax.Array:
    """Axes in another order.

    Args:
        x: Array, Variable, number or list of numbers.
        axes: Which axis goes where; by default they are reversed.

    Shapes:
        `(a, b, c)` -> `(c, b, a)`, or as `axes` says.

    Example:
        >>> print(keras.ops.transpose([[1, 2], [3, 4]]))
        [[1 3]
         [2 4]]
    """
    x, axes = as_array(x), as_axes(axes)
    if axes is not None:
        axes = tuple(as_axis("transpose", int(axis), x.ndim) for axis in axes)
        if sorted(axes) != [*range(x.ndim)]:
            raise bad_argument("transpose", "axes", f"each of {x.ndim} axes once", axes)
    return jnp.transpose(x, axes)


@symbolic
def swapaxes(x: TensorLike, axis1: int, axis2: int) -> jax.Array:
    """Two axes exchanged.

    Args:
        x: Array, Variable, number or list of numbers.
        axis1: First axis.
        axis2: Second axis.

    Shapes:
        `(a, b, c)` -> `(c, b, a)` for axes 0 and 2.

    Example:
        >>> keras.ops.swapaxes(np.ones((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    x = as_array(x)
    first, second = (as_axis("swapaxes", axis, x.ndim) for axis in (axis1, axis2))
    return jnp.swapaxes(x, first, second)


@symbolic
def moveaxis(
    x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]
) -> jax.Array:
    """Axes moved to other positions.

    Args:
        x: Array, Variable, number or list of numbers.
        source: Where they are.
        destination: Where they go.

    Shapes:
        `(a, b, c)` -> `(b, c, a)` for 0 to -1.

    Example:
        >>> keras.ops.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    x = as_array(x)
    for axis in (*np.atleast_1d(source), *np.atleast_1d(destination)):
        as_axis("moveaxis", int(axis), x.ndim)
    return jnp.moveaxis(x, source, destination)


@symbolic
def broadcast_to(x: TensorLike, shape: Sequence[int]) -> jax.Array:
    """Elements repeated along axes of size 1 and new leading ones.

    Args:
        x: Array, Variable, number or list of numbers.
        shape: Sizes of the axes; `None` is the size that `x` has there.

    Shapes:
        `(...)` -> `shape`.

    Example:
        >>> print(keras.ops.broadcast_to([1, 2], (2, 2)))
        [[1 2]
         [1 2]]
    """
    x = as_array(x)
    new = len(shape) - x.ndim
    return jnp.broadcast_to(
        x, tuple(x.shape[i - new] if n is None else n for i, n in enumerate(shape))
    )


@symbolic
def flip(x: TensorLike, axis: int | Sequence[int] | None = None) -> jax.Array:
    """Elements in reverse order.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Along which axes; `None` is all.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.flip([1, 2, 3]))
        [3 2 1]
    """
    return jnp.flip(as_array(x), as_axes(axis))


@symbolic
def roll(
    x: TensorLike, shift: int | Sequence[int], axis: int | Sequence[int] | None = None
) -> jax.Array:
    """Elements shifted along an axis; those that leave at the end enter at the start.

    Args:
        x: Array, Variable, number or list of numbers.
        shift: By how many positions.
        axis: Along which axes; `None` shifts the flattened array.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.roll([1, 2, 3], 1))
        [3 1 2]
    """
    return jnp.roll(as_array(x), shift, axis)


@symbolic
def rot90(array: TensorLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> jax.Array:
    """Elements rotated by multiples of 90 degrees in the plane of two axes.

    Args:
        array: Array of at least two axes.
        k: Number of quarters, from the first axis towards the second.
        axes: The two axes.

    Shapes:
        `(a, b)` -> `(b, a)` for one quarter.

    Example:
        >>> print(keras.ops.rot90([[1, 2], [3, 4]]))
        [[2 4]
         [1 3]]
    """
    array = as_array(array)
    if array.ndim < 2:
        raise bad_argument("rot90", "array", "of at least 2 axes", array.shape)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise bad_argument("rot90", "axes", "two different axes", axes)
    return jnp.rot90(array, k, axes)


@symbolic
def repeat(x: TensorLike, repeats: Any, axis: int | None = None) -> jax.Array:
    """Each element several times in a row.

    Args:
        x: Array, Variable, number or list of numbers.
        repeats: How many times, a number or one for each element.
        axis: Along which axis; `None` repeats those of the flattened array.

    Shapes:
        `(..., n)` -> `(..., n * repeats)`.

    Example:
        >>> print(keras.ops.repeat([1, 2], 2))
        [1 1 2 2]
    """
    x = as_array(x)
    if isinstance(repeats, int) or is_variable(repeats) or isinstance(repeats, jax.Array):
        return jnp.repeat(x, repeats if isinstance(repeats, int) else as_array(repeats), axis)
    counts = np.asarray(repeats)
    if counts.size == 1:
        return jnp.repeat(x, int(counts.item()), axis)
    size = x.size if axis is None else x.shape[as_axis("repeat", axis, x.ndim)]
    if isinstance(size, int) and counts.size != size:
        wanted = f"one number, or one for each of {size} elements"
        raise bad_argument("repeat", "repeats", wanted, counts.tolist())
    return jnp.repeat(x, counts, axis, total_repeat_length=int(counts.sum()))


@symbolic
def tile(x: TensorLike, repeats: Any) -> jax.Array:
    """The array several times along each axis.

    Args:
        x: Array, Variable, number or list of numbers.
        repeats: How many times, a number or one for each axis.

    Shapes:
        `(..., n)` -> `(..., n * repeats)`.

    Example:
        >>> print(keras.ops.tile([1, 2], 2))
        [1 2 1 2]
    """
    return jnp.tile(as_array(x), repeats if isinstance(repeats, int) else tuple(repeats))


@symbolic
def pad(
    x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: TensorLike | None = None
) -> jax.Array:
    """Elements added before and after along each axis.

    Args:
        x: Array, Variable, number or list of numbers.
        pad_width: A number, a pair (before, after), or a pair for each axis.
        mode: `"constant"`, `"reflect"`, `"symmetric"`, `"edge"`, `"wrap"` and others of
            `jax.numpy.pad`.
        constant_values: What is added with mode `"constant"`; by default 0.

    Shapes:
        `(n, ...)` -> `(before + n + after, ...)`.

    Example:
        >>> print(keras.ops.pad([1, 2], (1, 2)))
        [0 1 2 0 0]
    """
    if constant_values is None:
        return jnp.pad(as_array(x), pad_width, mode)
    if mode != "constant":
        hint = "`constant_values` has no use in others."
        raise bad_argument("pad", "mode", "'constant' with `constant_values`", mode, hint)
    return jnp.pad(as_array(x), pad_width, mode, constant_values=constant_values)


# -- joining and splitting


def _joined(name, fn, what, shapes, example):
    def op(xs: Any) -> jax.Array:
        return fn([*map(as_array, xs)])

    return symbolic(describe(op, name, what, shapes, example, xs="List of arrays."), name)


dstack = _joined(
    "dstack",
    jnp.dstack,
    "Arrays one after the other along the third axis",
    "`(a, b, n)`, `(a, b, m)` -> `(a, b, n + m)`.",
    "[[1, 2], [3, 4]] -> [[[1 3]\n  [2 4]]]",
)
hstack = _joined(
    "hstack",
    jnp.hstack,
    "Arrays one after the other along the second axis (the first of vectors)",
    "`(a, n)`, `(a, m)` -> `(a, n + m)`.",
    "[[1, 2], [3, 4]] -> [1 2 3 4]",
)
vstack = _joined(
    "vstack",
    jnp.vstack,
    "Arrays one after the other along the first axis, vectors as rows",
    "`(n, ...)`, `(m, ...)` -> `(n + m, ...)`.",
    "[[1, 2], [3, 4]] -> [[1 2]\n [3 4]]",
)


@symbolic
def concatenate(xs: Any, axis: int = 0) -> jax.Array:
    """Arrays one after the other along an axis.

    Args:
        xs: Arrays that differ in that axis only.
        axis: The axis.

    Shapes:
        `(n, ...)`, `(m, ...)` -> `(n + m, ...)`.

    Example:
        >>> print(keras.ops.concatenate([[1, 2], [3]]))
        [1 2 3]
    """
    xs = [as_array(x) for x in xs]
    if axis is not None and xs and xs[0].ndim:
        axis = as_axis("concatenate", axis, xs[0].ndim)
    return jnp.concatenate(xs, axis)


@symbolic
def stack(x: Any, axis: int = 0) -> jax.Array:
    """Arrays of one shape along a new axis.

    Args:
        x: List of arrays.
        axis: Where the new axis goes.

    Shapes:
        `n` of `(...)` -> `(n, ...)`.

    Example:
        >>> print(keras.ops.stack([[1, 2], [3, 4]]))
        [[1 2]
         [3 4]]
    """
    return jnp.stack([*map(as_array, x)], axis)


@symbolic
def append(x1: TensorLike, x2: TensorLike, axis: int | None = None) -> jax.Array:
    """`x2` after `x1` along an axis.

    Args:
        x1: Array.
        x2: Array.
        axis: The axis; `None` flattens both.

    Shapes:
        `(n, ...)`, `(m, ...)` -> `(n + m, ...)`.

    Example:
        >>> print(keras.ops.append([1, 2], [3]))
        [1 2 3]
    """
    return jnp.append(as_array(x1), as_array(x2), axis)


_MAX_PARTS = 100_000  # each is an array


def _sections(op, sections):
    if isinstance(sections, int) and sections > _MAX_PARTS:
        raise bad_argument(op, "indices_or_sections", f"at most {_MAX_PARTS:,} parts", sections)
    return sections if isinstance(sections, int) else [int(n) for n in sections]


def _split(name, fn, what, shapes, example):
    def op(x: TensorLike, indices_or_sections: int | Sequence[int] | TensorLike) -> list[jax.Array]:
        return fn(as_array(x), _sections(name, indices_or_sections))

    parts = "Number of equal parts, or the indices before which to cut."
    op = describe(op, name, what, shapes, example, indices_or_sections=parts)
    return symbolic(op, name)


dsplit = _split(
    "dsplit",
    jnp.dsplit,
    "Parts of an array along the third axis",
    "`(a, b, n)` -> a list of `(a, b, part)`.",
    "[[[1, 2]]], 2 -> [Array([[[1]]], dtype=int32), Array([[[2]]], dtype=int32)]",
)
hsplit = _split(
    "hsplit",
    jnp.hsplit,
    "Parts of an array along the second axis (the first of vectors)",
    "`(a, n)` -> a list of `(a, part)`.",
    "[1, 2], 2 -> [Array([1], dtype=int32), Array([2], dtype=int32)]",
)
vsplit = _split(
    "vsplit",
    jnp.vsplit,
    "Parts of an array along the first axis",
    "`(n, ...)` -> a list of `(part, ...)`.",
    "[[1], [2]], 2 -> [Array([[1]], dtype=int32), Array([[2]], dtype=int32)]",
)


@symbolic
def split(
    x: TensorLike, indices_or_sections: int | Sequence[int] | TensorLike, axis: int = 0
) -> list[jax.Array]:
    """Parts of an array along an axis.

    Args:
        x: Array, Variable, number or list of numbers.
        indices_or_sections: Number of equal parts, or the indices before which to cut.
        axis: The axis.

    Shapes:
        `(n, ...)` -> a list of `(part, ...)`.

    Example:
        >>> [part.tolist() for part in keras.ops.split(np.arange(6), [2, 3])]
        [[0, 1], [2], [3, 4, 5]]
    """
    x = as_array(x)
    axis = as_axis("split", axis, x.ndim)
    return jnp.split(x, _sections("split", indices_or_sections), axis)


@symbolic
def array_split(
    x: TensorLike, indices_or_sections: int | Sequence[int] | TensorLike, axis: int = 0
) -> list[jax.Array]:
    """Parts of an array along an axis whose sizes differ by at most 1.

    Args:
        x: Array, Variable, number or list of numbers.
        indices_or_sections: Number of parts.
        axis: The axis.

    Shapes:
        `(n, ...)` -> a list of `(part, ...)`.

    Example:
        >>> [part.tolist() for part in keras.ops.array_split(np.arange(5), 2)]
        [[0, 1, 2], [3, 4]]
    """
    if not isinstance(indices_or_sections, int):
        got = f"got {indices_or_sections!r}"
        raise TypeError(f"array_split: `indices_or_sections` must be an integer; {got}.")
    if indices_or_sections <= 0:
        raise bad_argument("array_split", "indices_or_sections", "positive", indices_or_sections)
    x = as_array(x)
    axis = as_axis("array_split", axis, x.ndim)
    return jnp.array_split(x, _sections("array_split", indices_or_sections), axis)


# -- picking


def _by_diagonal(name, fn, what, shapes, example):
    def op(x: TensorLike, k: int = 0) -> jax.Array:
        return fn(as_array(x), k)

    k = "Number of the diagonal, counted upwards from the main one."
    return symbolic(describe(op, name, what, shapes, example, k=k), name)


diag = _by_diagonal(
    "diag",
    jnp.diag,
    "The elements on a diagonal of a matrix, or a matrix that has them there",
    "`(n, m)` -> `(min(n, m),)`, `(n,)` -> `(n, n)`.",
    "[[1, 2], [3, 4]] -> [1 4]",
)
diagflat = _by_diagonal(
    "diagflat",
    jnp.diagflat,
    "A matrix with the elements of an array on a diagonal",
    "Of `n` elements -> `(n, n)`.",
    "[1, 2] -> [[1 0]\n [0 2]]",
)
tril = _by_diagonal(
    "tril",
    jnp.tril,
    "Matrices with zeros above a diagonal",
    "`(..., n, m)` -> the same.",
    "[[1, 2], [3, 4]] -> [[1 0]\n [3 4]]",
)
triu = _by_diagonal(
    "triu",
    jnp.triu,
    "Matrices with zeros below a diagonal",
    "`(..., n, m)` -> the same.",
    "[[1, 2], [3, 4]] -> [[1 2]\n [0 4]]",
)


@symbolic
def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The elements on a diagonal of two axes.

    Args:
        x: Array, Variable, number or list of numbers.
        offset: Number of the diagonal, counted upwards from the main one.
        axis1: First axis.
        axis2: Second axis.

    Shapes:
        `(n, m)` -> `(min(n, m),)`.

    Example:
        >>> print(keras.ops.diagonal([[1, 2], [3, 4]]))
        [1 4]
    """
    return jnp.diagonal(as_array(x), offset, axis1, axis2)


@symbolic
def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The sum of the elements on a diagonal of two axes.

    Args:
        x: Array, Variable, number or list of numbers.
        offset: Number of the diagonal, counted upwards from the main one.
        axis1: First axis.
        axis2: Second axis.

    Shapes:
        `(n, m)` -> `()`.

    Example:
        >>> print(keras.ops.trace([[1, 2], [3, 4]]))
        5
    """
    return jnp.trace(as_array(x), offset, axis1, axis2)


@symbolic
def get_item(x: TensorLike, key: Any) -> jax.Array:
    """Elements at a key: `x[key]`.

    Args:
        x: Array, Variable, number or list of numbers.
        key: Integer, slice, array of integers or booleans, or a tuple of them.

    Example:
        >>> print(keras.ops.get_item([1, 2, 3], slice(1, None)))
        [2 3]
    """
    return as_array(x)[_index(key)]


def _index(key):
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    if isinstance(key, builtins.slice) or key is None or key is Ellipsis:
        return key
    return as_indices("get_item", "key", key) if np.ndim(key) or _is_float(key) else key


def _is_float(number):
    return isinstance(number, float) or dtypes.is_float(getattr(number, "dtype", "int32"))


@symbolic
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> jax.Array:
    """Elements at given indices along an axis.

    Args:
        x: Array, Variable, number or list of numbers.
        indices: Integers.
        axis: The axis; `None` takes from the flattened array.

    Shapes:
        `(n, ...)` -> `(*indices, ...)`.

    Example:
        >>> print(keras.ops.take([10, 20, 30], [2, 0]))
        [30 10]
    """
    return jnp.take(as_array(x), as_indices("take", "indices", indices), axis)


@symbolic
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int | None = None) -> jax.Array:
    """The element at each index along an axis.

    Args:
        x: Array, Variable, number or list of numbers.
        indices: Integers, with the other axes of `x`.
        axis: The axis; `None` takes from the flattened array.

    Shapes:
        `(..., n)` and `(..., m)` -> `(..., m)`.

    Example:
        >>> print(keras.ops.take_along_axis([[10, 20], [30, 40]], [[1], [0]], axis=1))
        [[20]
         [30]]
    """
    x = as_array(x)
    if axis is not None:
        axis = as_axis("take_along_axis", axis, x.ndim)
    return jnp.take_along_axis(x, as_indices("take_along_axis", "indices", indices), axis)


@symbolic
def unravel_index(indices: TensorLike, shape: Sequence[int]) -> tuple[jax.Array, ...]:
    """The index along each axis, of positions in a flattened array.

    Args:
        indices: Positions in the flattened array.
        shape: Sizes of the array's axes.

    Shapes:
        `(...)` -> one `(...)` for each axis.

    Example:
        >>> print(*keras.ops.unravel_index([1, 3], (2, 2)))
        [0 1] [1 1]
    """
    return jnp.unravel_index(as_indices("unravel_index", "indices", indices), shape)
