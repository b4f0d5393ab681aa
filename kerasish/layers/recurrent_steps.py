"""The steps of the recurrent cells as one loop, with a derivative that XLA's CPU runs well."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from kerasish.ops.products import one_product


class Order(NamedTuple):
    """How a loop runs: arguments of `RNN`, and whether the outputs of all steps are wanted."""

    go_backwards: bool
    unroll: bool
    all_outputs: bool
    zero_output: bool


class Steps(NamedTuple):
    """What a cell does in a step. The output must be the first state.

    Attributes:
        advance: `advance(rules, weights, x, states, masks) -> (output, new states)`, `x` being the
            projected input, split by gates.
        finish: The same after the product of the first state and the first weight, if a step
            begins with that: `finish(rules, other weights, gates, states)`. `None` if it does not.
        apart: How many gates at the end get the input and the product as two: `finish` gets the
            sums of the others, then the inputs and then the products of these.
        rules: What these go by besides arrays.
        gate_axis: The axis of the projected input along which the gates stand.
    """

    advance: Callable
    finish: Callable | None
    apart: int
    rules: tuple
    gate_axis: int


def run_steps(steps: Steps, order: Order, weights, xs, states, keep, masks) -> tuple:
    """All steps over projected inputs: `(last output, all outputs if asked for, last states)`.

    Axes stand time first.

    Args:
        steps: What a step does.
        order: How the loop runs.
        weights: The cell's weights.
        xs: The projected inputs.
        states: The states to start from.
        keep: Which samples count in each step, `(steps, batch, 1)`, if not all do.
        masks: The dropout masks of the state, if any.
    """
    if steps.finish is None or masks is not None or order.unroll:
        states, outputs = _run_any(steps, order, weights, xs, states, keep, masks)
    else:
        states, outputs = _run_products(steps, order, weights, xs, states, keep)
    if order.all_outputs:
        outputs = jnp.flip(outputs, 0) if order.go_backwards else outputs
        return outputs[-1], outputs, states
    last = states[0]
    if keep is not None and order.zero_output:
        last = jnp.where(like(keep[0 if order.go_backwards else -1], last), last, 0)
    return last, None, states


compiled_steps = jax.jit(run_steps, static_argnums=(0, 1))


def _run_any(steps, order, weights, xs, states, keep, masks):
    def body(states, at):
        x, kept = at
        output, new = steps.advance(steps.rules, weights, x, states, masks)
        return _where_kept(order, kept, output, new, states)

    inputs = _by_gates(steps, xs, states), keep
    unroll = True if order.unroll else 1
    return jax.lax.scan(body, states, inputs, reverse=order.go_backwards, unroll=unroll)


def _run_products(steps, order, weights, xs, states, keep):
    """The loop of a cell whose step begins with a product of its state.

    Its derivative takes what it can out of the loop: the kernel's part is one product over all
    steps, and the kernel is turned once. The rest of a step is computed again for it.
    """

    def finish(rest, gates, states, kept):
        output, new = steps.finish(steps.rules, rest, gates, states)
        return _where_kept(order, kept, output, new, states)

    def loop(kernel, rest, xs, states, keep, saving):
        def body(states, at):
            x, kept = at
            gates = meet(x, jnp.matmul(states[0], kernel), steps.apart)
            new, output = finish(rest, gates, states, kept)
            return new, (output, (gates, states) if saving else None)

        inputs = _by_gates(steps, xs, states), keep
        return jax.lax.scan(body, states, inputs, reverse=order.go_backwards)

    @jax.custom_jvp
    def run(kernel, rest, xs, states, keep):
        states, (outputs, _) = loop(kernel, rest, xs, states, keep, False)
        return states, outputs

    @run.defjvp
    def derivative(primals, tangents):
        kernel, rest, xs, states, keep = primals
        dkernel, drest, dxs, dstates, _ = tangents
        last, (outputs, (gates, before)) = loop(kernel, rest, xs, states, keep, True)
        turned, of_kernel = kernel.T, one_product(before[0], dkernel, 1)
        if not steps.apart:
            dxs, of_kernel = dxs + of_kernel, None

        def body(dstates, at):
            (gates, states, kept), (dx, dproduct) = at
            # Transposed, this is a product with the kernel as it was turned outside of the loop.
            of_state = jax.lax.dot_general(dstates[0], turned, (((1,), (1,)), ((), ())))
            of_state = of_state if dproduct is None else dproduct + of_state
            parts = kernel.shape[1] // kernel.shape[0]
            dgates = meet(jnp.split(dx, parts, axis=-1), of_state, steps.apart)
            again = computed_again(functools.partial(finish, kept=kept))
            return jax.jvp(again, (rest, gates, states), (drest, dgates, dstates))[1]

        inputs = (gates, before, keep), (dxs, of_kernel)
        dlast, doutputs = jax.lax.scan(body, dstates, inputs, reverse=order.go_backwards)
        return (last, outputs), (dlast, doutputs)

    kernel, *rest = weights
    return run(kernel, rest, xs, states, keep)


def meet(x: list[jax.Array], product: jax.Array, apart: int) -> list[jax.Array]:
    """The projected input and state by gates: sums, but of the last ones each by itself."""
    parts, count = jnp.split(product, len(x), axis=-1), len(x) - apart
    return [*map(jnp.add, x[:count], parts[:count]), *x[count:], *parts[count:]]


def computed_again(fn: Callable) -> Callable:
    """The function, of which the gradient keeps only the arguments: gates are cheap, their traffic
    not."""
    return jax.checkpoint(fn, prevent_cse=False)


def _by_gates(steps, xs, states):
    """Steps over parts of one slice are several times slower on XLA's CPU backend."""
    axis = steps.gate_axis
    return jnp.split(xs, xs.shape[axis] // states[0].shape[axis], axis=axis)


def _where_kept(order, kept, output, new, states):
    """The states after a step, and its output if all are wanted."""
    if kept is not None:
        kept = like(kept, output)
        new = [jnp.where(kept, a, b) for a, b in zip(new, states, strict=True)]
        output = jnp.where(kept, output, 0) if order.zero_output else new[0]
    return new, output if order.all_outputs else None


def like(kept: jax.Array, x: jax.Array) -> jax.Array:
    """`(batch, 1)` with as many axes as `x`."""
    return jnp.reshape(kept, (x.shape[0], *(1,) * (x.ndim - 1)))
