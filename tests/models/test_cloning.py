"""Copies of models: each program runs with Keras 3 too, and gives the same."""

import copy
import json
import pickle

import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers, ops
from kerasish.core.serialization.live_objects import live_objects
from kerasish.models import clone_model
from tests.support.keras_oracle import X, both, weights


def functional(k):
    x = k.Input((4,), name="x")
    h = k.layers.Dense(2, name="dense")(x)
    return k.Model(x, k.layers.Dropout(0.3)(h), name="model")


def twice_as_wide(k):
    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, k.layers.Dense):
            config["units"] *= 2
        return type(layer).from_config(config)

    return clone


def said(model):  # the input's name apart: Keras names it after the tensor
    return {**weights(model), "layers": [layer.name for layer in model.layers][1:]}


def plain_copy(k):
    model = functional(k)
    copy = k.models.clone_model(model)
    new = copy.get_layer("dense") is not model.get_layer("dense")
    return said(copy), new, copy.output_shape, copy.get_layer("dropout").get_config()


def other_layers(k):
    wide = k.models.clone_model(functional(k), clone_function=twice_as_wide(k))
    stack = k.Sequential([k.Input((4,)), k.layers.Dense(3)])
    wide_stack = k.models.clone_model(stack, clone_function=twice_as_wide(k))
    return said(wide), wide.output_shape, weights(wide_stack), wide_stack.output_shape


def other_inputs(k):
    model = k.models.clone_model(functional(k), input_tensors=k.Input((4,), batch_size=3))
    stack = k.Sequential([k.Input((4,)), k.layers.Dense(2)])
    stack = k.models.clone_model(stack, input_tensors=k.Input((4,), batch_size=2))
    return model.input_shape, said(model), stack.input_shape, weights(stack)


def other_calls(k):
    model = functional(k)
    double = k.models.clone_model(
        model,
        clone_function=lambda layer: layer,
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs) * 2.0,
    )
    return np.asarray(double(X)) - 4 * np.asarray(model(X))


def shared_layers_stay_shared(k):
    x, dense = k.Input((4,)), k.layers.Dense(4)
    copy = k.models.clone_model(k.Model(x, k.layers.Add()([dense(x), dense(dense(x)) * 2.0])))
    return copy.count_params(), len(copy.weights)


def not_built(k):
    copy = k.models.clone_model(k.Sequential([k.layers.Dense(2)]))
    return copy.built, weights(copy)


def subclass(k):
    class Own(k.Model):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def get_config(self):
            return {"units": self.units}

    return k.models.clone_model(Own(3)).units


PROGRAMS = [
    plain_copy,
    other_layers,
    other_inputs,
    other_calls,
    shared_layers_stay_shared,
    not_built,
    subclass,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_keras(program):
    both(program)


def nested():
    x, z = Input((4,)), Input((4,))
    inner = Model(x, layers.Dense(3, name="inside")(x), name="inner")
    return Model(z, layers.Dense(2, name="outside")(inner(z)) + 1.0)


@pytest.mark.parametrize("recursive, met", [(True, ["inside", "outside"]), (False, ["outside"])])
def test_models_inside(recursive, met):
    seen = []

    def clone(layer):
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    copy = clone_model(nested(), clone_function=clone, recursive=recursive)
    assert sorted(seen) == met
    assert [w.shape for w in copy.weights] == [w.shape for w in nested().weights]


def test_the_copy_computes_the_same_with_the_same_weights():
    model = nested()
    copy = clone_model(model)
    assert not np.allclose(copy(X), model(X))
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(copy(X), model(X), rtol=1e-6)


def test_a_subclass_keeps_its_layers():
    with pytest.raises(ValueError, match="Model is a subclassed model, so its layers cannot"):
        clone_model(Model(), clone_function=lambda layer: layer)


def test_a_stack_keeps_its_name_and_what_is_frozen():
    copy = clone_model(Sequential([Input((4,)), layers.Dense(2)], name="mine", trainable=False))
    assert (copy.name, copy.trainable, copy.trainable_weights) == ("mine", False, [])


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_trained_model_is_copied_and_trains_apart(twin_of):
    model = Sequential([Input((4,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile("adam", "mse")
    fit = {"batch_size": 4, "shuffle": False, "verbose": 0}
    model.fit(X, X[:, :1], **fit)
    twin, before = twin_of(model), [np.array(w) for w in model.get_weights()]
    twin.fit(X, X[:, :1], **fit)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(X, X[:, :1], **fit)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


# -- copies in memory need no rules of files

SEQUENCE = np.linspace(-1, 1, 30, dtype="float32").reshape(2, 5, 3)


def negated(x):
    return -x


class Local(layers.Layer):  # not registered
    def __init__(self, blocks, table, **kwargs):
        super().__init__(**kwargs)
        self.blocks, self.table = blocks, table

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.table["last"](self.table["dense"](x))


class Cell(layers.Layer):
    def __init__(self, units, function, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units
        self.function = function

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], self.units), name="kernel")

    def call(self, x, states):
        y = self.function(x @ self.kernel.value + states[0])
        return y, [y]


class Settings:  # has no config
    factor = 2.0


class Scaled(layers.Layer):
    def __init__(self, settings, **kwargs):
        super().__init__(**kwargs)
        self.settings = settings

    def call(self, x):
        return x * self.settings.factor


class WithStep(Model):
    def __init__(self, inputs, outputs, alpha=1.0, function=None, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.alpha, self.function = alpha, function

    def train_step(self, data):
        return {"loss": self.alpha}


class MadeInside(Model):
    def __init__(self, units, **kwargs):
        x = Input((5, 3))
        super().__init__(x, layers.Dense(units)(x), **kwargs)
        self.units = units


class Stack(Sequential):
    def __init__(self, layers=None, alpha=1.0, name=None):
        super().__init__(layers, name=name)
        self.alpha = alpha


class StackMadeInside(Sequential):
    def __init__(self, units, **kwargs):
        super().__init__([Input((5, 3)), layers.Dense(units)], **kwargs)
        self.units = units


def graph(cls=Model, **options):
    x = Input((5, 3))
    return cls(x, layers.Dense(2)(x) + 1.0, **options)


def with_op_of_a_function():
    x = Input((5, 3))
    return Model(x, ops.vectorized_map(lambda row: row * 2, layers.Dense(3)(x)))


def in_graph(layer):
    x = Input((5, 3))
    return Model(x, layer(x))


MADE_OF_OBJECTS = {
    "a lambda": lambda: layers.Lambda(lambda x: x + 1),
    "a lambda as activation": lambda: layers.Dense(2, activation=lambda x: x * 2),
    "a local function": lambda: layers.Lambda(negated),
    "functions for weights": lambda: layers.Dense(
        2,
        kernel_initializer=lambda shape, dtype=None: np.ones(shape, dtype),
        bias_constraint=negated,
    ),
    "a class that is not registered": lambda: Local(
        (layers.Dense(3), layers.Lambda(lambda x: x - 1)),
        {"dense": layers.Dense(2), "last": lambda x: -x},
    ),
    "an object without a config": lambda: Scaled(Settings()),
    "a cell": lambda: layers.RNN(Cell(4, lambda x: x / 2)),
    "cells, both ways": lambda: layers.Bidirectional(
        layers.RNN([Cell(4, lambda x: x), Cell(2, negated)])
    ),
    "an activation, both ways": lambda: layers.Bidirectional(
        layers.LSTM(3, activation=lambda x: x / 2)
    ),
    "inside a wrapper": lambda: layers.TimeDistributed(layers.Dense(2, activation=negated)),
    "a constraint's wrapper": lambda: layers.SpectralNormalization(
        layers.Dense(2, activation=negated)
    ),
    "a model in a wrapper": lambda: layers.TimeDistributed(Sequential([layers.Lambda(negated)])),
    "a model inside": lambda: Sequential([Sequential([layers.Lambda(lambda x: x + 1)])]),
    "a graph inside": with_op_of_a_function,
    "a graph in a wrapper": lambda: in_graph(layers.Bidirectional(layers.GRU(2, negated))),
}


def assert_same(copy, model):
    model(SEQUENCE), copy(SEQUENCE)
    assert not {id(v) for v in model.variables} & {id(v) for v in copy.variables}
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(copy(SEQUENCE), model(SEQUENCE), rtol=1e-6)


def rebuilt(layer):
    return type(layer).from_config(layer.get_config())


@pytest.mark.parametrize("own", [None, rebuilt], ids=["as it is", "by a function"])
@pytest.mark.parametrize("make", MADE_OF_OBJECTS.values(), ids=MADE_OF_OBJECTS)
def test_objects_are_copied_as_they_are(make, own):
    for model in (Sequential([Input((5, 3)), make()]), in_graph(make())):
        assert_same(clone_model(model, clone_function=own), model)


@pytest.mark.parametrize("own", [None, rebuilt], ids=["as it is", "by a function"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: graph(WithStep, alpha=0.3, function=negated, name="mine"),
        lambda: Stack([Input((5, 3)), layers.Dense(2)], alpha=0.3, name="mine"),
    ],
    ids=["graph", "stack"],
)
def test_the_class_and_its_arguments_stay(make, own):
    model = make()
    copy = clone_model(model, clone_function=own)
    assert (type(copy), copy.name, copy.alpha) == (type(model), "mine", 0.3)
    assert getattr(copy, "function", None) is getattr(model, "function", None)
    assert_same(copy, model)


@pytest.mark.parametrize("make", [MadeInside, StackMadeInside])
def test_a_class_that_makes_its_layers_itself(make, tmp_path):
    model = make(4)
    copy = clone_model(model)
    assert (type(copy), copy.units) == (make, 4)
    assert_same(copy, model)
    with pytest.warns(UserWarning, match=f"{make.__name__} makes its layers in `__init__`"):
        assert_same(clone_model(model, clone_function=rebuilt), model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", {make.__name__: make})
    np.testing.assert_array_equal(loaded(SEQUENCE), model(SEQUENCE))


def test_a_stack_with_an_argument_of_its_own_is_saved_with_it(tmp_path):
    model = Stack([Input((5, 3)), layers.Dense(2)], alpha=0.3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", {"Stack": Stack})
    assert (loaded.alpha, loaded.name) == (0.3, model.name)
    np.testing.assert_array_equal(loaded(SEQUENCE), model(SEQUENCE))


def test_a_variable_as_argument_is_not_shared_silently():
    class Tied(layers.Layer):
        def __init__(self, table, **kwargs):
            super().__init__(**kwargs)
            self.table = table

        def call(self, x):
            return x @ self.table.value

    model = Sequential([Input((5, 3)), Tied(keras.Variable(np.ones((3, 2), "float32")))])
    with pytest.raises(ValueError, match=r"the copy of 'sequential.*' would share"):
        clone_model(model)


def test_no_file_can_hold_such_a_config():
    with live_objects():
        config = layers.Lambda(lambda x: x).get_config()
    with pytest.raises(TypeError, match="LiveObject is not JSON serializable"):
        json.dumps(config)
    pretended = {"class_name": "Dense", "config": {"units": 1}, "live_class": "builtins.eval"}
    assert isinstance(keras.saving.deserialize_keras_object(pretended), layers.Dense)
