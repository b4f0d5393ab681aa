"""Primitives written with plainer ones, for runtimes that know those in part only.

Each rule takes an equation and its operands, and gives what its primitive gives, to rounding; or
`NotImplemented`, to leave the primitive as it is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

RULES: dict[str, Callable] = {}


def rule(*names: str) -> Callable:
    """Register a function `(equation, *operands) -> result or results` for primitives.

    Args:
        *names: Names of primitives.
    """

    def keep(fn: Callable) -> Callable:
        RULES.update(dict.fromkeys(names, fn))
        return fn

    return keep


@rule("stop_gradient", "optimization_barrier", "sharding_constraint", "copy", "copy_p")
def _same(equation, *operands):
    return list(operands)


@rule("lt_to", "le_to")
def _in_total_order(equation, x, y):
    """Comparisons of sorting: NaN comes after every number."""
    is_strict = equation.primitive.name == "lt_to"
    found = lax.lt(x, y) if is_strict else lax.le(x, y)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return found
    is_nan = [lax.ne(value, value) for value in (x, y)]
    last = lax.bitwise_and(is_nan[1], lax.bitwise_not(is_nan[0])) if is_strict else is_nan[1]
    return lax.bitwise_or(found, last)


@rule("pad")
def _pad(equation, x, value):
    return padded(x, value, equation.params["padding_config"])


def padded(x: Any, value: Any, config: Any) -> Any:
    """`lax.pad` by concatenation: any axis that is not padded may have a size that varies.

    Args:
        x: The array.
        value: What it is padded with.
        config: For each axis how much before, after and between.
    """
    for axis, (low, high, interior) in enumerate(config):
        if interior:
            x = _spread(x, value, axis, interior)
        if low < 0 or high < 0:
            x = lax.slice_in_dim(x, max(0, -low), x.shape[axis] - max(0, -high), axis=axis)
        parts = [_filled(x, value, axis, low), x, _filled(x, value, axis, high)]
        parts = [part for part in parts if part is not None]
        x = lax.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _filled(x, value, axis, size) -> Any:
    if size <= 0:
        return None
    return jnp.broadcast_to(value, (*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _spread(x, value, axis, interior):
    """With so many of the value between neighbours along an axis."""
    size = x.shape[axis]
    x = lax.expand_dims(x, [axis + 1])
    between = _filled(x, value, axis + 1, interior)
    x = lax.concatenate([x, between], axis + 1)
    wide = size * (interior + 1)
    x = x.reshape(*x.shape[:axis], wide, *x.shape[axis + 2 :])
    return lax.slice_in_dim(x, 0, wide - interior, axis=axis)


@rule("reduce_window_max")
def _max_pool(equation, x):
    """The maximum over windows, one or two axes at a time, all others joined to one."""
    params = equation.params
    if any(n != 1 for n in params["base_dilation"]):
        return NotImplemented
    windows = zip(
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params["window_dilation"],
        strict=True,
    )
    moving = {axis: w for axis, w in enumerate(windows) if w[:3] != (1, 1, (0, 0))}
    axes = list(moving)
    for pair in (axes[i : i + 2] for i in range(0, len(axes), 2)):
        x = _max_over(equation, x, pair, [moving[axis] for axis in pair])
    return x


def _max_over(equation, x, axes, windows):
    others = [axis for axis in range(x.ndim) if axis not in axes]
    order = [*others, *axes]
    x = lax.transpose(x, order) if order != sorted(order) else x
    lead, sizes = x.shape[: len(others)], x.shape[len(others) :]
    x = x.reshape(_product(lead), *sizes)
    sides, strides, padding, dilation = zip(*windows, strict=True)
    x = equation.primitive.bind(
        x,
        window_dimensions=(1, *sides),
        window_strides=(1, *strides),
        padding=((0, 0), *padding),
        base_dilation=(1,) * x.ndim,
        window_dilation=(1, *dilation),
    )
    x = x.reshape(*lead, *x.shape[1:])
    back = list(np.argsort(order))
    return lax.transpose(x, back) if back != sorted(back) else x


def _product(sizes):
    total = 1
    for size in sizes:
        total = total * size
    return total


@rule("conv_general_dilated")
def _convolution(equation, x, kernel):
    """With the batch and the channels first, and over one or two axes."""
    params = dict(equation.params)
    numbers = params["dimension_numbers"]
    specs = [tuple(spec) for spec in (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)]
    plain = tuple(range(x.ndim))
    if x.ndim > 5 or params["batch_group_count"] != 1:
        return NotImplemented
    if specs == [plain] * 3 and x.ndim < 5:
        return NotImplemented
    x, kernel = lax.transpose(x, specs[0]), lax.transpose(kernel, specs[1])
    convolve = _over_three_axes if x.ndim == 5 else _convolved
    return lax.transpose(convolve(equation.primitive, x, kernel, params), np.argsort(specs[2]))


def _convolved(primitive, x, kernel, params):
    plain = tuple(range(x.ndim))
    numbers = lax.ConvDimensionNumbers(plain, plain, plain)
    return primitive.bind(x, kernel, **{**params, "dimension_numbers": numbers})


def _over_three_axes(primitive, x, kernel, params):
    """A sum of convolutions over the last two axes, one for each step of the kernel's first."""
    stride, *strides = params["window_strides"]
    (low, high), *padding = params["padding"]
    spread, *spreads = params["lhs_dilation"]
    step, *steps = params["rhs_dilation"]
    still = (0, 0, 0)
    x = padded(x, jnp.zeros((), x.dtype), [still, still, (low, high, spread - 1), still, still])
    inner = {
        **params,
        "window_strides": tuple(strides),
        "padding": tuple(padding),
        "lhs_dilation": tuple(spreads),
        "rhs_dilation": tuple(steps),
    }
    taps = kernel.shape[2]
    found = (x.shape[2] - (taps - 1) * step - 1) // stride + 1
    total = None
    for tap in range(taps):
        first = tap * step
        part = lax.slice_in_dim(x, first, first + (found - 1) * stride + 1, stride, axis=2)
        part = lax.transpose(part, (0, 2, 1, 3, 4))
        part = part.reshape(part.shape[0] * found, *part.shape[2:])
        y = _convolved(primitive, part, lax.index_in_dim(kernel, tap, 2, keepdims=False), inner)
        total = y if total is None else total + y
    assert total is not None
    total = total.reshape(x.shape[0], found, *total.shape[1:])
    return lax.transpose(total, (0, 2, 1, 3, 4))


@rule("scatter-add")
def _count(equation, operand, indices, updates):
    """Histograms, one in each row of several axes: compared with every bin, and summed."""
    numbers, lead = equation.params["dimension_numbers"], tuple(range(operand.ndim - 1))
    is_histogram = (
        lead
        and numbers.operand_batching_dims == numbers.scatter_indices_batching_dims == lead
        and numbers.scatter_dims_to_operand_dims == (operand.ndim - 1,)
        and not numbers.update_window_dims
        and updates.ndim == operand.ndim
    )
    if not is_histogram:
        return NotImplemented
    shape = (*updates.shape, operand.shape[-1])
    bins = lax.broadcasted_iota(indices.dtype, (1,) * updates.ndim + shape[-1:], updates.ndim)
    hits = lax.broadcast_in_dim(updates, shape, range(updates.ndim)) * jnp.equal(
        indices, bins
    ).astype(updates.dtype)
    return operand + jnp.sum(hits, axis=-2)


@rule("max", "min")
def _extremum(equation, x, y):
    """Without what changes nothing: `jax.nn.softmax` takes the maximum with minus infinity."""
    never = -np.inf if equation.primitive.name == "max" else np.inf
    for one, other in ((x, y), (y, x)):
        if is_concrete(one) and np.ndim(one) == 0 and np.asarray(one) == never:
            return other
    return NotImplemented


@rule("select_n")
def _select(equation, which, *cases):
    """Of booleans, by logic: runtimes choose among numbers only."""
    if len(cases) != 2 or which.dtype != bool or cases[0].dtype != bool:
        return NotImplemented
    first = lax.bitwise_and(lax.bitwise_not(which), cases[0])
    return lax.bitwise_or(first, lax.bitwise_and(which, cases[1]))


def widened(dtype: Any) -> Any:
    """`float32` for the 16-bit floats, in which runtimes lack most operators.

    Args:
        dtype: The dtype.
    """
    return np.dtype("float32") if dtype in (jnp.bfloat16, jnp.float16) else dtype


def widened_params(params: dict) -> dict:
    """An equation's parameters, types of 16-bit floats among them widened.

    Args:
        params: Parameters by name.
    """
    names = ("new_dtype", "dtype", "preferred_element_type", "index_dtype")
    changed = {n: widened(params[n]) for n in names if params.get(n) is not None}
    return {**params, **changed} if changed else params


def is_concrete(*values: Any) -> bool:
    """Whether all are arrays with values, not traced ones.

    Args:
        *values: The arrays.
    """
    return not any(isinstance(value, jax.core.Tracer) for value in values)
