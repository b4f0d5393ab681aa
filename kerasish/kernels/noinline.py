"""Calls that XLA does not inline: their arguments and results are materialized arrays."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata

from kerasish.core import partitioning
from kerasish.core.lowering import lowering_for_cpu
from kerasish.core.shard_map import match_varying_axes
from kerasish.kernels.linear_call import linear_call


def noinline(fn: Callable, static: int | Sequence[int] = ()) -> Callable:
    """`fn` as a call of its own in the compiled program, its arguments and results materialized.

    XLA's CPU backend fuses what seems cheap into each of its uses, and computes it there as often
    as elements are read: with overlapping windows, or an axis that is broadcast, many times. (It
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
    """A linear function as a call of its own, and its derivatives too."""
    called = noinline(fn)
    call = jax.custom_jvp(called)
    call.defjvp(lambda primals, tangents: (call(*primals), call(*tangents)))
    return call


_identity, _transpose = _linear_noinline(lambda x: x), _linear_noinline(jnp.transpose)
_identities = _linear_noinline(lambda *arrays: arrays)
_with_sum_noinline = noinline(lambda x, axes: (x, jnp.sum(x, axes)), static=1)


def materialize(x: jax.Array) -> jax.Array:
    """An array as it is, which XLA's CPU backend computes once, whatever uses it.

    For what takes long. Where there is something to compute, better compute that `noinline`.

    Args:
        x: The array.
    """
    return _identity(x)


def materialize_transpose(x: jax.Array) -> jax.Array:
    """A matrix, its axes swapped: both computed once, whatever uses them.

    Args:
        x: The array.
    """
    return _transpose(x)


def materialize_all(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Arrays as they are: whatever uses one of them comes after all have been computed.

    Args:
        *arrays: The arrays.
    """
    return _identities(*arrays)


@jax.custom_jvp
def _cotangent_materialized(x):
    return x


_cotangent_materialized.defjvp(lambda primals, tangents: (*primals, materialize(*tangents)))


def materialize_cotangent(x: jax.Array) -> jax.Array:
    """An array as it is, whose gradient is computed once on a CPU, whatever uses it.

    Args:
        x: The array.
    """
    return _cotangent_materialized(x) if lowering_for_cpu() else x


# XLA's CPU backend has fast code for a sum over the first axes of a materialized array, but not for
# what it fuses into the sum.


def materialized_sum(x: jax.Array, axes: tuple) -> jax.Array:
    """The sum over some axes of an array, which is materialized on a CPU.

    Args:
        x: The array.
        axes: The axes.
    """
    return _with_sum(is_undistributed(), x, axes)[1] if lowering_for_cpu() else jnp.sum(x, axes)


def _with_sum(undistributed, x, axes):
    if undistributed:
        return _with_sum_noinline(x, axes)
    x = materialize(x)
    return x, jnp.sum(x, axes)


def is_undistributed() -> bool:
    """Whether no other device has a part of a sum: else many such are exchanged at once."""
    return partitioning.state.distribution is None


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """`x + bias`, which has the shape of `x`.

    On a CPU its gradient, summed for the bias, is materialized.

    Args:
        x: The array.
        bias: What is added, broadcast to it.
    """
    return _add_bias(is_undistributed(), x, bias) if lowering_for_cpu() else x + bias


def scale_by(x: jax.Array, scale: jax.Array) -> jax.Array:
    """`x * scale`, which has the shape of `x`.

    On a CPU what is summed for the gradient of the scale is materialized.

    Args:
        x: The array.
        scale: What it is multiplied by, broadcast to it.
    """
    return _scale_by(is_undistributed(), x, scale) if lowering_for_cpu() else x * scale


@functools.partial(jax.jit, static_argnums=0)  # traced once for all layers of a shape
def _add_bias(undistributed, x, bias):
    x, bias = match_varying_axes(_as_one_type(x, bias))

    def back(_, gradient):
        return _summed_to(undistributed, bias.shape, gradient)

    return linear_call(lambda _, both: jnp.add(*both), back, (), (x, bias))


@functools.partial(jax.jit, static_argnums=0)
def _scale_by(undistributed, x, scale):
    x, scale = match_varying_axes(_as_one_type(x, scale))
    shapes = x.shape, scale.shape

    def back(_, gradient):
        return _summed_to(undistributed, shapes[1], gradient)[1]

    return x * linear_call(lambda _, scale: jnp.broadcast_to(scale, shapes[0]), back, (), scale)


def _as_one_type(*arrays):
    return [x.astype(jnp.result_type(*arrays)) for x in arrays]


def _summed_to(undistributed, shape, x):
    """An array, and its sum over the axes along which one of that shape is broadcast."""
    lead = x.ndim - len(shape)
    axes = (i for i in range(lead, x.ndim) if shape[i - lead] != x.shape[i])
    x, total = _with_sum(undistributed, x, (*range(lead), *axes))
    return x, total.reshape(shape)
