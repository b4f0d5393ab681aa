"""A fence against XLA's fusing: what stands before it is computed once, and lies in memory."""

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

from kerasish.core.platforms import traced


def _called(fn):
    """A linear function in a call of its own, arguments and results in memory; so are gradients.

    XLA's CPU backend fuses what seems cheap into each of its uses, and computes it there as often
    as entries are read: with overlapping windows, or an axis that is broadcast, many times. (It
    drops `jax.lax.optimization_barrier` before it fuses.) A call that must not be inlined stands
    between for it, and costs a part of a microsecond.
    """
    compiled = jax.jit(fn)

    @jax.custom_jvp
    def call(*args):
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    call.defjvp(lambda primals, tangents: (call(*primals), call(*tangents)))
    return call


_as_it_is, _turned = _called(lambda x: x), _called(jnp.transpose)
_as_they_are = _called(lambda *arrays: arrays)


def in_memory(x: jax.Array) -> jax.Array:
    """An array as it is, which XLA's CPU backend computes once, whatever uses it."""
    return _as_it_is(x)


def turned_in_memory(x: jax.Array) -> jax.Array:
    """A matrix, its axes swapped: both computed once, whatever uses them."""
    return _turned(x)


def together_in_memory(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays as they are: whatever uses one of them comes after all have been computed."""
    return _as_they_are(*arrays)


def in_memory_on_cpu(x: jax.Array) -> jax.Array:
    """`in_memory` where the program is known to run on a CPU, and `x` elsewhere.

    Above all for what is summed over its first axes: XLA's CPU backend has fast code for a sum of
    what lies in memory, but not for what it fuses into the sum.
    """
    return in_memory(x) if traced.for_cpu else x


@jax.custom_jvp
def _gradient_in_memory(x):
    return x


_gradient_in_memory.defjvp(lambda primals, tangents: (*primals, in_memory(*tangents)))


def with_gradient_in_memory(x: jax.Array) -> jax.Array:
    """An array as it is, whose gradient is computed once on a CPU, whatever uses it."""
    return _gradient_in_memory(x) if traced.for_cpu else x


def plus_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """`x + bias`, of which the gradient, that is summed for the bias, lies in memory on a CPU."""
    return with_gradient_in_memory(x + bias)


def times_scale(x: jax.Array, scale: jax.Array) -> jax.Array:
    """`x * scale`; what is summed for the gradient of the scale lies in memory on a CPU."""
    if not traced.for_cpu:
        return x * scale
    return x * _gradient_in_memory(jnp.broadcast_to(scale, x.shape))
