"""Tables that stand in for Variables' values: what makes code over Variables pure."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax

from kerasish.core import dtypes, partitioning

if TYPE_CHECKING:
    from kerasish.core.state.variable import Variable


class _Innermost(threading.local):
    scope: Scope | None = None


innermost = _Innermost()  # read at each access of a Variable


# Held by whoever finds out what a function touches, or donates the arrays of Variables. Reentrant,
# since tracing one function may call another.
state_lock = threading.RLock()


class UncapturedVariable(BaseException):
    """A sealed scope was asked for a Variable it does not hold; the scope's owner catches this.

    Not an `Exception`, so that a user's `except Exception` in a traced function lets it through.
    """

    def __init__(self, owner: Any, variable: Variable):
        super().__init__(f"{variable.path} was not listed")
        self.owner, self.variable = owner, variable


class Scope:
    """A table that stands in for the Variables' own values in this thread, while it is entered.

    Args:
        values: Pairs of a Variable and the value to read it as.
        sealed: Who must be told (by `UncapturedVariable`) when a Variable is asked for that is not
            in the table. `None`: it is looked up in the scope outside, or in the Variable itself.

    Attributes:
        values: What each Variable reads as inside.
        written: The Variables assigned inside, in order of their first assignment.
        reads: The Variables read from outside the scope, in order of their first read.
        notes: Python values that belong to this trace only (added losses, say), by key.

    Example:
        >>> v = keras.Variable(1.0)
        >>> with Scope([(v, jnp.array(5.0))]) as scope:
        ...     _ = v.assign_add(1.0)
        >>> float(scope.values[v]), float(v)
        (6.0, 1.0)
    """

    def __init__(self, values: Iterable[tuple[Variable, Any]] = (), sealed: Any = None):
        self.values: dict[Variable, Any] = dict(values)
        self.sealed = sealed
        self.written: dict[Variable, None] = {}
        self.reads: dict[Variable, None] = {}
        self.notes: dict[Any, Any] = {}
        self.outer: Scope | None = None

    def __enter__(self) -> Scope:
        self.outer = innermost.scope
        innermost.scope = self
        return self

    def __exit__(self, *error) -> None:
        innermost.scope = self.outer

    def read(self, variable: Variable) -> Any:
        """The value of a Variable as seen from inside.

        Args:
            variable: The Variable.
        """
        if variable in self.values:
            return self.values[variable]
        if self.sealed is not None:
            raise UncapturedVariable(self.sealed, variable)
        self.reads[variable] = None
        return self.outer.read(variable) if self.outer else variable._value

    def write(self, variable: Variable, value: Any) -> None:
        """Assign inside only.

        Args:
            variable: The Variable.
            value: Its new value, of the right shape and dtype.
        """
        if self.sealed is not None and variable not in self.values:
            raise UncapturedVariable(self.sealed, variable)
        if isinstance(value, jax.core.Tracer):
            value = partitioning.constrain(value, partitioning.spread(variable._value))
        self.values[variable] = value
        self.written[variable] = None


class StatelessScope(Scope):
    """A `Scope` as Keras 3 spells it: values in a list of pairs, new ones asked for by Variable.

    Args:
        state_mapping: Pairs of a Variable and the value to read it as.
        collect_losses, initialize_variables: Kept for Keras' sake; both always happen.

    Example:
        >>> v = keras.Variable(1.0)
        >>> with StatelessScope(state_mapping=[(v, 5.0)]) as scope:
        ...     _ = v.assign_add(1.0)
        >>> float(scope.get_current_value(v)), float(v)
        (6.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Any = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        super().__init__((v, dtypes.to_array(x)) for v, x in state_mapping or ())

    def get_current_value(self, variable: Variable) -> Any:
        """The value of a Variable inside, `None` if it was neither given nor assigned.

        Args:
            variable: The Variable.
        """
        return self.values.get(variable)


def current_scope() -> Scope | None:
    """The innermost scope this thread is in."""
    return innermost.scope


def store(variables: Sequence[Variable], values: Sequence[jax.Array]) -> None:
    """Let Variables hold values that already have the right shape and dtype.

    Args:
        variables: The Variables.
        values: A value for each.
    """
    scope = innermost.scope
    if scope is not None:
        for variable, value in zip(variables, values, strict=True):
            scope.write(variable, value)
        return
    for variable, value in zip(variables, values, strict=True):
        if isinstance(value, jax.core.Tracer):
            raise RuntimeError(
                f"Variable {variable.path!r} was assigned a traced value inside a function that "
                "JAX transforms by itself. Use `keras.jit`, `keras.grad`, `keras.value_and_grad`, "
                "`keras.vmap`, `keras.scan` or `keras.remat`, which carry Variables through."
            )
        variable._value = value
