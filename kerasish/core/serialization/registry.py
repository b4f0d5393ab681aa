"""The classes and functions that names in files may mean: kerasish's own, and registered ones."""

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasish.core.errors import did_you_mean, see

_builtins: dict[str, dict[str, Any]] = {}  # public module -> name -> class or function
_registered_names: dict[Any, str] = {}
_global_custom: dict[str, Any] = {}  # "package>Name", or any name -> class or function


class _Custom(threading.local):
    objects: Mapping = {}


_custom = _Custom()


def publish(module: str, objects: Mapping[str, Any]) -> None:
    """Make kerasish's own classes and functions known under the module name Keras writes.

    Args:
        module: The module name: `"keras.layers"`, say.
        objects: Public names to classes and functions.

    Example:
        >>> publish("keras.mine", {"swap": lambda x: -x})
        >>> sorted(published("keras.mine"))
        ['swap']
    """
    _builtins.setdefault(module, {}).update(objects)


def published(module: str) -> dict[str, Any]:
    """The classes and functions published under a module name.

    Args:
        module: Name of the module.
    """
    return _builtins.get(module, {})


def is_published_as(name: str, obj: Any) -> bool:
    """Whether a bare name means this one of kerasish's own classes and functions.

    Args:
        name: The name.
        obj: The class or function.
    """
    return any(table.get(name) is obj for table in _builtins.values())


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Any], Any]:
    """Class or function decorator: makes files that use it load without `custom_objects`.

    Args:
        package: Prefix of the name in files, to distinguish equal names.
        name: Name in files; the class's or function's own unless given.

    Raises:
        ValueError: If a class has no `get_config`.

    Example:
        >>> @register_keras_serializable("my_package")
        ... def halve(x):
        ...     return x / 2
        >>> get_registered_object("my_package>halve") is halve
        True
    """

    def decorate(obj):
        key = f"{package}>{name or obj.__name__}"
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"register_keras_serializable: {obj.__name__} has no `get_config`, so it cannot "
                "be written to a file."
            )
        _global_custom[key] = obj
        _registered_names[obj] = key
        return obj

    return decorate


def is_registered(obj: Any) -> bool:
    """Whether `register_keras_serializable` was used on a class or function.

    Args:
        obj: Class or function.
    """
    return obj in _registered_names


def get_registered_name(obj: Any) -> str:
    """The name a class or function was registered under, or its own.

    Args:
        obj: The class or function.

    Example:
        >>> @keras.saving.register_keras_serializable("mine")
        ... def swap(x):
        ...     return -x
        >>> get_registered_name(swap)
        'mine>swap'
    """
    return _registered_names.get(obj, getattr(obj, "__name__", str(obj)))


def get_registered_object(
    name: str, custom_objects: Mapping | None = None, module_objects: Mapping | None = None
) -> Any:
    """The class or function of a name: given, in scope or registered; `None` if there is none.

    Args:
        name: The name, with its package if it was registered with one.
        custom_objects: Names to classes and functions, looked up first.
        module_objects: The same, looked up last.

    Example:
        >>> @keras.saving.register_keras_serializable("mine")
        ... def swap(x):
        ...     return -x
        >>> get_registered_object("mine>swap") is swap
        True
    """
    tables = (custom_objects or {}, _custom.objects, _global_custom)
    for table in (*tables, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict[str, Any]:
    """The process-wide table of custom and registered objects, to add to or to clear.

    Example:
        >>> get_custom_objects()["swap"] = lambda x: -x
        >>> keras.activations.get("swap")(3)
        -3
    """
    return _global_custom


@contextlib.contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Let names in files mean these classes and functions inside the `with` block.

    Args:
        custom_objects: Names to classes and functions.

    Example:
        >>> with custom_object_scope({"halve": lambda x: x / 2}):
        ...     keras.activations.get("halve")(4.0)
        2.0
    """
    before = _custom.objects
    _custom.objects = {**before, **(custom_objects or {})}
    try:
        yield
    finally:
        _custom.objects = before


# Keras spells it both ways: a function and a class.
CustomObjectScope = custom_object_scope


def module_of(cls: type) -> str | None:
    """The module name that Keras writes for one of kerasish's own classes; `None` for others.

    Args:
        cls: The class or function.
    """
    for module, table in _builtins.items():
        if table.get(cls.__name__) is cls or cls in table.values():
            return module
    return None


def published_name(cls: type, module: str | None) -> str:
    """The name a class is public under: its own, but for a few whose public name is another.

    Args:
        cls: The class.
        module: Name of the module it is in.
    """
    table = published(module or "")
    if table.get(cls.__name__) is cls:
        return cls.__name__
    return next((name for name, other in table.items() if other is cls), cls.__name__)


def find(name: str, module: str | None = None) -> Any:
    """The class or function of that name, `None` if there is none.

    Args:
        name: The name.
        module: Module to look in, of those published; all unless it is one.
    """
    found = get_registered_object(name)
    if found is not None:
        return found
    tables = [_builtins[module]] if module in _builtins else _builtins.values()
    for table in tables:
        if name in table:
            return table[name]
    return None


def find_function(name: str, registered: str | None = None) -> Callable:
    """The function that a serialized one names.

    Args:
        name: The name.
        registered: Another name it may have, looked up last.

    Raises:
        TypeError: If nothing has the name, or what has it is no function.
    """
    candidates = [find(key) for key in (name, registered) if isinstance(key, str)]
    found = next((obj for obj in candidates if obj is not None), None)
    if found is None:  # Keras 3.6 and older leave the package of a registered function out
        packaged = [obj for key, obj in get_custom_objects().items() if key.endswith(f">{name}")]
        found = packaged[0] if len(packaged) == 1 else None
    if found is None:
        raise _unknown("function", name)
    if inspect.isclass(found) or not callable(found):
        kind = "class" if inspect.isclass(found) else type(found).__name__
        raise TypeError(
            f"The config holds a function named {name!r}, but that names a {kind}. Pass a function "
            f"in `custom_objects={{{name!r}: ...}}`."
        )
    return found


def find_class(data: Mapping[str, Any]) -> type:
    """The class that a serialized object names.

    Args:
        data: The serialized object: `class_name`, and perhaps `module` and `registered_name`.

    Raises:
        TypeError: If nothing has the name, or what has it is no class.
    """
    name, registered, module = data["class_name"], data.get("registered_name"), data.get("module")
    for key in (registered, name):
        cls = get_registered_object(key) if isinstance(key, str) else None
        if cls is not None:
            return _checked_class(key, cls)
    if isinstance(module, str) and module.split(".")[0] == "keras":
        cls = find(name, module)
        if inspect.isclass(cls):
            return cls
    cls = find(registered or name)
    if cls is None:
        raise _unknown("class", registered or name)
    return _checked_class(registered or name, cls)


def _checked_class(name, found):
    # What makes objects may be any object with a `from_config`, as in Keras; a function is none.
    if getattr(found, "from_config", None) is None:
        what = getattr(found, "__name__", found)
        raise TypeError(
            f"The config holds an object of a class named {name!r}, but that names {what!r}, which "
            "has no `from_config`. Pass the class in `custom_objects`."
        )
    return found


def _unknown(kind, name):
    hint = did_you_mean(name, (known for table in _builtins.values() for known in table))
    hint = f"{hint} ".lstrip()
    return TypeError(
        f"Unknown {kind} {name!r}. {hint}If it is your own, pass it in "
        f"`custom_objects={{{name!r}: ...}}` or decorate it with "
        "`@keras.saving.register_keras_serializable()` and import its module before loading. "
        + see("E09")
    )
