"""Control flow: branches, loops and scans over functions that may read and write Variables.

JAX's own carry nothing but their arguments. Here the Variables that a function writes are found by
tracing it, travel along, and are assigned when the loop or branch is done.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state import loops, transforms
from kerasish.core.state.functional import capture
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array


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


@symbolic
def cond(pred, true_fn, false_fn):
    """`true_fn()` if `pred` holds, else `false_fn()`; only one of them runs.

    A Python boolean picks at once. For an array both are traced, so they must return arrays of the
    same shapes and types. Either may write Variables.

    Example:
        >>> int(cond(np.float32(2) > 1, lambda: 1, lambda: 0))
        1
    """
    if isinstance(pred, bool | np.bool_):
        return true_fn() if pred else false_fn()
    pred = as_array(pred).astype(bool)
    return _choose([true_fn, false_fn], (), lambda fns, values: jax.lax.cond(pred, *fns, values))


@symbolic
def switch(index, branches, *operands):
    """`branches[index](*operands)`; only one of them runs, and any may write Variables."""
    if isinstance(index, int):
        return branches[min(max(index, 0), len(branches) - 1)](*operands)
    index = as_array(index)
    return _choose(branches, operands, functools.partial(jax.lax.switch, index))


@symbolic
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """`loop_vars = body(*loop_vars)`, again and again while `cond(*loop_vars)` holds.

    Args:
        cond: Function that says whether to go on. It may read Variables, but not write them.
        body: Function that may read and write Variables; returns as many values as it takes.
        loop_vars: First values: one, or a tuple or list.
        maximum_iterations: Turns after which to stop whatever `cond` says.
    """
    many = isinstance(loop_vars, tuple | list)
    start = _arrays(tuple(loop_vars) if many else (loop_vars,))
    if _written_by(cond, *start):
        raise RuntimeError("while_loop: `cond` must not assign Variables; do it in `body`.")
    written = _written_by(body, *start)
    step, limit = _carrying(body, written), maximum_iterations

    def goes_on(state):
        turn, values, current = state
        with Scope(zip(written, values, strict=True)):
            more = as_array(cond(*current)).astype(bool).reshape(())
        return more if limit is None else more & (turn < limit)

    def turn(state):
        count, values, current = state
        result, values = step(values, *current)
        return count + 1, values, tuple(result) if many else (result,)

    _, values, last = jax.lax.while_loop(goes_on, turn, (0, _read(written), start))
    _assign(written, values)
    return last if many else last[0]


@symbolic
def fori_loop(lower, upper, body_fun, init_val):
    """`value = body_fun(i, value)` for `i` from `lower` up to but without `upper`."""
    start = _arrays(init_val)
    written = _written_by(body_fun, as_array(lower), start)
    step = _carrying(body_fun, written)

    def turn(i, state):
        values, current = state
        current, values = step(values, i, current)
        return values, current

    bounds = (n.value if isinstance(n, Variable) else n for n in (lower, upper))
    values, last = jax.lax.fori_loop(*bounds, turn, (_read(written), start))
    _assign(written, values)
    return last


@symbolic
def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """`carry, y = f(carry, x)` for each `x` along the first axis of `xs`.

    Args:
        f: The function; it may read and write Variables.
        init: First carry.
        xs: Arrays to run over, or `None` with `length`.
        length: Number of steps, when `xs` does not say it.
        reverse: Whether to run from the end.
        unroll: Steps laid out in each turn of the compiled loop; `True` for all.

    Returns:
        The last carry, and the `y`s stacked.
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise bad_argument("scan", "unroll", "a positive integer or a boolean", unroll)
    return loops.scan(f, _arrays(init), _arrays(xs), length, reverse, unroll)


@symbolic
def associative_scan(f, elems, reverse=False, axis=0):
    """All partial results of an associative function of two, computed in parallel.

    `f` may read Variables, but not write them: it is called on parts in no fixed order.
    """
    elems = _arrays(elems)
    return jax.lax.associative_scan(f, elems, reverse=reverse, axis=axis)


@symbolic
def map(f, xs):
    """`f(x)` for each `x` along the first axis of `xs`, one after the other, stacked.

    `f` may read and write Variables.
    """
    return loops.scan(lambda carry, x: (carry, f(x)), (), _arrays(xs))[1]


@symbolic
def vectorized_map(function, elements):
    """`function(x)` for each `x` along the first axis of `elements`, all at once, stacked.

    `function` may read Variables, and write what does not depend on `x`.
    """
    return transforms.vmap(function)(_arrays(elements))


@symbolic
def stop_gradient(variable):
    """`variable` as a constant: no gradient flows through."""
    return jax.lax.stop_gradient(as_array(variable))


custom_gradient = transforms.custom_gradient
