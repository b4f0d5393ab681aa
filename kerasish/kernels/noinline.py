"""Fences against XLA's fusing: what is computed apart takes and gives arrays that lie in memory."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

from kerasish.core import partitioning
from kerasish.core.lowering import traced
from kerasish.core.shard_map import match_varying_axes
from kerasish.kernels.linear_call import linear_call


def noinline(fn: Callable, static=()) -> Callable:
    """`fn` as a call of its own in the compiled program, its arguments and results in memory.

    XLA's CPU backend fuses what seems cheap into each of its uses, and computes it there as often
    as entries are read: with overlapping windows, or an axis that is broadcast, many times. (It
    drops `jax.lax.optimization_barrier` before it fuses.) A call that must not be inlined stands
    between for it. Whatever uses one of the results comes after all of them.

    Args:
        fn: A pure function that computes something. A call without work waits for nothing, so XLA
            starts all of those of a program at once, on other threads, which takes it longer than
            many a small step.
        static: Positions of arguments that are no arrays.
    """
    compiled = jax.jit(fn, static_argnums=static)

    def call(*args):
        with set_xla_metadata(inlineable="false"):
            return compiled(*args)

    return call


def _linear_noinline(fn):
    """A linear function apart, and its derivatives too."""
    called = noinline(fn)
    call = jax.custom_jvp(called)
    call.defjvp(lambda primals, tangents: (call(*primals), call(*tangents)))
    return call


_identity, _transposed = _linear_noinline(lambda x: x), _linear_noinline(jnp.transpose)
_identities = _linear_noinline(lambda *arrays: arrays)
_with_sum_noinline = noinline(lambda x, axes: (x, jnp.sum(x, axes)), static=1)


def materialize(x: jax.Array) -> jax.Array:
    """An array as it is, which XLA's CPU backend computes once, whatever uses it.

    For what takes long. Where there is something to compute, better compute that `noinline`.
    """
    return _identity(x)


def materialize_transpose(x: jax.Array) -> jax.Array:
    """A matrix, its axes swapped: both computed once, whatever uses them."""
    return _transposed(x)


def materialize_all(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays as they are: whatever uses one of them comes after all have been computed."""
    return _identities(*arrays)


@jax.custom_jvp
def _gradient_in_memory(x):
    return x


_gradient_in_memory.defjvp(lambda primals, tangents: (*primals, materialize(*tangents)))


def materialize_cotangent(x: jax.Array) -> jax.Array:
    """An array as it is, whose gradient is computed once on a CPU, whatever uses it."""
    return _gradient_in_memory(x) if traced.for_cpu else x


# XLA's CPU backend has fast code for a sum over the first axes of what lies in memory, but not for
# what it fuses into the sum.


def materialized_sum(x: jax.Array, axes: tuple) -> jax.Array:
    """The sum over some axes, of an array that lies in memory on a CPU."""
    return _with_sum(is_undistributed(), x, axes)[1] if traced.for_cpu else jnp.sum(x, axes)


def _with_sum(alone, x, axes):
    if alone:
        return _with_sum_noinline(x, axes)
    x = materialize(x)
    return x, jnp.sum(x, axes)


def is_undistributed() -> bool:
    """Whether no other device has a part of a sum: many such are exchanged at once, not apart."""
    return partitioning.state.distribution is None


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """`x + bias`, which has the shape of `x`; on a CPU its gradient, summed for the bias, lies in
    memory."""
    return _plus(is_undistributed(), x, bias) if traced.for_cpu else x + bias


def scale_by(x: jax.Array, scale: jax.Array) -> jax.Array:
    """`x * scale`, which has the shape of `x`; on a CPU what is summed for the gradient of the
    scale lies in memory."""
    return _times(is_undistributed(), x, scale) if traced.for_cpu else x * scale


@functools.partial(jax.jit, static_argnums=0)  # traced once for all layers of a shape
def _plus(alone, x, bias):
    x, bias = match_varying_axes(_as_one_type(x, bias))

    def back(_, gradient):
        return _summed_to(alone, bias.shape, gradient)

    return linear_call(lambda _, both: jnp.add(*both), back, (), (x, bias))


@functools.partial(jax.jit, static_argnums=0)
def _times(alone, x, scale):
    x, scale = match_varying_axes(_as_one_type(x, scale))
    shapes = x.shape, scale.shape

    def back(_, gradient):
        return _summed_to(alone, shapes[1], gradient)[1]

    return x * linear_call(lambda _, scale: jnp.broadcast_to(scale, shapes[0]), back, (), scale)


def _as_one_type(*arrays):
    return [x.astype(jnp.result_type(*arrays)) for x in arrays]


def _summed_to(alone, shape, x):
    """An array, and its sum over the axes along which one of that shape is broadcast."""
    lead = x.ndim - len(shape)
    axes = (i for i in range(lead, x.ndim) if shape[i - lead] != x.shape[i])
    x, total = _with_sum(alone, x, (*range(lead), *axes))
    return x, total.reshape(shape)
