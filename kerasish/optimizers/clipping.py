"""What happens to gradients before an optimizer's rule: clipping; and branching with Variables."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope


def global_norm(gradients: Sequence) -> jax.Array:
    """Euclidean norm of all gradients taken as one vector.

    Args:
        gradients: The gradients.
    """
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))


def clip_by_norm(gradient: jax.Array, limit: float) -> jax.Array:
    """The gradient, shortened to the norm `limit` where it is longer.

    Args:
        gradient: The gradient.
        limit: The largest norm.
    """
    return gradient * limit / jnp.maximum(global_norm([gradient]), limit)


def clip_by_global_norm(gradients: Sequence, limit: float) -> list:
    """All gradients, shortened by one factor where their joint norm is above `limit`.

    A norm that is infinite or NaN makes every gradient NaN, so that it is noticed.

    Args:
        gradients: The gradients.
        limit: The largest joint norm.

    References:
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks".
    """
    norm = global_norm(gradients)
    scale = limit * jnp.minimum(1 / norm, 1 / limit) + (norm - norm)
    return [g * scale for g in gradients]


def clip(
    gradients: Sequence,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
) -> list:
    """Gradients within the one limit that is given, if any; see `Optimizer`.

    Args:
        gradients: The gradients.
        clipnorm: Limit of each gradient's norm.
        clipvalue: Limit of each element's modulus.
        global_clipnorm: Limit of the norm of all gradients together.
    """
    if clipnorm and clipnorm > 0:
        return [clip_by_norm(g, clipnorm) for g in gradients]
    if global_clipnorm and global_clipnorm > 0:
        return clip_by_global_norm(gradients, global_clipnorm)
    if clipvalue and clipvalue > 0:
        return [jnp.clip(g, -clipvalue, clipvalue) for g in gradients]
    return list(gradients)


def choose(condition: Any, yes: Callable, no: Callable) -> None:
    """Call one of two functions that write Variables; the condition may be traced.

    Args:
        condition: A boolean, or a scalar array of one.
        yes: Called if it is true.
        no: Called if it is false.
    """
    if not isinstance(condition, jax.core.Tracer):
        (yes if condition else no)()
        return
    written = list(dict.fromkeys([*capture(yes).written, *capture(no).written]))

    def branch(fn):
        def run(values):
            with Scope(zip(written, values, strict=True)) as scope:
                fn()
            return [scope.values[v] for v in written]

        return run

    values = [v.read() for v in written]
    values = jax.lax.cond(condition, branch(yes), branch(no), values)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
