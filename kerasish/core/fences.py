"""A fence against XLA's fusing: what stands before it is computed once, and lies in memory."""

import jax
from jax.experimental.xla_metadata import set_xla_metadata


@jax.custom_jvp
def in_memory(x: jax.Array) -> jax.Array:
    """An array as it is, which XLA's CPU backend computes once, whatever uses it.

    It fuses what seems cheap into each of its uses, and computes it there as often as entries are
    read: with overlapping windows, or an axis that is broadcast, many times. (It drops
    `jax.lax.optimization_barrier` before it fuses.) A call that must not be inlined stands between
    for it, and costs a microsecond; the derivative has one too.
    """
    with set_xla_metadata(inlineable="false"):
        return _as_it_is(x)


in_memory.defjvp(lambda primals, tangents: (in_memory(*primals), in_memory(*tangents)))
_as_it_is = jax.jit(lambda x: x)
