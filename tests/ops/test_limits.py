"""Indices as floats, branches over symbolic tensors, loops with gradients, and sizes in files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish
from kerasish import ops
from kerasish.core.symbolic.keras_tensor import KerasTensor

X = np.arange(12.0, dtype="float32").reshape(3, 4)
FLOAT_INDICES = {
    "take": lambda i: ops.take(X, i, axis=0),
    "take_along_axis": lambda i: ops.take_along_axis(X, i[:, None], axis=0),
    "get_item": lambda i: ops.get_item(X, i),
    "get_item tuple": lambda i: ops.get_item(X, (slice(0, 2), i)),
    "scatter": lambda i: ops.scatter(i[:, None], np.ones(2, "float32"), (3,)),
    "scatter_update": lambda i: ops.scatter_update(X, i[:, None], X[:2]),
    "slice": lambda i: ops.slice(X, i, (1, 1)),
    "slice_update": lambda i: ops.slice_update(X, i, X[:1, :1]),
    "in_top_k": lambda i: ops.in_top_k(i, X[:2], 2),
    "switch": lambda i: ops.switch(i[0], [lambda: 0, lambda: 1, lambda: 2]),
    "unravel_index": lambda i: ops.unravel_index(i, (3, 4)),
    "segment_sum": lambda i: ops.segment_sum(X[:2], i, 3),
}


@pytest.mark.parametrize("name", FLOAT_INDICES)
def test_whole_floats_are_indices(name):
    run, index = FLOAT_INDICES[name], np.array([2, 1], "int32")
    for a, b in zip(
        jax.tree.leaves(run(index)), jax.tree.leaves(run(index.astype("float32"))), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert jnp.asarray(a).dtype == jnp.asarray(b).dtype


@pytest.mark.parametrize("name", FLOAT_INDICES)
def test_fractions_are_no_indices(name):
    with pytest.raises(ValueError, match="must be integers; got"):
        FLOAT_INDICES[name](np.array([1.5, 0.5], "float32"))


def check(make, by_hand):
    x = kerasish.Input((2,))
    model = kerasish.Model(x, make(x))
    again = kerasish.Model.from_config(model.get_config())
    for value in (-1.0, 0.0, 0.5, 1.5):
        batch = np.full((1, 2), value, "float32")
        for each in (model, again):
            np.testing.assert_allclose(each(batch), by_hand(batch), err_msg=str(value))


def test_cond_over_symbolic_tensors():
    check(
        lambda x: ops.cond(ops.sum(x) > 0, lambda: 2 * x, lambda: x - 1),
        lambda x: 2 * x if x.sum() > 0 else x - 1,
    )


def test_cond_with_one_symbolic_branch():
    check(
        lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: np.zeros((1, 2), "float32")),
        lambda x: x if x.sum() > 0 else 0 * x,
    )


def test_switch_over_symbolic_tensors():
    check(
        lambda x: ops.switch(ops.cast(ops.sum(x), "int32"), [lambda: 2 * x, lambda: -x, lambda: x]),
        lambda x: [2 * x, -x, x][int(np.clip(int(x.sum()), 0, 2))],
    )


def test_branches_of_different_structure_are_an_error():
    x = KerasTensor((2,))
    with pytest.raises(ValueError, match="cond: `branches` must be of results of one structure"):
        ops.cond(ops.sum(x) > 0, lambda: x, lambda: (x, x))


def grows(w, limit):
    start = (0, jnp.float32(1.0))
    return ops.while_loop(
        lambda i, v: v < 50, lambda i, v: (i + 1, v * w), start, maximum_iterations=limit
    )


@pytest.mark.parametrize("limit", [1, 3, 6, 16, 17, 1000])
def test_bounded_loops_have_gradients(limit):
    count, value = grows(2.0, limit)
    steps = min(limit, 6)
    assert (int(count), float(value)) == (steps, 2.0**steps)
    slope = jax.jit(jax.grad(lambda w: grows(w, limit)[1]))(2.0)
    assert float(slope) == steps * 2.0 ** (steps - 1)
    assert float(jax.jvp(lambda w: grows(w, limit)[1], (2.0,), (1.0,))[1]) == float(slope)


def test_bounds_need_not_be_reached():
    assert int(ops.while_loop(lambda i: i < 10, lambda i: i + 1, 0, maximum_iterations=10**9)) == 10
    assert int(ops.while_loop(lambda i: i < 10, lambda i: i + 1, 0, maximum_iterations=0)) == 0


def test_average_pools_of_halves_do_not_overflow():
    x = np.full((1, 64, 1), 6e4, "float16")
    for padding in ("valid", "same"):
        pooled = ops.average_pool(x, 64, padding=padding)
        assert pooled.dtype == "float16"
        np.testing.assert_allclose(pooled, np.full((1, 1, 1), 6e4), rtol=1e-3)
    assert np.isfinite(ops.adaptive_average_pool(x, 1)).all()


TOO_MUCH_WORK = {
    "einsum: `subscripts` must be at most 200": lambda: ops.einsum("a" * 10**6 + "->a", X[0]),
    "split: `indices_or_sections` must be at most": lambda: ops.split(X, 10**9),
    "array_split: `indices_or_sections` must be at most": lambda: ops.array_split(X, 10**9),
    "vsplit: `indices_or_sections` must be at most": lambda: ops.vsplit(X, 10**9),
    "diff: `n` must be at least 0": lambda: ops.diff(X, -1),
}


@pytest.mark.parametrize("text", TOO_MUCH_WORK)
def test_work_is_bounded(text):
    with pytest.raises(ValueError, match=text):
        TOO_MUCH_WORK[text]()


def test_many_differences_leave_nothing():
    assert ops.diff(X, 10**9).shape == (3, 0)
    assert ops.diff(KerasTensor((None, None)), 10**9).shape[0] is None


def test_distances_of_equal_rows_have_gradients():
    assert not np.isnan(jax.grad(lambda x: jnp.sum(ops.cdist(x, x)))(jnp.ones((2, 3)))).any()


HUGE = {
    "Pad": lambda x: ops.pad(x, ((0, 0), (0, 3))),
    "Repeat": lambda x: ops.repeat(x, 3, axis=1),
    "OneHot": lambda x: ops.one_hot(ops.cast(x, "int32"), 3),
}


@pytest.mark.parametrize("name", HUGE)
def test_ops_of_files_have_a_budget(name):
    x = kerasish.Input((2,))
    config = kerasish.Model(x, HUGE[name](x)).get_config()

    def swell(value):
        if isinstance(value, dict):
            return {k: swell(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [swell(v) for v in value]
        return 10**12 if value == 3 and not isinstance(value, bool) else value

    with pytest.raises(ValueError, match=f"The config's op {name} makes .* bytes of one sample"):
        kerasish.Model.from_config(swell(config))
