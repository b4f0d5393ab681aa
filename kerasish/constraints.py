"""Bounds on weights, enforced after each step."""

from typing import Any

import jax.numpy as jnp

from kerasish.core.dtypes import to_array
from kerasish.core.names import snake_case
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.registry import custom_object_scope, publish
from kerasish.core.serialization.serialize import resolve, serialize_keras_object
from kerasish.core.settings import epsilon


class Constraint(Configurable):
    """Base of the functions that bring a weight back to where it may be: `weight -> weight`.

    A subclass writes `__call__`; this one allows everything.

    Example:
        >>> class Small(Constraint):
        ...     def __call__(self, w):
        ...         return jnp.clip(w, -1, 1)
        >>> Small()(jnp.array([3.0, 0.5]))
        Array([1. , 0.5], dtype=float32)
    """

    def __call__(self, w: Any):
        """The allowed weight nearest, in some sense, to `w`."""
        return w


class MaxNorm(Constraint):
    """Shortens each unit's incoming weights to at most `max_value`.

    Args:
        max_value: Greatest Euclidean norm allowed.
        axis: Axes that hold one unit's weights: 0 for `Dense`, `[0, 1, 2]` for `Conv2D`.

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: A Simple Way to
        Prevent Neural Networks from Overfitting".

    Example:
        >>> round(float(jnp.linalg.norm(MaxNorm(2.0)(jnp.array([[3.0], [4.0]])))), 3)
        2.0
    """

    def __init__(self, max_value: float = 2, axis: int = 0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any):
        w = to_array(w)
        norms = _norms(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (epsilon() + norms))


class NonNeg(Constraint):
    """Raises negative weights to 0.

    Example:
        >>> NonNeg()(jnp.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __call__(self, w: Any):
        return jnp.maximum(to_array(w), 0)


class UnitNorm(Constraint):
    """Brings each unit's incoming weights to a Euclidean norm of 1.

    Args:
        axis: Axes that hold one unit's weights: 0 for `Dense`, `[0, 1, 2]` for `Conv2D`.

    Example:
        >>> UnitNorm()(jnp.array([[3.0], [4.0]])).round(3)
        Array([[0.6],
               [0.8]], dtype=float32)
    """

    def __init__(self, axis: int = 0):
        self.axis = axis

    def __call__(self, w: Any):
        w = to_array(w)
        return w / (epsilon() + _norms(w, self.axis))


class MinMaxNorm(Constraint):
    """Brings the norm of each unit's incoming weights between two bounds.

    Args:
        min_value: Least Euclidean norm allowed.
        max_value: Greatest Euclidean norm allowed.
        rate: How much of the way a step goes: 1 holds the bounds strictly.
        axis: Axes that hold one unit's weights: 0 for `Dense`, `[0, 1, 2]` for `Conv2D`.

    Example:
        >>> bounded = MinMaxNorm(1.0, 2.0)(jnp.array([[3.0, 0.3], [4.0, 0.4]]))
        >>> jnp.linalg.norm(bounded, axis=0).round(2)
        Array([2., 1.], dtype=float32)
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0
    ):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any):
        w = to_array(w)
        norms = _norms(w, self.axis)
        bounded = jnp.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * bounded + (1 - self.rate) * norms
        return w * (wanted / (epsilon() + norms))


def _norms(w, axis):
    axis = tuple(axis) if isinstance(axis, list) else axis
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

_CLASSES = {cls.__name__: cls for cls in (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)}
_KNOWN = _CLASSES | {snake_case(name): cls for name, cls in _CLASSES.items()}
publish("keras.constraints", _CLASSES)


def get(identifier: Any) -> Any:
    """A constraint from its name, config or class, or a function, which stays itself.

    Args:
        identifier: What to look for.

    Example:
        >>> type(keras.constraints.get("non_neg")).__name__
        'NonNeg'
    """
    return resolve(identifier, _KNOWN, "constraint")


def serialize(constraint: Any) -> dict:
    """A constraint as plain data.

    Args:
        constraint: The constraint.

    Example:
        >>> keras.constraints.serialize(keras.constraints.NonNeg())["class_name"]
        'NonNeg'
    """
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """A constraint from plain data.

    Args:
        config: Config or name.
        custom_objects: Classes and functions by name, looked in first.

    Example:
        >>> written = keras.constraints.serialize(keras.constraints.NonNeg())
        >>> type(keras.constraints.deserialize(written)).__name__
        'NonNeg'
    """
    with custom_object_scope(custom_objects or {}):
        return resolve(config, _KNOWN, "constraint")


__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
