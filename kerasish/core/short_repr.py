"""Reprs of objects on one line: the class, and the arguments that are not the defaults."""

import inspect
import reprlib
from collections.abc import Mapping
from typing import Any

_short = reprlib.Repr()
_short.maxstring, _short.maxother, _short.maxlist, _short.maxdict = 40, 80, 4, 3


def short_repr(obj: Any, arguments: Mapping[str, Any]) -> str:
    """`<Adam(learning_rate=0.01)>`: an object by those of its arguments that are not the defaults.

    Args:
        obj: The object.
        arguments: Names of arguments of its `__init__` to their values.

    Example:
        >>> short_repr(keras.callbacks.EarlyStopping(), {"monitor": "val_loss", "patience": 3})
        '<EarlyStopping(patience=3)>'
    """
    parameters = inspect.signature(type(obj).__init__).parameters
    defaults = {name: p.default for name, p in parameters.items()}
    shown = [
        f"{name}={_shown(value)}"
        for name, value in arguments.items()
        if not _same(value, defaults.get(name, inspect.Parameter.empty))
    ]
    return f"<{type(obj).__name__}({', '.join(shown)})>"


def given_arguments(obj: Any) -> dict[str, Any]:
    """The arguments that an object which notes them in `_given` was made with, by name.

    Args:
        obj: The object.
    """
    args, kwargs = vars(obj).get("_given", ((), {}))
    names = list(inspect.signature(type(obj).__init__).parameters)[1:]
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _shown(value):
    named = inspect.isroutine(value) or inspect.isclass(value)
    return getattr(value, "__name__", "?") if named else _short.repr(value)


def _same(value, default):
    plain = bool | int | float | str | None
    return value is default or (
        isinstance(value, plain) and isinstance(default, plain) and value == default
    )
