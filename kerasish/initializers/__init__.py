"""First values of weights."""

from typing import Any

import jax
import numpy as np

from kerasish.core.names import snake_case
from kerasish.core.serialization.registry import custom_object_scope, publish
from kerasish.core.serialization.serialize import resolve, serialize_keras_object
from kerasish.initializers.constant import STFT, Constant, Identity, Ones, Zeros
from kerasish.initializers.initializer import Initializer
from kerasish.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

IdentityInitializer = identity = Identity
OrthogonalInitializer = orthogonal = Orthogonal
STFTInitializer = stft = STFT
constant = Constant
glorot_normal = GlorotNormal
glorot_uniform = GlorotUniform
he_normal = HeNormal
he_uniform = HeUniform
lecun_normal = LecunNormal
lecun_uniform = LecunUniform
ones = Ones
random_normal = RandomNormal
random_uniform = RandomUniform
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
zeros = Zeros

_CLASSES = {
    cls.__name__: cls
    for cls in (
        *(Initializer, Constant, Identity, Ones, STFT, Zeros, GlorotNormal, GlorotUniform),
        *(HeNormal, HeUniform, LecunNormal, LecunUniform, Orthogonal),
        *(RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
    )
} | {
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
    "STFTInitializer": STFT,
    "normal": RandomNormal,
    "one": Ones,
    "uniform": RandomUniform,
    "zero": Zeros,
}
_KNOWN = _CLASSES | {snake_case(name): cls for name, cls in _CLASSES.items()}
publish("keras.initializers", _CLASSES)


def get(identifier: Any) -> Any:
    """An initializer from its name, config or class, an array, or a function, which stays itself.

    Args:
        identifier: What to look for.

    Example:
        >>> get("glorot_uniform").get_config()
        {'seed': None, 'input_axes': None, 'output_axes': None}
    """
    if isinstance(identifier, np.ndarray | np.generic | jax.Array):
        return Constant(identifier)
    return resolve(identifier, _KNOWN, "initializer")


def serialize(initializer: Any) -> dict:
    """An initializer as plain data.

    Args:
        initializer: The initializer.

    Example:
        >>> keras.initializers.serialize(keras.initializers.Zeros())["class_name"]
        'Zeros'
    """
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """An initializer from plain data.

    Args:
        config: Config or name.
        custom_objects: Classes and functions by name, looked in first.

    Example:
        >>> written = keras.initializers.serialize(keras.initializers.Zeros())
        >>> type(keras.initializers.deserialize(written)).__name__
        'Zeros'
    """
    with custom_object_scope(custom_objects or {}):
        return resolve(config, _KNOWN, "initializer")


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomNormal",
    "RandomUniform",
    "STFT",
    "STFTInitializer",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "stft",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]
