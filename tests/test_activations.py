"""Activations against Keras 3: value, dtype and gradient; names, configs, symbolic tensors."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import activations
from kerasish.core.serialization.registry import custom_object_scope, register_keras_serializable
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor

# A row each: name, arguments. The inputs hold the kinks of all of them.
CASES = [
    ("celu", {}),
    ("celu", {"alpha": 0.5}),
    ("elu", {}),
    ("elu", {"alpha": 0.5}),
    ("exponential", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("glu", {}),
    ("glu", {"axis": 0}),
    ("hard_shrink", {}),
    ("hard_shrink", {"threshold": 1.0}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_swish", {}),
    ("hard_tanh", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.01}),
    ("linear", {}),
    ("log_sigmoid", {}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("mish", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 2.0}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 0.5}),
    ("relu", {"negative_slope": 0.1, "max_value": 2.0, "threshold": 0.5}),
    ("relu", {"negative_slope": 0.1, "max_value": 6.0}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 1.0}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("softmax", {"axis": (0, 1)}),
    ("softplus", {}),
    ("softsign", {}),
    ("sparse_plus", {}),
    ("sparse_sigmoid", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 1.0}),
    ("swish", {}),
    ("tanh", {}),
    ("tanh_shrink", {}),
    ("threshold", {"threshold": 0.5, "default_value": -1.0}),
]
IDS = [f"{name}-{'-'.join(map(str, kwargs.values()))}" for name, kwargs in CASES]
KINKS = [-6.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0]
X = np.concatenate([KINKS, 3 * np.random.default_rng(0).normal(size=14)]).astype("float32")
X = X.reshape(4, 6)


@pytest.mark.parametrize(("name", "kwargs"), CASES, ids=IDS)
def test_matches_keras(name, kwargs):
    ours, theirs = getattr(activations, name), getattr(keras.activations, name)
    np.testing.assert_allclose(ours(X, **kwargs), theirs(X, **kwargs), rtol=2e-6, atol=1e-6)
    weights = np.random.default_rng(1).normal(size=np.shape(ours(X, **kwargs)))
    slopes = [jax.grad(lambda x, f=f: jnp.sum(f(x, **kwargs) * weights)) for f in (ours, theirs)]
    slope, expected = jax.jit(lambda x: [slope(x) for slope in slopes])(X)
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("name", "kwargs"), [*CASES, ("sparsemax", {})], ids=[*IDS, "sparsemax"])
def test_keeps_the_float_type(name, kwargs, dtype):
    function = getattr(activations, name)
    out = jax.eval_shape(lambda x: function(x, **kwargs), jax.ShapeDtypeStruct((4, 6), dtype))
    assert out.dtype == dtype


@pytest.mark.parametrize(
    "name",
    [
        "glu",
        "hard_shrink",
        "log_softmax",
        "mish",
        "sigmoid",
        "silu",
        "softmax",
        "sparsemax",
        "tanh",
    ],
)
def test_integers_become_floats(name):
    function = getattr(activations, name)
    whole = np.array([[-1, 0], [1, 2]])
    out = function(whole)
    assert out.dtype == "float32"
    np.testing.assert_array_equal(out, function(whole.astype("float32")))


@pytest.mark.parametrize(("name", "kwargs"), CASES, ids=IDS)
def test_takes_symbolic_tensors(name, kwargs):
    out = getattr(activations, name)(KerasTensor((4, None, 6)), **kwargs)
    halved = (2, None, 6) if "axis" in kwargs else (4, None, 3)
    assert out.shape == (halved if name == "glu" else (4, None, 6))
    assert name == "linear" or out._keras_history is not None


def test_takes_variables_lists_and_numbers():
    expected = [0.0, 2.0]
    np.testing.assert_array_equal(activations.relu(Variable([-1.0, 2.0])), expected)
    np.testing.assert_array_equal(activations.relu([-1.0, 2.0]), expected)
    assert activations.relu(-1.0) == 0


def test_sparsemax_is_the_projection_on_the_simplex():
    x = np.random.default_rng(2).normal(size=(50, 8)).astype("float32")
    p = np.asarray(activations.sparsemax(x))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
    others = np.random.default_rng(3).dirichlet(np.ones(8), size=200)
    nearest = np.square(p - x).sum(-1)
    assert np.all(nearest[:, None] <= np.square(others - x[:, None]).sum(-1) + 1e-5)
    np.testing.assert_allclose(activations.sparsemax(x.T, axis=0).T, p, rtol=1e-6)


def test_sparsemax_gradient_is_centred_on_the_support():
    x, v = np.random.default_rng(4).normal(size=(2, 50, 8)).astype("float32")
    p, pull = jax.vjp(activations.sparsemax, x)
    inside = np.asarray(p) > 0
    mean = (v * inside).sum(-1, keepdims=True) / inside.sum(-1, keepdims=True)
    np.testing.assert_allclose(pull(v)[0], inside * (v - mean), rtol=1e-5, atol=1e-6)


def test_large_inputs_stay_finite():
    for name in ("softmax", "log_softmax", "sigmoid", "log_sigmoid", "softplus", "sparsemax"):
        assert np.all(np.isfinite(getattr(activations, name)([-1e4, 0.0, 1e4]))), name


def test_softmax_over_one_entry_warns():
    with pytest.warns(UserWarning, match=r"shape \(2, 1\) has size 1.*Did you mean 'sigmoid'\?"):
        activations.softmax(np.zeros((2, 1)))


def test_glu_says_the_axis():
    with pytest.raises(ValueError, match=r"glu: `x` must be of an even size along axis -1; got"):
        activations.glu(np.zeros((2, 3)))


def double(x):
    return 2 * x


def test_get():
    assert activations.get(None) is activations.linear
    assert activations.get("hard_swish") is activations.hard_silu
    assert activations.get(double) is double
    with custom_object_scope({"double": double}):
        assert activations.get("double") is double


def test_unknown_name_says_the_nearest():
    with pytest.raises(ValueError, match=r"Unknown activation 'rellu'. Did you mean 'relu'\?"):
        activations.get("rellu")


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
def test_serialized_as_keras_does(name):
    data = activations.serialize(getattr(activations, name))
    assert data == keras.activations.serialize(getattr(keras.activations, name))
    assert activations.deserialize(data) is getattr(activations, name)


def test_own_function_comes_back():
    registered = register_keras_serializable("test_activations")(double)
    assert activations.deserialize(activations.serialize(registered)) is double
    data = {"module": "builtins", "class_name": "function", "config": "double"}
    assert activations.deserialize(data, {"double": double}) is double


def test_names_are_keras():
    assert activations.__all__ == [n for n in dir(keras.activations) if not n.startswith("_")]
