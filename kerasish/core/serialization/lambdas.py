"""The functions that a caller gives for the lambdas of a config, which holds none of their code."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kerasish.core.errors import see
from kerasish.core.serialization.registry import get_registered_object

LAMBDA = "<lambda>"  # a lambda's name in Python, and its key among `custom_objects`


class _Lambdas(threading.local):
    allowed = False  # whether the caller's functions may stand for lambdas
    found: tuple = ()  # of the config that is read: (owner's name, argument) of each


_lambdas = _Lambdas()


def is_lambda(data: Any) -> bool:
    """Whether plain data stands for a lambda.

    Args:
        data: Part of a config.
    """
    return isinstance(data, dict) and data.get("class_name") == "__lambda__"


@contextlib.contextmanager
def located_lambdas(config: Any) -> Iterator[Any]:
    """The config with each lambda told by its layer and argument; inside, they may be replaced.

    Args:
        config: Plain data; it is copied where it holds lambdas.
    """
    before = _lambdas.allowed, _lambdas.found
    _lambdas.allowed, _lambdas.found = True, ()
    try:
        yield _located(config, None, "")
    finally:
        _lambdas.allowed, _lambdas.found = before


def lambdas_are_located() -> bool:
    """Whether this is inside of `located_lambdas`."""
    return _lambdas.allowed


def _located(data, owner, argument):
    if is_lambda(data):
        _lambdas.found += ((owner, argument),)
        return {**data, "owner": owner, "argument": argument}
    if isinstance(data, list | tuple):
        parts = [
            _located(item, owner, f"{argument}.{i}" if argument else str(i))
            for i, item in enumerate(data)
        ]
        return type(data)(parts) if type(data) in (list, tuple) else data
    if not isinstance(data, dict):
        return data
    inner = data.get("config")
    if isinstance(data.get("class_name"), str) and isinstance(inner, dict):
        if isinstance(inner.get("name"), str):
            owner, argument = inner["name"], ""
        return {key: _located(value, owner, argument) for key, value in data.items()}
    return {
        key: _located(value, owner, f"{argument}.{key}" if argument else str(key))
        for key, value in data.items()
    }


def given_function(data: Mapping[str, Any]) -> Callable:
    """The function that the caller gave for a lambda.

    Args:
        data: The lambda's plain data, located.

    Raises:
        ValueError: If none was given, or one for several lambdas.
    """
    given = get_registered_object(LAMBDA) if _lambdas.allowed else None
    if given is None:
        raise ValueError(
            "The config holds a lambda. Code is never read from a file: give the function "
            f"yourself, with `safe_mode=False` and `custom_objects={{'{LAMBDA}': ...}}`, or better "
            f"name and register it before saving. {see('E10')}"
        )
    owner, argument = data.get("owner"), data.get("argument")
    if isinstance(given, Mapping):
        found = given.get(owner)
        found = found.get(argument) if isinstance(found, Mapping) else found
        several = sum(name == owner for name, _ in _lambdas.found) > 1
        if found is None or (several and not isinstance(given[owner], Mapping)):
            raise ValueError(
                f"The config holds lambdas, of {_listed()}; `custom_objects['{LAMBDA}']` has none "
                f"for `{argument}` of {owner!r}. Give functions by layer name, or by layer and "
                f"argument: `{{'{LAMBDA}': {{{owner!r}: {{{argument!r}: ...}}}}}}`."
            )
        return found
    if len(_lambdas.found) > 1:
        raise ValueError(
            f"The config holds {len(_lambdas.found)} lambdas, of {_listed()}: one function cannot "
            f"stand for them all. Give them by layer name: `custom_objects={{'{LAMBDA}': "
            f"{{{owner!r}: ..., ...}}}}`."
        )
    return given


def _listed():
    return ", ".join(f"{owner!r} (`{argument}`)" for owner, argument in _lambdas.found)
