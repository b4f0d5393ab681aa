"""Normalization: by a norm, and to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array, as_axes, as_float, in_32_bits

# fmt: off
__all__ = [
    "batch_normalization", "layer_normalization", "moments", "normalize", "rms_normalization",
]
# fmt: on


@symbolic
def normalize(
    x: TensorLike, axis: int | Sequence[int] = -1, order: int = 2, epsilon: float | None = None
) -> jax.Array:
    """Vectors of norm 1: `x / max(norm(x), epsilon)`.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, of the vectors.
        order: Order of the norm, an integer of at least 1.
        epsilon: Least divisor; by default `keras.config.epsilon()`.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.normalize([3.0, 4.0]))
        [0.6 0.8]
    """
    if not isinstance(order, int) or order < 1:
        raise bad_argument("normalize", "order", "an integer of at least 1", order)
    x, axis = jnp.atleast_1d(as_float(x)), as_axes(axis)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    # What is not chosen gets numbers too that have a finite gradient.
    if order == 2:
        square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
        limits = jnp.finfo(x.dtype)
        most = min(1.0 / epsilon, float(limits.max)) if epsilon else float(limits.max)
        long = square > max(most**-2, float(limits.tiny))
        return x * jnp.where(long, jax.lax.rsqrt(jnp.where(long, square, 1)), most)
    nonzero = jnp.any(x != 0, axis=axis, keepdims=True)
    norm = jnp.linalg.norm(jnp.where(nonzero, x, 1), ord=order, axis=axis, keepdims=True)
    return x / jnp.where(nonzero, jnp.maximum(norm, epsilon), epsilon or 1)


@symbolic
def moments(
    x: TensorLike, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False
) -> tuple[jax.Array, ...]:
    """Mean and variance over some axes; 16-bit floats are added up in 32 bits.

    With a batch sharded over devices JAX takes both over all of it, so `synchronized` has
    nothing to change.

    Args:
        x: Array, Variable, number or list of numbers.
        axes: Axes to go over.
        keepdims: Whether the axes gone over stay, with size 1.
        synchronized: Without effect.

    Shapes:
        `(...)` -> two without the axes gone over, or of size 1 there.

    Example:
        >>> print(*keras.ops.moments([1.0, 3.0], 0))
        2.0 1.0
    """
    x, axes = as_array(x), as_axes(axes)
    wide = in_32_bits(x) if dtypes.is_float(x.dtype) else x
    both = jnp.mean(wide, axes, keepdims=keepdims), jnp.var(wide, axes, keepdims=keepdims)
    if x.dtype not in (jnp.float16, jnp.bfloat16):
        return both
    limit = jnp.finfo(jnp.float16).max
    return tuple(jnp.clip(value, -limit, limit).astype(x.dtype) for value in both)


@symbolic
def batch_normalization(
    x: TensorLike,
    mean: TensorLike,
    variance: TensorLike,
    axis: int,
    offset: TensorLike | None = None,
    scale: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> jax.Array:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, one of each per element of `axis`.

    Args:
        x: Array, Variable, number or list of numbers.
        mean: `(channels,)`.
        variance: `(channels,)`.
        axis: The axis of the channels.
        offset: `(channels,)`, added at the end.
        scale: `(channels,)`, the factor before that.
        epsilon: Added to the variance.

    Shapes:
        `(..., channels)` -> the same.

    References:
        Ioffe and Szegedy, 2015, "Batch Normalization".

    Example:
        >>> y = keras.ops.batch_normalization([[1.0], [3.0]], [2.0], [1.0], -1)
        >>> print(np.array(y).round(2))
        [[-1.]
         [ 1.]]
    """
    x = as_array(x)

    def along(values):
        sizes = [1] * x.ndim
        sizes[axis] = -1
        return as_array(values).reshape(sizes)

    factor = jax.lax.rsqrt(along(variance) + epsilon)
    factor = factor if scale is None else factor * along(scale)
    rest = -along(mean) * factor
    rest = rest if offset is None else rest + along(offset)
    return x * factor + rest


@symbolic
def layer_normalization(
    x: TensorLike,
    gamma: TensorLike | None = None,
    beta: TensorLike | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> jax.Array:
    """`x` with mean 0 and variance 1 over some axes, times `gamma`, plus `beta`.

    Args:
        x: Array, Variable, number or list of numbers.
        gamma: Factor, `(channels,)`.
        beta: Added at the end, `(channels,)`.
        axis: Axis, or axes, to normalize over.
        epsilon: Added to the variance; by default `keras.config.epsilon()`.
        **kwargs: `rms_scaling`: whether to leave the mean where it is.

    Shapes:
        `(..., channels)` -> the same.

    References:
        Ba, Kiros and Hinton, 2016, "Layer Normalization".

    Example:
        >>> print(np.array(keras.ops.layer_normalization([1.0, 3.0])).round(2))
        [-1.  1.]
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unknown arguments {sorted(kwargs)}.")
    x = as_array(x)
    wide = in_32_bits(x)
    axes = sorted([axis] if isinstance(axis, int) else axis)
    sizes = [1] * x.ndim
    for n in axes:
        sizes[n] = x.shape[n]

    def along(values):
        values = as_array(values).astype(wide.dtype)
        return values if values.ndim == x.ndim or axes == [x.ndim - 1] else values.reshape(sizes)

    mean, variance = moments(wide, tuple(axes), keepdims=True)
    factor = jax.lax.rsqrt(variance + (settings.epsilon() if epsilon is None else epsilon))
    factor = factor if gamma is None else factor * along(gamma)
    if rms_scaling:
        return (wide * factor).astype(x.dtype)
    rest = -mean * factor
    rest = rest if beta is None else rest + along(beta)
    return (wide * factor + rest).astype(x.dtype)


@symbolic
def rms_normalization(
    x: TensorLike,
    scale: TensorLike | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float | None = None,
) -> jax.Array:
    """`x` divided by its root mean square over some axes, times `scale`.

    Args:
        x: Array, Variable, number or list of numbers.
        scale: Factor, `(channels,)`.
        axis: Axis, or axes, to normalize over.
        epsilon: Added to the mean square; by default `keras.config.epsilon()`.

    Shapes:
        `(..., channels)` -> the same.

    References:
        Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization".

    Example:
        >>> print(np.array(keras.ops.rms_normalization([3.0, 4.0])).round(2))
        [0.85 1.13]
    """
    x = as_array(x)
    wide = jnp.atleast_1d(in_32_bits(x))
    epsilon = settings.epsilon() if epsilon is None else epsilon
    square = jnp.mean(jnp.square(wide), axis=as_axes(axis), keepdims=True)
    wide = wide * jax.lax.rsqrt(square + epsilon)
    wide = wide if scale is None else wide * as_array(scale).astype(wide.dtype)
    return wide.astype(x.dtype)
