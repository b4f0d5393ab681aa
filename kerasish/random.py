"""Random arrays: the same one for the same integer seed, a new one for each use of a generator."""

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import publish
from kerasish.core.state.seeds import SeedGenerator, draw_seed
from kerasish.core.symbolic.operation import symbolic
from kerasish.kernels.random_bits import bernoulli

publish("keras.random", {"SeedGenerator": SeedGenerator})


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None) -> jax.Array:
    """Normal numbers.

    Args:
        shape: Shape of the result.
        mean: Their mean.
        stddev: Their standard deviation.
        dtype: Float type; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> normal((2, 3), seed=1).shape
        (2, 3)
    """
    dtype = _float_type("normal", dtype)
    drawn = jax.random.normal(draw_seed(seed), shape, dtype)
    return (drawn * stddev + mean).astype(dtype)  # NumPy numbers would widen 16 bits


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None) -> jax.Array:
    """Normal numbers, those further than two standard deviations from the mean left out.

    Args:
        shape: Shape of the result.
        mean: Their mean.
        stddev: Standard deviation before the leaving out.
        dtype: Float type; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> bool(jnp.abs(truncated_normal((100,), seed=1)).max() < 2)
        True
    """
    dtype = _float_type("truncated_normal", dtype)
    drawn = jax.random.truncated_normal(draw_seed(seed), -2.0, 2.0, shape, dtype)
    return (drawn * stddev + mean).astype(dtype)


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None) -> jax.Array:
    """Numbers from `[minval, maxval)`, all equally likely.

    Args:
        shape: Shape of the result.
        minval: Lower end, included.
        maxval: Upper end, not included.
        dtype: Float type; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> bool(uniform((100,), 2, 3, seed=1).min() >= 2)
        True
    """
    dtype = _float_type("uniform", dtype)
    return jax.random.uniform(draw_seed(seed), shape, dtype, minval, maxval)


def randint(shape, minval, maxval, dtype="int32", seed=None) -> jax.Array:
    """Integers from `minval` to `maxval - 1`, all equally likely.

    Args:
        shape: Shape of the result.
        minval: Least one.
        maxval: One more than the greatest.
        dtype: Integer type.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> sorted(set(randint((100,), 0, 3, seed=1).tolist()))
        [0, 1, 2]
    """
    name = dtypes.standardize_dtype(dtype or "int32")
    if not jnp.issubdtype(name, jnp.integer):
        raise bad_argument("randint", "dtype", "an integer type", dtype)
    return jax.random.randint(draw_seed(seed), shape, minval, maxval, _for_jax(name))


def gamma(shape, alpha, dtype=None, seed=None) -> jax.Array:
    """Numbers of the gamma distribution of scale 1.

    Args:
        shape: Shape of the result.
        alpha: Positive shape parameter, or an array of them that broadcasts to `shape`.
        dtype: Float type; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> bool(gamma((100,), 2.0, seed=1).min() > 0)
        True
    """
    dtype = _float_type("gamma", dtype)
    return jax.random.gamma(draw_seed(seed), jnp.asarray(alpha), shape, dtype)


def beta(shape, alpha, beta, dtype=None, seed=None) -> jax.Array:
    """Numbers of the beta distribution, between 0 and 1.

    Args:
        shape: Shape of the result.
        alpha: Positive first parameter, or an array of them that broadcasts to `shape`.
        beta: Positive second parameter, likewise.
        dtype: Float type; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> bool(beta((100,), 2.0, 5.0, seed=1).max() < 1)
        True
    """
    dtype = _float_type("beta", dtype)
    return jax.random.beta(draw_seed(seed), jnp.asarray(alpha), jnp.asarray(beta), shape, dtype)


def binomial(shape, counts, probabilities, dtype=None, seed=None) -> jax.Array:
    """How many of `counts` trials succeed.

    Args:
        shape: Shape of the result.
        counts: Number of trials, or an array of them that broadcasts to `shape`.
        probabilities: Chance of each to succeed, from 0 to 1; likewise.
        dtype: Float type of the result; `None` is the global one.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> binomial((3,), 5, 1.0, seed=1)
        Array([5., 5., 5.], dtype=float32)
    """
    dtype = _float_type("binomial", dtype)
    counts, probabilities = jnp.asarray(counts), jnp.asarray(probabilities)
    return jax.random.binomial(draw_seed(seed), counts, probabilities, shape, dtype)


@symbolic
def categorical(logits, num_samples, dtype="int32", seed=None) -> jax.Array:
    """Class numbers, each drawn with the chance its logit gives it.

    Args:
        logits: Logarithms of the chances; each row may be off by a constant.
        num_samples: How many to draw for each row.
        dtype: Integer type.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Shapes:
        `(batch, classes)` -> `(batch, num_samples)`.

    Example:
        >>> categorical([[0.0, 100.0]], 3, seed=1)
        Array([[1, 1, 1]], dtype=int32)
    """
    logits = dtypes.to_array(logits)
    if logits.ndim != 2:
        raise bad_argument("categorical", "logits", "of 2 axes", logits.shape)
    shape = (logits.shape[0], num_samples)
    drawn = jax.random.categorical(draw_seed(seed), logits[..., None], axis=1, shape=shape)
    return drawn.astype(_for_jax(dtypes.standardize_dtype(dtype)))


@symbolic
def dropout(inputs, rate, noise_shape=None, seed=None) -> jax.Array:
    """Zero entries at random, and divide the others by the chance that they stay.

    Args:
        inputs: Array of any shape.
        rate: Chance of each entry to become 0, from 0 to 1.
        noise_shape: Shape in which to draw, 1 where entries share their fate; `None` in it is the
            size of `inputs` there.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: A Simple Way to
        Prevent Neural Networks from Overfitting".

    Example:
        >>> sorted(set(dropout(jnp.ones(100), 0.5, seed=1).tolist()))
        [0.0, 2.0]
    """
    inputs = dtypes.to_array(inputs)
    if rate == 0:
        return inputs
    if rate == 1:
        return jnp.zeros_like(inputs)
    shape = inputs.shape
    if noise_shape is not None:
        pairs = zip(noise_shape, inputs.shape, strict=True)
        shape = tuple(size if wanted is None else wanted for wanted, size in pairs)
    stays = bernoulli(draw_seed(seed), 1 - rate, shape)
    return jnp.where(stays, inputs / (1 - rate), 0)


@symbolic
def shuffle(x, axis=0, seed=None) -> jax.Array:
    """The same entries, those along `axis` in random order, another for each place of the others.

    Args:
        x: Array of any shape.
        axis: Axis to shuffle along.
        seed: An integer, a `SeedGenerator` or `None`, the global generator.

    Example:
        >>> sorted(shuffle(jnp.arange(4), seed=1).tolist())
        [0, 1, 2, 3]
    """
    return jax.random.permutation(draw_seed(seed), dtypes.to_array(x), axis, independent=True)


def _float_type(function, dtype):
    name = dtypes.standardize_dtype(dtype)
    if not dtypes.is_float(name):
        raise bad_argument(function, "dtype", "a float type", dtype)
    return _for_jax(name)


def _for_jax(name) -> np.dtype:
    return jax.dtypes.canonicalize_dtype(name)


__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]
