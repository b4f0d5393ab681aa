"""Functions over Variables as pure ones: `capture` finds what they touch, `pure` passes it."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import Variable, values_of


class Captured(NamedTuple):
    """What `capture` saw.

    Attributes:
        reads: Variables that the function only read.
        written: Those it wrote.
        result: Shapes of its result.
        jaxpr: The traced program.
        notes: The notes of its scope.
    """

    reads: list
    written: list
    result: Any
    jaxpr: Any
    notes: dict


def capture(fn: Callable, *args: Any, **kwargs: Any) -> Captured:
    """Run `fn` abstractly, to see which Variables it reads and writes and what it returns.

    Nothing is computed and no Variable changes, but Variables that `fn` builds lazily exist
    afterwards. Arguments must be arrays or shapes; close over anything else.

    Args:
        fn: The function.
        *args: Its arguments; arrays or symbolic tensors.
        **kwargs: Its arguments by name.

    Example:
        >>> v = keras.Variable(2.0, name="v")
        >>> seen = capture(lambda x: v * x, jnp.ones(3))
        >>> [r.name for r in seen.reads], seen.result.shape
        (['v'], (3,))
    """
    scope = Scope()

    def fresh(*args, **kwargs):  # JAX remembers traces by function, so each needs its own
        with scope:
            return fn(*args, **kwargs)

    jaxpr, result = jax.make_jaxpr(fresh, return_shape=True)(*args, **kwargs)
    reads = [v for v in scope.reads if v not in scope.written]
    return Captured(reads, list(scope.written), result, jaxpr, scope.notes)


def pure(fn: Callable, variables: Sequence[Variable]) -> Callable:
    """Make `fn` pure: `run(values, *args) -> (result, new_values)`, values in order of `variables`.

    A Variable not listed is read as it is now; writing to one is an error.

    Args:
        fn: The function.
        variables: The Variables whose values it takes and returns.

    Example:
        >>> v = keras.Variable(2.0)
        >>> run = pure(lambda x: v.assign_add(x), [v])
        >>> result, (new,) = run([jnp.array(5.0)], 1.0)
        >>> float(new), float(v)
        (6.0, 2.0)
    """
    variables = list(variables)

    def run(values, *args, **kwargs):
        with Scope(zip(variables, values_of(list(values)), strict=True)) as scope:
            result = values_of(fn(*args, **kwargs))
        strays = [v.path for v in scope.written if v not in variables_set]
        if strays:
            raise RuntimeError(f"`pure`: the function wrote {strays}, which `variables` must list.")
        return result, [scope.values[v] for v in variables]

    variables_set = set(variables)
    return run
