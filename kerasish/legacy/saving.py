"""`keras.legacy.saving`: objects as `{"class_name", "config"}`, the form of Keras 1 and 2."""

import inspect
from typing import Any

from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.serialization.registry import (
    custom_object_scope,
    get_registered_name,
    get_registered_object,
)

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

_MARK = "__passive_serialization__"  # on objects that stand within another's config


def serialize_keras_object(instance: Any) -> Any:
    """An object as `{"class_name", "config"}`, a function as its name.

    Args:
        instance: Something with `get_config`, a class, a function or `None`.

    Returns:
        Plain data; `None` for `None`.

    Raises:
        ValueError: It has neither `get_config` nor a name.

    Example:
        >>> serialize_keras_object(keras.initializers.Ones())
        {'class_name': 'Ones', 'config': {}}
    """
    if instance is None:
        return None
    instance = inspect.unwrap(instance)
    if hasattr(instance, "get_config") and not inspect.isclass(instance):
        config = {name: _as_data(value) for name, value in instance.get_config().items()}
        return {"class_name": get_registered_name(type(instance)), "config": config}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    wanted = "an object with `get_config`, a class or a function"
    raise bad_argument("serialize_keras_object", "instance", wanted, instance)


def _as_data(value):
    if hasattr(value, "get_config") and not inspect.isclass(value):
        return {**serialize_keras_object(value), _MARK: True}
    if inspect.isclass(value) or inspect.isroutine(value):
        return serialize_keras_object(value)
    return value


def deserialize_keras_object(
    identifier: Any,
    module_objects: dict | None = None,
    custom_objects: dict | None = None,
    printable_module_name: str = "object",
) -> Any:
    """An object from what `serialize_keras_object` gave.

    Args:
        identifier: A dict of `class_name` and `config`, a name, a function or `None`.
        module_objects: The classes and functions that names may mean.
        custom_objects: More of them, looked through first.
        printable_module_name: What errors call such an object.

    Returns:
        The object; from the name of a class, an instance made without arguments; from the name of
        a function, the function.

    Raises:
        ValueError: The name is unknown, or the data is not of this form.

    Example:
        >>> data = {"class_name": "Constant", "config": {"value": 2.0}}
        >>> made = deserialize_keras_object(data, vars(keras.initializers))
        >>> made.value
        2.0
    """
    options = module_objects, custom_objects, printable_module_name
    if identifier is None or inspect.isfunction(identifier):
        return identifier
    if isinstance(identifier, str):
        found = _find(identifier, *options)
        return found() if inspect.isclass(found) else found
    if not isinstance(identifier, dict) or not {"class_name", "config"} <= identifier.keys():
        wanted = "a name, or a dict of 'class_name' and 'config'"
        raise bad_argument("deserialize_keras_object", "identifier", wanted, identifier)
    cls = _find(identifier["class_name"], *options)
    config = identifier["config"]
    if isinstance(config, dict):  # a list holds the layers of an old Sequential
        config = {name: _from_data(name, value, options) for name, value in config.items()}
    with custom_object_scope(custom_objects or {}):
        make = getattr(cls, "from_config", None)
        return cls(**config) if make is None else make(config)


def _from_data(name, value, options):
    if isinstance(value, dict) and _MARK in value:
        return deserialize_keras_object(value, *options[:2], "config_item")
    if isinstance(value, str) and name != "name":
        found = get_registered_object(value, options[1], options[0])
        return found if inspect.isfunction(found) else value
    return value


def _find(name, module_objects, custom_objects, kind):
    found = get_registered_object(name, custom_objects, module_objects)
    if found is None:
        near = did_you_mean(name, [*(module_objects or {}), *(custom_objects or {})])
        hint = f"Give it in `custom_objects`, or open a `custom_object_scope`. {near}"
        raise bad_argument("deserialize_keras_object", kind, "a known name", name, hint)
    return found
