"""Layers that compute again what they do not keep: same numbers, less memory."""

import contextlib

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Sequential, layers
from tests.support.keras_oracle import keras as oracle


class Block(layers.Layer):
    """Layers inside a layer, with all that must survive: statistics, random states, losses."""

    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)
        self.wide = layers.Dense(width, "gelu")
        self.norm = layers.BatchNormalization()
        self.drop = layers.Dropout(0.2, seed=1)

    def call(self, x, training=None):
        y = self.drop(self.norm(self.wide(x)))
        self.add_loss(1e-3 * (y**2).mean())
        return y


def blocks(scope, width=16, depth=2):
    with scope or contextlib.nullcontext():
        inside = [Block(width, name=f"block_{i}") for i in range(depth)]
        model = Sequential([Input((width,)), *inside, layers.Dense(1, name="head")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


SCOPES = {
    "full": lambda: keras.RematScope(),
    "activations": lambda: keras.RematScope("activations"),
    "larger_than": lambda: keras.RematScope("larger_than", output_size_threshold=8 * 16 - 1),
    "list_of_layers": lambda: keras.RematScope("list_of_layers", layer_names=["block_1"]),
    "none": lambda: keras.RematScope(None),
}


@pytest.fixture(scope="module")
def plain():
    return trained(None)


def trained(scope):
    keras.utils.set_random_seed(3)
    model = blocks(scope)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 16)).astype("float32"), rng.normal(size=(32, 1))
    history = model.fit(x, y.astype("float32"), batch_size=8, epochs=2, shuffle=False, verbose=0)
    return history.history["loss"], [v.numpy() for v in model.variables]


@pytest.mark.parametrize("name", SCOPES)
def test_training_is_the_same(name, plain):
    loss, values = trained(SCOPES[name]())
    np.testing.assert_allclose(loss, plain[0], rtol=1e-5)
    for mine, other in zip(values, plain[1], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


def planned(scope):
    """Bytes that XLA plans for what a training step computes on its way."""
    with scope or contextlib.nullcontext():
        inside = [layers.Dense(64, "gelu") for _ in range(6)]
        model = Sequential([Input((64,)), *inside, layers.Dense(1)])
    model.compile("sgd", "mse")
    return model.estimate_memory(256).activations


def test_a_training_step_takes_less_memory():
    assert planned(keras.RematScope()) < 0.7 * planned(None)


def kept(scope):
    """Bytes that the way forward keeps for the gradient, weights included."""
    model = blocks(scope, width=64, depth=4)
    x, variables = np.ones((256, 64), "float32"), model.trainable_variables

    def loss(values):
        with keras.Scope(zip(variables, values, strict=True)):
            return model(x, training=True).sum()

    def residuals(values):
        return jax.tree.leaves(jax.vjp(loss, values)[1])

    shapes = jax.eval_shape(residuals, [v.value for v in variables])
    return sum(a.size * a.dtype.itemsize for a in shapes)


def test_blocks_keep_their_inputs_alone():
    weights_and_inputs = 4 * (4 * 66 * 64 + 65) + 4 * (5 * 256 * 64)
    assert kept(keras.RematScope()) < 1.5 * weights_and_inputs < 0.5 * kept(None)


def test_only_chosen_layers_forget():
    def forgetting(scope):
        model = blocks(scope)
        x = np.ones((8, 16), "float32")
        run = keras.jit(
            lambda: keras.grad(lambda: model(x, training=True).sum(), model.trainable_variables)()
        )
        return str(run.jaxpr()).count("remat")

    counts = {name: forgetting(make()) for name, make in SCOPES.items()}
    assert counts["none"] == forgetting(None) == 0
    assert counts["list_of_layers"] == 1 < counts["larger_than"]


def test_inner_scope_counts_and_ends():
    with keras.RematScope():
        outer = layers.Dense(1)
        with keras.RematScope(None):
            inner = layers.Dense(1)
    assert outer._remat.mode == "full" and inner._remat is None
    assert layers.Dense(1)._remat is None


def test_masks_pass_through():
    ids = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    results = []
    for scope in (None, keras.RematScope()):
        keras.utils.set_random_seed(0)
        with scope or contextlib.nullcontext():
            stack = [layers.Embedding(5, 3, mask_zero=True), layers.Dense(3), layers.LSTM(2)]
            model = Sequential(stack)
        results.append(model(ids))
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_arguments_and_errors_are_keras():
    scope = keras.RematScope()
    theirs = oracle.RematScope()
    names = ("mode", "output_size_threshold", "layer_names")
    assert [getattr(scope, n) for n in names] == [getattr(theirs, n) for n in names]
    with pytest.raises(ValueError, match="`mode` must be one of"):
        keras.RematScope("all")
