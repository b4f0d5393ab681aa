"""Control flow: branches, loops and scans over functions that may read and write Variables.

JAX's own carry nothing but their arguments. Here the Variables that a function writes are found by
tracing it, travel along, and are assigned when the loop or branch is done.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state import loops, transforms
from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor, any_symbolic
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.core import cast
from kerasish.ops.wrappers import as_array, as_indices

# fmt: off
__all__ = [
    "associative_scan", "cond", "custom_gradient", "fori_loop", "map", "scan", "stop_gradient",
    "switch", "vectorized_map", "while_loop",
]
# fmt: on


def _written_by(fn: Callable, *args: Any) -> list[Variable]:
    return capture(fn, *args).written


def _carrying(fn: Callable, variables: Sequence[Variable]) -> Callable:
    """`fn(*args)` as `run(values, *args) -> (result, new values)`, without effects."""

    def run(values, *args):
        with Scope(zip(variables, values, strict=True)) as scope:
            result = _arrays(fn(*args))
        return result, [scope.values[v] for v in variables]

    return run


def _read(variables):
    return [v.read() for v in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _arrays(tree):
    return jax.tree.map(as_array, tree)


def _choose(fns, operands, pick):
    """Run the one of several functions that `pick(fns, values, *operands)` chooses."""
    operands = _arrays(operands)
    written = list(dict.fromkeys(v for fn in fns for v in _written_by(fn, *operands)))
    result, values = pick([_carrying(fn, written) for fn in fns], _read(written), *operands)
    _assign(written, values)
    return result


def _results(fns, operands=()):
    """What each function returns, if any of it is symbolic; what they write is forgotten."""
    with Scope():
        results = [fn(*operands) for fn in fns]
    return results if any_symbolic(results) else None


# A graph holds it as `ops.where`.
_where = symbolic(lambda holds, x1, x2: jnp.where(holds, as_array(x1), as_array(x2)), "where")


def _select(op, chosen, results):
    """The one of several results, symbolic tensors among them, for which `chosen[i]` holds."""
    structures = {str(jax.tree.structure(each)) for each in results}
    if len(structures) > 1:
        raise bad_argument(op, "branches", "of results of one structure", sorted(structures))
    last = results[-1]
    for holds, result in zip(chosen[::-1], results[-2::-1], strict=True):
        last = jax.tree.map(functools.partial(_where, holds), result, last)
    return last


def cond(pred: TensorLike, true_fn: Callable, false_fn: Callable) -> Any:
    """`true_fn()` if `pred` holds, else `false_fn()`; only one of them runs.

    A Python boolean picks at once. For an array both are traced, so they must return arrays of the
    same shapes and types. Either may write Variables.

    Args:
        pred: Boolean, a number or an array of one.
        true_fn: Function without arguments.
        false_fn: Function without arguments.

    Example:
        >>> int(cond(np.float32(2) > 1, lambda: 1, lambda: 0))
        1
    """
    if isinstance(pred, bool | np.bool_):
        return true_fn() if pred else false_fn()
    results = _results([true_fn, false_fn]) if isinstance(pred, KerasTensor) else None
    if results:
        return _select("cond", [cast(pred, "bool")], results)
    return _cond(pred, true_fn, false_fn)


def _cond(pred, true_fn, false_fn):
    pred = as_array(pred).astype(bool)
    return _choose([true_fn, false_fn], (), lambda fns, values: jax.lax.cond(pred, *fns, values))


_cond = symbolic(_cond, "cond")


def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """`branches[index](*operands)`; only one of them runs, and any may write Variables.

    Args:
        index: Integer; one out of range picks the nearest branch.
        branches: Functions of `operands`.
        *operands: Arrays, in any pytree.

    Example:
        >>> keras.ops.switch(1, [lambda x: x + 1, lambda x: x * 10], 5)
        50
    """
    if isinstance(index, int):
        return branches[min(max(index, 0), len(branches) - 1)](*operands)
    closed = isinstance(index, KerasTensor) and not any_symbolic(operands)
    results = _results(branches, operands) if closed else None
    if results:
        index = cast(index, "int32")
        return _select("switch", [index <= i for i in range(len(branches) - 1)], results)
    return _switch(index, branches, *operands)


def _switch(index, branches, *operands):
    index = as_indices("switch", "index", index)
    return _choose(branches, operands, functools.partial(jax.lax.switch, index))


_switch = symbolic(_switch, "switch")


@symbolic
def while_loop(
    cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """`loop_vars = body(*loop_vars)`, again and again while `cond(*loop_vars)` holds.

    Args:
        cond: Function that says whether to go on. It may read Variables, but not write them.
        body: Function that may read and write Variables; returns as many values as it takes.
        loop_vars: First values: one, or a tuple or list.
        maximum_iterations: Iterations after which to stop whatever `cond` says. With a number as
            bound the loop has gradients, for which the values of all iterations are kept; a bound
            that a compiled function computes gives none.

    Example:
        >>> print(keras.ops.while_loop(lambda i: i < 10, lambda i: i * 2, 1))
        16
    """
    many = isinstance(loop_vars, tuple | list)
    start = _arrays(tuple(loop_vars) if many else (loop_vars,))
    if _written_by(cond, *start):
        raise RuntimeError("while_loop: `cond` must not assign Variables; do it in `body`.")
    written = _written_by(body, *start)
    step = _carrying(body, written)

    def proceeds(state):
        values, current = state
        with Scope(zip(written, values, strict=True)):
            return as_array(cond(*current)).astype(bool).reshape(())

    def advance(state):
        values, current = state
        result, values = step(values, *current)
        return values, tuple(result) if many else (result,)

    state = _read(written), start
    limit = maximum_iterations
    limit = limit.value if isinstance(limit, Variable) else limit
    if limit is None:
        values, last = jax.lax.while_loop(proceeds, advance, state)
    elif isinstance(limit, jax.core.Tracer):
        values, last = _counted_loop(proceeds, advance, state, limit)
    else:
        values, last = _bounded_loop(proceeds, advance, state, int(limit))
    _assign(written, values)
    return last if many else last[0]


def _counted_loop(proceeds, advance, state, limit):
    """A `while` of at most `limit` iterations, which may be known when it runs only."""
    limit = jnp.asarray(limit).reshape(())
    _, last = jax.lax.while_loop(
        lambda carry: (carry[0] < limit) & proceeds(carry[1]),
        lambda carry: (carry[0] + 1, advance(carry[1])),
        (jnp.zeros((), limit.dtype), state),
    )
    return last


_BRANCHING = 16


def _bounded_loop(proceeds, advance, state, limit):
    """A `while` of at most `limit` iterations that can be differentiated in reverse.

    A tree of scans, 16 to a level: when the loop is done, all that is left of each level is
    skipped at once, so that a large limit costs little where few iterations are needed.
    """
    if limit <= 0:
        return state

    def upto(number):
        """A function of `(state, iterations left)` that does at most `number` iterations."""
        if number == 1:
            inner = lambda state, left: (advance(state), left - 1)  # noqa: E731
        else:
            part = upto(number // _BRANCHING)

            def inner(state, left):
                return jax.lax.scan(
                    lambda c, _: (part(*c), None), (state, left), length=_BRANCHING
                )[0]

        def guarded(state, left):
            more = (left > 0) & proceeds(state)
            return jax.lax.cond(more, inner, lambda *unchanged: unchanged, state, left)

        return guarded

    number = 1
    while number < limit:
        number *= _BRANCHING
    return upto(number)(state, np.int32(limit))[0]


@symbolic
def fori_loop(lower: TensorLike, upper: TensorLike, body_fun: Callable, init_val: Any) -> Any:
    """`value = body_fun(i, value)` for `i` from `lower` up to but without `upper`.

    Args:
        lower: First index.
        upper: The index after the last.
        body_fun: Function of the index and the value; it may read and write Variables.
        init_val: Initial value, an array or a pytree of them.

    Example:
        >>> print(keras.ops.fori_loop(1, 4, lambda i, total: total + i, 0))
        6
    """
    start = _arrays(init_val)
    written = _written_by(body_fun, as_array(lower), start)
    step = _carrying(body_fun, written)

    def iterate(i, state):
        values, current = state
        current, values = step(values, i, current)
        return values, current

    bounds = (n.value if isinstance(n, Variable) else n for n in (lower, upper))
    values, last = jax.lax.fori_loop(*bounds, iterate, (_read(written), start))
    _assign(written, values)
    return last


@symbolic
def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` for each `x` along the first axis of `xs`.

    Args:
        f: The function; it may read and write Variables.
        init: First carry.
        xs: Arrays to run over, or `None` with `length`.
        length: Number of steps, when `xs` does not say it.
        reverse: Whether to run from the end.
        unroll: Steps laid out in each iteration of the compiled loop; `True` for all.

    Returns:
        The last carry, and the `y`s stacked.

    Example:
        >>> print(keras.ops.scan(lambda total, x: (total + x, total), 0, np.arange(4)))
        (Array(6, dtype=int32), Array([0, 0, 1, 3], dtype=int32, weak_type=True))
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise bad_argument("scan", "unroll", "a positive integer or a boolean", unroll)
    return loops.scan(f, _arrays(init), _arrays(xs), length, reverse, unroll)


@symbolic
def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function of two, computed in parallel.

    `f` may read Variables, but not write them: it is called on parts in no fixed order.

    Args:
        f: Associative function of two slices; it must not write Variables.
        elems: Arrays, in any pytree.
        reverse: Whether to run from the end.
        axis: Axis to run along.

    Shapes:
        `(n, ...)` -> the same.

    Example:
        >>> print(keras.ops.associative_scan(lambda a, b: a + b, np.arange(4)))
        [0 1 3 6]
    """
    elems = _arrays(elems)
    return jax.lax.associative_scan(f, elems, reverse=reverse, axis=axis)


@symbolic
def map(f: Callable, xs: Any) -> Any:
    """`f(x)` for each `x` along the first axis of `xs`, one after the other, stacked.

    `f` may read and write Variables.

    Args:
        f: Function of one slice; it may read and write Variables.
        xs: Arrays, in any pytree.

    Shapes:
        `(n, ...)` -> `(n, *result)`.

    Example:
        >>> print(keras.ops.map(lambda row: row.sum(), np.ones((2, 3))))
        [3. 3.]
    """
    return loops.scan(lambda carry, x: (carry, f(x)), (), _arrays(xs))[1]


@symbolic
def vectorized_map(function: Callable, elements: Any) -> Any:
    """`function(x)` for each `x` along the first axis of `elements`, all at once, stacked.

    `function` may read Variables, and write what does not depend on `x`.

    Args:
        function: Function of one slice.
        elements: Arrays, in any pytree.

    Shapes:
        `(n, ...)` -> `(n, *result)`.

    Example:
        >>> print(keras.ops.vectorized_map(lambda row: row.sum(), np.ones((2, 3))))
        [3. 3.]
    """
    return transforms.vmap(function)(_arrays(elements))


@symbolic
def stop_gradient(variable: TensorLike) -> Any:
    """`variable` as a constant: no gradient flows through.

    Args:
        variable: Array or Variable.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.stop_gradient([1.0, 2.0]))
        [1. 2.]
    """
    return jax.lax.stop_gradient(as_array(variable))


custom_gradient = transforms.custom_gradient
