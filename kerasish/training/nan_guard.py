"""NaN checks: which layer's output was not a number first, and the weights kept as before it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import see
from kerasish.core.state.trace_list import nan_flags
from kerasish.core.state.variable import Variable


def run_guarded(
    body: Callable, written: list[Variable], batch: Any, bad: jax.Array
) -> tuple[Any, jax.Array, list[str]]:
    """Run a step in a trace, such that it changes nothing from the first NaN on.

    Args:
        body: Stateful function of a batch.
        written: Variables that it writes.
        batch: The batch.
        bad: Number of the output in which NaN was seen in an earlier step; -1 for none.

    Returns:
        What `body` returned, `bad` after the step, and the names of the outputs by number.
    """
    before = [v.read() for v in written]
    carried = jax.tree.map(jnp.asarray, body(batch))
    flags = nan_flags.items()
    names = [name for flag in flags for name in flag]
    found = jnp.stack([f for flag in flags for f in flag.values()] or [jnp.array(False)])
    bad = jnp.where((bad < 0) & found.any(), jnp.argmax(found).astype("int32"), bad)
    for variable, old in zip(written, before, strict=True):
        variable.assign(jnp.where(bad >= 0, old, variable.read()))
    return carried, bad, names


def raise_if_bad(bad: int, names: list[str]) -> None:
    """Raise a `RuntimeError` that names the output in which NaN was seen first, if it was.

    Args:
        bad: Number of the output; -1 for none.
        names: Names of the outputs.

    Raises:
        RuntimeError: NaN was seen.
    """
    if bad >= 0:
        where = names[bad] if names else "the loss"
        raise RuntimeError(
            f"NaN first seen in the output of {where!r}. The weights are as they were before "
            "that step. Look at the data, the learning rate, and divisions or logarithms there. "
            + see("E08")
        )
