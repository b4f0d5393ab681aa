"""Derivatives that are computed in ways of their own, through every transformation of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasish.kernels.linear_call import differentiated_as, linear_call

rng = np.random.default_rng(0)
SCALE, X, Y = (jnp.asarray(rng.normal(size=(3,)), "float32") for _ in range(3))
calls = []


def sums(fixed, given):
    """Running sums of what is given, scaled; and one of the arrays, twice."""
    calls.append("sums")
    x, extra = given["x"], given["extra"]
    return jnp.cumsum(jnp.sin(fixed[0]) * x), None if extra is None else extra * 2


def back(fixed, gradients):
    calls.append("back")
    of_sums, of_extra = gradients
    extra = None if of_extra is None else of_extra * 2
    return {"x": jnp.sin(fixed[0]) * jnp.cumsum(of_sums[::-1])[::-1], "extra": extra}


def own(scale, x, y=None):
    one, other = linear_call(sums, back, (scale, None), {"x": x, "extra": y})
    return jnp.sum(jnp.sin(one) * jnp.arange(1.0, 4)) + (0 if other is None else jnp.sum(other))


def plain(scale, x, y=None):
    one, other = sums((scale, None), {"x": x, "extra": y})
    return jnp.sum(jnp.sin(one) * jnp.arange(1.0, 4)) + (0 if other is None else jnp.sum(other))


MANY = jnp.stack([SCALE, X, Y])
TRANSFORMED = {
    "value": lambda f: f(SCALE, X),
    "by what is given": lambda f: jax.grad(f, (1, 2))(SCALE, X, Y),
    "by what is fixed": lambda f: jax.grad(f)(SCALE, X),
    "by both, compiled": lambda f: jax.jit(jax.grad(f, (0, 1)))(SCALE, X, Y),
    "by one, the other known": lambda f: jax.grad(lambda x: f(SCALE, x, Y))(X),
    "along": lambda f: jax.jvp(f, (SCALE, X), (X, Y)),
    "forward over backward": lambda f: jax.hessian(f, (0, 1))(SCALE, X),
    "backward over backward": lambda f: jax.jacrev(jax.grad(f, (0, 1)), (0, 1))(SCALE, X),
    "linearized": lambda f: jax.linearize(f, SCALE, X)[1](Y, Y),
    "computed again": lambda f: jax.grad(jax.checkpoint(f), (0, 1))(SCALE, X),
    "all mapped": lambda f: jax.vmap(jax.grad(f, (0, 1)))(MANY, MANY[::-1]),
    "fixed mapped": lambda f: jax.vmap(jax.grad(f, 1), (1, None))(MANY, X),
    "given mapped": lambda f: jax.vmap(jax.grad(f, (0, 1)), (None, 1))(SCALE, MANY),
    "one given mapped": lambda f: jax.vmap(jax.grad(f, (1, 2)), (None, 0, None))(SCALE, MANY, Y),
    "backward over mapped": lambda f: jax.grad(lambda x: jnp.sum(jax.vmap(f, (None, 0))(X, x)))(
        MANY
    ),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_a_function_with_its_own_transpose_is_derived_as_without(name):
    got, wanted = (TRANSFORMED[name](f) for f in (own, plain))
    assert jax.tree.structure(got) == jax.tree.structure(wanted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, wanted)


def test_the_transpose_is_used_and_traced_only_where_it_is_needed():
    calls.clear()
    own(SCALE, X)
    assert "back" not in calls
    jax.grad(own, 1)(SCALE, X)
    assert "back" in calls


def test_a_transpose_that_returns_something_else_is_refused():
    def f(x):
        return linear_call(lambda _, x: x[0] * 2, lambda _, y: [y, y], (), [x])

    assert float(f(1.0)) == 2
    with pytest.raises(ValueError, match="List arity mismatch"):
        jax.grad(f)(1.0)


def test_the_fast_function_computes_and_the_plain_one_is_derived():
    fast = differentiated_as(lambda x: jnp.sin(x), lambda x: jnp.sin(x) + 1)
    assert float(fast(0.0)) == 1
    assert float(jax.grad(fast)(0.0)) == 1
    assert float(jax.grad(jax.grad(fast))(1.0)) == pytest.approx(-np.sin(1))
