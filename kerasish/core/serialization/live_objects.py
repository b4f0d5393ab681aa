"""Configs of copies in memory, which hold functions and classes themselves instead of names."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

CLASS = "live_class"  # beside `class_name` in such a config: a handle of the class


class LiveObject:
    """Handle of an object that stands in a config as itself. JSON has none, so no file does.

    Args:
        value: The object.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self):
        return f"<in memory: {self.value!r}>"


class _State(threading.local):
    copying = False


_state = _State()


@contextlib.contextmanager
def live_objects() -> Iterator[None]:
    """Inside, serializing gives handles of functions, classes and what has no config.

    What is made from such a config has the same functions and classes, whether or not they have a
    name, are registered or can be found by an import. Handles are unwrapped inside and outside.

    Example:
        >>> with live_objects():
        ...     config = keras.layers.Lambda(lambda x: x + 1).get_config()
        >>> float(keras.layers.Lambda.from_config(config)(1.0))
        2.0
    """
    before, _state.copying = _state.copying, True
    try:
        yield
    finally:
        _state.copying = before


def are_live() -> bool:
    """Whether this is inside of `live_objects`."""
    return _state.copying


def live_class(data: Mapping[str, Any]) -> type | None:
    """The class that a config has a handle of; `None` for those of files.

    Args:
        data: Part of a config.
    """
    handle = data.get(CLASS)
    return handle.value if isinstance(handle, LiveObject) else None


def copy_by_config(obj: Any) -> Any:
    """An object of the same class and config, with state of its own; a function is its own copy.

    Args:
        obj: A layer, initializer, ...; what has no `get_config` is returned as it is.

    Example:
        >>> layer = keras.layers.Dense(2, activation=lambda x: x / 2)
        >>> copy_by_config(layer).activation is layer.activation
        True
    """
    if not hasattr(obj, "get_config"):
        return obj
    with live_objects():
        config = obj.get_config()
    return type(obj).from_config(config)
