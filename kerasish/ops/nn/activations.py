"""Nonlinear functions of each element, and softmaxes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array, as_axes, unary

# fmt: off
__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu",
    "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold",
]
# fmt: on

hard_sigmoid = unary(
    "hard_sigmoid",
    jax.nn.hard_sigmoid,
    "Piecewise linear sigmoid: `clip(x / 6 + 0.5, 0, 1)`",
    "[-3.0, 0.0, 3.0] -> [0.  0.5 1. ]",
)
hard_silu = unary(
    "hard_silu",
    jax.nn.hard_silu,
    "Piecewise SiLU: `x * hard_sigmoid(x)`",
    "[-3.0, 1.0, 3.0] -> [-0.    0.67  3.  ]",
)
hard_swish = unary(
    "hard_swish",
    jax.nn.hard_silu,
    "Piecewise SiLU, the same as `hard_silu`",
    "[-3.0, 1.0, 3.0] -> [-0.    0.67  3.  ]",
)
hard_tanh = unary(
    "hard_tanh",
    jax.nn.hard_tanh,
    "Each element clipped to the range from -1 to 1",
    "[-2.0, 0.5, 2.0] -> [-1.   0.5  1. ]",
)
log_sigmoid = unary(
    "log_sigmoid",
    jax.nn.log_sigmoid,
    "Logarithm of the sigmoid: `-log(1 + exp(-x))`, finite for any finite `x`",
    "[-1.0, 0.0] -> [-1.31 -0.69]",
)
relu = unary("relu", jax.nn.relu, "Rectified linear unit: `max(x, 0)`", "[-1.0, 2.0] -> [0. 2.]")
relu6 = unary(
    "relu6",
    jax.nn.relu6,
    "Rectified linear unit up to 6: `min(max(x, 0), 6)`",
    "[-1.0, 2.0, 8.0] -> [0. 2. 6.]",
)
selu = unary(
    "selu",
    jax.nn.selu,
    "Scaled exponential linear unit: `1.0507 * elu(x, 1.67326)`",
    "[-1.0, 1.0] -> [-1.11  1.05]",
)
sigmoid = unary(
    "sigmoid",
    jax.nn.sigmoid,
    "Logistic function: `1 / (1 + exp(-x))`",
    "[-1.0, 0.0, 1.0] -> [0.27 0.5  0.73]",
)
silu = unary(
    "silu",
    jax.nn.silu,
    "Sigmoid-weighted linear unit: `x * sigmoid(x)`",
    "[-1.0, 1.0] -> [-0.27  0.73]",
)
softplus = unary(
    "softplus", jax.nn.softplus, "Smooth rectifier: `log(1 + exp(x))`", "[-1.0, 0.0] -> [0.31 0.69]"
)
softsign = unary(
    "softsign", jax.nn.soft_sign, "`x / (1 + |x|)`, from -1 to 1", "[-1.0, 3.0] -> [-0.5   0.75]"
)
sparse_plus = unary(
    "sparse_plus",
    jax.nn.sparse_plus,
    "Smooth rectifier with exact zeros: 0 up to -1, `(x + 1)**2 / 4` up to 1, then `x`",
    "[-2.0, 0.0, 2.0] -> [0.   0.25 2.  ]",
)
sparse_sigmoid = unary(
    "sparse_sigmoid",
    jax.nn.sparse_sigmoid,
    "Derivative of `sparse_plus`: `clip((x + 1) / 2, 0, 1)`",
    "[-2.0, 0.0, 2.0] -> [0.  0.5 1. ]",
)
swish = unary(
    "swish",
    jax.nn.silu,
    "Sigmoid-weighted linear unit, the same as `silu`",
    "[-1.0, 1.0] -> [-0.27  0.73]",
)
tanh_shrink = unary(
    "tanh_shrink",
    lambda x: x - jnp.tanh(x),
    "Each element less its hyperbolic tangent: `x - tanh(x)`",
    "[-1.0, 2.0] -> [-0.24  1.04]",
)


@symbolic
def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> jax.Array:
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        x: Array, Variable, number or list of numbers.
        negative_slope: Slope of the negative part.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.leaky_relu([-1.0, 2.0]))
        [-0.2  2. ]
    """
    return jax.nn.leaky_relu(as_array(x), negative_slope)


@symbolic
def elu(x: TensorLike, alpha: float = 1.0) -> jax.Array:
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        x: Array, Variable, number or list of numbers.
        alpha: Minus the limit for large negative numbers.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.elu([-1.0, 2.0])).round(2))
        [-0.63  2.  ]
    """
    return jax.nn.elu(as_array(x), alpha)


@symbolic
def celu(x: TensorLike, alpha: float = 1.0) -> jax.Array:
    """`x` where positive, `alpha * (exp(x / alpha) - 1)` elsewhere.

    Args:
        x: Array, Variable, number or list of numbers.
        alpha: Minus the limit for large negative numbers.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.celu([-1.0, 2.0])).round(2))
        [-0.63  2.  ]
    """
    return jax.nn.celu(as_array(x), alpha)


@symbolic
def gelu(x: TensorLike, approximate: bool = True) -> jax.Array:
    """`x` times the normal distribution's cumulative function at `x`, or its tanh approximation.

    Args:
        x: Array, Variable, number or list of numbers.
        approximate: Whether to use the approximation.

    Shapes:
        `(...)` -> the same.

    References:
        Hendrycks and Gimpel, 2016, "Gaussian Error Linear Units".

    Example:
        >>> print(np.array(keras.ops.gelu([-1.0, 2.0])).round(2))
        [-0.16  1.95]
    """
    return jax.nn.gelu(as_array(x), approximate)


@symbolic
def glu(x: TensorLike, axis: int = -1) -> jax.Array:
    """Gated linear unit: the first half along an axis times the sigmoid of the second.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: The axis that is halved.

    Shapes:
        `(..., 2 * n)` -> `(..., n)`.

    Example:
        >>> print(keras.ops.glu([6.0, 0.0]))
        [3.]
    """
    return jax.nn.glu(as_array(x), axis)


@symbolic
def squareplus(x: TensorLike, b: float = 4) -> jax.Array:
    """Smooth rectifier without exponentials: `(x + sqrt(x**2 + b)) / 2`.

    Args:
        x: Array, Variable, number or list of numbers.
        b: How smooth it is at 0.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.squareplus([0.0]))
        [1.]
    """
    return jax.nn.squareplus(as_array(x), b)


@symbolic
def hard_shrink(x: TensorLike, threshold: float = 0.5) -> jax.Array:
    """`x` where its absolute value is above a threshold, 0 elsewhere.

    Args:
        x: Array, Variable, number or list of numbers.
        threshold: The threshold.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.hard_shrink([-1.0, 0.2, 0.7]))
        [-1.   0.   0.7]
    """
    x = as_array(x)
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


@symbolic
def soft_shrink(x: TensorLike, threshold: float = 0.5) -> jax.Array:
    """`x` moved by a threshold towards 0, and 0 between.

    Args:
        x: Array, Variable, number or list of numbers.
        threshold: The threshold.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.soft_shrink([-1.0, 0.25, 0.75]))
        [-0.5   0.    0.25]
    """
    x = as_array(x)
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0.0))


@symbolic
def threshold(x: TensorLike, threshold: float, default_value: float) -> jax.Array:
    """`x` where above a threshold, a default value elsewhere.

    Args:
        x: Array, Variable, number or list of numbers.
        threshold: The threshold.
        default_value: The default value.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.threshold([-1.0, 2.0], 0.5, 9.0))
        [9. 2.]
    """
    x = as_array(x)
    return jnp.where(x > threshold, x, default_value)


@symbolic
def softmax(x: TensorLike, axis: int | Sequence[int] = -1) -> jax.Array:
    """Exponentials divided by their sum: `exp(x) / sum(exp(x))`.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, of the sum.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.softmax([0.0, 1.0])).round(2))
        [0.27 0.73]
    """
    x = as_array(x)
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim and x.shape[axis] == 1:
        warnings.warn(
            f"softmax over axis {axis} of shape {x.shape} is always 1, as the axis has one "
            "element. Did you mean `sigmoid`?",
            stacklevel=3,
        )
    return jax.nn.softmax(x, as_axes(axis))


@symbolic
def log_softmax(x: TensorLike, axis: int = -1) -> jax.Array:
    """The logarithm of `softmax`: `x - log(sum(exp(x)))`.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis, or axes, of the sum.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.log_softmax([0.0, 1.0])).round(2))
        [-1.31 -0.31]
    """
    return jax.nn.log_softmax(as_array(x), as_axes(axis))


@symbolic
def sparsemax(x: TensorLike, axis: int = -1) -> jax.Array:
    """The nearest point of the probability simplex: like softmax, but with exact zeros.

    As the paper has it; Keras 3.15 gives only zeros where it should share out 1.

    Args:
        x: Array, Variable, number or list of numbers.
        axis: Axis whose elements sum to 1.

    Shapes:
        `(...)` -> the same.

    References:
        Martins and Astudillo, 2016, "From Softmax to Sparsemax".

    Example:
        >>> print(keras.ops.sparsemax([0.0, 0.5, 3.0]))
        [0. 0. 1.]
    """
    x = jnp.moveaxis(as_array(x), axis, -1)
    ordered = -jnp.sort(-x, axis=-1)
    above = jnp.cumsum(ordered, axis=-1) - 1
    rank = jnp.arange(1, x.shape[-1] + 1)
    support = ordered > above / rank
    size = jnp.sum(support, axis=-1, keepdims=True)
    level = jnp.take_along_axis(above, size - 1, axis=-1) / size
    return jnp.moveaxis(jnp.maximum(x - level, 0.0), -1, axis)
