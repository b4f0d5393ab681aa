"""The steps of recurrent cells as one loop, with a derivative that XLA's CPU backend runs well."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from kerasish.core.lowering import platform_dependent
from kerasish.core.shard_map import match_varying_axes
from kerasish.kernels.dense import dense_product
from kerasish.kernels.linear_call import differentiated_as, linear_call
from kerasish.kernels.noinline import add_bias, materialize
from kerasish.kernels.recurrent_step import (
    Order,
    Steps,
    apply_functions,
    keep_masked,
    output_of,
)


def run_steps(
    steps: Steps,
    order: Order,
    weights: tuple,
    bias: jax.Array | None,
    inputs: jax.Array,
    states: list[jax.Array],
    keep: jax.Array | None,
    masks: Any,
) -> tuple:
    """All steps: `(last output, all outputs if asked for, last states)`.

    The first axis of arrays is time.

    Args:
        steps: What a step does.
        order: How the loop runs.
        weights: The kernel that projects the inputs, or `None` if they are projected; the recurrent
            kernel; and a bias of the products of separate gates or `None`.
        bias: What is to be added to the projected inputs, or `None`. Adding it in the loop costs
            nothing there.
        inputs: The inputs, or projected ones.
        states: The states to start from.
        keep: Which samples count in each step, `(steps, batch, 1)`, if not all do.
        masks: The dropout masks of the state, if any.
    """
    arrays = match_varying_axes((weights, bias, inputs, states, keep, masks))
    weights, bias, inputs, states, keep, masks = arrays
    if steps.finish is None or masks is not None or order.unroll:
        xs = _projected(weights, inputs)
        xs = xs if bias is None else add_bias(xs, bias)
        states, outputs = _run_any(steps, order, weights[1:], xs, states, keep, masks)
    else:
        dtype = jnp.result_type(inputs, states[0], *jax.tree.leaves((weights, bias)))
        inputs = inputs.astype(dtype)
        states, outputs = _run_products(steps, order, weights, bias, inputs, states, keep)
    if order.all_outputs:
        return outputs[-1], outputs, states
    return states[0] if keep is None else output_of(order, keep[-1], states[0]), None, states


compiled_steps = jax.jit(run_steps, static_argnums=(0, 1))


def _projected(weights, inputs):
    kernel, *_ = weights
    return inputs if kernel is None else dense_product(inputs, kernel, axes=1)


def _run_any(steps, order, weights, xs, states, keep, masks) -> Any:
    def body(states, at):
        x, kept = at
        new = keep_masked(kept, steps.advance(steps.rules, weights, x, states, masks), states)
        return new, output_of(order, kept, new[0]) if order.all_outputs else None

    axis = steps.gate_axis
    # Steps over parts of one slice would be several times slower on XLA's CPU backend.
    xs = jnp.split(xs, xs.shape[axis] // states[0].shape[axis], axis=axis)
    return lax.scan(body, states, (xs, keep), unroll=True if order.unroll else 1)


# -- the loop of a cell whose step begins with a product of its state

# The derivative takes what it can out of the loop: the kernel's part is one product over all steps,
# and the kernel is transposed once. It keeps a step's states and gates, whose slopes follow from
# themselves where their functions are the usual ones. The loops write where they have read for
# the last time: gates over projected inputs, gradients over gates. Memory that is in no cache costs
# a CPU as much as the arithmetic.


class _Saved(NamedTuple):
    """What the derivative needs of a loop, steps first.

    Attributes:
        gates: The gates after their usual functions; of separate ones, the projected input.
        products: Of separate gates the product of the state. `None` if there are none.
        states: The states before each step and after the last.
    """

    gates: jax.Array
    products: jax.Array | None
    states: list[jax.Array]


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _run_products(steps, order, weights, bias, inputs, states, keep) -> Any:
    xs, (_, recurrent, product_bias) = _projected(weights, inputs), weights

    def body(states, at):
        x, kept = at
        sums, products = _combine(steps, x, states[0] @ recurrent, bias, product_bias)
        gates = _split(steps, _materialized(apply_tanh_forms(steps, sums)))
        new = _finish(steps, kept, gates, products, states)
        return new, output_of(order, kept, new[0]) if order.all_outputs else None

    return lax.scan(body, states, (xs, keep))


@_run_products.defjvp
def _(steps, order, primals, tangents):
    (_, recurrent, _), _, _, _, keep = primals
    dstates = tangents[3]
    save = differentiated_as(
        functools.partial(_save, steps), functools.partial(_save_in_place, steps)
    )
    saved = save(*primals)
    into_gates = _into_gates(steps, saved.states[0][:-1], primals, tangents)
    fixed, given = (recurrent, saved, keep), (*into_gates, dstates)
    forward = functools.partial(_loop_jvp, steps, order.all_outputs)
    back = differentiated_as(
        functools.partial(_plain_transpose, forward, jax.tree.map(jax.typeof, given)),
        functools.partial(_loop_transpose, steps),
    )
    dlast, dfirst = linear_call(forward, back, fixed, given)
    last = [stack[-1] for stack in saved.states]
    if not order.all_outputs:
        return (last, None), (dlast, None)
    outputs, doutputs = (output_of(order, keep, y) for y in (saved.states[0][1:], dfirst))
    return (last, outputs), (dlast, doutputs)


def _into_gates(steps, before, primals, tangents):
    """Tangents of the gates from all but the states' own: of sums, and of separate products."""
    (kernel, *_), _, inputs, *_ = primals
    (dkernel, drecurrent, dproduct_bias), dbias, dinputs, *_ = tangents
    # One product for both kernels is faster than two, but it takes a copy of the inputs.
    if kernel is None or steps.separate or inputs.shape[-1] > 2 * before.shape[-1]:
        of_inputs = jax.jvp(_projected, ((kernel,), inputs), ((dkernel,), dinputs))[1]
        of_states = _product_tangent(before, drecurrent)
        return _combine(steps, of_inputs, of_states, dbias, dproduct_bias)
    both = jnp.concatenate([inputs, before], -1), jnp.concatenate([dkernel, drecurrent])
    return _combine(steps, dense_product(dinputs, kernel, 1), _product_tangent(*both), dbias, None)


def _product_tangent(x, dkernel):
    return jax.jvp(functools.partial(dense_product, x, axes=1), (dkernel,), (dkernel,))[1]


def _save(steps, weights, bias, inputs, states, keep):
    """What is saved of a loop, so that it can be differentiated again."""
    xs, (_, recurrent, product_bias) = _projected(weights, inputs), weights

    def body(states, at):
        x, kept = at
        sums, products = _combine(steps, x, states[0] @ recurrent, bias, product_bias)
        gates = apply_tanh_forms(steps, sums)
        new = _finish(steps, kept, _split(steps, gates), products, states)
        return new, (gates, products, states)

    last, (gates, products, before) = lax.scan(body, states, (xs, keep))
    stacks = [jnp.concatenate([b, a[None]]) for b, a in zip(before, last, strict=True)]
    return _Saved(gates, products, stacks)


def _save_in_place(steps, weights, bias, inputs, states, keep):
    """The same, fast."""
    xs, (_, recurrent, product_bias) = _projected(weights, inputs), weights

    def body(i, loop):
        states, (gates, products, stacks) = loop
        sums, more = _combine(steps, _at(i, gates), states[0] @ recurrent, bias, product_bias)
        new = _materialized(apply_tanh_forms(steps, sums))
        states = _finish(steps, _at(i, keep), _split(steps, new), more, states)
        stacks = [_put(i + 1, stack, x) for stack, x in zip(stacks, states, strict=True)]
        return states, _Saved(_put(i, gates, new), _put(i, products, more), stacks)

    separate = xs.shape[-1] // len(steps.functions) * steps.separate
    products = jnp.zeros_like(xs[..., :separate]) if separate else None
    stacks = [_put(0, jnp.zeros((len(xs) + 1, *x.shape), x.dtype), x) for x in states]
    return lax.fori_loop(0, len(xs), body, (states, _Saved(xs, products, stacks)))[1]


def _loop_jvp(steps, all_outputs, fixed, given):
    """Tangents of the last states, and of the first one after each step if asked for."""
    (recurrent, saved, keep), (dxs, dproducts, dstates) = fixed, given

    def body(dstates, at):
        (gates, products, states, kept), (dx, more) = at
        gates = _split(steps, gates)
        dsums, dproducts = _combine(steps, dx, dstates[0] @ recurrent, None, more)
        dgates = _times_slopes(steps, gates, _split(steps, dsums))
        finish = functools.partial(_finish, steps, kept)
        dstates = jax.jvp(finish, (gates, products, states), (dgates, dproducts, dstates))[1]
        return dstates, dstates[0] if all_outputs else None

    before = [stack[:-1] for stack in saved.states]
    inputs = (saved.gates, saved.products, before, keep), (dxs, dproducts)
    return lax.scan(body, dstates, inputs)


def _plain_transpose(forward, given, fixed, gradients):
    """The transpose of `_loop_jvp`, so that it can be differentiated again."""
    return jax.linear_transpose(functools.partial(forward, fixed), given)(gradients)[0]


def _loop_transpose(steps, fixed, gradients):
    """The same, fast."""
    (recurrent, saved, keep), (dstates, dfirst) = fixed, gradients
    transposed, count = recurrent.T, len(saved.gates)

    def body(j, loop):
        i = count - 1 - j
        dsums, dproducts, dstates = loop
        if dfirst is not None:
            dstates = [dstates[0] + _at(i, dfirst), *dstates[1:]]
        gates, products = jax.tree.map(_materialized, (_at(i, dsums), _at(i, dproducts)))
        gates, states = _split(steps, gates), [_at(i, stack) for stack in saved.states]
        finish = functools.partial(_finish, steps, _at(i, keep))
        back = jax.vjp(finish, gates, products, states)[1]
        of_gates, of_products, dstates = back(dstates)
        of_sums = _times_slopes(steps, gates, of_gates)
        combined = of_sums[: len(of_sums) - steps.separate]
        of_product = jnp.concatenate(
            combined if of_products is None else [*combined, of_products], -1
        )
        dstates = [dstates[0] + of_product @ transposed, *dstates[1:]]
        of_sums = jnp.concatenate(of_sums, -1) if steps.separate else of_product
        return _put(i, dsums, of_sums), _put(i, dproducts, of_products), dstates

    return lax.fori_loop(0, count, body, (saved.gates, saved.products, dstates))


def _materialized(x):
    """The array, materialized on a CPU: else what it is made of is copied to be read once more."""
    return platform_dependent(x, cpu=materialize, default=lambda x: x)


def _split(steps, gates):
    return jnp.split(gates, len(steps.functions), -1)


def _combine(steps, x, product, bias, product_bias):
    """Projected inputs and products of states: the sums; separate gates get two."""
    x = x if bias is None else x + bias
    if not steps.separate:
        return x + product, None
    split = product.shape[-1] * (len(steps.functions) - steps.separate) // len(steps.functions)
    combined, products = x[..., :split] + product[..., :split], product[..., split:]
    products = products if product_bias is None else products + product_bias
    return jnp.concatenate([combined, x[..., split:]], -1), products


def apply_tanh_forms(steps: Steps, sums: jax.Array) -> jax.Array:
    """The gates side by side, but for functions whose slopes do not follow from the gates.

    Args:
        steps: What a step does.
        sums: The gates before their functions, side by side.
    """
    forms = steps.tanh_forms
    if not any(forms):
        return sums
    units, wide = sums.shape[-1] // len(forms), jnp.promote_types(sums.dtype, jnp.float32)
    rules = np.array([form[:3] if form else (1, 1, 0) for form in forms], wide)
    inner, outer, shift = np.repeat(rules, units, axis=0).T
    gates = jnp.tanh(sums.astype(wide) * inner) * outer + shift
    if not all(forms):
        gates = jnp.where(np.repeat(list(map(bool, forms)), units), gates, sums)
    return gates.astype(sums.dtype)


def _times_slopes(steps, gates, tangents):
    parts = zip(steps.tanh_forms, gates, tangents, strict=True)
    return [dy * form.slope(y) if form else dy for form, y, dy in parts]


def _finish(steps, kept, gates, products, states):
    """The states after a step, from the gates after their usual functions."""
    both = zip(steps.functions, steps.tanh_forms, strict=True)
    others = [None if form else f for f, form in both]
    gates = apply_functions(others, gates)
    gates += [] if products is None else jnp.split(products, steps.separate, -1)
    return keep_masked(kept, steps.finish(steps.rules, gates, states), states)


def _at(i, stack) -> Any:
    return None if stack is None else lax.dynamic_index_in_dim(stack, i, 0, keepdims=False)


def _put(i, stack, x) -> Any:
    return None if stack is None else lax.dynamic_update_index_in_dim(stack, x, i, 0)
