"""Hints for inputs that do not fit a model: a missing batch axis, a list for an array."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class input_hints:  # noqa: N801, a context manager: `contextlib` costs more than a small model
    """Add to errors raised inside what to write instead, if the inputs show a common mistake.

    Args:
        model: The model that is given the inputs.
        x: What was passed as inputs.
    """

    __slots__ = ("model", "x")

    def __init__(self, model: Any, x: Any):
        self.model, self.x = model, x

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if isinstance(error, TypeError | ValueError):
            hint = hint_for(self.model, self.x)
            told = bool(error.args) and isinstance(error.args[0], str)
            if hint and told and hint not in error.args[0]:
                error.args = (f"{error.args[0].rstrip()} {hint}", *error.args[1:])


def hint_for(model: Any, x: Any) -> str:
    """What to write instead of these inputs; empty if they look as they should.

    Args:
        model: The model.
        x: Inputs that were refused.

    Example:
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> hint_for(model, np.ones(4))
        'One sample? Add the batch axis: `x[None]`.'
        >>> hint_for(model, [np.ones(4)] * 64)
        '64 arrays are 64 inputs; for one, `np.stack(x)`.'
    """
    if isinstance(x, Mapping):
        return ""
    expected = _input_shapes(model)
    if isinstance(x, list | tuple):
        shapes = {_shape(one) for one in x}
        many = len(x) > 1 and len(shapes) == 1 and shapes not in ({None}, {()})
        known = expected is not None and len(expected) > 1
        if not many or known:
            return ""
        (shape,) = shapes
        batched = expected is not None and _fits(shape, expected[0])
        join = "np.concatenate(x)" if batched else "np.stack(x)"
        return f"{len(x)} arrays are {len(x)} inputs; for one, `{join}`."
    shape = _shape(x)
    if shape is None or expected is None or len(expected) != 1:
        return ""
    if not _fits(shape, expected[0]) and _fits((1, *shape), expected[0]):
        return "One sample? Add the batch axis: `x[None]`."
    return ""


def _input_shapes(model):
    """Shapes of the model's inputs, with the batch axis, where they are known."""
    inputs = getattr(model, "inputs", None)
    return [tuple(one.shape) for one in inputs] if inputs else None


def _shape(x):
    shape = getattr(x, "shape", None)
    if shape is not None:
        return tuple(shape)
    if isinstance(x, list | tuple):
        try:
            return np.shape(x)
        except ValueError:  # ragged
            return None
    return () if isinstance(x, int | float) else None


def _fits(shape, expected):
    pairs = zip(shape[1:], expected[1:], strict=False)
    return len(shape) == len(expected) and all(b is None or a == b for a, b in pairs)
