"""Finding the parts that an object holds in its attributes."""

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, NoneType
from typing import Any

_CONTAINERS = (list, tuple, set, dict)
# What most attributes are; models are searched at each step of an unfused loop.
_PLAIN = frozenset({NoneType, bool, int, float, str, FunctionType})


@functools.cache
def declared(cls: type, attribute: str) -> frozenset[str]:
    """Names that a class and its bases list in a class attribute, all together.

    `_not_parts` are attributes that point at other objects without owning them; `_not_saved` are
    those that files hold under another name, or not at all.

    Args:
        cls: The class.
        attribute: Name of the class attribute.
    """
    return frozenset(name for c in cls.__mro__ for name in vars(c).get(attribute, ()))


def parts(owner: Any, types: type | tuple) -> Iterator:
    """Instances of `types` among an object's attributes, also inside lists, tuples and dicts.

    Each once, in the order in which they became parts: an attribute's when it was set, an item's
    when it was made or its container was set, whichever came later. An owner that does not note
    when its attributes were set (in `_set_at`) has them in the order of its attributes.

    Args:
        owner: The object.
        types: Classes whose instances are looked for.
    """
    set_at = vars(owner).get("_set_at")
    not_parts, left_out = declared(type(owner), "_not_parts"), vars(owner).get("_untracked", ())
    found: dict[int, tuple] = {}
    for position, (name, value) in enumerate(vars(owner).items()):
        if type(value) in _PLAIN or name in left_out:
            continue
        if isinstance(value, types):
            candidates = (value,)
        elif isinstance(value, _CONTAINERS) and value and name not in not_parts:
            candidates = _search(value, types)
        else:
            continue
        when = position if set_at is None else set_at.get(name, 0)
        for part in candidates:
            if set_at is not None:
                when = max(when, getattr(part, "_serial", 0))
            if id(part) not in found or when < found[id(part)][0]:
                found[id(part)] = when, part
    return (part for _, part in sorted(found.values(), key=lambda pair: pair[0]))


def untracked(method: Callable) -> Callable:
    """Method decorator: what it sets as attributes is used by the object, but is no part of it.

    No weights are found in it, and files do not keep it.

    Args:
        method: The method.
    """

    @functools.wraps(method)
    def run(self, *args, **kwargs):
        before = dict(vars(self))
        result = method(self, *args, **kwargs)
        made = "_serial" in before  # else its base's `__init__` has set what it lives on
        names = {
            name
            for name, value in vars(self).items()
            if before.get(name, self) is not value and (made or not name.startswith("_"))
        }
        object.__setattr__(self, "_untracked", names | before.get("_untracked", set()))
        return result

    return run


def _search(value, types, inside=()):
    for item in value.values() if isinstance(value, dict) else value:
        if type(item) in _PLAIN:
            continue
        if isinstance(item, types):
            yield item
        elif isinstance(item, _CONTAINERS) and not any(item is outer for outer in inside):
            yield from _search(item, types, (*inside, value))
