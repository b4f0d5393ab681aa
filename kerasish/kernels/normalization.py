"""Normalization with derivatives written by hand, which read the batch fewer times than JAX's."""

import functools
import math

import jax
import jax.numpy as jnp

from kerasish.kernels.noinline import add_bias, materialized_sum, scale_by


def along_axis(values: jax.Array, axis: int, x: jax.Array) -> jax.Array:
    """One value a channel, for arithmetic with `x`, whose channels are along `axis`.

    Args:
        values: `(channels,)`.
        axis: Axis of the channels.
        x: The array.
    """
    shape = [1] * x.ndim
    shape[axis] = -1
    return jnp.reshape(values, shape)


def other_axes(axis: int, x: jax.Array) -> tuple[int, ...]:
    """All axes of `x` but one.

    Args:
        axis: The axis that is left out.
        x: The array.
    """
    return tuple(i for i in range(x.ndim) if i != axis % x.ndim)


def moments(axis: int, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance of each channel, over all other axes.

    Args:
        axis: Axis of the channels.
        x: The batch.

    Shapes:
        Any -> two of `(channels,)`.
    """
    axes = other_axes(axis, x)
    mean = _mean(x, axes)
    return mean, _mean(jnp.square(x - jnp.expand_dims(mean, axes)), axes)


def _mean(x, axes):
    return materialized_sum(x, axes) / math.prod(x.shape[axis] for axis in axes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def batch_normalize(
    axis: int, epsilon: float, x: jax.Array, gamma: jax.Array, beta: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` by the batch's own mean and variance.

    Args:
        axis: Axis of the channels.
        epsilon: Added to the variance.
        x: The batch.
        gamma: Factor of each channel.
        beta: Shift of each channel.

    Shapes:
        Any, and two of `(channels,)` -> the batch's, and two of `(channels,)`.

    Returns:
        The normalized batch, and its mean and variance before.

    References:
        Ioffe and Szegedy, 2015, "Batch Normalization: Accelerating Deep Network Training by
        Reducing Internal Covariate Shift".
    """
    mean, variance = moments(axis, x)
    factor = gamma * jax.lax.rsqrt(variance + epsilon)
    shift = beta - mean * factor
    return x * along_axis(factor, axis, x) + along_axis(shift, axis, x), mean, variance


@batch_normalize.defjvp
def _batch_normalize_jvp(axis, epsilon, primals, tangents):
    """Its transpose takes two sums over the batch; that of JAX's rules would take three."""
    (x, gamma, _), (dx, dgamma, dbeta) = primals, tangents
    result, mean, variance = batch_normalize(axis, epsilon, *primals)
    centred = x - along_axis(mean, axis, x)
    deviation = jax.lax.rsqrt(variance + epsilon)
    factor = gamma * deviation
    dmean = jnp.mean(dx, other_axes(axis, x))
    half = jnp.mean(centred * dx, other_axes(axis, x))  # of the variance's tangent
    slope = dgamma * deviation - factor * half / (variance + epsilon)
    dy = dx * along_axis(factor, axis, x) + scale_by(centred, along_axis(slope, axis, x))
    dy = add_bias(dy, along_axis(dbeta - factor * dmean, axis, x))
    return (result, mean, variance), (dy, dmean, 2 * half)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def standardize(axes: tuple[int, ...], epsilon: float, x: jax.Array) -> jax.Array:
    """`(x - mean) / sqrt(variance + epsilon)`, mean and variance being over some axes.

    Args:
        axes: The axes.
        epsilon: Added to the variance.
        x: What to normalize.

    Shapes:
        Any -> the same.

    References:
        Ba, Kiros and Hinton, 2016, "Layer Normalization".
    """
    return _standardized(axes, epsilon, x)[0]


def _standardized(axes, epsilon, x):
    x = x - jnp.mean(x, axes, keepdims=True)
    factor = jax.lax.rsqrt(jnp.mean(jnp.square(x), axes, keepdims=True) + epsilon)
    return x * factor, factor


@standardize.defjvp
def _standardize_jvp(axes, epsilon, primals, tangents):
    """Fewer passes over arrays of the input's size than by JAX's rules."""
    (x,), (dx,) = primals, tangents
    y, factor = _standardized(axes, epsilon, x)
    along = y * jnp.mean(y * dx, axes, keepdims=True)
    return y, factor * (dx - jnp.mean(dx, axes, keepdims=True) - along)
