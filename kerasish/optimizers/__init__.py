"""Optimizers, learning rate schedules, and the bridge to optax both ways."""

import sys
from collections.abc import Mapping
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import (
    deserialize_keras_object,
    resolve,
    serialize_keras_object,
)
from kerasish.optimizers import legacy, schedules
from kerasish.optimizers.adam import Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW
from kerasish.optimizers.adaptive import Adadelta, Adafactor, Adagrad, Ftrl, RMSprop
from kerasish.optimizers.optax_optimizer import OptaxOptimizer
from kerasish.optimizers.optimizer import Optimizer
from kerasish.optimizers.sgd import SGD, Lion, Muon
from kerasish.optimizers.wrappers import LossScaleOptimizer, MultiOptimizer, OptimizerMap

_PUBLIC = {
    cls.__name__: cls
    for cls in (
        *(SGD, Lion, Muon),
        *(Adam, Adamax, AdamW, Lamb, Nadam, ScheduleFreeAdamW),
        *(Adadelta, Adafactor, Adagrad, Ftrl, RMSprop),
        *(LossScaleOptimizer, MultiOptimizer, OptaxOptimizer, Optimizer, OptimizerMap),
    )
}
publish("keras.optimizers", _PUBLIC)
_BY_NAME = {name.lower(): cls for name, cls in _PUBLIC.items()}


def serialize(optimizer: Optimizer) -> dict:
    """An optimizer as plain data.

    Args:
        optimizer: The optimizer.

    Example:
        >>> serialize(SGD(0.1))["config"]["learning_rate"]
        0.1...
    """
    return serialize_keras_object(optimizer)


def deserialize(config: dict, custom_objects: Mapping | None = None) -> Optimizer:
    """The optimizer that `serialize` wrote; the names of built-in ones in upper or lower case.

    Args:
        config: The plain data.
        custom_objects: Names to classes and functions, used before all others.

    Example:
        >>> float(deserialize(serialize(SGD(0.5))).learning_rate)
        0.5
    """
    known = _BY_NAME.get(str(config.get("class_name")).lower())
    if known is not None:
        config = {**config, "class_name": known.__name__}
    return deserialize_keras_object(config, custom_objects=custom_objects)


def get(identifier: Any) -> Optimizer | None:
    """The optimizer of that name, config, class or instance; an optax transformation is wrapped.

    Args:
        identifier: What stands for an optimizer; `None` is none.

    Example:
        >>> get("adam").get_config()["beta_1"]
        0.9
        >>> import optax
        >>> type(get(optax.sgd(0.1))).__name__
        'OptaxOptimizer'
    """
    optax = sys.modules.get("optax")  # whoever has a transformation has imported it
    if optax and isinstance(identifier, optax.GradientTransformation | optax.MultiSteps):
        return OptaxOptimizer(identifier)
    if isinstance(identifier, dict):
        identifier = deserialize(identifier)
    elif isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        identifier = identifier.lower()
    found = resolve(identifier, _BY_NAME, "optimizer")
    if found is not None and not isinstance(found, Optimizer):
        wanted = "an optimizer, its name, its config or an optax transformation"
        raise bad_argument("optimizers.get", "identifier", wanted, identifier)
    return found


__all__ = [
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "OptaxOptimizer",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "SGD",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "legacy",
    "schedules",
    "serialize",
]
