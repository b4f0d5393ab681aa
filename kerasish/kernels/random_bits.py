"""JAX's random bits, the same ones, computed without its loop where that takes the longest."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from kerasish.core.lowering import platform_dependent
from kerasish.kernels.noinline import noinline

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
# So many at once are hashed by one thread. XLA calls a second one for more, which takes as long to
# come as it takes to hash some thousand.
_FEW, _SOME = 1024, 4096


def bernoulli(key: jax.Array, p: float | jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """What `jax.random.bernoulli(key, p, shape)` gives, several times sooner on the CPU.

    JAX computes its bits there in a loop of many small kernels, to spare the compiler; written out
    they are a single one.

    Args:
        key: Two `uint32`.
        p: Probability of true.
        shape: Shape of the result.

    References:
        Salmon, Moraes, Dror and Shaw, 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
    """

    def by_jax(key):
        return jax.random.bernoulli(key, p, shape)

    def written_out(key):
        return _all(key, jnp.asarray(p, "float32"), math.prod(shape)).reshape(shape)

    if not _is_known(key, shape):
        return by_jax(key)
    return platform_dependent(key, cpu=written_out, default=by_jax)


def _in_parts(key, p, count):
    size = _FEW if _FEW < count <= _SOME else max(count, 1)
    starts = range(0, max(count, 1), size)
    parts = [_part(key, p, jnp.uint32(i), min(size, count - i)) for i in starts]
    return jnp.concatenate(parts)


def _part_of(key, p, start, count):
    return (_bits(key, start, count) >> 9).astype("int32") * jnp.float32(2.0**-23) < p


# XLA would merge the hash into each kernel that asks which elements stay. It is also quicker along
# one axis than along several.
_all, _part = noinline(_in_parts, static=2), noinline(_part_of, static=3)


def _is_known(key, shape):
    """Whether JAX would hash one count after the other, to 32 bits each."""
    config = jax.config
    known = config.jax_default_prng_impl == "threefry2x32" and config.jax_threefry_partitionable
    plain = key.dtype == jnp.uint32 and not config.jax_enable_x64
    return known and plain and all(isinstance(n, int) for n in shape) and math.prod(shape) < 2**32


def _bits(key, start, count):
    keys = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY)
    low = lax.iota("uint32", count) + (keys[1] + start)
    high = jnp.broadcast_to(keys[0], (count,))
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            high = high + low
            low = high ^ ((low << r) | (low >> (32 - r)))
        high = high + keys[(i + 1) % 3]
        low = low + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return high ^ low
