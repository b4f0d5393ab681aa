"""What a recurrent cell tells the loop over its steps."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Order(NamedTuple):
    """How a loop runs: arguments of `RNN`, and whether the outputs of all steps are wanted."""

    unroll: bool
    all_outputs: bool
    zero_output: bool


class TanhForm(NamedTuple):
    """A gate's function as `outer * tanh(inner * x) + shift`, so that one kernel makes all gates.

    A sigmoid's error is then that of a number near 1, also where it is near 0.

    Attributes:
        inner: Factor of the argument.
        outer: Factor of the hyperbolic tangent.
        shift: What is added to it.
        slope: The function's derivative, from its value.
    """

    inner: float
    outer: float
    shift: float
    slope: Callable


class Steps(NamedTuple):
    """What a cell does in a step. The output is the first of the new states.

    Attributes:
        advance: `advance(rules, weights, x, states, masks) -> new states`, `x` being the projected
            input, split by gates.
        finish: The same for a cell whose step begins with a product of its first state, after it:
            `finish(rules, gates, states)`, the gates having gone through their functions. `None` if
            a step begins with something else.
        functions: The functions of the gates, `None` for a gate that stays as it is.
        tanh_forms: For each of them its `TanhForm`, or `None` where it has none.
        separate: How many gates at the end get the input and the product as two: `finish` gets
            the others, then the inputs and then the products of these.
        rules: What these go by besides arrays.
        gate_axis: The axis of the projected input along which the gates stand.
    """

    advance: Callable
    finish: Callable | None
    functions: tuple
    tanh_forms: tuple
    separate: int
    rules: tuple
    gate_axis: int


def combine_gates(x: list[jax.Array], product: jax.Array, separate: int) -> list[jax.Array]:
    """The projected input and state by gates: sums, but of the last ones each by itself.

    Args:
        x: The projected input, by gates.
        product: The projected state, gates side by side.
        separate: How many gates at the end get both.
    """
    parts, count = jnp.split(product, len(x), axis=-1), len(x) - separate
    return [*map(jnp.add, x[:count], parts[:count]), *x[count:], *parts[count:]]


def apply_functions(functions: Sequence[Callable | None], gates: list) -> list[jax.Array]:
    """Gates that have gone through their functions; those behind them have none.

    Args:
        functions: A function for each of the first gates, or `None`.
        gates: The gates.
    """
    given = zip(functions, gates, strict=False)
    return [y if f is None else f(y) for f, y in given] + gates[len(functions) :]


def recompute_gates(fn: Callable) -> Callable:
    """The function, of which the gradient keeps only the arguments.

    Gates are cheap, their traffic not.

    Args:
        fn: The function.
    """
    return jax.checkpoint(fn, prevent_cse=False)


def keep_masked(kept: jax.Array | None, new: list, states: list) -> list[jax.Array]:
    """The states after a step, in which not all samples may count.

    Args:
        kept: Which samples count, `(batch, 1)`; `None` if all do.
        new: The states after the step.
        states: Those before.
    """
    if kept is None:
        return new
    return [jnp.where(like(kept, a), a, b) for a, b in zip(new, states, strict=True)]


def output_of(order: Order, kept: jax.Array | None, state: jax.Array) -> jax.Array:
    """What steps put out.

    Args:
        order: How the loop runs.
        kept: Which samples count; `None` if all do.
        state: The first of the states.
    """
    if kept is None or not order.zero_output:
        return state
    return jnp.where(like(kept, state), state, 0)


def like(kept: jax.Array, x: jax.Array) -> jax.Array:
    """`(batch, 1)`, or that of all steps, with as many axes as `x`.

    Args:
        kept: What to reshape.
        x: The array with the axes.
    """
    return jnp.reshape(kept, (*kept.shape[:-1], *(1,) * (x.ndim - kept.ndim + 1)))
