"""Lists of values that belong to one trace: added losses, flags of NaN checks."""

from typing import Any

from kerasish.core.state.scope import Scope, current_scope


class TraceList:
    """A list that belongs to the trace it was filled in, so that no traced value outlives it.

    Outside any scope it is a plain list; inside one, the scope holds the items.
    """

    def __init__(self):
        self._own = []

    def append(self, item: Any) -> None:
        """Add an item in the innermost scope.

        Args:
            item: The item.
        """
        self._items_here().append(item)

    def replay(self, items: list) -> None:
        """Take over the items of a scope that has ended (see `transforms.isolate`).

        Args:
            items: Items of the other scope.
        """
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
    """What a scope that has ended holds of a trace list.

    Args:
        scope: The scope.
        trace_list: The list.
    """
    return scope.notes.get(trace_list, [])
