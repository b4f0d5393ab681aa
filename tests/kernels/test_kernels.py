"""Every kernel against the plain formula: value, gradient, second gradient, mapped, in a loop.

A kernel joins with a line in `CASES`.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from kerasish.core.lowering import assume_local_devices
from kerasish.kernels.attention import attention
from kerasish.kernels.convolution import convolve
from kerasish.kernels.dense import dense_product, matmul
from kerasish.kernels.linear_call import differentiated_as, linear_call
from kerasish.kernels.noinline import (
    add_bias,
    materialize,
    materialize_all,
    materialize_cotangent,
    materialize_transpose,
    materialized_sum,
    noinline,
    scale_by,
)
from kerasish.kernels.normalization import batch_normalize, moments, standardize
from kerasish.kernels.pooling import window_max, window_sum
from kerasish.kernels.random_bits import bernoulli
from kerasish.kernels.recurrent import run_steps
from kerasish.kernels.recurrent_step import Order, Steps, TanhForm
from kerasish.kernels.transposed_convolution import convolve_transposed


class Case(NamedTuple):
    """A kernel, the same by the plain formula, and the shapes of their arguments."""

    kernel: Callable
    plain: Callable
    shapes: tuple[tuple[int, ...], ...]


# -- plain formulas that take more than a line


def plain_convolution(x, kernel, strides, padding, groups):
    last = x.ndim - 1
    images, filters = (0, last, *range(1, last)), (last, last - 1, *range(last - 1))
    numbers = lax.ConvDimensionNumbers(images, filters, images)
    options = {"feature_group_count": groups, "dimension_numbers": numbers}
    return lax.conv_general_dilated(x, kernel, strides, padding, **options)


def plain_transposed_convolution(x, kernel):
    """Each input times the kernel, added to the outputs that it reaches."""
    rows, columns = x.shape[1] * 2, x.shape[2] * 2
    y = jnp.zeros((x.shape[0], rows, columns, kernel.shape[2]))
    for i, j in np.ndindex(*kernel.shape[:2]):
        y = y.at[:, i::2, j::2].add(x @ kernel[i, j].T)
    return y


def plain_window(reduce, x, width, stride):
    starts = range(0, x.shape[1] - width + 1, stride)
    return jnp.stack([reduce(x[:, i : i + width], 1) for i in starts], 1)


def plain_batch_normalization(x, gamma, beta):
    mean, variance = x.mean((0, 1)), x.var((0, 1))
    return gamma * (x - mean) / jnp.sqrt(variance + 1e-3) + beta, mean, variance


def plain_attention(query, key, value):
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    logits = jnp.where(np.tri(query.shape[1], key.shape[1], dtype=bool), logits, -1e9)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits), value)


SIGMOID = TanhForm(0.5, 0.5, 0.5, lambda y: y * (1 - y))
TANH = TanhForm(1.0, 1.0, 0.0, lambda y: 1 - y * y)


def finish_simple(rules, gates, states):
    return [gates[0]]


def finish_gated(rules, gates, states):
    keep, candidate = gates
    return [keep * states[0] + (1 - keep) * candidate]


def finish_separate(rules, gates, states):
    keep, of_input, of_state = gates
    return [keep * states[0] + (1 - keep) * jnp.tanh(of_input + keep * of_state)]


CELLS = {
    "simple": Steps(None, finish_simple, (jnp.tanh,), (TANH,), 0, (), -1),
    "relu": Steps(None, finish_simple, (jax.nn.relu,), (None,), 0, (), -1),
    "gated": Steps(None, finish_gated, (jax.nn.sigmoid, jnp.tanh), (SIGMOID, TANH), 0, (), -1),
    "separate": Steps(None, finish_separate, (jax.nn.sigmoid, None), (SIGMOID, None), 1, (), -1),
}
SEEN = np.array([[1, 1], [0, 1], [1, 0], [1, 1]], bool)[..., None]


def recurrent(steps, keep, x, kernel, recurrent_kernel, bias, state):
    order = Order(unroll=False, all_outputs=True, zero_output=False)
    weights = kernel, recurrent_kernel, None
    return run_steps(steps, order, weights, bias, x, [state], keep, None)[1]


def plain_recurrent(steps, keep, x, kernel, recurrent_kernel, bias, state):
    outputs, count = [], len(steps.functions)
    for i, step in enumerate(x):
        of_input, of_state = step @ kernel + bias, state @ recurrent_kernel
        pairs = zip(*(jnp.split(y, count, -1) for y in (of_input, of_state)), strict=True)
        gates = []
        for function, (a, b) in zip(steps.functions, pairs, strict=True):
            gates += [a, b] if function is None else [function(a + b)]
        new = steps.finish((), gates, [state])[0]
        state = new if keep is None else jnp.where(keep[i], new, state)
        outputs.append(state)
    return jnp.stack(outputs)


def of_cell(name, keep=None):
    steps = CELLS[name]
    width = 3 * len(steps.functions)
    shapes = ((4, 2, 5), (5, width), (3, width), (width,), (2, 3))
    ours, plain = (functools.partial(f, steps, keep) for f in (recurrent, plain_recurrent))
    return Case(ours, plain, shapes)


def running_sum(x):
    def back(_, cotangent):
        return jnp.cumsum(cotangent[::-1], 0)[::-1]

    return linear_call(lambda _, x: jnp.cumsum(x, 0), back, (), x)


def convolution(strides, padding, groups=1):
    def ours(x, kernel):
        dilation = (1,) * (x.ndim - 2)
        return convolve(x, kernel, strides, padding, dilation, groups, -1)

    return ours, lambda x, kernel: plain_convolution(x, kernel, strides, padding, groups)


def transposed_convolution(x, kernel):
    return convolve_transposed(x, kernel, (2, 2), ((1, 1), (1, 1)), (1, 1), -1)


NO_PADDING = ((0, 0),) * 3

CASES = {
    "matmul": Case(matmul, jnp.matmul, ((6, 8), (8, 5))),
    "matmul, gradient transposed": Case(matmul, jnp.matmul, ((70, 64), (64, 3))),
    "matmul, inputs transposed": Case(matmul, jnp.matmul, ((600, 40), (40, 20))),
    "matmul, one column": Case(matmul, jnp.matmul, ((9, 40), (40, 1))),
    "dense product over two axes": Case(
        lambda x, kernel: dense_product(x, kernel, 2),
        lambda x, kernel: jnp.tensordot(x, kernel, 2),
        ((4, 3, 2), (3, 2, 5)),
    ),
    "noinline": Case(noinline(jnp.sin), jnp.sin, ((4, 3),)),
    "materialize": Case(materialize, lambda x: x, ((4, 3),)),
    "materialize_transpose": Case(materialize_transpose, jnp.transpose, ((4, 3),)),
    "materialize_all": Case(materialize_all, lambda x, y: (x, y), ((4, 3), (2,))),
    "materialize_cotangent": Case(materialize_cotangent, lambda x: x, ((4, 3),)),
    "materialized_sum": Case(
        lambda x: materialized_sum(x, (0, 1)), lambda x: x.sum((0, 1)), ((4, 3, 2),)
    ),
    "add_bias": Case(add_bias, jnp.add, ((4, 3, 2), (2,))),
    "add_bias, broadcast within": Case(add_bias, jnp.add, ((4, 3, 2), (3, 1))),
    "scale_by": Case(scale_by, jnp.multiply, ((4, 3, 2), (2,))),
    "linear_call": Case(running_sum, lambda x: jnp.cumsum(x, 0), ((4, 3),)),
    "differentiated_as": Case(
        differentiated_as(jnp.sin, lambda x: jnp.cos(x - jnp.pi / 2)), jnp.sin, ((4, 3),)
    ),
    "window_max": Case(
        lambda x: window_max(x, (1, 2, 1), (1, 2, 1), NO_PADDING),
        lambda x: plain_window(jnp.max, x, 2, 2),
        ((2, 6, 3),),
    ),
    "window_max, windows overlap": Case(
        lambda x: window_max(x, (1, 3, 1), (1, 2, 1), NO_PADDING),
        lambda x: plain_window(jnp.max, x, 3, 2),
        ((2, 7, 3),),
    ),
    "window_sum": Case(
        lambda x: window_sum(x, (1, 3, 1), (1, 3, 1), NO_PADDING),
        lambda x: plain_window(jnp.sum, x, 3, 3),
        ((2, 6, 3),),
    ),
    "moments": Case(
        lambda x: moments(-1, x), lambda x: (x.mean((0, 1)), x.var((0, 1))), ((4, 5, 3),)
    ),
    "batch_normalize": Case(
        functools.partial(batch_normalize, -1, 1e-3),
        plain_batch_normalization,
        ((4, 5, 3), (3,), (3,)),
    ),
    "standardize": Case(
        functools.partial(standardize, (1, 2), 1e-3),
        lambda x: (
            (x - x.mean((1, 2), keepdims=True)) / jnp.sqrt(x.var((1, 2), keepdims=True) + 1e-3)
        ),
        ((4, 5, 3),),
    ),
    "attention": Case(
        lambda q, k, v: attention(q, k, v, None, None, True, jax.nn.dot_product_attention),
        plain_attention,
        ((2, 4, 3, 5), (2, 4, 3, 5), (2, 4, 3, 5)),
    ),
    "convolution": Case(*convolution((1, 1), "SAME"), ((2, 6, 5, 3), (3, 3, 3, 4))),
    "convolution, strided": Case(*convolution((2, 2), "VALID"), ((2, 7, 7, 3), (3, 2, 3, 4))),
    "convolution, one wide": Case(*convolution((1, 1), "VALID"), ((2, 3, 4, 3), (1, 1, 3, 4))),
    "convolution, one axis": Case(*convolution((1,), "SAME"), ((2, 9, 3), (3, 3, 4))),
    "convolution, depthwise": Case(*convolution((1, 1), "SAME", 3), ((2, 5, 4, 3), (3, 3, 1, 3))),
    "transposed convolution": Case(
        transposed_convolution, plain_transposed_convolution, ((2, 3, 4, 2), (2, 2, 5, 2))
    ),
    "recurrent, simple": of_cell("simple"),
    "recurrent, relu": of_cell("relu"),
    "recurrent, gated": of_cell("gated"),
    "recurrent, gated and masked": of_cell("gated", SEEN),
    "recurrent, separate product": of_cell("separate"),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture
def arguments(case):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), "float32") for shape in case.shapes]


def loss_of(fn):
    """A scalar that depends on all of what the function returns, and not linearly."""

    def loss(*arguments):
        return sum(jnp.sum(jnp.sin(y + 0.5)) for y in jax.tree.leaves(fn(*arguments)))

    return loss


def both(case, look, *arguments):
    """What `look(fn)` finds with the kernel, compiled for this machine, and with the formula."""
    with assume_local_devices():
        found = jax.jit(look(case.kernel))(*arguments)
    wanted = jax.jit(look(case.plain))(*arguments)
    return found, wanted


def assert_close(found, wanted):
    found, wanted = jax.tree.leaves(found), jax.tree.leaves(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4 * max(1.0, float(jnp.abs(b).max())))


def gradients(fn, count):
    return jax.grad(loss_of(fn), tuple(range(count)))


def test_value(case, arguments):
    assert_close(*both(case, lambda fn: lambda *a: fn(*a), *arguments))


def test_gradient(case, arguments):
    assert_close(*both(case, lambda fn: gradients(fn, len(arguments)), *arguments))


def test_second_gradient(case, arguments):
    """The gradients of the gradients' products with a vector."""

    def look(fn):
        def product(*arguments):
            first = gradients(fn, len(arguments))(*arguments)
            return sum(jnp.sum(g * jnp.cos(jnp.arange(g.size)).reshape(g.shape)) for g in first)

        return jax.grad(product, tuple(range(len(arguments))))

    assert_close(*both(case, look, *arguments))


def test_mapped(case, arguments):
    """Its gradients for several first arguments, the others being shared."""
    first, *rest = arguments
    first = jnp.stack([first, first * 0.5 + 0.1, -first])

    def look(fn):
        return jax.vmap(gradients(fn, len(arguments)), (0, *[None] * len(rest)))

    assert_close(*both(case, look, first, *rest))


def test_in_a_loop(case, arguments):
    """Three steps along its gradients, as one compiled loop."""

    def look(fn):
        def step(arguments, _):
            changes = gradients(fn, len(arguments))(*arguments)
            return [a - 0.01 * c for a, c in zip(arguments, changes, strict=True)], None

        return lambda *arguments: lax.scan(step, list(arguments), None, length=3)[0]

    assert_close(*both(case, look, *arguments))


def test_random_bits_mapped_and_in_a_loop():
    keys = jax.random.split(jax.random.PRNGKey(1), 4)

    def look(draw):
        def looped(keys):
            return lax.scan(lambda _, key: (None, draw(key, 0.3, (7,))), None, keys)[1]

        return lambda keys: (looped(keys), jax.vmap(lambda key: draw(key, 0.3, (7,)))(keys))

    with assume_local_devices():
        found = jax.jit(look(bernoulli))(keys)
    jax.tree.map(np.testing.assert_array_equal, found, look(jax.random.bernoulli)(keys))
