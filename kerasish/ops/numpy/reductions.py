"""Functions over axes: sums and means, extremes, quantiles, sorting and searching, counting."""

import builtins

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.sparse import to_sparse
from kerasish.ops.wrappers import as_array, as_axes, as_float, real_dtype, reduction

all = reduction("all", jnp.all)
amax = reduction("amax", jnp.max)
amin = reduction("amin", jnp.min)
any = reduction("any", jnp.any)
argmax = reduction("argmax", jnp.argmax)
argmin = reduction("argmin", jnp.argmin)
logsumexp = reduction("logsumexp", jax.scipy.special.logsumexp)
median = reduction("median", jnp.median, as_float)
nanargmax = reduction("nanargmax", jnp.nanargmax)
nanargmin = reduction("nanargmin", jnp.nanargmin)
nanmax = reduction("nanmax", jnp.nanmax)
nanmean = reduction("nanmean", jnp.nanmean)
nanmedian = reduction("nanmedian", jnp.nanmedian)
nanmin = reduction("nanmin", jnp.nanmin)
nanprod = reduction("nanprod", jnp.nanprod)
nanstd = reduction("nanstd", jnp.nanstd)
nansum = reduction("nansum", jnp.nansum)
nanvar = reduction("nanvar", jnp.nanvar)
ptp = reduction("ptp", jnp.ptp)
std = reduction("std", jnp.std, as_float)
sum = reduction("sum", jnp.sum)


def _in_float32(fn):
    """16-bit floats overflow when many are added up, so add in 32 bits."""

    def over_axes(x, axis, keepdims):
        wide = jnp.promote_types(x.dtype, jnp.float32)
        return fn(x, axis=axis, keepdims=keepdims, dtype=wide).astype(x.dtype)

    return over_axes


mean = reduction("mean", _in_float32(jnp.mean), as_float)
var = reduction("var", _in_float32(jnp.var), as_float)


@symbolic
def max(x, axis=None, keepdims=False, initial=None):
    """The largest entry over some axes, or of all; at least `initial`."""
    return jnp.max(as_array(x), axis=as_axes(axis), keepdims=keepdims, initial=initial)


@symbolic
def min(x, axis=None, keepdims=False, initial=None):
    """The least entry over some axes, or of all; at most `initial`."""
    return jnp.min(as_array(x), axis=as_axes(axis), keepdims=keepdims, initial=initial)


@symbolic
def prod(x, axis=None, keepdims=False, dtype=None):
    """The product over some axes, or of all."""
    return jnp.prod(as_array(x), axis=as_axes(axis), keepdims=keepdims, dtype=real_dtype(dtype))


@symbolic
def average(x, axis=None, weights=None):
    """The mean over some axes, weighted if `weights` are given."""
    weights = None if weights is None else as_float(weights)
    return jnp.average(as_float(x), axis=as_axes(axis), weights=weights)


@symbolic
def count_nonzero(x, axis=None):
    """How many entries are not 0."""
    return jnp.count_nonzero(as_array(x), axis=as_axes(axis)).astype("int32")


def _quantile(name, fn, unit):
    def op(x, q, axis=None, method="linear", keepdims=False):
        x, q = as_float(x), as_float(q)
        return fn(x, q, axis=as_axes(axis), method=method, keepdims=keepdims)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"The value below which the part `q` ({unit}) of the entries lies."
    return symbolic(op, name)


nanpercentile = _quantile("nanpercentile", jnp.nanpercentile, "0 to 100, NaN left out")
nanquantile = _quantile("nanquantile", jnp.nanquantile, "0 to 1, NaN left out")
percentile = _quantile("percentile", jnp.percentile, "0 to 100")
quantile = _quantile("quantile", jnp.quantile, "0 to 1")


@symbolic
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of samples `y` at points `x` (or `dx` apart) by the trapezoid rule."""
    return jnp.trapezoid(
        as_array(y), None if x is None else as_array(x), dx=as_array(dx), axis=axis
    )


@symbolic
def corrcoef(x):
    """Correlations between the rows of `x`."""
    return jnp.corrcoef(as_array(x))


@symbolic
def sort(x, axis=-1):
    """The entries in ascending order along an axis."""
    return jnp.sort(as_array(x), axis=axis)


@symbolic
def argsort(x, axis=-1):
    """The indices that sort along an axis."""
    x = as_array(x)
    return jnp.argsort(x, axis=None if x.ndim == 0 else axis)


@symbolic
def argpartition(x, kth, axis=-1):
    """Indices that bring the `kth` least entry to its place, lesser ones before it."""
    x = as_array(x)
    if axis is None:
        x, axis = x.reshape(-1), 0
    return jnp.argpartition(x, kth, axis=axis)


@symbolic
def searchsorted(sorted_sequence, values, side="left"):
    """Where to put values so that a sorted 1-D sequence stays sorted."""
    sequence = as_array(sorted_sequence)
    if sequence.ndim != 1:
        hint = "Use `vectorized_map` for more."
        raise bad_argument("searchsorted", "sorted_sequence", "1-D", sequence.shape, hint)
    return jnp.searchsorted(sequence, as_array(values), side=side)


@symbolic
def digitize(x, bins):
    """The number of the bin, between ascending edges, that each entry falls in."""
    return jnp.digitize(as_array(x), as_array(bins))


@symbolic
def histogram(x, bins=10, range=None):
    """How many entries fall in each of `bins` equal bins, and the edges between them."""
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
def bincount(x, weights=None, minlength=0, sparse=False):
    """How often (or with what total weight) each number 0, 1, ... occurs, row by row if 2-D.

    Under `jit` and for symbolic tensors, numbers from `minlength` on are left out: sizes cannot
    depend on values there.
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
    x,
    sorted=True,
    return_index=False,
    return_inverse=False,
    return_counts=False,
    axis=None,
    size=None,
    fill_value=None,
):
    """The different entries (or slices along `axis`), and what else is asked for.

    Under `jit`, give `size`: how many to return, filled up with `fill_value`.
    """
    return jnp.unique(
        as_array(x),
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
def nonzero(x):
    """The indices of entries that are not 0, one array per axis."""
    return jnp.nonzero(as_array(x))


@symbolic
def top_k(x, k, sorted=True):
    """The `k` largest entries of the last axis, largest first, and their indices."""
    return tuple(jax.lax.top_k(as_array(x), k))


@symbolic
def in_top_k(targets, predictions, k):
    """Whether fewer than `k` of a row's predictions are larger than the one for its target.

    Shapes:
        `(batch,)` integers and `(batch, classes)` -> `(batch,)` booleans.
    """
    targets, predictions = as_array(targets), as_array(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return jnp.sum(predictions > own, axis=-1) < k


def _segment(name, fn):
    def op(data, segment_ids, num_segments=None, sorted=False):
        data, ids = as_array(data), as_array(segment_ids)
        if ids.ndim != 1 or data.shape[0] != ids.shape[0]:
            wanted = f"1-D and as long as `data`, {data.shape[0]}"
            raise bad_argument(name, "segment_ids", wanted, ids.shape)
        return fn(data, ids, num_segments, indices_are_sorted=sorted)

    op.__name__ = op.__qualname__ = name
    what = name.removeprefix("segment_")
    op.__doc__ = (
        f"The {what} of the rows with each segment number; under `jit` give `num_segments`."
    )
    return symbolic(op, name)


segment_max = _segment("segment_max", jax.ops.segment_max)
segment_min = _segment("segment_min", jax.ops.segment_min)
segment_prod = _segment("segment_prod", jax.ops.segment_prod)
segment_sum = _segment("segment_sum", jax.ops.segment_sum)
