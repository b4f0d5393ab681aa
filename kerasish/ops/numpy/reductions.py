"""Functions over axes: sums and means, extremes, quantiles, sorting and searching, counting."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.inference import size_by_value
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.sparse import to_sparse
from kerasish.ops.wrappers import (
    as_array,
    as_axes,
    as_float,
    describe,
    real_dtype,
    reduction,
)

# fmt: off
__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "argpartition", "argsort", "average",
    "bincount", "corrcoef", "count_nonzero", "digitize", "histogram", "max", "mean", "median",
    "min", "nanargmax", "nanargmin", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "nonzero",
    "percentile", "prod", "ptp", "quantile", "searchsorted", "sort", "std", "sum", "trapezoid",
    "unique", "var",
]
# fmt: on

all = reduction(
    "all",
    jnp.all,
    "Whether all elements are true",
    "[[True, False], [True, True]], axis=1 -> [False  True]",
)
amax = reduction(
    "amax", jnp.max, "Largest element, the same as `max`", "[[1, 5], [7, 2]], axis=0 -> [7 5]"
)
amin = reduction(
    "amin", jnp.min, "Smallest element, the same as `min`", "[[1, 5], [7, 2]], axis=0 -> [1 2]"
)
any = reduction(
    "any",
    jnp.any,
    "Whether at least one element is true",
    "[[True, False], [False, False]], axis=1 -> [ True False]",
)
argmax = reduction(
    "argmax",
    jnp.argmax,
    "Index of the largest element, the first of equal ones",
    "[[1, 5], [7, 2]], axis=1 -> [1 0]",
)
argmin = reduction(
    "argmin",
    jnp.argmin,
    "Index of the smallest element, the first of equal ones",
    "[[1, 5], [7, 2]], axis=1 -> [0 1]",
)
median = reduction(
    "median",
    jnp.median,
    "Middle element in sorted order; the mean of the middle two where their number is even",
    "[3.0, 1.0, 2.0, 10.0] -> 2.5",
    as_float,
)
nanargmax = reduction(
    "nanargmax",
    jnp.nanargmax,
    "Index of the largest element, NaN left out",
    "[1.0, np.nan, 3.0] -> 2",
)
nanargmin = reduction(
    "nanargmin",
    jnp.nanargmin,
    "Index of the smallest element, NaN left out",
    "[np.nan, 1.0, 3.0] -> 1",
)
nanmax = reduction(
    "nanmax", jnp.nanmax, "Largest element, NaN left out", "[1.0, np.nan, 3.0] -> 3.0"
)
nanmean = reduction(
    "nanmean", jnp.nanmean, "Mean of the elements, NaN left out", "[1.0, np.nan, 3.0] -> 2.0"
)
nanmedian = reduction(
    "nanmedian",
    jnp.nanmedian,
    "Median of the elements, NaN left out",
    "[1.0, np.nan, 3.0, 8.0] -> 3.0",
)
nanmin = reduction(
    "nanmin", jnp.nanmin, "Smallest element, NaN left out", "[1.0, np.nan, 3.0] -> 1.0"
)
nanprod = reduction(
    "nanprod",
    jnp.nanprod,
    "Product of the elements, NaN counting as 1",
    "[2.0, np.nan, 3.0] -> 6.0",
)
nanstd = reduction(
    "nanstd",
    jnp.nanstd,
    "Standard deviation of the elements, NaN left out",
    "[1.0, np.nan, 3.0] -> 1.0",
)
nansum = reduction(
    "nansum", jnp.nansum, "Sum of the elements, NaN counting as 0", "[1.0, np.nan, 3.0] -> 4.0"
)
nanvar = reduction(
    "nanvar", jnp.nanvar, "Variance of the elements, NaN left out", "[1.0, np.nan, 5.0] -> 4.0"
)
ptp = reduction(
    "ptp",
    jnp.ptp,
    "Range of the elements: the largest less the smallest",
    "[[1, 5], [7, 2]], axis=1 -> [4 5]",
)
std = reduction(
    "std",
    jnp.std,
    "Standard deviation of the elements: `sqrt(mean((x - mean(x))**2))`",
    "[1.0, 3.0] -> 1.0",
    as_float,
)
sum = reduction("sum", jnp.sum, "Sum of the elements", "[[1, 2], [3, 4]], axis=0 -> [4 6]")


def _in_float32(fn):
    """16-bit floats overflow when many are added up, so add in 32 bits."""

    def over_axes(x, axis, keepdims):
        wide = jnp.promote_types(x.dtype, jnp.float32)
        return fn(x, axis=axis, keepdims=keepdims, dtype=wide).astype(x.dtype)

    return over_axes


mean = reduction(
    "mean",
    _in_float32(jnp.mean),
    "Mean of the elements (16-bit floats are added up in 32 bits)",
    "[[1.0, 2.0], [3.0, 4.0]], axis=0 -> [2. 3.]",
    as_float,
)
var = reduction(
    "var",
    _in_float32(jnp.var),
    "Variance of the elements: `mean((x - mean(x))**2)`, 16-bit floats in 32 bits",
    "[1.0, 5.0] -> 4.0",
    as_float,
)


@symbolic
def max(
    x: TensorLike,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
) -> jax.Array:
    """The largest element, over some axes or all.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, to go over; `None` is all.
        keepdims: Whether the axes gone over stay, with size 1.
        initial: The least that can come out.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.max([[1, 5], [7, 2]], axis=0))
        [7 5]
    """
    return jnp.max(as_array(x), axis=as_axes(axis), keepdims=keepdims, initial=initial)


@symbolic
def min(
    x: TensorLike,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
) -> jax.Array:
    """The smallest element, over some axes or all.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, to go over; `None` is all.
        keepdims: Whether the axes gone over stay, with size 1.
        initial: The most that can come out.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.min([[1, 5], [7, 2]], axis=0))
        [1 2]
    """
    return jnp.min(as_array(x), axis=as_axes(axis), keepdims=keepdims, initial=initial)


@symbolic
def prod(
    x: TensorLike,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """The product of the elements, over some axes or all.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, to go over; `None` is all.
        keepdims: Whether the axes gone over stay, with size 1.
        dtype: Name of the type; by default that of `x`.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.prod([[1, 5], [7, 2]], axis=0))
        [ 7 10]
    """
    return jnp.prod(as_array(x), axis=as_axes(axis), keepdims=keepdims, dtype=real_dtype(dtype))


@symbolic
def average(
    x: TensorLike, axis: int | Sequence[int] | None = None, weights: TensorLike | None = None
) -> jax.Array:
    """The weighted mean of the elements: `sum(weights * x) / sum(weights)`.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, to go over; `None` is all.
        weights: Of the shape of `x`, or one for each element of one axis.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.average([1.0, 4.0], weights=[3.0, 1.0]))
        1.75
    """
    x, weights = as_array(x), None if weights is None else as_array(weights)
    dtype = x.dtype if weights is None else jnp.promote_types(x.dtype, weights.dtype)
    dtype = dtype if jnp.issubdtype(dtype, jnp.inexact) else settings.floatx()
    if weights is None:
        return jnp.mean(x.astype(dtype), axis=as_axes(axis))
    wide = jnp.promote_types(dtype, "float32")  # sums of 16 bits overflow, and lose small terms
    mean = jnp.average(x.astype(wide), axis=as_axes(axis), weights=weights.astype(wide))
    return mean.astype(dtype)


@symbolic
def count_nonzero(x: TensorLike, axis: int | Sequence[int] | None = None) -> jax.Array:
    """How many elements are not 0, over some axes or all.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, to go over; `None` is all.

    Shapes:
        `(...)` -> that without the axes gone over, or of size 1 there.

    Example:
        >>> print(keras.ops.count_nonzero([[0, 5], [7, 2]], axis=0))
        [1 2]
    """
    return jnp.count_nonzero(as_array(x), axis=as_axes(axis)).astype("int32")


def _quantile(name, fn, unit, example):
    def op(
        x: TensorLike,
        q: TensorLike,
        axis: int | Sequence[int] | None = None,
        method: str = "linear",
        keepdims: bool = False,
    ) -> jax.Array:
        x, q = as_float(x), as_float(q)
        return fn(x, q, axis=as_axes(axis), method=method, keepdims=keepdims)

    what = f"The value that a share `q` ({unit}) of the elements does not exceed"
    shapes = "`(...)` -> the shape of `q`, and that of `x` without the axes gone over."
    method = 'Between elements: `"linear"`, `"lower"`, `"higher"`, `"midpoint"` or `"nearest"`.'
    op = describe(op, name, what, shapes, example, q="The share, or several.", method=method)
    return symbolic(op, name)


nanpercentile = _quantile(
    "nanpercentile",
    jnp.nanpercentile,
    "0 to 100, NaN left out",
    "[1.0, np.nan, 2.0, 4.0], 50 -> 2.0",
)
nanquantile = _quantile(
    "nanquantile", jnp.nanquantile, "0 to 1, NaN left out", "[1.0, np.nan, 2.0, 4.0], 0.5 -> 2.0"
)
percentile = _quantile("percentile", jnp.percentile, "0 to 100", "[1.0, 2.0, 4.0], 50 -> 2.0")
quantile = _quantile("quantile", jnp.quantile, "0 to 1", "[1.0, 2.0, 4.0], 0.5 -> 2.0")


@symbolic
def trapezoid(
    y: TensorLike, x: TensorLike | None = None, dx: TensorLike = 1.0, axis: int = -1
) -> jax.Array:
    """The integral of samples by the trapezoid rule.

    Args:
        y: Samples.
        x: Their points; by default `dx` from each other.
        dx: Distance of the points.
        axis: The axis.

    Shapes:
        `(..., n)` -> `(...)`.

    Example:
        >>> print(keras.ops.trapezoid([1.0, 2.0, 3.0]))
        4.0
    """
    return jnp.trapezoid(
        as_array(y), None if x is None else as_array(x), dx=as_array(dx), axis=axis
    )


@symbolic
def corrcoef(x: TensorLike) -> jax.Array:
    """Correlation coefficients between the rows of a matrix.

    Args:
        x: Matrix, a variable a row.

    Shapes:
        `(n, samples)` -> `(n, n)`.

    Example:
        >>> print(np.array(keras.ops.corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])).round(2))
        [[ 1. -1.]
         [-1.  1.]]
    """
    return jnp.corrcoef(as_array(x))


@symbolic
def sort(x: TensorLike, axis: int = -1) -> jax.Array:
    """Elements in ascending order along an axis.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: The axis; `None` sorts the flattened array.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.sort([3, 1, 2]))
        [1 2 3]
    """
    return jnp.sort(as_array(x), axis=axis)


@symbolic
def argsort(x: TensorLike, axis: int = -1) -> jax.Array:
    """The indices that sort along an axis.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: The axis; `None` sorts the flattened array.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.argsort([3, 1, 2]))
        [1 2 0]
    """
    x = as_array(x)
    return jnp.argsort(x, axis=None if x.ndim == 0 else axis)


@symbolic
def argpartition(x: TensorLike, kth: int, axis: int = -1) -> jax.Array:
    """Indices that bring the `kth` smallest element to its position, smaller ones before it.

    Args:
        x: Array, Variable, number or list of numbers.
        kth: Position in sorted order.
        axis: The axis; `None` is that of the flattened array.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.argpartition([3, 1, 2], 1))
        [1 2 0]
    """
    x = as_array(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    return jnp.argpartition(x, kth, axis=axis)


@symbolic
def searchsorted(sorted_sequence: TensorLike, values: TensorLike, side: str = "left") -> jax.Array:
    """Positions at which to insert values so that a sorted sequence stays sorted.

    Args:
        sorted_sequence: 1-D array in ascending order.
        values: What would be inserted.
        side: `"left"`: before equal elements; `"right"`: after them.

    Shapes:
        `(n,)` and `(...)` -> `(...)`.

    Example:
        >>> print(keras.ops.searchsorted([1, 3, 5], [3, 4]))
        [1 2]
    """
    sequence = as_array(sorted_sequence)
    if sequence.ndim != 1:
        hint = "Use `vectorized_map` for more."
        raise bad_argument("searchsorted", "sorted_sequence", "1-D", sequence.shape, hint)
    return jnp.searchsorted(sequence, as_array(values), side=side)


@symbolic
def digitize(x: TensorLike, bins: TensorLike) -> jax.Array:
    """The number of the bin that each element falls in.

    Args:
        x: Array, Variable, number or list of numbers.
        bins: Edges between the bins, ascending.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.digitize([0.5, 1.5, 9.0], [1.0, 2.0]))
        [0 1 2]
    """
    return jnp.digitize(as_array(x), as_array(bins))


@symbolic
def histogram(
    x: TensorLike, bins: int | TensorLike = 10, range: tuple[float, float] | None = None
) -> tuple[jax.Array, jax.Array]:
    """How many elements fall in each of equally wide bins, and the edges of these.

    Args:
        x: Array, Variable, number or list of numbers.
        bins: Number of bins.
        range: Least and largest value; by default those of `x`.

    Shapes:
        `(n,)` -> `(bins,)` and `(bins + 1,)`.

    Example:
        >>> print(*keras.ops.histogram([1.0, 2.0, 2.5, 4.0], bins=3))
        [1. 2. 1.] [1. 2. 3. 4.]
    """
    if not isinstance(bins, int):
        raise TypeError(f"histogram: `bins` must be an integer; got {bins!r}.")
    if bins < 0:
        raise bad_argument("histogram", "bins", "at least 0", bins)
    if range and (not isinstance(range, tuple) or len(range) < 2 or range[1] < range[0]):
        raise bad_argument("histogram", "range", "a tuple (least, largest)", range)
    x = as_array(x)
    if x.ndim > 1:
        raise bad_argument("histogram", "x", "1-D", x.shape)
    return jnp.histogram(x, bins=bins, range=range)


@symbolic
def bincount(
    x: TensorLike, weights: TensorLike | None = None, minlength: int = 0, sparse: bool = False
) -> jax.Array:
    """How often (or with what total weight) each number 0, 1, ... occurs, row by row if 2-D.

    Under `jit` and for symbolic tensors, numbers from `minlength` on are left out: sizes cannot
    depend on values there.

    Args:
        x: Integers from 0.
        weights: What each counts; by default 1.
        minlength: Least length of the result.
        sparse: Whether to return a sparse matrix.

    Shapes:
        `(n,)` -> `(length,)`, `(batch, n)` -> `(batch, length)`.

    Example:
        >>> print(keras.ops.bincount([0, 2, 2]))
        [1 0 2]
    """
    x = as_array(x)
    traced = isinstance(x, jax.core.Tracer)
    longest = minlength if traced or not x.size else builtins.max(minlength, int(x.max()) + 1)

    def count(row, weights=None):
        return jnp.bincount(row, weights=weights, length=longest)

    count = jax.vmap(count) if x.ndim == 2 else count
    counts = count(x) if weights is None else count(x, as_array(weights))
    return to_sparse(counts) if sparse else counts


@symbolic
def unique(
    x: TensorLike,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: ArrayLike | None = None,
) -> jax.Array | tuple[jax.Array, ...]:
    """The distinct elements (or slices along `axis`), in ascending order.

    Under `jit`, give `size`: how many to return, filled up with `fill_value`.

    Args:
        x: Array, Variable, number or list of numbers.
        sorted: Whether to sort the result.
        return_index: Whether to return where each occurs first.
        return_inverse: Whether to return which of them each element is.
        return_counts: Whether to return how often each occurs.
        axis: Axis whose slices are compared; `None` compares elements.
        size: How many to return.
        fill_value: What fills up to `size`.

    Shapes:
        `(...)` -> `(n,)`.

    Example:
        >>> print(keras.ops.unique([3, 1, 3]))
        [1 3]
    """
    x = as_array(x)
    if size is None and isinstance(x, jax.core.Tracer):
        size = size_by_value()
    return jnp.unique(
        x,
        return_index=return_index,
        return_inverse=return_inverse,
        return_counts=return_counts,
        axis=axis,
        equal_nan=False,
        size=size,
        fill_value=fill_value,
        sorted=sorted,
    )


@symbolic
def nonzero(x: TensorLike) -> tuple[jax.Array, ...]:
    """The indices of elements that are not 0.

    Args:
        x: Array, Variable, number or list of numbers.

    Shapes:
        `(...)` -> one `(n,)` for each axis.

    Example:
        >>> print(*keras.ops.nonzero([0, 5, 7]))
        [1 2]
    """
    x = as_array(x)
    return jnp.nonzero(x, size=size_by_value() if isinstance(x, jax.core.Tracer) else None)
