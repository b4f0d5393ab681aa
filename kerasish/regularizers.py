"""Penalties on weights and outputs, added to the loss."""

import math
from typing import Any

import jax.numpy as jnp

from kerasish.core.dtypes import to_array
from kerasish.core.errors import bad_argument
from kerasish.core.names import snake_case
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.registry import custom_object_scope, publish
from kerasish.core.serialization.serialize import resolve, serialize_keras_object
from kerasish.core.settings import epsilon


class Regularizer(Configurable):
    """Base of the functions that give a weight's penalty: `weight -> number`.

    A subclass writes `__call__`; this one's penalty is 0.

    Example:
        >>> class Spread(Regularizer):
        ...     def __call__(self, x):
        ...         return jnp.var(x)
        >>> float(Spread()(jnp.array([1.0, 3.0])))
        1.0
    """

    def __call__(self, x: Any):
        """The penalty of a weight or an output."""
        return 0.0


class L1L2(Regularizer):
    """The penalty `l1 * sum(abs(x)) + l2 * sum(x**2)`.

    Args:
        l1: Factor of the absolute values, not negative.
        l2: Factor of the squares, not negative.

    Example:
        >>> float(L1L2(l1=1.0, l2=10.0)(jnp.array([1.0, -2.0])))
        53.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1 = _factor(self, "l1", 0.0 if l1 is None else l1)
        self.l2 = _factor(self, "l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any):
        x = to_array(x)
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += self.l1 * jnp.sum(jnp.abs(x))
        if self.l2:
            penalty += self.l2 * jnp.sum(jnp.square(x))
        return penalty


class L1(Regularizer):
    """The penalty `l1 * sum(abs(x))`, which drives weights to exactly 0.

    Args:
        l1: Factor, not negative.

    Example:
        >>> float(L1(0.5)(jnp.array([1.0, -2.0])))
        1.5
    """

    def __init__(self, l1: float = 0.01):
        self.l1 = _factor(self, "l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any):
        return self.l1 * jnp.sum(jnp.abs(to_array(x)))


class L2(Regularizer):
    """The penalty `l2 * sum(x**2)`.

    Args:
        l2: Factor, not negative.

    Example:
        >>> float(L2(0.5)(jnp.array([1.0, -2.0])))
        2.5
    """

    def __init__(self, l2: float = 0.01):
        self.l2 = _factor(self, "l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any):
        return self.l2 * jnp.sum(jnp.square(to_array(x)))


class OrthogonalRegularizer(Regularizer):
    """Penalty on rows (or columns) that are not orthogonal: `factor` times their mean abs cosine.

    Args:
        factor: Factor, not negative.
        mode: `"rows"` or `"columns"`.

    Shapes:
        Weights of two axes only.

    Example:
        >>> float(OrthogonalRegularizer(0.1)(jnp.eye(3)))
        0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        if mode not in ("rows", "columns"):
            raise bad_argument(self, "mode", "'rows' or 'columns'", mode)
        self.factor = _factor(self, "factor", factor)
        self.mode = mode

    def __call__(self, inputs: Any):
        x = to_array(inputs)
        if x.ndim != 2:
            raise bad_argument(self, "inputs", "of 2 axes", x.shape)
        vectors = x if self.mode == "rows" else x.T
        squares = jnp.sum(jnp.square(vectors), axis=1, keepdims=True)
        # Bounded before the root, so that a zero vector's gradient is no NaN.
        vectors = vectors / jnp.sqrt(jnp.maximum(squares, epsilon() ** 2))
        count = vectors.shape[0]
        cosines = (vectors @ vectors.T) * (1 - jnp.eye(count, dtype=x.dtype))
        pairs = count * (count - 1) / 2
        return self.factor * 0.5 * jnp.sum(jnp.abs(cosines)) / pairs


def _factor(owner, name, value):
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise bad_argument(owner, name, "a finite number, not negative", value)
    return float(value)


l1 = L1
l1_l2 = L1L2
l2 = L2
orthogonal_regularizer = OrthogonalRegularizer

_CLASSES = {cls.__name__: cls for cls in (Regularizer, L1, L1L2, L2, OrthogonalRegularizer)}
_KNOWN = _CLASSES | {snake_case(name): cls for name, cls in _CLASSES.items()} | {"l1_l2": L1L2}
publish("keras.regularizers", _CLASSES)


def get(identifier: Any) -> Any:
    """A regularizer from its name, config or class, or a function, which stays itself.

    Args:
        identifier: What to look for.

    Example:
        >>> type(keras.regularizers.get("l2")).__name__
        'L2'
    """
    return resolve(identifier, _KNOWN, "regularizer")


def serialize(regularizer: Any) -> dict:
    """A regularizer as plain data.

    Args:
        regularizer: The regularizer.

    Example:
        >>> keras.regularizers.serialize(keras.regularizers.L2())["class_name"]
        'L2'
    """
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """A regularizer from plain data.

    Args:
        config: Config or name.
        custom_objects: Classes and functions by name, looked in first.

    Example:
        >>> written = keras.regularizers.serialize(keras.regularizers.L2())
        >>> type(keras.regularizers.deserialize(written)).__name__
        'L2'
    """
    with custom_object_scope(custom_objects or {}):
        return resolve(config, _KNOWN, "regularizer")


__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
