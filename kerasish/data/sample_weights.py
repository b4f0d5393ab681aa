"""Weights of samples by class, for one output or several, times weights of their own."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data.class_weights import is_balanced, weigh_classes


def weigh_samples(y: Any, class_weight: Any, sample_weight: Any = None) -> Any:
    """The weight of each sample's class, times its own weight if it has one.

    Args:
        y: Labels: an array, or a list or dict of arrays, one for each output.
        class_weight: As for `weigh_classes`; for several outputs a list or dict of them, `None` for
            those without.
        sample_weight: Weights of the samples: an array, or a list or dict as `y`.

    Shapes:
        As `weigh_classes`; with `sample_weight` the axes of both, aligned at the first.
    """
    if isinstance(y, list | tuple | Mapping):
        return _of_outputs(y, class_weight, sample_weight)
    weights = weigh_classes(y, _only(class_weight))
    if sample_weight is None:
        return weights
    rank = max(weights.ndim, sample_weight.ndim)
    first, second = (a.reshape(a.shape + (1,) * (rank - a.ndim)) for a in (weights, sample_weight))
    return first * second


def _of_outputs(y, class_weight, sample_weight):
    keys = list(y) if isinstance(y, Mapping) else list(range(len(y)))
    given = _by_output(class_weight, keys)
    found = {}
    for key, weights in zip(keys, given, strict=True):
        nested = isinstance(sample_weight, list | tuple | Mapping)
        own = sample_weight[key] if nested else sample_weight
        found[key] = own if weights is None else weigh_samples(y[key], weights, own)
    return found if isinstance(y, Mapping) else type(y)(found.values())


def _by_output(class_weight, keys):
    if (
        isinstance(class_weight, Mapping)
        and set(class_weight) <= set(keys)
        and _nests(class_weight)
    ):
        return [class_weight.get(key) for key in keys]
    values = list(class_weight.values()) if isinstance(class_weight, Mapping) else class_weight
    fits = _nests(class_weight) and len(values) == len(keys)
    if not fits or (isinstance(class_weight, Mapping) and isinstance(keys[0], str)):
        wanted = f"one dict for each of the outputs in `y`, {keys}, in a list or by name"
        hint = "`None` leaves an output without weights of classes."
        raise bad_argument("fit", "class_weight", wanted, class_weight, hint)
    return values


def _only(class_weight) -> Any:
    """The weights for the only output, of a list or dict of one."""
    if isinstance(class_weight, list | tuple | Mapping) and len(class_weight) == 1:
        values = class_weight.values() if isinstance(class_weight, Mapping) else class_weight
        return next(iter(values)) if _nests(class_weight) else class_weight
    return class_weight


def _nests(class_weight):
    """Whether it holds weights for several outputs."""
    if not isinstance(class_weight, list | tuple | Mapping):
        return False
    values = class_weight.values() if isinstance(class_weight, Mapping) else class_weight
    return all(
        one is None or isinstance(one, Mapping | np.ndarray) or is_balanced(one) for one in values
    )
