"""Sparse matrices: making them, and the ops that keep them sparse.

A function of single elements that is 0 at 0 is applied to the elements that are there. Sums and the
like of two have an element wherever one of them has one; products wherever both have, quotients
where the dividend has one. Shapes, sums over axes and matrix products are JAX's own. All other ops
write the matrix out.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.sparse import Rule, densify, is_sparse, rules

# fmt: off
_ZERO_AT_ZERO = (
    "abs", "absolute", "arcsin", "arcsinh", "arctan", "arctanh", "cast", "cbrt", "ceil", "celu",
    "conj", "conjugate", "copy", "deg2rad", "elu", "expm1", "fabs", "floor", "gelu", "hard_shrink",
    "hard_silu", "hard_swish", "hard_tanh", "imag", "isinf", "isnan", "leaky_relu", "log1p",
    "nan_to_num", "negative", "rad2deg", "real", "relu", "relu6", "round", "saturate_cast", "selu",
    "sign", "signbit", "silu", "sin", "sinh", "soft_shrink", "softsign", "sqrt", "square",
    "stop_gradient", "swish", "tan", "tanh", "tanh_shrink", "trunc",
)
# fmt: on
_UNIONS = ("add", "maximum", "minimum", "subtract")
_QUOTIENTS = ("divide", "true_divide")
_SHAPES = ("concatenate", "expand_dims", "matmul", "reshape", "squeeze", "sum", "transpose")


def to_sparse(x: jax.Array, nonzeros: int | None = None, dense_axes: int = 0) -> Any:
    """A sparse matrix of an array with at most so many nonzero elements.

    Args:
        x: The array.
        nonzeros: The number of elements to keep room for.
        dense_axes: How many of the last axes are stored whole.
    """
    from jax.experimental.sparse import BCOO  # noqa: PLC0415

    return BCOO.fromdense(x, nse=nonzeros, n_dense=dense_axes)


def _with_data(x, data):
    """A matrix with other elements at the positions of `x`."""
    known = {"indices_sorted": x.indices_sorted, "unique_indices": x.unique_indices}
    return type(x)((data, x.indices), shape=x.shape, **known)


def _distinct(x):
    """The same matrix, each position once."""
    is_traced = isinstance(x.indices, jax.core.Tracer)
    count = x.nse if is_traced else None
    return x if x.unique_indices else x.sum_duplicates(nse=count, remove_zeros=False)


def _dense(function, *args, **kwargs):
    return function(*densify(args), **densify(kwargs))


def _sparse_again(like, found):
    """A result that was computed densely, sparse where its number of elements may be found."""
    return found if isinstance(found, jax.core.Tracer) else to_sparse(found, dense_axes=like)


def _elements(function, x, *args, **kwargs):
    """A function that is 0 at 0, of the elements that are there."""
    x = _distinct(x)
    return _with_data(x, function(x.data, *args, **kwargs))


def _digitize(function, x, bins):
    """0 stays 0 if it is below all bins."""
    known = not isinstance(bins, jax.core.Tracer)
    stays = known and (not np.size(bins) or np.min(bins) > 0)
    return (_elements if stays else _dense)(function, x, bins)


def _joined(x1, x2):
    """Both with an element wherever one of them has one, in the same order."""
    axis = x1.n_batch
    indices = jnp.concatenate([x1.indices, x2.indices], axis)
    dtype = jnp.promote_types(x1.dtype, x2.dtype)
    rest = [jnp.zeros_like(x.data, dtype) for x in (x1, x2)]
    parts = [[x1.data.astype(dtype), rest[1]], [rest[0], x2.data.astype(dtype)]]
    count = x1.nse + x2.nse
    found = []
    for part in parts:
        whole = type(x1)((jnp.concatenate(part, axis), indices), shape=x1.shape)
        found.append(whole.sum_duplicates(nse=count, remove_zeros=False))
    return found


def _fit(x1, x2):
    kinds = [(x.shape, x.n_batch, x.n_dense) if is_sparse(x) else None for x in (x1, x2)]
    return kinds[0] is not None and kinds[0] == kinds[1]


def _union(function, x1, x2):
    if not (is_sparse(x1) and is_sparse(x2)):
        return _dense(function, x1, x2)
    if not _fit(x1, x2):
        return _sparse_again(min(x1.n_dense, x2.n_dense), _dense(function, x1, x2))
    x1, x2 = _joined(x1, x2)
    return _with_data(x1, function(x1.data, x2.data))


def _at(x, other):
    """The elements of an array at the positions of a matrix; `None` if it is larger than that."""
    from jax.experimental.sparse import bcoo_extract  # noqa: PLC0415

    other = jnp.asarray(other)
    if jnp.broadcast_shapes(x.shape, other.shape) != x.shape:
        return None
    return bcoo_extract(x, jnp.broadcast_to(other, x.shape)).data


def _product(function, x1, x2):
    if is_sparse(x1) and is_sparse(x2):
        return _union(function, x1, x2)
    first = is_sparse(x1)
    x, other = (_distinct(x1), x2) if first else (_distinct(x2), x1)
    values = _at(x, other)
    if values is None:
        return _dense(function, x1, x2)
    return _with_data(x, function(x.data, values) if first else function(values, x.data))


def _quotient(function, x1, x2):
    """0 / 0 is NaN, so that there must be an element where the divisor is 0 or NaN."""
    if not is_sparse(x1) or is_sparse(x2):
        return _dense(function, x1, x2)
    divisor = jnp.asarray(x2)
    is_traced = any(isinstance(x, jax.core.Tracer) for x in (x1.data, x1.indices, divisor))
    if is_traced or jnp.broadcast_shapes(x1.shape, divisor.shape) != x1.shape:
        return _dense(function, x1, x2)
    odd = jnp.broadcast_to((divisor == 0) | jnp.isnan(divisor), x1.shape)
    if odd.any():
        if x1.n_batch:
            return _sparse_again(x1.n_dense, _dense(function, x1, x2))
        axes = tuple(range(x1.ndim - x1.n_dense, x1.ndim))
        marks = to_sparse(odd.any(axes) if axes else odd)
        mark = type(x1)(
            (jnp.zeros((marks.nse, *x1.data.shape[1:]), x1.dtype), marks.indices), shape=x1.shape
        )
        x1 = _joined(x1, mark)[0]
    x1 = _distinct(x1)
    return _with_data(x1, function(x1.data, _at(x1, divisor)))


def _of_jax(function, *args, **kwargs):
    """A function that JAX knows on sparse matrices, by following its steps."""
    from jax.experimental.sparse import sparsify  # noqa: PLC0415

    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_sparse)
    positions = [i for i, leaf in enumerate(leaves) if is_sparse(leaf)]

    def call(*matrices):
        filled = dict(enumerate(leaves)) | dict(zip(positions, matrices, strict=True))
        inner_args, inner_kwargs = jax.tree.unflatten(tree, filled.values())
        return function(*inner_args, **inner_kwargs)

    try:
        return sparsify(call)(*(leaves[i] for i in positions))
    except (NotImplementedError, ValueError, AssertionError):
        return _dense(function, *args, **kwargs)


def _structure(function, *args, **kwargs):
    """A function whose result is sparse if all that it is given is."""
    leaves = jax.tree.leaves((args, kwargs), is_leaf=is_sparse)
    arrays = [x for x in leaves if is_sparse(x) or isinstance(x, jax.Array | np.ndarray)]
    found = _of_jax(function, *args, **kwargs)
    if is_sparse(found) or not all(map(is_sparse, arrays)):
        return found
    return _sparse_again(0, found)


def _mean(function, x, axis=None, keepdims=False):
    struct = jax.ShapeDtypeStruct(x.shape, x.dtype)
    wanted = jax.eval_shape(functools.partial(function, axis=axis, keepdims=keepdims), struct)
    total = rules["sum"].compute(
        functools.partial(jnp.sum, axis=tuple(axis) if isinstance(axis, list) else axis),
        x.astype(wanted.dtype),
        keepdims=keepdims,
    )
    scale = np.prod(wanted.shape, dtype=float) / max(np.prod(x.shape, dtype=float), 1)
    return total * jnp.asarray(scale, wanted.dtype) if is_sparse(total) else total * scale


def _register(compute: Callable, sparse: Callable, *names: str) -> None:
    rules.update(dict.fromkeys(names, Rule(compute, sparse)))


_register(_elements, any, *_ZERO_AT_ZERO)
_register(_digitize, any, "digitize")
_register(_union, all, *_UNIONS)
_register(_product, any, "multiply")
_register(_quotient, lambda given: given[0] and not any(given[1:]), *_QUOTIENTS)
_register(_structure, all, *_SHAPES)
_register(_mean, any, "mean")
