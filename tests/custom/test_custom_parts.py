"""Losses, activations, initializers, regularizers, constraints, metrics as users write them."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, testing

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = (X @ RNG.normal(size=(4, 1)) + 0.1 * RNG.normal(size=(96, 1))).astype("float32")
PAIR = RNG.normal(size=(2, 12, 3)).astype("float32")


# -- losses


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    small = jnp.abs(error) < 1
    return jnp.where(small, jnp.square(error) / 2, jnp.abs(error) - 0.5)


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        small = jnp.abs(error) < self.threshold
        linear = self.threshold * jnp.abs(error) - self.threshold**2 / 2
        return jnp.where(small, jnp.square(error) / 2, linear)

    def get_config(self):  # as Keras users write it
        return {**super().get_config(), "threshold": self.threshold}


# -- activations, initializers, regularizers, constraints: functions and classes


def leaky_softplus(z):
    return jnp.log(1.0 + jnp.exp(z)) - 0.1 * jnp.maximum(-z, 0)


def my_glorot(shape, dtype=None):
    scale = np.sqrt(2.0 / (shape[0] + shape[-1]))
    return np.random.default_rng(1).normal(0, scale, shape).astype(dtype)


def my_l1(weights):
    return 0.01 * jnp.sum(jnp.abs(weights))


def positive(weights):
    return jnp.where(weights < 0, jnp.zeros_like(weights), weights)


class LeakySoftplus(layers.Layer):
    def __init__(self, slope=0.1, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope

    def call(self, inputs):
        return jnp.logaddexp(inputs, 0) - self.slope * jnp.maximum(-inputs, 0)


class MyGlorot(keras.initializers.Initializer):
    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        scale = self.gain * np.sqrt(2.0 / (shape[0] + shape[-1]))
        return keras.random.normal(shape, stddev=scale, dtype=dtype, seed=3)


class MyL1(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return jnp.sum(self.factor * jnp.abs(weights))

    def get_config(self):
        return {"factor": self.factor}


class Positive(keras.constraints.Constraint):
    def __init__(self, least=0.0):
        self.least = least

    def __call__(self, weights):
        return jnp.maximum(weights, self.least)


# -- metrics


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, name="huber_metric", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.threshold = threshold
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = HuberLoss(self.threshold, reduction="none")(y_true, y_pred)
        if sample_weight is not None:
            values = values * jnp.reshape(sample_weight, (-1, 1))
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(jnp.float32(values.size))

    def result(self):
        return self.total / self.count


CHECKS = {
    "loss function": lambda: testing.check_loss(huber_fn, *PAIR),
    "loss": lambda: testing.check_loss(HuberLoss(2.0), *PAIR),
    "activation": lambda: testing.check_layer(LeakySoftplus(0.3), (3, 4)),
    "initializer function": lambda: testing.check_initializer(my_glorot),
    "initializer": lambda: testing.check_initializer(MyGlorot(2.0)),
    "regularizer function": lambda: testing.check_regularizer(my_l1),
    "regularizer": lambda: testing.check_regularizer(MyL1(0.2)),
    "constraint function": lambda: testing.check_constraint(positive),
    "constraint": lambda: testing.check_constraint(Positive(0.1)),
    "metric function": lambda: testing.check_metric(huber_fn, *PAIR),
    "metric": lambda: testing.check_metric(HuberMetric(2.0), *PAIR),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_each_does_what_it_must(check):
    check()


FUNCTIONS = {
    "activation": leaky_softplus,
    "kernel_initializer": my_glorot,
    "kernel_regularizer": my_l1,
    "kernel_constraint": positive,
}
CLASSES = {
    "activation": LeakySoftplus(0.1),
    "kernel_initializer": MyGlorot(1.5),
    "kernel_regularizer": MyL1(0.01),
    "kernel_constraint": Positive(),
}
OWN = [huber_fn, leaky_softplus, my_glorot, my_l1, positive]
OWN += [HuberLoss, LeakySoftplus, MyGlorot, MyL1, Positive, HuberMetric]
NAMES = {thing.__name__: thing for thing in OWN}


def sequential(parts):
    return keras.Sequential([keras.Input((4,)), layers.Dense(8, **parts), layers.Dense(1)])


def functional(parts):
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(1)(layers.Dense(8, **parts)(x)))


class Subclass(keras.Model):
    def __init__(self, parts=None, **kwargs):
        super().__init__(**kwargs)
        self.parts = parts
        self.hidden = layers.Dense(8, **parts)
        self.out = layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


MODELS = {"sequential": sequential, "functional": functional, "subclass": Subclass}
KINDS = {
    "functions": (FUNCTIONS, huber_fn, [huber_fn]),
    "classes": (CLASSES, HuberLoss(1.0), [HuberMetric(1.0), "mae"]),
}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_all_at_once_train_and_survive_a_file(make, kind, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    parts, loss, metrics = KINDS[kind]
    model = make(parts)
    model.compile("adam", loss, metrics=metrics, weighted_metrics=[HuberMetric(1.0, "weighted")])
    history = model.fit(X, Y, epochs=4, batch_size=16, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    kernel = model.trainable_variables[0]
    assert np.all(kernel.numpy() >= 0)
    np.testing.assert_allclose(model.losses, my_l1(kernel), rtol=1e-2)
    before = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert before["loss"] == pytest.approx(
        before[metrics_name(metrics)] + float(model.losses[0]), 0.02
    )
    model.save(tmp_path / "own.keras")
    known = {**NAMES, "Subclass": Subclass}
    loaded = keras.models.load_model(tmp_path / "own.keras", custom_objects=known)
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(before, rel=1e-5)
    with pytest.raises(TypeError, match=r"Unknown .*custom_objects=.*register_keras_serializable"):
        keras.models.load_model(tmp_path / "own.keras")


def metrics_name(metrics):
    return getattr(metrics[0], "name", None) or metrics[0].__name__


def test_registered_ones_need_no_custom_objects(tmp_path):
    @keras.saving.register_keras_serializable("shop")
    def half(y_true, y_pred):
        return jnp.mean(jnp.abs(y_true - y_pred), axis=-1) / 2

    @keras.saving.register_keras_serializable("shop")
    class Twice(layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1), Twice()])
    model.compile("sgd", half, metrics=[half])
    before = model.evaluate(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.evaluate(X, Y, verbose=0) == pytest.approx(before)


@pytest.mark.parametrize("loss", [huber_fn, HuberLoss(1.0)], ids=["function", "class"])
def test_weights_and_reductions_are_right(loss):
    weights = RNG.uniform(0, 2, len(Y)).astype("float32")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", loss)
    by_hand = huber_fn(Y, model(X))[:, 0]
    assert model.evaluate(X, Y, batch_size=96, verbose=0) == pytest.approx(
        float(by_hand.mean()), 1e-5
    )
    weighted = model.evaluate(X, Y, batch_size=96, sample_weight=weights, verbose=0)
    assert weighted == pytest.approx(float((by_hand * weights).mean()), 1e-5)
    if isinstance(loss, keras.losses.Loss):
        total = HuberLoss(1.0, reduction="sum")(Y, model(X), sample_weight=weights)
        assert float(total) == pytest.approx(float((by_hand * weights).sum()), 1e-5)


def test_metrics_alone():
    precision = keras.metrics.Precision()
    assert float(precision([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1])) == pytest.approx(
        0.8
    )
    assert float(precision([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0])) == 0.5
    assert [v.name for v in precision.variables] == ["true_positives", "false_positives"]
    precision.reset_state()
    assert float(precision.result()) == 0
    metric = HuberMetric(2.0)
    assert float(metric(np.array([[2.0]]), np.array([[10.0]]))) == 14
    assert float(metric(np.array([[0.0], [5.0]]), np.array([[1.0], [9.25]]))) == pytest.approx(7)
