"""Exponential moving averages of weights."""

from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp


def update_averages(optimizer: Any, averages: Iterable[tuple]) -> None:
    """Move the averages of weights towards them, and weights to their averages where that is due.

    Args:
        optimizer: The optimizer, after an update.
        averages: Pairs of a weight and its average, or `None` for a weight that has none.
    """
    count = jnp.asarray(optimizer.iterations)
    # The first average is the weights themselves.
    momentum = jnp.where(count == 0, 0.0, optimizer.ema_momentum)
    for variable, average in averages:
        if average is None:
            continue
        value = momentum * average.read() + (1 - momentum) * variable.read()
        average.assign(value)
        if optimizer.ema_overwrite_frequency:
            due = (count + 1) % optimizer.ema_overwrite_frequency == 0
            variable.assign(jnp.where(due, value, variable.read()))
