"""Layers of every kind as users write them: checked, trained in every model, saved and loaded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, ops, testing
from kerasish.core.masking import get_mask

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype("float32")
Y = (X[:, :2] ** 2).astype("float32")


def exponential(x):
    return jnp.exp(jnp.minimum(x, 2.0))


class MyDense(layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=[input_shape[-1], self.units], initializer="glorot_normal"
        )
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zeros")

    def call(self, inputs):
        return self.activation(inputs @ self.kernel + self.bias)

    def get_config(self):  # as Keras users write it
        config = super().get_config()
        activation = keras.activations.serialize(self.activation)
        return {**config, "units": self.units, "activation": activation}


class TwoInTwoOut(layers.Layer):
    def call(self, inputs):
        a, b = inputs
        return a + b, a * b


class TwoArguments(layers.Layer):
    def build(self, query_shape, value_shape):
        self.kernel = self.add_weight(shape=(query_shape[-1], value_shape[-1]), name="kernel")

    def call(self, query, value):
        return query @ self.kernel * value


class MyGaussianNoise(layers.Layer):
    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if training:
            noise = keras.random.normal(
                ops.shape(inputs), stddev=self.stddev, dtype=inputs.dtype, seed=self.generator
            )
            return inputs + noise
        return inputs


class RunningMean(layers.Layer):
    """Takes off the mean of all training batches so far."""

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.total = self.add_weight(
            name="total", shape=shape, initializer="zeros", trainable=False
        )
        self.seen = self.add_weight(name="seen", initializer="zeros", trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.total.assign_add(ops.sum(ops.cast(inputs, "float32"), axis=0))
            self.seen.assign_add(ops.cast(ops.shape(inputs)[0], "float32"))
        mean = self.total / jnp.maximum(self.seen, 1)
        return inputs - ops.cast(mean, inputs.dtype)


class ResidualBlock(layers.Layer):
    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(**kwargs)
        self.n_layers, self.n_neurons = n_layers, n_neurons
        self.hidden = [
            layers.Dense(n_neurons, activation="relu", kernel_initializer="he_normal")
            for _ in range(n_layers)
        ]

    def call(self, inputs):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class OnFirstCall(layers.Layer):
    def call(self, inputs):
        if not hasattr(self, "scale"):
            self.scale = self.add_weight(shape=(inputs.shape[-1],), initializer="ones", name="s")
        return inputs * self.scale


class MyLayerNormalization(layers.Layer):
    def __init__(self, eps=0.001, **kwargs):
        super().__init__(**kwargs)
        self.eps = eps

    def build(self, batch_input_shape):
        shape = batch_input_shape[-1:]
        self.alpha = self.add_weight(name="alpha", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")

    def call(self, inputs):
        mean = ops.mean(inputs, axis=-1, keepdims=True)
        variance = ops.var(inputs, axis=-1, keepdims=True)
        return self.alpha * (inputs - mean) / ops.sqrt(variance + self.eps) + self.beta


CASES = {
    "lambda": (lambda: layers.Lambda(exponential), (4, 6)),
    "dense": (lambda: MyDense(3, "relu"), (4, 6)),
    "two in, two out": (TwoInTwoOut, [(4, 6), (4, 6)]),
    "two arguments": (TwoArguments, ((4, 6), (4, 2))),
    "noise": (lambda: MyGaussianNoise(0.3, seed=2), (4, 6)),
    "stateful": (RunningMean, (4, 6)),
    "residual": (lambda: ResidualBlock(2, 6), (4, 6)),
    "first call": (OnFirstCall, (4, 6)),
    "normalization": (MyLayerNormalization, (4, 6)),
}
NAMES = {"exponential": exponential}
OWN = [MyDense, TwoInTwoOut, TwoArguments, MyGaussianNoise, RunningMean, ResidualBlock]
NAMES |= {cls.__name__: cls for cls in [*OWN, OnFirstCall, MyLayerNormalization]}


@pytest.mark.parametrize("make,inputs", CASES.values(), ids=CASES)
def test_each_does_what_it_must(make, inputs):
    testing.check_layer(make(), inputs, custom_objects={"exponential": exponential})


def stack():
    return [
        MyGaussianNoise(0.01),
        layers.Lambda(exponential),
        RunningMean(),
        ResidualBlock(2, 6),
        OnFirstCall(),
        MyLayerNormalization(),
        MyDense(2),
    ]


class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.steps = stack()

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return inputs


def functional():
    x = y = keras.Input((6,))
    for layer in stack():
        y = layer(y)
    return keras.Model(x, y)


MODELS = {
    "sequential": lambda: keras.Sequential([keras.Input((6,)), *stack()]),
    "functional": functional,
    "subclass": Subclass,
}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_all_at_once_train_and_survive_a_file(make, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = make()
    model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = model.fit(X, Y, epochs=4, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    (seen,) = [v for v in model.variables if v.name == "seen"]
    assert int(seen) == 4 * 48
    before = model.predict(X, verbose=0)
    model.save(tmp_path / "own.keras")
    known = {**NAMES, "Subclass": Subclass}
    loaded = keras.models.load_model(tmp_path / "own.keras", custom_objects=known)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), before, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(keras.jit(loaded)(X), before, rtol=1e-2, atol=1e-2)


def test_own_layer_normalization_is_the_built_in():
    own, built_in = MyLayerNormalization(), layers.LayerNormalization(epsilon=0.001)
    x = RNG.normal(3, 2, (64, 7, 20)).astype("float32")
    weights = [RNG.normal(size=20), RNG.normal(size=20)]
    for layer in (own, built_in):
        layer.build(x.shape)
        layer.set_weights(weights)
    np.testing.assert_allclose(own(x), built_in(x), atol=1e-6)
    gradients = [
        jax.grad(lambda x, layer=layer: jnp.sum(layer(x) ** 2))(x) for layer in (own, built_in)
    ]
    np.testing.assert_allclose(*gradients, atol=2e-4)


def test_several_inputs_and_outputs_in_a_graph():
    a, b = keras.Input((6,)), keras.Input((6,))
    total, product = TwoInTwoOut()([a, b])
    model = keras.Model([a, b], [total, TwoArguments()(product, total)])
    y = model([X, X])
    np.testing.assert_allclose(y[0], 2 * X)
    model.compile("sgd", ["mse", "mae"])
    assert np.isfinite(model.fit([X, X], [X, X], epochs=1, verbose=0).history["loss"][0])


class MarkShort(layers.Layer):
    """Makes a mask: steps whose features are all 0 do not count."""

    def compute_mask(self, inputs, previous_mask=None):
        return jnp.any(inputs != 0, axis=-1)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs):
        return inputs


class MaskedMean(layers.Layer):
    """Consumes one."""

    def call(self, inputs, mask=None):
        if mask is None:
            return jnp.mean(inputs, axis=1)
        weights = mask[..., None].astype(inputs.dtype)
        return jnp.sum(inputs * weights, axis=1) / jnp.maximum(jnp.sum(weights, axis=1), 1)

    def compute_mask(self, inputs, previous_mask=None):
        return None


@pytest.mark.parametrize("how", ["eager", "jit", "graph", "predict"])
def test_masks_are_made_and_consumed(how):
    x = np.ones((2, 3, 4), "float32") * np.arange(1, 4)[:, None]
    x[0, 1:] = 0
    mark, mean = MarkShort(), MaskedMean()
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, mean(mark(inputs)))
    run = {
        "eager": lambda: mean(mark(x)),
        "jit": lambda: keras.jit(lambda x: mean(mark(x)))(x),
        "graph": lambda: model(x),
        "predict": lambda: model.predict(x, verbose=0),
    }[how]
    assert run()[:, 0].tolist() == [1, 2]
    assert get_mask(mean(mark(x))) is None
