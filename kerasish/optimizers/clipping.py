"""What happens to gradients before an optimizer's rule: clipping; and branching with Variables."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope


def global_norm(gradients: Sequence) -> jax.Array:
    """Euclidean norm of all gradients taken as one vector."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(g)) for g in gradients))


def clip_by_norm(gradient, limit: float) -> jax.Array:
    """The gradient, shortened to the norm `limit` where it is longer."""
    return gradient * limit / jnp.maximum(global_norm([gradient]), limit)


def clip_by_global_norm(gradients: Sequence, limit: float) -> list:
    """All gradients, shortened by one factor where their joint norm is above `limit`.

    A norm that is infinite or NaN makes every gradient NaN, so that it is noticed.

    References:
        Pascanu, Mikolov and Bengio, 2013, "On the difficulty of training recurrent neural
        networks".
    """
    norm = global_norm(gradients)
    scale = limit * jnp.minimum(1 / norm, 1 / limit) + (norm - norm)
    return [g * scale for g in gradients]


def choose(condition, yes: Callable, no: Callable) -> None:
    """Call one of two functions that write Variables; the condition may be traced."""
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
