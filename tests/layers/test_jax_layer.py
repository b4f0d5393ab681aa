"""Functions and Flax modules as layers: Keras 3's numbers, states, keys and files."""

import random

import flax.linen as nn
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.testing import check_layer

X = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
Y = X.sum(1, keepdims=True)


def dense(params, inputs):
    return inputs @ params["kernel"] + params["bias"]


def dense_begin(rng, inputs):
    kernel = jax.random.normal(rng, (inputs.shape[-1], 2))
    return {"kernel": kernel, "bias": jnp.zeros(2)}


def counted(params, state, rng, inputs, training):
    if training:
        inputs = inputs * jax.random.bernoulli(rng, 0.5, inputs.shape)
        state = {"calls": state["calls"] + 1, "last": jnp.mean(inputs)}
    return dense(params, inputs), state


def counted_begin(rng, inputs, training):
    assert training
    return dense_begin(rng, inputs), {"calls": 0, "last": 0.0}


def two_inputs(params, inputs):
    return (inputs["a"] + inputs["b"]) * params


def plain(inputs):
    return inputs * 2


WEIGHTS = {"kernel": np.full((3, 2), 0.3, "float32"), "bias": np.zeros(2, "float32")}
CASES = {
    "without state": {"call_fn": dense, "params": WEIGHTS},
    "with state": {
        "call_fn": counted,
        "params": WEIGHTS,
        "state": {"calls": 0, "last": 0.0},
        "seed": 3,
    },
    "no parameters": {"call_fn": plain},
}


def run(module, case):
    """A model around the layer, after some steps: losses, weights, outputs."""
    random.seed(1)
    module.utils.set_random_seed(1)
    layer = module.layers.JaxLayer(**CASES[case], name="ours")
    model = module.Sequential([module.Input((3,)), layer, module.layers.Dense(1)])
    model.compile("sgd", "mse")
    fit = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    losses = model.fit(X, Y, **fit).history["loss"]
    weights = [np.asarray(w) for w in layer.weights]
    trained = [w.shape for w in layer.trainable_weights]
    return losses, weights, trained, model.predict(X, verbose=0)


@pytest.mark.parametrize("case", CASES)
def test_training_is_keras_training(case):
    ours, theirs = run(kerasish, case), run(keras, case)
    assert ours[2] == theirs[2]
    compare = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)  # noqa: E731
    jax.tree.map(compare, (ours[0], ours[1], ours[3]), (theirs[0], theirs[1], theirs[3]))


def test_the_first_parameters_are_drawn_with_the_next_key():
    """As `keras.random` draws; of Keras' own layer that needs TensorFlow."""
    kerasish.utils.set_random_seed(5)
    layer = layers.JaxLayer(dense, dense_begin)
    layer(X)
    kerasish.utils.set_random_seed(5)
    np.testing.assert_allclose(layer.params["kernel"], kerasish.random.normal((3, 2)), rtol=1e-6)


def test_state_counts_training_and_nothing_else():
    layer = layers.JaxLayer(counted, counted_begin)
    layer(X)
    layer(X, training=True)
    layer(X, training=True)
    assert int(layer.state["calls"].value) == 2
    assert layer.state["calls"].dtype == "int32"
    assert float(layer.state["last"].value) != 0


def test_does_what_every_layer_must():
    with kerasish.utils.custom_object_scope({"dense": dense, "dense_begin": dense_begin}):
        check_layer(layers.JaxLayer(dense, dense_begin), X)


def test_first_parameters_may_be_made_by_numpy():
    def begin(rng, inputs):
        kernel = np.asarray(jax.random.normal(rng, (3, 2)))
        return {"kernel": kernel / np.abs(kernel).max(), "bias": np.zeros(2)}

    layer = layers.JaxLayer(dense, begin)
    assert layer(X).shape == (8, 2)
    assert float(jnp.abs(layer.params["kernel"].value).max()) == 1


def test_nested_inputs_and_a_bare_parameter():
    layer = layers.JaxLayer(two_inputs, lambda inputs: jnp.full(inputs["a"].shape[-1], 2.0))
    found = layer({"a": X, "b": X})
    np.testing.assert_allclose(found, X * 4)
    a, b = kerasish.Input((3,)), kerasish.Input((3,))
    layer = layers.JaxLayer(two_inputs, lambda inputs: jnp.full(inputs["a"].shape[-1], 2.0))
    model = kerasish.Model([a, b], layer({"a": a, "b": b}))
    np.testing.assert_allclose(model.predict([X, X], verbose=0), X * 4)


def test_what_is_no_number_stays_as_it_is():
    def begin(inputs):
        return {"kind": "twice", "factor": jnp.float32(2)}

    def call(params, inputs):
        assert params["kind"] == "twice"
        return inputs * params["factor"]

    layer = layers.JaxLayer(call, begin)
    np.testing.assert_allclose(layer(X), X * 2)
    assert len(layer.weights) == 1


def test_parameters_are_read_in_the_compute_dtype():
    layer = layers.JaxLayer(dense, dense_begin, dtype="mixed_bfloat16")
    assert layer(X).dtype == "bfloat16"
    assert {w.dtype for w in layer.weights} == {"float32"}


def test_building_within_a_compiled_function():
    class Outer(kerasish.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.JaxLayer(dense, dense_begin)

        def call(self, inputs):
            return self.inner(inputs)

    model = Outer()
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((8, 2)), verbose=0)
    assert model.inner.params["kernel"].shape == (3, 2)


def test_files_hold_its_weights(tmp_path):
    objects = {"counted": counted, "counted_begin": counted_begin}
    with kerasish.utils.custom_object_scope(objects):
        layer = layers.JaxLayer(counted, counted_begin)
        model = kerasish.Sequential([kerasish.Input((3,)), layer])
        layer(X, training=True)
        model.save(tmp_path / "model.keras")
        again = kerasish.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert int(again.layers[-1].state["calls"].value) == 1


class Normalized(nn.Module):
    @nn.compact
    def __call__(self, inputs, training):
        x = nn.BatchNorm(use_running_average=not training)(nn.Dense(4)(inputs))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not training)(x))


def test_flax_modules_train():
    layer = layers.FlaxLayer(Normalized())
    model = kerasish.Sequential([kerasish.Input((3,)), layer])
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, batch_size=4, verbose=0)
    assert len(layer.trainable_weights) == 6
    assert len(layer.non_trainable_weights) == 2
    assert np.abs(np.asarray(layer.non_trainable_weights[0])).max() > 0
    is_weight = lambda v: isinstance(v, kerasish.Variable)  # noqa: E731
    values = {**layer.params, **layer.state}
    values = jax.tree.map(lambda v: v.value, values, is_leaf=is_weight)
    wanted = Normalized().apply(values, X, training=False)
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)


def test_flax_modules_go_into_files(tmp_path):
    @kerasish.saving.register_keras_serializable("tests")
    class Scaled(nn.Module):
        factor: float = 1.0

        @nn.compact
        def __call__(self, inputs):
            return nn.Dense(1)(inputs) * self.factor

        def get_config(self):
            return {"factor": self.factor}

        @classmethod
        def from_config(cls, config):
            return cls(**config)

    model = kerasish.Sequential([kerasish.Input((3,)), layers.FlaxLayer(Scaled(2.0))])
    model.save(tmp_path / "model.keras")
    again = kerasish.saving.load_model(tmp_path / "model.keras")
    assert again.layers[-1].module.factor == 2
    np.testing.assert_allclose(again.predict(X, verbose=0), model.predict(X, verbose=0))


def test_flax_begins_from_given_variables_and_calls_a_method():
    class Two(nn.Module):
        def setup(self):
            self.dense = nn.Dense(2)

        def __call__(self, inputs):
            return self.dense(inputs)

        def doubled(self, inputs):
            return self.dense(inputs) * 2

    variables = Two().init(jax.random.key(0), X)
    layer = layers.FlaxLayer(Two(), method=Two.doubled, variables=variables)
    np.testing.assert_allclose(layer(X), Two().apply(variables, X) * 2, rtol=1e-6)


ERRORS = {
    r"`call_fn` must be a function of `inputs` and any of": lambda: layers.JaxLayer(
        lambda params, x: x, params=1.0
    ),
    r"`init_fn` must be a function of `inputs`": lambda: layers.JaxLayer(dense, lambda rng: 1),
    r"`init_fn` must be given, or `params` and `state`": lambda: layers.JaxLayer(dense),
    r"a function whose new state is built as the first": lambda: layers.JaxLayer(
        lambda state, inputs: (inputs, {"b": state["a"]}), state={"a": 1.0}
    )(X),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
