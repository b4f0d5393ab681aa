"""A check of `compile(loss_weights=...)`: what stands there by mistake is found at once."""

from typing import Any

import jax
import numpy as np


def check_loss_weights(loss_weights: Any) -> None:
    """Raise unless every weight of a loss is a number.

    Args:
        loss_weights: A number, or lists and dicts of numbers and `None`.

    Raises:
        ValueError: If one is no number, but the name of a metric, say.

    Example:
        >>> check_loss_weights([0.5, None, 1])
        >>> check_loss_weights(["accuracy"])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: compile: `loss_weights` must be numbers ... got ['accuracy']. ...
    """
    strange = [w for w in jax.tree.leaves(loss_weights) if not _is_number(w)]
    if strange:
        raise ValueError(
            f"compile: `loss_weights` must be numbers that weigh the outputs' losses; got "
            f"{loss_weights!r}. It is the third argument of `compile`: did you mean "
            f"`compile(optimizer, loss, metrics={loss_weights!r})`?"
        )


def _is_number(weight):
    return not isinstance(weight, str | bytes) and np.asarray(weight).dtype.kind in "biuf"
