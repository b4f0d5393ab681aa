"""Dicts come out of everything that is traced in the order in which they went in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish.core.dict_order import in_order, map_in_order
from kerasish.core.state.compiled import jit
from kerasish.core.state.loops import scan
from kerasish.core.state.transforms import grad, remat, value_and_grad, vmap
from kerasish.core.state.variable import Variable

X = {"price": jnp.ones(2), "cost": jnp.full(2, 3.0), "amount": jnp.zeros(2)}
ORDER = list(X)


def difference(x):
    """Depends on the order of the dict that it gets, and returns one in an order of its own."""
    first, second, _ = x.values()
    return {"z": first - second, "a": dict(x)}


def orders(result):
    return list(result), list(result["a"])


WAYS = {
    "jit": lambda: jit(difference)(X),
    "by name": lambda: jit(difference)(x=X),
    "remat": lambda: remat(difference)(X),
    "vmap": lambda: vmap(lambda x: difference({n: x * v[0] for n, v in X.items()}))(jnp.ones(3)),
    "aux": lambda: value_and_grad(lambda w: (w, difference(X)), has_aux=True)(1.0)[0][1],
    "scan": lambda: scan(lambda c, _: (c, difference(X)), 0.0, length=3)[1],
}


@pytest.mark.parametrize("name", WAYS)
def test_results_keep_their_order(name):
    assert orders(WAYS[name]()) == (["z", "a"], ORDER)


def test_a_compiled_function_computes_what_it_does_uncompiled():
    compiled = jit(difference)
    np.testing.assert_array_equal(compiled(X)["z"], difference(X)["z"])
    other = {name: X[name] for name in sorted(X)}
    np.testing.assert_array_equal(compiled(other)["z"], difference(other)["z"])
    assert compiled.traces == 2
    compiled(X), compiled(other)
    assert compiled.traces == 2


def test_gradients_keep_the_order_of_their_variables():
    weights = {"z": Variable(1.0), "a": [Variable(2.0)]}
    found = grad(lambda: weights["z"] * weights["a"][0], weights)()
    assert list(found) == ["z", "a"]
    assert float(found["z"]) == 2


class Ordered(keras.layers.Layer):
    def call(self, x):
        return difference(x)


def test_layers_and_models_keep_their_order():
    inputs = {name: keras.Input((1,), name=name) for name in X}
    symbolic = Ordered()(inputs)
    assert orders(symbolic) == (["z", "a"], ORDER)
    model = keras.Model(inputs, symbolic["z"])
    given = {name: value[:, None] for name, value in X.items()}
    np.testing.assert_array_equal(model(given), given["price"] - given["cost"])


def test_plain_dicts_and_other_nodes_stay_as_they_are():
    tree = {"a": [1, (2, {"b": 3})], "c": None}
    assert in_order(tree) == tree
    mixed = {"b": 1, 2: (3, {"z": 4, "y": 5})}
    doubled = map_in_order(lambda x: 2 * x, mixed)
    assert doubled == {"b": 2, 2: (6, {"z": 8, "y": 10})}
    assert [*doubled, *doubled[2][1]] == ["b", 2, "z", "y"]
    paths = jax.tree_util.tree_flatten_with_path(in_order({"z": 1, "a": 2}))[0]
    assert [jax.tree_util.keystr(path) for path, _ in paths] == ["['z']", "['a']"]


NESTS = {
    "one": {"z": 1.0, "a": 2.0},
    "inside": {"b": {"mean": 1.0, "std": 2.0, "dead": 3.0}, "a": 4.0},
    "in lists": [{"z": 1.0, "a": 2.0}, (3.0, {"y": 4.0, "x": 5.0})],
    "sorted": {"a": 1.0, "b": [2.0]},
}


@pytest.mark.parametrize("given", NESTS.values(), ids=NESTS)
@pytest.mark.parametrize("writes", [False, True])
def test_each_call_of_a_compiled_function_gives_values_their_names(given, writes):
    count = keras.Variable(0.0)

    @keras.jit
    def shifted(x):
        if writes:
            count.assign_add(1.0)
        return jax.tree.map(lambda y: x + y, in_order(given))

    for call in (0.0, 1.0, 2.0, 3.0):
        found = keras.tree.map_structure(float, shifted(call))
        expected = keras.tree.map_structure(call.__add__, given)
        assert found == expected and repr(found) == repr(expected)


def test_results_of_other_structures_keep_their_own_order():
    @keras.jit
    def by_size(x):
        if x.shape[0] == 2:
            return {"z": [x], "a": x}
        return {"z": [x, x + 1, {"q": x, "b": 2 * x}], "c": x}

    for size in (2, 3, 2, 3, 2):
        found, x = by_size(np.ones(size, "float32")), np.ones(size)
        if size == 2:
            assert list(found) == ["z", "a"] and len(found["z"]) == 1
        else:
            assert list(found) == ["z", "c"] and list(found["z"][2]) == ["q", "b"]
            np.testing.assert_array_equal(found["z"][2]["b"], 2 * x)


def test_results_that_are_variables_keep_their_order():
    first, second = Variable(np.float32(1)), Variable(np.float32(2))
    both = keras.jit(lambda: {"z": first, "a": second})
    for _ in range(3):
        assert list(map(float, both().values())) == [1, 2] and list(both()) == ["z", "a"]
