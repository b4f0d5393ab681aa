"""Copies of models: each program runs with Keras 3 too, and gives the same."""

import copy
import pickle

import numpy as np
import pytest

from kerasish import Input, Model, Sequential, layers
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
