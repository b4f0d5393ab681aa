"""`keras.dtype_policies`: what layers compute in and keep their weights in."""

from typing import Any

from kerasish.core.dtypes import DTypePolicy, FloatDTypePolicy
from kerasish.core.dtypes import get_policy as get
from kerasish.core.serialization.dtype_policy_map import DTypePolicyMap
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import serialize_keras_object

__all__ = [
    "DTypePolicy",
    "DTypePolicyMap",
    "FloatDTypePolicy",
    "deserialize",
    "get",
    "serialize",
]

publish("keras", {"DTypePolicy": DTypePolicy, "FloatDTypePolicy": FloatDTypePolicy})
publish("keras.dtype_policies", {"DTypePolicyMap": DTypePolicyMap})


def serialize(dtype_policy: DTypePolicy) -> dict:
    """A policy as plain data.

    Args:
        dtype_policy: The policy.

    Example:
        >>> serialize(keras.DTypePolicy("mixed_float16"))["config"]
        {'name': 'mixed_float16'}
    """
    return serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: dict | None = None) -> DTypePolicy:
    """A policy from plain data.

    Args:
        config: What `get_config` gave.
        custom_objects: Classes by the names that the config has.

    Example:
        >>> deserialize(serialize(keras.DTypePolicy("mixed_float16"))).compute_dtype
        'float16'
    """
    return get(config)
