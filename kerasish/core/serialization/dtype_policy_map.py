"""Policies by where layers stand in a model."""

import re
from collections.abc import MutableMapping
from typing import Any

from kerasish.core.dtypes import DTypePolicy, get_policy
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """Policies by the paths of the layers they are for, and one for all the rest.

    As the `dtype` of layers, or as the global policy, each layer takes the policy of its own path
    when it is built.

    Args:
        default_policy: For layers whose path no key matches. `None`: the global policy.
        policy_map: Regular expressions, which must match all of a path, to policies.

    Example:
        >>> policies = DTypePolicyMap("float32", {"body/.*": DTypePolicy("mixed_bfloat16")})
        >>> policies["body/dense"].compute_dtype, policies["head/dense"].compute_dtype
        ('bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: Any = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise bad_argument(self, "default_policy", "a policy, not a map", default_policy)
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(f"DTypePolicyMap: `policy_map` must be a dict; got {policy_map!r}.")
        self._given = default_policy
        self.default_policy = get_policy(default_policy)
        self.policy_map = policy_map or {}

    @property
    def name(self) -> str:
        """`"map_"`, and the default policy's name."""
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        """The default policy's."""
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The default policy's."""
        return self.default_policy.variable_dtype

    def at(self, path: str) -> DTypePolicy:
        """The policy of a layer at this path.

        Args:
            path: Path of the layer.
        """
        return self[path]

    def __getitem__(self, path):
        if path in self.policy_map:
            return self.policy_map[path]
        fitting = [pattern for pattern in self.policy_map if re.fullmatch(pattern, path)]
        if len(fitting) > 1:
            raise ValueError(f"DTypePolicyMap: {fitting} all match {path!r}. Make one narrower.")
        return self.policy_map[fitting[0]] if fitting else self.default_policy

    def __setitem__(self, pattern, policy):
        if pattern in self.policy_map:
            raise bad_argument(self, "key", "new; delete the old one first", pattern)
        self.policy_map[pattern] = get_policy(policy)

    def __delitem__(self, pattern):
        del self.policy_map[pattern]

    def __contains__(self, pattern):
        return pattern in self.policy_map

    def __len__(self):
        return len(self.policy_map)

    def __iter__(self):
        return iter(self.policy_map)

    def __eq__(self, other):
        return self is other or (type(self) is type(other) and vars(self) == vars(other))

    __hash__ = DTypePolicy.__hash__

    def get_config(self) -> dict:
        """The default policy, if one was given, and the map, as plain data."""
        return {
            "default_policy": serialize_keras_object(self._given),
            "policy_map": serialize_keras_object(self.policy_map),
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """Make the map that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        return cls(**{name: deserialize_keras_object(value) for name, value in config.items()})

    def __repr__(self):
        inside = {pattern: policy.name for pattern, policy in self.policy_map.items()}
        return f"<DTypePolicyMap of {inside}, else {self.default_policy.name!r}>"
