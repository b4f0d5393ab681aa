"""Nonlinear functions of each entry, and softmaxes."""

import warnings

import jax
import jax.numpy as jnp

from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array, as_axes, unary

hard_sigmoid = unary("hard_sigmoid", jax.nn.hard_sigmoid)
hard_silu = unary("hard_silu", jax.nn.hard_silu)
hard_swish = unary("hard_swish", jax.nn.hard_silu)
hard_tanh = unary("hard_tanh", jax.nn.hard_tanh)
log_sigmoid = unary("log_sigmoid", jax.nn.log_sigmoid)
relu = unary("relu", jax.nn.relu)
relu6 = unary("relu6", jax.nn.relu6)
selu = unary("selu", jax.nn.selu)
sigmoid = unary("sigmoid", jax.nn.sigmoid)
silu = unary("silu", jax.nn.silu)
softplus = unary("softplus", jax.nn.softplus)
softsign = unary("softsign", jax.nn.soft_sign)
sparse_plus = unary("sparse_plus", jax.nn.sparse_plus)
sparse_sigmoid = unary("sparse_sigmoid", jax.nn.sparse_sigmoid)
swish = unary("swish", jax.nn.silu)
tanh_shrink = unary("tanh_shrink", lambda x: x - jnp.tanh(x))


@symbolic
def leaky_relu(x, negative_slope=0.2):
    """`x` where positive, else `negative_slope * x`."""
    return jax.nn.leaky_relu(as_array(x), negative_slope)


@symbolic
def elu(x, alpha=1.0):
    """`x` where positive, else `alpha * (exp(x) - 1)`."""
    return jax.nn.elu(as_array(x), alpha)


@symbolic
def celu(x, alpha=1.0):
    """`x` where positive, else `alpha * (exp(x / alpha) - 1)`."""
    return jax.nn.celu(as_array(x), alpha)


@symbolic
def gelu(x, approximate=True):
    """`x` times the normal distribution's cumulative function at `x`, or its tanh approximation.

    References:
        Hendrycks and Gimpel, 2016, "Gaussian Error Linear Units".
    """
    return jax.nn.gelu(as_array(x), approximate)


@symbolic
def glu(x, axis=-1):
    """The first half along an axis times the sigmoid of the second."""
    return jax.nn.glu(as_array(x), axis)


@symbolic
def squareplus(x, b=4):
    """`(x + sqrt(x**2 + b)) / 2`."""
    return jax.nn.squareplus(as_array(x), b)


@symbolic
def hard_shrink(x, threshold=0.5):
    """`x` where its size is above the threshold, else 0."""
    x = as_array(x)
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


@symbolic
def soft_shrink(x, threshold=0.5):
    """`x` moved by the threshold towards 0, and 0 between."""
    x = as_array(x)
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


@symbolic
def threshold(x, threshold, default_value):
    """`x` where above the threshold, else the default value."""
    x = as_array(x)
    return jnp.where(x > threshold, x, default_value)


@symbolic
def softmax(x, axis=-1):
    """`exp(x)` divided by its sum over an axis, or several."""
    x = as_array(x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of shape {x.shape} is always 1, as the axis has one entry. "
            "Did you mean `sigmoid`?",
            stacklevel=3,
        )
    return jax.nn.softmax(x, as_axes(axis))


@symbolic
def log_softmax(x, axis=-1):
    """The logarithm of `softmax`."""
    return jax.nn.log_softmax(as_array(x), as_axes(axis))


@symbolic
def sparsemax(x, axis=-1):
    """The nearest point of the probability simplex: like softmax, but with exact zeros.

    As the paper has it; Keras 3.15 gives zeros alone where it should share out 1.

    References:
        Martins and Astudillo, 2016, "From Softmax to Sparsemax".
    """
    x = jnp.moveaxis(as_array(x), axis, -1)
    ordered = -jnp.sort(-x, axis=-1)
    above = jnp.cumsum(ordered, axis=-1) - 1
    rank = jnp.arange(1, x.shape[-1] + 1)
    support = ordered > above / rank
    size = jnp.sum(support, axis=-1, keepdims=True)
    level = jnp.take_along_axis(above, size - 1, axis=-1) / size
    return jnp.moveaxis(jnp.maximum(x - level, 0.0), -1, axis)
