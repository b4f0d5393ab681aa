"""`SymbolicScope`: a mark on code that runs to learn shapes, not values."""

import threading


class _Current(threading.local):
    scope: "SymbolicScope | None" = None


_current = _Current()


class SymbolicScope:
    """Marks the code inside as symbolic: run to learn shapes and dtypes, not values.

    For libraries that ask, as Keras' own do: kerasish finds shapes by `jax.eval_shape`, whatever
    the scope.

    Example:
        >>> with SymbolicScope():
        ...     in_symbolic_scope()
        True
    """

    def __enter__(self) -> "SymbolicScope":
        self._outer = _current.scope
        _current.scope = self
        return self

    def __exit__(self, *exception) -> None:
        _current.scope = self._outer


def in_symbolic_scope() -> bool:
    """Whether a `SymbolicScope` is open in this thread."""
    return _current.scope is not None
