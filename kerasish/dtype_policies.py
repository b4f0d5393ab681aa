"""`keras.dtype_policies`: what layers compute in and keep their weights in."""

from typing import Any

from kerasish.core.config import publish, serialize_keras_object
from kerasish.core.dtypes import DTypePolicy
from kerasish.core.dtypes import get_policy as get

__all__ = ["DTypePolicy", "FloatDTypePolicy", "deserialize", "get", "serialize"]

FloatDTypePolicy = DTypePolicy
publish("keras", {"DTypePolicy": DTypePolicy})
publish("keras.dtype_policies", {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": DTypePolicy})


def serialize(policy: DTypePolicy) -> dict:
    """A policy as plain data."""
    return serialize_keras_object(policy)


def deserialize(config: Any, custom_objects: dict | None = None) -> DTypePolicy:
    """A policy from plain data."""
    return get(config)
