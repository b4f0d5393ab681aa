"""The mistakes everyone makes once: each error says what is wrong and what to do."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


class LayerWithoutSuper(layers.Layer):
    def __init__(self):
        self.units = 3


class ModelWithoutSuper(keras.Model):
    def __init__(self):
        self.dense = layers.Dense(3)


class LossWithoutSuper(keras.losses.Loss):
    def __init__(self):
        self.threshold = 1.0

    def call(self, y_true, y_pred):
        return jnp.mean(y_true - y_pred, axis=-1)


class MetricWithoutSuper(keras.metrics.Metric):
    def __init__(self):
        self.total = self.add_weight(name="total")


class PlainMetricWithoutSuper(keras.metrics.Metric):
    def __init__(self):
        self.threshold = 1.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass


class OptimizerWithoutSuper(keras.optimizers.Optimizer):
    def __init__(self):
        self.rate = 1.0


class Scale(layers.Layer):
    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), name="factor")

    def call(self, inputs):
        return inputs * self.factor


class EachTime(layers.Layer):
    def call(self, inputs):
        return inputs * self.add_weight(shape=(inputs.shape[-1],), name="w")


class LayerEachTime(layers.Layer):
    def call(self, inputs):
        return layers.Dense(2)(inputs)


class TwoArguments(layers.Layer):
    def call(self, query, value):
        return query + value


class NoCall(layers.Layer):
    pass


class NoResult(keras.metrics.Metric):
    def update_state(self, y_true, y_pred, sample_weight=None):
        pass


class NothingAsResult(NoResult):
    def result(self):
        pass


class NoUpdate(keras.metrics.Metric):
    def result(self):
        return 1.0


def built():
    layer = Scale()
    layer(X)
    return layer


def fit(loss="mse", metrics=None, layer=None, model=keras.Sequential, **options):
    inside = [layer] if layer else []
    one = model([keras.Input((3,)), *inside, layers.Dense(1)])
    one.compile("sgd", loss, metrics=metrics)
    one.fit(X, Y, verbose=0, **options)


def mean_of_all(y_true, y_pred):
    return jnp.mean((y_true - y_pred) ** 2)


def over_the_batch(y_true, y_pred):
    return jnp.mean((y_true - y_pred) ** 2, axis=0)


class NoDict(keras.Sequential):
    def train_step(self, data):
        return 1.0


NO_SUPER = r"`super\(\).__init__\(\)` was not called. Make it the first line of `__init__`"
WEIGHTS = {"sample_weight": np.ones(8)}
CASES = {
    "layer, no super": (
        lambda: LayerWithoutSuper()(X),
        RuntimeError,
        f"LayerWithoutSuper: {NO_SUPER}",
    ),
    "layer, no super, inside": (lambda: fit(layer=LayerWithoutSuper()), RuntimeError, NO_SUPER),
    "model, no super": (lambda: ModelWithoutSuper().compile(), RuntimeError, NO_SUPER),
    "model, no super, call": (lambda: ModelWithoutSuper()(X), RuntimeError, NO_SUPER),
    "loss, no super": (lambda: LossWithoutSuper()(Y, Y), RuntimeError, NO_SUPER),
    "loss, no super, fit": (lambda: fit(LossWithoutSuper()), RuntimeError, NO_SUPER),
    "metric, no super": (MetricWithoutSuper, RuntimeError, NO_SUPER),
    "metric, no super, fit": (
        lambda: fit(metrics=[PlainMetricWithoutSuper()]),
        RuntimeError,
        NO_SUPER,
    ),
    "optimizer, no super": (lambda: OptimizerWithoutSuper().apply([X]), RuntimeError, NO_SUPER),
    "layer set after build": (
        lambda: setattr(built(), "more", layers.Dense(2)),
        AttributeError,
        r"'scale' \(Scale\) is built; `more` would add state to it. Set layers and weights in `__i",
    ),
    "variable set after build": (
        lambda: setattr(built(), "more", keras.Variable(1.0)),
        AttributeError,
        "Set layers and weights in `__init__` or `build`",
    ),
    "weight after build": (
        lambda: built().add_weight(shape=(2,), name="late"),
        RuntimeError,
        "makes weight 'late' after it was built. Make weights in `build`, or in the first `call`",
    ),
    "weights in a second call": (
        lambda: [layer(X) for layer in [EachTime()] * 2],
        RuntimeError,
        "makes weight 'w' after it was built",
    ),
    "layers in each call": (
        lambda: fit(layer=LayerEachTime()),
        RuntimeError,
        "makes new Variables each time it is traced. Make them once",
    ),
    "missing argument": (
        lambda: TwoArguments()(X),
        TypeError,
        r"'two_arguments' \(TwoArguments\): missing a required argument: 'value'; its call is "
        r"`call\(query, value\)`",
    ),
    "too many arguments": (
        lambda: layers.Dense(2)(X, X),
        TypeError,
        r"too many positional arguments; its call is `call\(inputs, \*, training=None\)`",
    ),
    "unknown argument": (
        lambda: layers.Dense(2, unit=3),
        ValueError,
        r"unknown argument\(s\) \['unit'\]",
    ),
    "no call": (lambda: NoCall()(X), NotImplementedError, r"define `call\(self, inputs\)`"),
    "loss of a scalar, weighted": (
        lambda: fit(mean_of_all, **WEIGHTS),
        ValueError,
        r"'mean_of_all' returned shape \(\), with a weight for each of 8 samples. Return one value "
        r"per sample, shape \(batch, ...\): reduce over the last axis only",
    ),
    "loss over the batch, weighted": (
        lambda: fit(over_the_batch, **WEIGHTS),
        ValueError,
        r"returned shape \(1,\), with a weight for each of 8 samples",
    ),
    "loss of nothing": (
        lambda: fit(lambda y_true, y_pred: None),
        TypeError,
        "returned NoneType. Return one value per sample",
    ),
    "metric without result": (
        lambda: fit(metrics=[NoResult()]),
        NotImplementedError,
        r"NoResult: implement `result\(\)`",
    ),
    "metric with nothing as result": (
        lambda: fit(metrics=[NothingAsResult()]),
        TypeError,
        r"'nothing_as_result' \(NothingAsResult\): `result\(\)` returned None. Return a number",
    ),
    "metric without update": (
        lambda: fit(metrics=[NoUpdate()]),
        NotImplementedError,
        "NoUpdate: implement `update_state`",
    ),
    "step without a dict": (
        lambda: fit(model=NoDict),
        TypeError,
        "A step must return a dict of results; got float",
    ),
}


@pytest.mark.parametrize("act,kind,text", CASES.values(), ids=CASES)
def test_is_told(act, kind, text):
    with pytest.raises(kind, match=text):
        act()


V = {
    "shape": (
        lambda v: v.assign(np.ones(3)),
        r"'v' has shape \(2, 3\); cannot assign shape \(3,\)",
    ),
    "added shape": (
        lambda v: v.assign_add(np.ones(5)),
        r"has shape \(2, 3\); cannot add shape \(5,",
    ),
    "text": (lambda v: v.assign("a"), "'v' holds float32; cannot assign 'a'. Give numbers"),
    "texts": (lambda v: v.assign(np.full((2, 3), "a")), "cannot assign <U1"),
    "nothing": (lambda v: v.assign(None), "cannot assign None"),
    "complex": (lambda v: v.assign(np.ones((2, 3)) * 1j), "cannot assign complex128"),
    "symbolic": (lambda v: v.assign(keras.Input((3,))), "a symbolic tensor, which has no value"),
    "item": (lambda v: v.__setitem__(0, 1), r"`v.assign\(v.at\[index\].set\(value\)\)`"),
}


@pytest.mark.parametrize("act,text", V.values(), ids=V)
def test_wrong_assignments_are_told_and_change_nothing(act, text):
    v = keras.Variable(np.ones((2, 3)), name="v")
    with pytest.raises((ValueError, TypeError), match=text):
        act(v)
    assert v.numpy().tolist() == [[1, 1, 1]] * 2


def test_a_file_with_unknown_classes_says_how_to_name_them(tmp_path):
    model = keras.Sequential([keras.Input((3,)), Scale()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(
        TypeError, match=r"'Scale'.*custom_objects=\{'Scale': ...\}.*register_keras"
    ):
        keras.models.load_model(tmp_path / "m.keras")
