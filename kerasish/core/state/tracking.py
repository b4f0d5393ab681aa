"""Finding the parts an object holds in its attributes, and values that belong to one trace."""

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, NoneType
from typing import Any

from kerasish.core.state.variable import Scope, current_scope

# Attributes that point at other objects without owning them.
_NOT_PARTS = frozenset(
    {"_given", "_inbound_nodes", "_built_with", "_compile_arguments", "_frozen", "_set_at"}
)
_CONTAINERS = (list, tuple, set, dict)
# What most attributes are; models are searched at each step of an unfused loop.
_PLAIN = frozenset({NoneType, bool, int, float, str, FunctionType})


def parts(owner: Any, types: type | tuple) -> Iterator:
    """Instances of `types` among an object's attributes, also inside lists, tuples and dicts.

    Each once, in the order in which they became parts: an attribute's when it was set, an item's
    when it was made or its container was set, whichever came later. An owner that does not note
    when its attributes were set (in `_set_at`) has them in the order of its attributes.
    """
    set_at = vars(owner).get("_set_at")
    left_out = vars(owner).get("_untracked", ())
    found: dict[int, tuple] = {}
    for position, (name, value) in enumerate(vars(owner).items()):
        if type(value) in _PLAIN or name in left_out:
            continue
        if isinstance(value, types):
            candidates = (value,)
        elif isinstance(value, _CONTAINERS) and value and name not in _NOT_PARTS:
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


def _search(value, types):
    for item in value.values() if isinstance(value, dict) else value:
        if type(item) in _PLAIN:
            continue
        if isinstance(item, types):
            yield item
        elif isinstance(item, _CONTAINERS):
            yield from _search(item, types)


class TraceList:
    """A list that belongs to the trace it was filled in, so that no traced value outlives it.

    Outside any scope it is a plain list; inside one, the scope holds the items.
    """

    def __init__(self):
        self._own = []

    def append(self, item: Any) -> None:
        """Add an item in the innermost scope."""
        self._items_here().append(item)

    def replay(self, items: list) -> None:
        """Take over the items of a scope that has ended (see `transforms.isolate`)."""
        self._items_here().extend(items)

    def clear(self) -> None:
        """Forget the items seen from here, without touching those of the scopes outside."""
        if self.items():
            self._items_here().clear()

    def items(self) -> list:
        """The items of the innermost scope that has any list of its own, or the plain list."""
        scope = current_scope()
        while scope is not None:
            if self in scope.notes:
                return list(scope.notes[self])
            scope = scope.outer
        return list(self._own)

    def _items_here(self):
        scope = current_scope()
        if scope is None:
            return self._own
        return scope.notes.setdefault(self, [])

    def __deepcopy__(self, memo):
        return TraceList()


# Found by `Layer.__call__` when NaN checks are on: one `{layer path: has a NaN}` per call.
nan_flags = TraceList()


def items_of(scope: Scope, trace_list: TraceList) -> list:
    """What a scope that has ended holds of a trace list."""
    return scope.notes.get(trace_list, [])
