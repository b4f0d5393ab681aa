"""The public checks find planted mistakes, and say what to do about them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, testing

X = (4, 3)
PAIR = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")


class Scale(layers.Layer):
    """Right in every way; the mistakes are made in its subclasses."""

    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale * self.factor


class ChangesItsArgument(Scale):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = 2 * factor


class LeavesOutAnArgument(Scale):
    def get_config(self):
        config = super().get_config()
        config.pop("factor")
        return config


class WritesAnArray(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": np.ones(3)}


class PromisesAnotherShape(Scale):
    def compute_output_spec(self, inputs):
        return keras.KerasTensor((None, 7))


class UsesNumPy(Scale):
    def call(self, inputs):
        return np.tanh(np.asarray(inputs)) * self.scale


class Counts(Scale):
    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs * self.scale * self.calls


class KeepsWhatItSaw(Scale):
    def call(self, inputs):
        self.last = inputs * self.scale
        return self.last


class Rounds(Scale):
    def call(self, inputs):
        return jnp.round(inputs * self.scale)


class TakesARoot(Scale):
    def call(self, inputs):
        return jnp.sqrt(jnp.abs(inputs * self.scale - inputs * self.scale)) + self.scale


class Widens(Scale):
    def call(self, inputs):
        return inputs * self.scale * np.ones(3, "float32")


class KeepsWeightsOutside(Scale):
    def build(self, input_shape):
        super().build(input_shape)
        self.secret = np.random.default_rng().normal()

    def call(self, inputs):
        return inputs * self.scale * self.secret


LAYERS = {
    ChangesItsArgument: "`factor` is 6.0 in its config, and 12.0 after.*Keep the argument as given",
    LeavesOutAnArgument: "the argument `factor` is not in its config.*attribute of the same name",
    WritesAnArray: "writing 'factor' of its config as JSON failed.*`get_config` return plain data",
    PromisesAnotherShape: r"promise float32\(None, 7\), arrays give float32\(4, 3\)",
    UsesNumPy: r"symbolic tensors.*failed.*instead of NumPy",
    Counts: "compiled results are not the eager ones.*no Python state",
    KeepsWhatItSaw: r"compiled call, \['keeps_what_it_saw.last'\] hold traced values.*add_weight",
    Rounds: r"no gradient reaches \['rounds/scale'\]",
    TakesARoot: "its gradients are not finite.*roots at 0",
    Widens: "under the policy 'mixed_bfloat16' it returns.*float32.*`self.compute_dtype`",
    KeepsWeightsOutside: "after loading it computes something else.*files hold nothing else",
}


@pytest.mark.parametrize("make,text", LAYERS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_layers_with_a_mistake(make, text):
    with pytest.raises(AssertionError, match=f"(?s)^{make.__name__}: .*{text}"):
        testing.check_layer(make(3.0), X)


def test_right_ones_pass():
    testing.check_layer(Scale(3.0), X)
    testing.check_layer(layers.Dense(2), np.ones((2, 3)))
    testing.check_layer(layers.Add(), [(2, 3), (2, 3)])
    testing.check_layer(Counts(), X, without=["compiling", "saving"])
    with pytest.raises(ValueError, match=r"`without` must be among .*'config'.*; got 'speed'"):
        testing.check_layer(Scale(), X, without="speed")


def mean_of_all(y_true, y_pred):
    return jnp.mean(jnp.square(y_true - y_pred))


def hits(y_true, y_pred):
    return jnp.mean(jnp.round(y_true) == jnp.round(y_pred), axis=-1)


def in_numpy(y_true, y_pred):
    return np.mean(np.square(np.asarray(y_true) - np.asarray(y_pred)), axis=-1)


def rooted(y_true, y_pred):
    return jnp.sqrt(jnp.sum(jnp.square(y_pred - y_pred) + 0 * y_true, axis=-1))


class Forgetful(keras.losses.Loss):
    def __init__(self, power=2.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def call(self, y_true, y_pred):
        return jnp.mean(abs(y_true - y_pred) ** self.power, axis=-1)

    def get_config(self):
        return {"power": 2.0}


LOSSES = {
    "one number": (mean_of_all, r"for 6 samples it returns shape \(\).*one value per sample"),
    "lambda": (lambda t, p: jnp.mean((t - p) ** 2, -1), "a lambda cannot be saved.*with `def`"),
    "stops": (hits, "its gradient is 0 everywhere.*Rounding"),
    "numpy": (in_numpy, "NumPy"),
    "root": (rooted, "its gradient is not finite.*roots at 0"),
    "config": (Forgetful(3.0), "Forgetful: after loading it gives another value.*in its config"),
}


@pytest.mark.parametrize("loss,text", LOSSES.values(), ids=LOSSES)
def test_losses_with_a_mistake(loss, text):
    with pytest.raises(AssertionError, match=f"(?s){text}"):
        testing.check_loss(loss, *PAIR)


class MeanOfMeans(keras.metrics.Metric):
    def __init__(self, name="mean_of_means", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable(name="total")
        self.batches = self.add_variable(name="batches")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(jnp.mean(abs(y_true - y_pred)))
        self.batches.assign_add(1)

    def result(self):
        return self.total / self.batches


class InAnAttribute(keras.metrics.Metric):
    total = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total = self.total + jnp.sum(abs(y_true - y_pred))

    def result(self):
        return self.total

    def reset_state(self):
        self.total = 0.0


class NoReset(MeanOfMeans):
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(jnp.sum(abs(y_true - y_pred)))

    def result(self):
        return self.total.value

    def reset_state(self):
        pass


METRICS = {
    "batches": (MeanOfMeans, "depends on how the samples are cut into batches.*Keep sums"),
    "attribute": (InAnAttribute, "`add_variable`, not in plain attributes|compiling it failed"),
    "reset": (NoReset, "`reset_state` does not forget everything"),
}


@pytest.mark.parametrize("make,text", METRICS.values(), ids=METRICS)
def test_metrics_with_a_mistake(make, text):
    with pytest.raises(AssertionError, match=f"(?s){make.__name__}: .*{text}"):
        testing.check_metric(make(), *PAIR)


def wrong_dtype(shape, dtype=None):
    return np.zeros(shape, "float32")


def per_entry(w):
    return jnp.abs(w)


def norm(w):
    return jnp.linalg.norm(w)


def flat(w):
    return w.reshape(-1)


def divided(w):
    return w / jnp.sum(w)


class Frozen(keras.optimizers.Optimizer):
    def rule(self, gradient, weight, slots, learning_rate, step):
        return 0 * gradient, {}


class Stepping(keras.optimizers.Optimizer):
    seen = 0

    def rule(self, gradient, weight, slots, learning_rate, step):
        self.seen += 1
        return -learning_rate * gradient / self.seen, {}


OTHERS = {
    "initializer": (
        lambda: testing.check_initializer(wrong_dtype),
        r"asked for bfloat16\(8, 4\) it gives float32\(8, 4\)",
    ),
    "regularizer": (lambda: testing.check_regularizer(per_entry), "Return one number"),
    "at zero": (lambda: testing.check_regularizer(norm), "no gradient at 0"),
    "constraint": (lambda: testing.check_constraint(flat), "in its own shape and dtype"),
    "divided": (lambda: testing.check_constraint(divided), "not finite.*divisions"),
    "optimizer": (lambda: testing.check_optimizer(Frozen(0.1)), "did not change in 6 steps"),
    "python": (lambda: testing.check_optimizer(Stepping(0.1)), "compiled it makes other weights"),
    "no layer": (
        lambda: testing.check_layer(jax.nn.relu, X),
        "Derive it from `keras.layers.Layer`",
    ),
}


@pytest.mark.parametrize("act,text", OTHERS.values(), ids=OTHERS)
def test_others_with_a_mistake(act, text):
    with pytest.raises(AssertionError, match=f"(?s){text}"):
        act()
