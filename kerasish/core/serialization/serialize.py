"""Objects as plain data in Keras 3's form, and back.

An object is written as `{"module", "class_name", "config", "registered_name"}`. Reading one never
imports a module or runs code that the data names: a class is found among kerasish's own, the
registered ones and the `custom_objects` in force, or it is an error.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.names import snake_case
from kerasish.core.serialization.lambdas import (
    given_function,
    is_lambda,
    lambdas_are_located,
    located_lambdas,
)
from kerasish.core.serialization.live_objects import CLASS, LiveObject, are_live, live_class
from kerasish.core.serialization.registry import (
    custom_object_scope,
    find_class,
    find_function,
    get_registered_name,
    get_registered_object,
    is_published_as,
    is_registered,
    module_of,
    published_name,
)


def serialize_keras_object(obj: Any) -> Any:
    """Plain data that `deserialize_keras_object` makes the object from again.

    Args:
        obj: Numbers, strings, arrays, dtypes, functions, objects with `get_config`, and lists,
            tuples and dicts of them.

    Raises:
        TypeError: If an object has no `get_config`.

    Example:
        >>> serialize_keras_object(slice(1, 4))
        {'class_name': '__slice__', 'config': {'start': 1, 'stop': 4, 'step': None}}
    """
    for kind, write in _WRITERS:
        if isinstance(obj, kind):
            return write(obj)
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if hasattr(obj, "symbolic_config"):
        return obj.symbolic_config()
    return _serialize_instance(obj) if hasattr(obj, "get_config") else _serialize_function(obj)


def serialize_argument(value: Any) -> Any:
    """As `serialize_keras_object`, but kerasish's own functions by their bare names: `"relu"`.

    Args:
        value: The argument.
    """
    name = getattr(value, "__name__", None)
    return name if name and is_published_as(name, value) else serialize_keras_object(value)


def _tagged(tag, **config):
    return {"class_name": tag, "config": config}


def _write_array(tag):
    return lambda x: _tagged(tag, value=np.asarray(x).tolist(), dtype=x.dtype.name)


def _write_class(cls):
    if cls in (np.float32, np.int32):
        return dtypes.standardize_dtype(cls)
    return _serialize_function(cls)


def _serialize_function(fn):
    if are_live():
        return LiveObject(fn)
    name = getattr(fn, "__name__", None)
    if name is None:
        raise TypeError(
            f"{type(fn).__name__} object {fn!r} cannot be written to a config: "
            "it has no `get_config`."
        )
    if name == "<lambda>":
        return {"class_name": "__lambda__", "config": {"value": "<lambda>"}}
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(fn),
        "registered_name": "function",
    }


# How values of each type are written; the first that fits counts.
_WRITERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (types.NoneType | bool | int | float | str, lambda x: x),
    (tuple, lambda x: tuple(map(serialize_keras_object, x))),  # named tuples too
    (list, lambda x: list(map(serialize_keras_object, x))),
    (np.generic, lambda x: x.item()),
    (np.ndarray, _write_array("__numpy__")),
    (jax.Array, _write_array("__tensor__")),
    (np.dtype, dtypes.standardize_dtype),
    (bytes, lambda x: _tagged("__bytes__", value=x.decode("latin-1"))),
    (slice, lambda x: _tagged("__slice__", start=x.start, stop=x.stop, step=x.step)),
    (types.EllipsisType, lambda x: _tagged("__ellipsis__")),
    (type, _write_class),
    (types.FunctionType | types.BuiltinFunctionType, _serialize_function),
)


def _config_of(obj):
    """What `get_config` gives, the objects that a user's own leaves in it as plain data."""
    config = obj.get_config()
    is_own = str(type(obj).get_config.__module__).startswith("kerasish.")
    if is_own or are_live() or not isinstance(config, dict):
        return config
    return {key: serialize_keras_object(value) for key, value in config.items()}


def _serialize_instance(obj):
    cls = type(obj)
    module, registered = module_of(cls), None
    if module is None:
        registered = get_registered_name(cls)
        module = None if is_registered(cls) else cls.__module__
    data = {
        "module": module,
        "class_name": published_name(cls, module),
        "config": _config_of(obj),
        "registered_name": registered,
    }
    if are_live():
        data[CLASS] = LiveObject(cls)
    if registered is None and module and module.startswith("keras.src"):
        data["registered_name"] = cls.__name__
    for part in ("build_config", "compile_config"):
        make = getattr(obj, f"get_{part}", None)
        value = make() if make else None
        if value:
            data[part] = serialize_keras_object(value)
    return data


# -- reading


def is_serialized(data: Any) -> bool:
    """Whether plain data describes an object rather than being a dict of the user's.

    Args:
        data: Part of a config.
    """
    return isinstance(data, dict) and "class_name" in data and "config" in data


def revive(value: Any) -> Any:
    """An argument in a config: objects described in it made again, all else as it is.

    Args:
        value: The argument.
    """
    if is_serialized(value) or isinstance(value, LiveObject):
        return deserialize_keras_object(value)
    if type(value) in (list, tuple):
        return type(value)(map(revive, value))
    return {k: revive(v) for k, v in value.items()} if type(value) is dict else value


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """Make an object from what `serialize_keras_object` wrote.

    Args:
        config: The plain data.
        custom_objects: Names to classes and functions, used before all others.
        safe_mode: Kept for Keras' sake; code is never read from data, whatever it says. With
            `False`, `custom_objects["<lambda>"]`, the caller's own, stands for the config's lambda;
            where there are several, it is a dict from layer names to functions.
        **kwargs: `module_objects`, names that a string or config may mean too, the name of a class
            giving an instance; `printable_module_name`, what errors call such an object.

    Raises:
        TypeError: If the data names a class or function that is not known.
        ValueError: If it holds a lambda for which no function was given.

    Example:
        >>> deserialize_keras_object(serialize_keras_object(slice(1, 4)))
        slice(1, 4, None)
    """
    module_objects = kwargs.get("module_objects")
    if module_objects is not None:
        if isinstance(config, str):
            return _named(config, custom_objects, kwargs)
        custom_objects = {**module_objects, **(custom_objects or {})}
    unsafe = not safe_mode or settings.unsafe_deserialization_enabled()
    if unsafe and not lambdas_are_located():
        with located_lambdas(config) as located:
            return deserialize_keras_object(located, custom_objects)
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_keras_object(config)
    if isinstance(config, LiveObject):
        return config.value
    if config is None or isinstance(config, bool | int | float):
        return config
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, list | tuple):
        return type(config)(deserialize_keras_object(item) for item in config)
    if not isinstance(config, dict):
        raise TypeError(
            f"deserialize_keras_object: cannot read {type(config).__name__} {config!r}."
        )
    if is_lambda(config):
        return given_function(config)
    if not is_serialized(config):
        return {key: deserialize_keras_object(value) for key, value in config.items()}
    read = _READERS.get(config["class_name"]) if isinstance(config["class_name"], str) else None
    return _make_instance(config) if read is None else read(config)


def _named(name, custom_objects, options):
    """The function of a name, or an instance of the class of that name."""
    found = get_registered_object(name, custom_objects, options["module_objects"])
    if found is None:
        kind = options.get("printable_module_name", "object")
        hint = did_you_mean(name, options["module_objects"])
        raise bad_argument("deserialize_keras_object", kind, "a known name", name, hint)
    return found() if inspect.isclass(found) else found


def _read_numpy(data):
    inner = data["config"]
    is_number = np.dtype(inner["dtype"]).kind in "biufc"
    return np.array(inner["value"], dtype=inner["dtype"] if is_number else None)


def _read_tensor(data):
    inner = data["config"]
    return dtypes.to_array(np.array(inner["value"]), dtypes.standardize_dtype(inner["dtype"]))


def _read_slice(data):
    inner = data["config"]
    return slice(inner["start"], inner["stop"], inner["step"])


# What each tag means: names that no class has.
_READERS: dict[str, Callable[[dict], Any]] = {
    "__tensor__": _read_tensor,
    "__numpy__": _read_numpy,
    "__tuple__": lambda data: tuple(map(revive, data.get("items", data["config"]))),
    "__bytes__": lambda data: data["config"]["value"].encode("latin-1"),
    "__slice__": _read_slice,
    "__ellipsis__": lambda data: ...,
    "function": lambda data: find_function(data["config"], data.get("registered_name")),
}


def _make_instance(data):
    instance = (live_class(data) or find_class(data)).from_config(data["config"])
    for part in ("build", "compile"):
        value, act = data.get(f"{part}_config"), getattr(instance, f"{part}_from_config", None)
        if value and act:
            act(value)
    return instance


def resolve(identifier: Any, known: Mapping[str, Any], kind: str) -> Any:
    """What `initializers.get` and its like do: a name, config, class or callable to the object.

    Args:
        identifier: Name, serialized config, class, instance or function; `None` stays `None`.
        known: Names to classes and functions.
        kind: What it is, for the error: "initializer".
    """
    if identifier is None:
        return None
    if isinstance(identifier, LiveObject):
        identifier = identifier.value
    if isinstance(identifier, dict):
        if not is_serialized(identifier):
            raise bad_argument(kind, "config", "a serialized object with 'class_name'", identifier)
        cls = live_class(identifier) or known.get(identifier["class_name"])
        own = inspect.isclass(cls) and get_registered_object(identifier["class_name"]) is None
        if cls is not None and own:
            found = cls.from_config(identifier["config"])
        else:
            found = deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        found = get_registered_object(identifier, module_objects=known)
        if found is None:
            found = known.get(snake_case(identifier))
        if found is None:
            hint = did_you_mean(identifier, known)
            raise ValueError(f"Unknown {kind} {identifier!r}. {hint}".rstrip())
    else:
        found = identifier
    if inspect.isclass(found):
        found = found()
    if not callable(found) and not hasattr(found, "get_config"):
        raise bad_argument(
            kind, "identifier", "a name, a config, a class or a callable", identifier
        )
    return found
