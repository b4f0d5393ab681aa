"""Control flow against Keras 3's, and carrying Variables, compiled and not."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import ops
from kerasish.core.state import transforms
from kerasish.core.state.compiled import jit
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor

X = np.arange(6.0, dtype="float32").reshape(3, 2)
PURE = {
    "cond true": lambda o: o.cond(o.sum(X) > 1, lambda: 2 * X, lambda: X),
    "cond false": lambda o: o.cond(o.sum(X) < 1, lambda: 2 * X, lambda: X),
    "switch": lambda o: o.switch(np.int32(1), [lambda x: x, lambda x: 2 * x], X),
    "switch beyond": lambda o: o.switch(np.int32(7), [lambda x: x, lambda x: 2 * x], X),
    "while_loop": lambda o: o.while_loop(
        lambda i, x: i < 4, lambda i, x: (i + 1, x * 2), (np.int32(0), X)
    ),
    "while_loop one": lambda o: o.while_loop(lambda x: o.sum(x) < 50, lambda x: x * 2, X),
    "while_loop limit": lambda o: o.while_loop(
        lambda i: i < 9, lambda i: [i + 1], [np.int32(0)], maximum_iterations=3
    ),
    "fori_loop": lambda o: o.fori_loop(1, 4, lambda i, x: x * i, X),
    "scan": lambda o: o.scan(lambda c, x: (c + x, c * x), X[0], X),
    "scan length": lambda o: o.scan(lambda c, _: (2 * c, c), X[0], length=3, reverse=True),
    "associative_scan": lambda o: o.associative_scan(lambda a, b: a + b, X, axis=1),
    "associative_scan reverse": lambda o: o.associative_scan(o.maximum, X, reverse=True),
    "map": lambda o: o.map(lambda x: {"a": x * 2, "b": o.sum(x)}, X),
    "vectorized_map": lambda o: o.vectorized_map(lambda xs: xs[0] + xs[1], (X, 2 * X)),
    "unstack": lambda o: o.unstack(X, axis=1),
}


@pytest.mark.parametrize("name", PURE)
def test_agrees_with_keras(name):
    ours, theirs = PURE[name](ops), PURE[name](keras.ops)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b)


SYMBOLIC = {
    "cond": lambda x: ops.cond(ops.any(x > 0), lambda: 1.0, lambda: 2.0),
    "switch": lambda x: ops.switch(np.int32(0), [lambda x: x, lambda x: 2 * x], x),
    "while_loop": lambda x: ops.while_loop(lambda x: ops.all(x < 9), lambda x: x + 1, x),
    "fori_loop": lambda x: ops.fori_loop(0, 3, lambda i, x: x + i, x),
    "scan": lambda x: ops.scan(lambda c, x: (c + x, c), 0.0 * x[0], x),
    "associative_scan": lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=1),
    "map": lambda x: ops.map(lambda row: ops.sum(row), x),
    "vectorized_map": lambda x: ops.vectorized_map(lambda row: 2 * row, x),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_calls(name):
    promised, real = SYMBOLIC[name](KerasTensor((None, 2))), SYMBOLIC[name](X)
    for a, b in zip(jax.tree.leaves(promised), jax.tree.leaves(real), strict=True):
        assert (a.dtype, len(a.shape)) == (b.dtype, b.ndim)
        assert all(n is None or n == m for n, m in zip(a.shape, b.shape, strict=True))


# -- Variables: each writes `calls`, and must read it as it is


def by_cond(v, flag):
    return ops.cond(flag, lambda: v.assign_add(1.0) * 2, lambda: v.value)


def by_switch(v, flag):
    branches = [lambda x: x, lambda x: v.assign(x + v)]
    return ops.switch(ops.cast(flag, "int32"), branches, jnp.float32(4.0))


def by_while(v, flag):
    def body(i):
        v.assign_add(i)
        return i + 1

    return ops.while_loop(lambda i: (i < 3) & (v < 100) & flag, body, 0.0)


def by_fori(v, flag):
    def body(i, total):
        v.assign_add(ops.where(flag, 1.0, 0.0))
        return total + v

    return ops.fori_loop(0, 3, body, 0.0)


def by_scan(v, flag):
    return ops.scan(lambda c, x: (c + v.assign_add(x * flag), x), 0.0, jnp.arange(3.0))[0]


def by_map(v, flag):
    return ops.map(lambda x: v.assign_add(x * flag), jnp.arange(3.0))[-1]


WRITERS = {  # what it returns, and what is in the Variable afterwards: if the flag holds, if not
    by_cond: ((4.0, 2.0), (1.0, 1.0)),
    by_switch: ((5.0, 5.0), (4.0, 1.0)),
    by_while: ((3.0, 4.0), (0.0, 1.0)),
    by_fori: ((9.0, 4.0), (3.0, 1.0)),
    by_scan: ((7.0, 4.0), (3.0, 1.0)),
    by_map: ((4.0, 4.0), (1.0, 1.0)),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("run", WRITERS, ids=lambda run: run.__name__)
def test_variables_written_inside_are_carried(run, compiled):
    v = Variable(1.0)
    fn = jit(lambda flag: run(v, flag)) if compiled else lambda flag: run(v, flag)
    for flag, wanted in zip((True, False), WRITERS[run], strict=True):
        v.assign(1.0)
        assert (float(fn(jnp.asarray(flag))), float(v)) == wanted
    assert not isinstance(v.value, jax.core.Tracer)


def test_gradients_flow_through_what_branches_write():
    w, state = Variable(3.0), Variable(0.0, trainable=False)

    def loss(flag):
        ops.cond(flag, lambda: state.assign(w * w), lambda: state.assign(w))
        return state * 1.0

    slope = jit(lambda flag: transforms.grad(lambda: loss(flag), w)())
    assert (float(slope(jnp.asarray(True))), float(slope(jnp.asarray(False)))) == (6.0, 1.0)


def test_vectorized_map_reads_variables():
    v = Variable(2.0)
    np.testing.assert_allclose(ops.vectorized_map(lambda x: x * v, X), 2 * X)


def test_loops_build_lazy_variables_once():
    made = []

    def body(i, x):
        if not made:
            made.append(Variable(1.0))
        return x + made[0].assign_add(1.0)

    assert float(ops.fori_loop(0, 2, body, 0.0)) == 5.0
    assert float(made[0]) == 3.0


def test_a_python_bool_picks_a_branch_of_any_kind():
    assert ops.cond(True, lambda: "yes", lambda: 1 / 0) == "yes"
    assert ops.switch(1, [lambda x: 1 / 0, lambda x: x], "two") == "two"


def test_a_condition_that_writes_is_an_error():
    v = Variable(0.0)
    with pytest.raises(RuntimeError, match="`cond` must not assign Variables"):
        ops.while_loop(lambda i: v.assign_add(1.0) < 3, lambda i: i, 0.0)


@pytest.mark.parametrize("limit", [0, 3, 12])
def test_a_bound_of_while_loop_may_be_computed(limit):
    def doubled(o, bound):
        step = lambda i, x: (i + 1, x * 2)  # noqa: E731
        return o.while_loop(lambda i, x: i < 9, step, (0, X), maximum_iterations=bound)

    for bound in (np.int32(limit), Variable(limit, dtype="int32")):
        got = jit(lambda b: doubled(ops, b + 0))(bound)
        wanted = jax.jit(lambda b: doubled(keras.ops, b))(np.int32(limit))
        assert int(got[0]) == int(wanted[0]) == min(limit, 9)
        np.testing.assert_array_equal(got[1], wanted[1])


def test_custom_gradient():
    @ops.custom_gradient
    def clipped(x):
        return x, lambda upstream: jnp.clip(upstream, -1, 1)

    np.testing.assert_allclose(jax.grad(lambda x: (clipped(x) * 5).sum())(X), np.ones_like(X))


def test_stop_gradient_of_a_variable():
    v = Variable(2.0)
    assert float(transforms.grad(lambda: ops.stop_gradient(v) * v, v)()) == 2.0
