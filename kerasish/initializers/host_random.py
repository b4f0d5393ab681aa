"""Random numbers on the host, equal to `jax.random`'s, without a compilation.

NumPy does what JAX's default generator does (Threefry 2x32, counter by counter), so weights start
from the same numbers as in Keras 3 on JAX. Uniform numbers are equal to the bit, normal ones to a
few units in the last place. Arrays so large that a compilation pays are drawn by JAX itself.

References:
    Salmon, Moraes, Dror and Shaw, 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
    Giles, 2012, "Approximating the erfinv Function".
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from kerasish.core import dtypes, partitioning
from kerasish.core.state.seeds import SeedGenerator, draw_seed

# Numbers drawn at a time: few enough to stay in the processor's cache.
_BLOCK = 1 << 15
# From here on a compilation (two tenths of a second) is won back.
_LARGE = 1 << 24

# Bits drawn for a number of the type, and how many of them become its mantissa.
_MANTISSAS = {"float32": (32, 23), "float16": (16, 10), "bfloat16": (8, 7)}


def uniform(shape: tuple, low: Any, high: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
    """Numbers from `[low, high)`, equal to `keras.random.uniform`'s.

    Args:
        shape: Sizes of the axes.
        low: Lower end.
        high: Upper end, not included.
        dtype: Name of the type.
        seed: Integer or key.
    """

    def draw_large(key, shape, dtype):
        return jax.random.uniform(key, shape, dtype, low, high)

    def draw_block(bits, dtype):
        return _between(bits, low, high, dtype)

    return _draw(draw_block, draw_large, shape, dtype, seed)


def normal(shape: tuple, mean: Any, stddev: Any, dtype: Any = None, seed: Any = None) -> np.ndarray:
    """Normal numbers, equal to `keras.random.normal`'s.

    Args:
        shape: Sizes of the axes.
        mean: Mean.
        stddev: Standard deviation.
        dtype: Name of the type.
        seed: Integer or key.
    """

    def draw_large(key, shape, dtype):
        return jax.random.normal(key, shape, dtype) * stddev + mean

    def draw_block(bits, dtype):
        after_minus_one = np.nextafter(dtype.type(-1), dtype.type(0))
        standard = _root_two(dtype) * _erf_inv(_between(bits, after_minus_one, 1, dtype))
        return _scale(standard, mean, stddev)

    return _draw(draw_block, draw_large, shape, dtype, seed)


def truncated_normal(
    shape: tuple, mean: Any, stddev: Any, dtype: Any = None, seed: Any = None
) -> np.ndarray:
    """Normal numbers, none further than two standard deviations from the mean.

    Args:
        shape: Sizes of the axes.
        mean: Mean.
        stddev: Standard deviation.
        dtype: Name of the type.
        seed: Integer or key.
    """

    def draw_large(key, shape, dtype):
        return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype) * stddev + mean

    def draw_block(bits, dtype):
        two = dtype.type(2)
        bound = dtype.type(math.erf(float(two / _root_two(dtype))))
        standard = _root_two(dtype) * _erf_inv(_between(bits, -bound, bound, dtype))
        inside = np.nextafter(two, dtype.type(0))
        # Not `np.clip`, which makes bfloat16 float32.
        standard = np.maximum(np.minimum(standard, inside), -inside)
        return _scale(standard, mean, stddev)

    return _draw(draw_block, draw_large, shape, dtype, seed)


def host_dtype(dtype: Any) -> np.dtype:
    """NumPy's form of a dtype, 64-bit types as JAX's `x64` switch allows.

    Args:
        dtype: Name of the type.
    """
    return np.dtype(jax.dtypes.canonicalize_dtype(dtypes.standardize_dtype(dtype)))


def _draw(draw_block: Callable, draw_large: Callable, shape, dtype, seed):
    dtype = host_dtype(dtype)
    shape = tuple(int(n) for n in shape)
    key = _host_key(seed)
    count = math.prod(shape)
    if count >= _LARGE or dtype.name not in _MANTISSAS or isinstance(key, jax.core.Tracer):
        return _on_device(draw_large, jnp.asarray(key), shape, dtype)
    numbers = np.empty(count, dtype)
    for start in range(0, numbers.size, _BLOCK):
        block = numbers[start : start + _BLOCK]
        block[:] = draw_block(_random_bits(key, start, block.size), dtype)
    return numbers.reshape(shape)


def _on_device(draw_large, key, shape, dtype):
    """Drawn by JAX, by each device its own part where the array is to be spread over many."""
    sharding = partitioning.drawn_as()
    if sharding is None or isinstance(key, jax.core.Tracer):
        return draw_large(key, shape, dtype)
    draw = jax.jit(lambda key: draw_large(key, shape, dtype), out_shardings=sharding)
    return draw(np.asarray(key))


def _host_key(seed):
    if not isinstance(seed, SeedGenerator):
        return np.array([seed, 0], dtype="uint32")
    key = draw_seed(seed)
    return key if isinstance(key, jax.core.Tracer) else np.asarray(key)


# Both from the paper's reference implementation.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def _random_bits(key, start, count):
    """32 random bits for each of the counters `start, start + 1, ...`."""
    first, second = (int(word) for word in key)
    words = (first, second, first ^ second ^ _PARITY)
    left = np.full(count, first, dtype="uint32")
    right = np.arange(start, start + count, dtype="uint32")
    right += np.uint32(second)
    spill = np.empty_like(left)
    for block in range(1, 6):
        for shift in _ROTATIONS[(block - 1) % 2]:
            left += right
            np.left_shift(right, np.uint32(shift), out=spill)
            right >>= np.uint32(32 - shift)
            right |= spill
            right ^= left
        left += np.uint32(words[block % 3])
        right += np.uint32((words[(block + 1) % 3] + block) % 2**32)
    left ^= right
    return left


def _between(bits, low, high, dtype):
    """Bits as numbers from `[low, high)`, rounded where XLA on CPU rounds."""
    drawn, kept = _MANTISSAS[dtype.name]
    low, high = dtype.type(low), dtype.type(high)
    width = dtype.type(high - low)
    if drawn < 32:
        bits &= np.uint32(2**drawn - 1)
    bits >>= np.uint32(drawn - kept)
    if dtype == ml_dtypes.bfloat16:
        spread = (bits.astype("float32") * np.float32(2.0**-kept)).astype(dtype) * width + low
    else:  # one rounding for product and sum, which float64 holds exactly
        spread = bits * (float(width) * 2.0**-kept)
        spread += float(low)
    return np.maximum(spread.astype(dtype, copy=False), low)


def _root_two(dtype):
    return dtype.type(np.sqrt(2))


def _scale(numbers, mean, stddev):
    numbers *= numbers.dtype.type(stddev)
    if mean:
        numbers += numbers.dtype.type(mean)
    return numbers


_CENTRE = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
_TAILS = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _erf_inv(x):
    """The inverse error function of numbers strictly between -1 and 1, through float32."""
    wide = x.astype("float32", copy=False)
    w = -np.log1p(-wide * wide)
    ratio = _polynomial(_CENTRE, w - np.float32(2.5))
    tails = np.flatnonzero(w >= 5)
    ratio[tails] = _polynomial(_TAILS, np.sqrt(w[tails]) - np.float32(3))
    ratio *= wide
    return ratio.astype(x.dtype, copy=False)


def _polynomial(coefficients, x):
    first, *rest = (np.float32(c) for c in coefficients)
    total = np.full_like(x, first)
    for coefficient in rest:
        total *= x
        total += coefficient
    return total
