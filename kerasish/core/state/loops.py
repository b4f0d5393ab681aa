"""Loops inside compiled functions, over bodies that read and write Variables."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.dict_order import in_order
from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope, UncapturedVariable
from kerasish.core.state.variable import values_of


def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """`jax.lax.scan` over a function that may read and write Variables.

    Args:
        f: Function `(carry, x) -> (carry, y)`.
        init: First carry.
        xs: Arrays to run over, along their first axis, or `None` with `length`.
        length: Number of steps, when `xs` does not say it.
        reverse: Whether to run from the end.
        unroll: Steps laid out in each iteration of the compiled loop.

    Returns:
        `(last carry, stacked ys)`.

    Example:
        >>> total = keras.Variable(0.0)
        >>> _ = scan(lambda carry, x: (carry, total.assign_add(x)), None, np.arange(4.0))
        >>> float(total)
        6.0
    """
    xs = jax.tree.map(jnp.asarray, xs)
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)

    def run(written):
        def step(carry, x):
            (inner, y), values = carrying(f, written)(carry[1], carry[0], x)
            return (inner, values), in_order(y)

        start = (init, [v.read() for v in written])
        (last, values), ys = jax.lax.scan(step, start, xs, length, reverse, unroll)
        return (last, ys), values

    return loop(run, capture(f, init, first).written)


def fori_loop(
    lower: Any, upper: Any, body: Callable, init: Any, variables: list | None = None
) -> Any:
    """`jax.lax.fori_loop` over a function that may read and write Variables.

    Args:
        lower: First index; it may be traced.
        upper: The one after the last; it may be traced.
        body: Function `(index, carry) -> carry`.
        init: First carry.
        variables: The Variables that `body` may write, if known; found by tracing otherwise.

    Example:
        >>> total = keras.Variable(0)
        >>> _ = fori_loop(0, 4, lambda i, carry: total.assign_add(i), 0)
        >>> int(total)
        6
    """
    index = jnp.asarray(lower, "int32")

    def run(written):
        def step(i, carry):
            return carrying(body, written)(carry[1], i, carry[0])

        start = (init, [v.read() for v in written])
        return jax.lax.fori_loop(index, jnp.asarray(upper, "int32"), step, start)

    return loop(run, capture(body, index, init).written if variables is None else variables)


def carrying(fn: Callable, variables: list) -> Callable:
    """`fn(*args)` as `run(values, *args) -> (result, new values)`, in order of `variables`.

    Args:
        fn: The function.
        variables: The Variables that it may write.

    Raises:
        UncapturedVariable: With `variables` as its owner, when `fn` writes a Variable that is not
            among them.
    """

    def run(values, *args):
        with Scope(zip(variables, values, strict=True)) as scope:
            result = values_of(fn(*args))
        listed = set(variables)
        for v in scope.written:
            if v not in listed:
                raise UncapturedVariable(variables, v)
        return result, [scope.values[v] for v in variables]

    return run


def loop(run: Callable, written: list) -> Any:
    """Assign what `run(written) -> (result, new values)` gives, and return the result.

    A function may write a Variable only from its second trace on: then again, with that one too.

    Args:
        run: Function of the Variables that are carried.
        written: Those known to be written.
    """
    written = list(written)
    while True:
        try:
            result, values = run(written)
            break
        except UncapturedVariable as miss:
            if miss.owner is not written:
                raise
            written.append(miss.variable)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return result
