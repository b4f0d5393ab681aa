"""Operations that XLA's CPU backend runs badly inside loops, found in traced programs."""

from typing import Any

import jax


def slow_in_loops(jaxpr: Any) -> str | None:
    """The operation for which XLA's CPU backend has only a naive path inside loops, if any.

    Those are gradients of `lax` convolutions and of pooling windows. Where programs run on other
    devices there is none.

    Args:
        jaxpr: A traced program.
    """
    return _slow_in_loops(jaxpr) if jax.default_backend() == "cpu" else None


def _slow_in_loops(jaxpr):
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = eqn.primitive.name
        if name == "conv_general_dilated" and not _is_forward(eqn.params):
            return "gradient of a convolution"
        if name.startswith("select_and_"):
            return "gradient of a pooling window"
        inner = [
            x for x in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_jaxpr) if _is_jaxpr(x)
        ]
        found = [_slow_in_loops(x) for x in inner]
        # Of the branches for several kinds of device, one that is good on the CPU is enough.
        if any(found) and not (name == "cond" and None in found):
            return next(filter(None, found))
    return None


def _is_jaxpr(x):
    return hasattr(x, "eqns") or hasattr(x, "jaxpr")


def _is_forward(params):
    numbers = params["dimension_numbers"]
    rank = len(numbers.lhs_spec)
    forward_kernel = numbers.rhs_spec[:2] == (rank - 1, rank - 2)
    return forward_kernel and numbers.lhs_spec[0] == 0 == numbers.out_spec[0]
