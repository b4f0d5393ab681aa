"""Functions that make networks nonlinear, element by element or along an axis.

All take arrays, Variables, lists, numbers and symbolic tensors; the result has the input's shape
and dtype (integers become floats where the maths asks for it).
"""

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core.dtypes import to_array
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import custom_object_scope, publish
from kerasish.core.serialization.serialize import resolve, serialize_argument
from kerasish.core.settings import floatx
from kerasish.core.symbolic.operation import symbolic


def _activation(function):
    @functools.wraps(function)
    def run(x, *args, **kwargs):
        return function(to_array(x), *args, **kwargs)

    return symbolic(run)


# Compiled, since finding the rule of its gradient anew at each call takes most of an eager call.
_relu = jax.jit(jax.nn.relu)


def _float(x):
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(floatx())


@_activation
def relu(
    x: jax.Array, negative_slope: float = 0.0, max_value: Any = None, threshold: float = 0.0
) -> jax.Array:
    """`x` above the threshold and at most `max_value`; below, `negative_slope * (x - threshold)`.

    With the defaults: `max(x, 0)`.

    Args:
        x: Array of any shape.
        negative_slope: Slope below the threshold.
        max_value: Greatest result; `None` for no bound.
        threshold: Where the two parts join.

    References:
        Nair and Hinton, 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".

    Example:
        >>> relu([-2.0, 1.0, 9.0], max_value=6.0)
        Array([0., 1., 6.], dtype=float32)
    """
    if negative_slope and max_value is None and threshold == 0:
        return jax.nn.leaky_relu(x, negative_slope)
    if not threshold and max_value == 6:
        above = jax.nn.relu6(x)
    else:
        above = jnp.where(x > threshold, x, 0) if threshold else _relu(x)
        above = above if max_value is None else jnp.clip(above, 0, max_value)
    if negative_slope:
        above = above - negative_slope * _relu(threshold - x)
    return above.astype(x.dtype)


@_activation
def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> jax.Array:
    """`x` above 0, `negative_slope * x` below.

    Args:
        x: Array.
        negative_slope: Slope below 0.

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models".

    Example:
        >>> leaky_relu([-1.0, 1.0])
        Array([-0.2,  1. ], dtype=float32)
    """
    return jax.nn.leaky_relu(x, negative_slope)


@_activation
def relu6(x: ArrayLike) -> jax.Array:
    """`min(max(x, 0), 6)`.

    Args:
        x: Array.

    Example:
        >>> relu6([-1.0, 1.0, 9.0])
        Array([0., 1., 6.], dtype=float32)
    """
    return jax.nn.relu6(x)


@_activation
def softmax(x: ArrayLike, axis: int = -1) -> jax.Array:
    """`exp(x) / sum(exp(x))`: positive numbers that sum to 1 along `axis`.

    Args:
        x: Array of any shape.
        axis: Axis, or a tuple of axes, to sum over.

    Example:
        >>> softmax([1.0, 1.0])
        Array([0.5, 0.5], dtype=float32)
    """
    if isinstance(axis, int) and -x.ndim <= axis < x.ndim:
        size = x.shape[axis]
        if isinstance(size, int) and size == 1:
            warnings.warn(
                f"softmax: axis {axis} of shape {x.shape} has size 1, so every result is 1. "
                "Did you mean 'sigmoid'?",
                stacklevel=2,
            )
    return jax.nn.softmax(_float(x), axis=axis)


@_activation
def log_softmax(x: ArrayLike, axis: int = -1) -> jax.Array:
    """The logarithm of `softmax(x)`, exact where that is near 0.

    Args:
        x: Array of any shape.
        axis: Axis, or a tuple of axes, to sum over.

    Example:
        >>> log_softmax([0.0, 1000.0])
        Array([-1000.,     0.], dtype=float32)
    """
    return jax.nn.log_softmax(_float(x), axis=axis)


@_activation
def sparsemax(x: ArrayLike, axis: int = -1) -> jax.Array:
    """The point nearest to `x` of those that are not negative and sum to 1: softmax with zeros.

    (Keras 3.15's own sums to less than 1 where more than one element is above 0.)

    Args:
        x: Array of any shape.
        axis: Axis to sum over.

    References:
        Martins and Astudillo, 2016, "From Softmax to Sparsemax".

    Example:
        >>> sparsemax([2.0, 1.5, 0.0])
        Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    x = jnp.moveaxis(_float(x), axis, -1)
    falling = -jnp.sort(-x, axis=-1)
    ranks = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    supported = 1 + ranks * falling > jnp.cumsum(falling, axis=-1)
    excess = jnp.sum(jnp.where(supported, falling, 0), axis=-1, keepdims=True) - 1
    shift = excess / jnp.sum(supported, axis=-1, keepdims=True)
    return jnp.moveaxis(jnp.maximum(x - shift.astype(x.dtype), 0), -1, axis)


@_activation
def elu(x: ArrayLike, alpha: float = 1.0) -> jax.Array:
    """`x` above 0, `alpha * (exp(x) - 1)` below.

    Args:
        x: Array.
        alpha: Minus the limit for large negative numbers.

    References:
        Clevert, Unterthiner and Hochreiter, 2016, "Fast and Accurate Deep Network Learning by
        Exponential Linear Units (ELUs)".

    Example:
        >>> elu([-100.0, 1.0])
        Array([-1.,  1.], dtype=float32)
    """
    return jax.nn.elu(x, alpha)


@_activation
def celu(x: ArrayLike, alpha: float = 1.0) -> jax.Array:
    """`x` above 0, `alpha * (exp(x / alpha) - 1)` below: smooth for every `alpha`.

    Args:
        x: Array.
        alpha: Minus the limit for large negative numbers.

    References:
        Barron, 2017, "Continuously Differentiable Exponential Linear Units".

    Example:
        >>> celu([-100.0, 1.0], alpha=2.0)
        Array([-2.,  1.], dtype=float32)
    """
    return jax.nn.celu(x, alpha)


@_activation
def selu(x: ArrayLike) -> jax.Array:
    """`1.0507 * elu(x, 1.67326)`, which keeps mean 0 and variance 1 (with `"lecun_normal"`).

    Args:
        x: Array.

    References:
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks".

    Example:
        >>> selu([0.0, 1.0]).round(4)
        Array([0.    , 1.0507], dtype=float32)
    """
    return jax.nn.selu(x)


@_activation
def gelu(x: ArrayLike, approximate: bool = False) -> jax.Array:
    """`x` times the probability that a standard normal number is below it.

    Args:
        x: Array of any shape.
        approximate: Whether to use a formula with `tanh` instead of the error function.

    References:
        Hendrycks and Gimpel, 2016, "Gaussian Error Linear Units (GELUs)".

    Example:
        >>> gelu([0.0, 10.0])
        Array([ 0., 10.], dtype=float32)
    """
    return jax.nn.gelu(x, approximate)


@_activation
def glu(x: ArrayLike, axis: int = -1) -> jax.Array:
    """The first half along `axis` times the sigmoid of the second.

    Args:
        x: Array with an even size along `axis`.
        axis: Axis to halve.

    References:
        Dauphin, Fan, Auli and Grangier, 2017, "Language Modeling with Gated Convolutional
        Networks".

    Example:
        >>> glu([4.0, 0.0])
        Array([2.], dtype=float32)
    """
    size = x.shape[axis]
    if isinstance(size, int) and size % 2:
        raise bad_argument("glu", "x", f"of an even size along axis {axis}", x.shape)
    return jax.nn.glu(_float(x), axis)


@_activation
def silu(x: ArrayLike) -> jax.Array:
    """`x * sigmoid(x)`, also called swish.

    Args:
        x: Array.

    References:
        Ramachandran, Zoph and Le, 2017, "Searching for Activation Functions".

    Example:
        >>> silu([-100.0, 0.0, 100.0])
        Array([ -0.,   0., 100.], dtype=float32)
    """
    return jax.nn.silu(_float(x))


@_activation
def mish(x: ArrayLike) -> jax.Array:
    """`x * tanh(softplus(x))`.

    Args:
        x: Array.

    References:
        Misra, 2019, "Mish: A Self Regularized Non-Monotonic Activation Function".

    Example:
        >>> mish([0.0, 100.0])
        Array([  0., 100.], dtype=float32)
    """
    return jax.nn.mish(x)


@_activation
def sigmoid(x: ArrayLike) -> jax.Array:
    """`1 / (1 + exp(-x))`.

    Args:
        x: Array.

    Example:
        >>> sigmoid([-100.0, 0.0, 100.0])
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jax.nn.sigmoid(_float(x))


@_activation
def log_sigmoid(x: ArrayLike) -> jax.Array:
    """The logarithm of `sigmoid(x)`, exact where that is near 0.

    Args:
        x: Array.

    Example:
        >>> log_sigmoid([-1000.0, 1000.0])
        Array([-1000.,    -0.], dtype=float32)
    """
    return jax.nn.log_sigmoid(x)


@_activation
def hard_sigmoid(x: ArrayLike) -> jax.Array:
    """`x / 6 + 1 / 2`, clipped to between 0 and 1.

    Args:
        x: Array.

    References:
        Courbariaux, Bengio and David, 2015, "BinaryConnect".

    Example:
        >>> hard_sigmoid([-3.0, 0.0, 3.0])
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jax.nn.hard_sigmoid(x)


@_activation
def sparse_sigmoid(x: ArrayLike) -> jax.Array:
    """`(x + 1) / 2`, clipped to between 0 and 1.

    Args:
        x: Array.

    Example:
        >>> sparse_sigmoid([-1.0, 0.0, 1.0])
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jax.nn.sparse_sigmoid(x)


@_activation
def hard_silu(x: ArrayLike) -> jax.Array:
    """`x * hard_sigmoid(x)`, also called hard swish.

    Args:
        x: Array.

    References:
        Howard et al., 2019, "Searching for MobileNetV3".

    Example:
        >>> hard_silu([-3.0, 3.0])
        Array([-0.,  3.], dtype=float32)
    """
    return jax.nn.hard_silu(x)


@_activation
def tanh(x: ArrayLike) -> jax.Array:
    """Hyperbolic tangent.

    Args:
        x: Array.

    Example:
        >>> tanh([-100.0, 0.0, 100.0])
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.tanh(x)


@_activation
def hard_tanh(x: ArrayLike) -> jax.Array:
    """`x`, clipped to between -1 and 1.

    Args:
        x: Array.

    Example:
        >>> hard_tanh([-2.0, 0.5, 2.0])
        Array([-1. ,  0.5,  1. ], dtype=float32)
    """
    return jax.nn.hard_tanh(x)


@_activation
def tanh_shrink(x: jax.Array) -> jax.Array:
    """`x - tanh(x)`.

    Args:
        x: Array.

    Example:
        >>> tanh_shrink([0.0, 100.0])
        Array([ 0., 99.], dtype=float32)
    """
    return x - jnp.tanh(x)


@_activation
def hard_shrink(x: jax.Array, threshold: float = 0.5) -> jax.Array:
    """`x`, but 0 from `-threshold` to `threshold`.

    Args:
        x: Array.
        threshold: The threshold.

    Example:
        >>> hard_shrink([-1.0, 0.25, 1.0])
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return jnp.where(jnp.abs(x) > threshold, x, 0.0)


@_activation
def soft_shrink(x: jax.Array, threshold: float = 0.5) -> jax.Array:
    """`x`, moved towards 0 by `threshold` but not past it.

    Args:
        x: Array.
        threshold: The threshold.

    Example:
        >>> soft_shrink([-1.0, 0.25, 1.0])
        Array([-0.5,  0. ,  0.5], dtype=float32)
    """
    nearer = jnp.where(x < -threshold, x + threshold, 0)
    return jnp.where(x > threshold, x - threshold, nearer)


@_activation
def threshold(x: jax.Array, threshold: Any, default_value: Any) -> jax.Array:
    """`x` above the threshold, `default_value` elsewhere.

    Args:
        x: Array.
        threshold: The threshold.
        default_value: What stands elsewhere.

    Example:
        >>> threshold([1.0, 3.0], 2.0, -1.0)
        Array([-1.,  3.], dtype=float32)
    """
    return jnp.where(x > threshold, x, default_value)


@_activation
def softplus(x: ArrayLike) -> jax.Array:
    """`log(1 + exp(x))`.

    Args:
        x: Array.

    Example:
        >>> softplus([-100.0, 100.0])
        Array([  0., 100.], dtype=float32)
    """
    return jax.nn.softplus(x)


@_activation
def sparse_plus(x: ArrayLike) -> jax.Array:
    """0 up to -1, `x` from 1 on, and `(x + 1)**2 / 4` between.

    Args:
        x: Array.

    Example:
        >>> sparse_plus([-2.0, 0.0, 2.0])
        Array([0.  , 0.25, 2.  ], dtype=float32)
    """
    return jax.nn.sparse_plus(x)


@_activation
def squareplus(x: ArrayLike, b: int = 4) -> jax.Array:
    """`(x + sqrt(x**2 + b)) / 2`.

    Args:
        x: Array of any shape.
        b: How smooth it is at 0; 0 gives `relu`.

    References:
        Barron, 2021, "Squareplus: A Softplus-Like Algebraic Rectifier".

    Example:
        >>> squareplus([0.0])
        Array([1.], dtype=float32)
    """
    return jax.nn.squareplus(x, b)


@_activation
def softsign(x: ArrayLike) -> jax.Array:
    """`x / (1 + abs(x))`.

    Args:
        x: Array.

    Example:
        >>> softsign([-1.0, 3.0])
        Array([-0.5 ,  0.75], dtype=float32)
    """
    return jax.nn.soft_sign(x)


@_activation
def exponential(x: ArrayLike) -> jax.Array:
    """`exp(x)`.

    Args:
        x: Array.

    Example:
        >>> exponential([0.0])
        Array([1.], dtype=float32)
    """
    return jnp.exp(x)


def linear(x: Any) -> Any:
    """`x` itself.

    Args:
        x: Array.

    Example:
        >>> linear(3)
        3
    """
    return x


swish = silu
hard_swish = hard_silu

_FUNCTIONS = {
    function.__name__: function
    for function in (
        *(celu, elu, exponential, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_tanh),
        *(leaky_relu, linear, log_sigmoid, log_softmax, mish, relu, relu6, selu, sigmoid, silu),
        *(soft_shrink, softmax, softplus, softsign, sparse_plus, sparse_sigmoid, sparsemax),
        *(squareplus, tanh, tanh_shrink, threshold),
    )
}
_KNOWN = _FUNCTIONS | {"swish": silu, "hard_swish": hard_silu}
publish("keras.activations", _KNOWN)


def get(identifier: Any) -> Any:
    """An activation from its name, config or function; `None` is `linear`.

    Args:
        identifier: What to look for.

    Example:
        >>> get("relu") is relu, get(None) is linear
        (True, True)
    """
    return linear if identifier is None else resolve(identifier, _KNOWN, "activation")


def serialize(activation: Any) -> Any:
    """An activation as plain data: the name of one of these, the config of any other.

    Args:
        activation: The activation.

    Example:
        >>> keras.activations.serialize(keras.activations.relu)
        'relu'
    """
    return serialize_argument(activation)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """An activation from plain data.

    Args:
        config: Config or name.
        custom_objects: Classes and functions by name, looked in first.

    Example:
        >>> keras.activations.deserialize("relu") is keras.activations.relu
        True
    """
    with custom_object_scope(custom_objects or {}):
        return resolve(config, _KNOWN, "activation")


__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]
