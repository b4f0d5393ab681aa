"""Stacks of layers: each program runs with Keras 3 too, and gives the same."""

import json

import numpy as np
import pytest

from kerasish import Input, Model, Sequential, layers
from kerasish.models import clone_model
from tests.support.keras_oracle import X, both, fill, graph, weights

TOKENS = np.array([[1, 2, 0], [3, 0, 0]])


def said(model):
    """`graph` without what a Sequential of Keras does not have."""
    return {**weights(model), "config": model.get_config(), "shapes": shapes(model)}


def shapes(model):
    return model.input_shape, model.output_shape, model.inputs, model.outputs


def built_at_once(k):
    model = fill(k.Sequential([k.Input((4,)), k.layers.Dense(3, "relu"), k.layers.Dense(2)]))
    again = k.Sequential.from_config(model.get_config())
    return said(model), said(again), model(X), model.get_build_config(), model.built


def built_later(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    before = model.built, model.get_config(), model.weights
    model.build((None, 4))
    return before, said(fill(model)), model(X)


def built_by_data(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    model(X)
    return weights(fill(model)), model(X[:2]), model.output_shape[1:]


def layers_in_several_places(k):
    dense, relu = k.layers.Dense(4), k.layers.ReLU()
    model = fill(k.Sequential([k.Input((4,)), dense, relu, dense, relu, k.layers.Dense(1)]))
    kinds = [type(layer).__name__ for layer in model.layers]
    return model(X), weights(model), kinds, model.layers[0] is model.layers[2]


def other_sizes_than_the_first_seen(k):
    model = k.Sequential([k.layers.Conv2D(2, 3), k.layers.GlobalAveragePooling2D()])
    model(np.ones((1, 8, 8, 3), "float32"))
    fill(model)
    return model(np.ones((2, 10, 10, 3), "float32"))


def added_and_popped(k):
    model = k.Sequential()
    model.add(k.Input((4,)))
    model.add(k.layers.Dense(3))
    model.add(k.layers.Dense(2))
    seen = [said(model)]
    model.pop()
    seen.append(said(model))
    model.add(k.layers.Dense(5))
    return seen, said(fill(model)), model(X)


def layers_made_before_and_added_out_of_order(k):
    first, second, third = (k.layers.Dense(n) for n in (2, 3, 4))
    model = k.Sequential([third])
    model.add(first)
    model.add(second)
    model.build((None, 4))
    return said(fill(model)), model(X)


def shape_in_the_first_layer(k):
    stack = [k.layers.Dense(3, input_shape=(4,)), k.layers.Dense(2)]
    return said(k.Sequential(stack)), said(k.Sequential([k.layers.Dense(3, input_dim=4)]))


def stacks_in_a_stack(k):
    built = k.Sequential([k.Input((4,)), k.layers.Dense(3)], name="built")
    model = fill(k.Sequential([built, k.layers.Dense(2)]))
    later = k.Sequential([k.Sequential([k.layers.Dense(3)], name="later"), k.layers.Dense(2)])
    later(X)
    again = k.Sequential.from_config(model.get_config())
    return said(model), model(X), weights(again), weights(fill(later)), later(X)


def tokens_and_masks(k):
    embedding = k.layers.Embedding(5, 2, mask_zero=True)
    pooling = k.layers.GlobalAveragePooling1D()
    model = k.Sequential([embedding, k.layers.Dropout(0.1), pooling])
    model(TOKENS)
    return weights(fill(model)), model(TOKENS), model(TOKENS.astype("float32"))


def mixed_precision(k):
    head = k.layers.Dense(2, dtype="float32")
    model = fill(k.Sequential([k.Input((4,)), k.layers.Dense(3, dtype="mixed_bfloat16"), head]))
    return said(model), model(X), [layer.compute_dtype for layer in model.layers]


def names_and_freezing(k):
    named = k.Sequential(name="mine"), k.Sequential(), k.Sequential()
    model = k.Sequential([k.Input((4,)), k.layers.Dense(2)], trainable=False)
    functional = k.Model(model.inputs, model.outputs)
    return [m.name for m in named], weights(model), functional.name


def shape_arithmetic(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    return model.compute_output_shape((None, 4)), model.compute_output_shape((7, 4))


def parts_of_it(k):
    stack = [k.Input((4,)), k.layers.Dense(3, name="first"), k.layers.Dense(2)]
    model = fill(k.Sequential(stack))
    first = k.Model(model.inputs, model.layers[0].output)
    return graph(first), first(X), model.get_layer("first").units, model.get_layer(index=1).name


def losses(k):
    dense = k.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
    model = fill(k.Sequential([k.Input((4,)), dense]))
    before = len(model.losses)
    model(X)
    model(X)
    return before, model.losses


PROGRAMS = [
    built_at_once,
    built_later,
    built_by_data,
    layers_in_several_places,
    other_sizes_than_the_first_seen,
    added_and_popped,
    layers_made_before_and_added_out_of_order,
    shape_in_the_first_layer,
    stacks_in_a_stack,
    tokens_and_masks,
    mixed_precision,
    names_and_freezing,
    shape_arithmetic,
    parts_of_it,
    losses,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_keras(program):
    both(program)


def test_json():
    model = Sequential([Input((4,)), layers.Dense(3, "relu")])
    made = Sequential.from_config(json.loads(model.to_json())["config"])
    assert made.get_config() == model.get_config()


def test_input_and_output_are_symbolic():
    """In Keras, `model.input` of a Sequential that was called on no symbolic tensor is an error."""
    model = Sequential([Input((4,)), layers.Dense(3)])
    assert (model.input.shape, model.output.shape) == ((None, 4), (None, 3))


def test_a_layer_that_does_not_fit_is_not_kept():
    model = Sequential([Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="Conv2D"):
        model.add(layers.Conv2D(2, 3))
    assert len(model.layers) == 1
    assert model(X).shape == (5, 3)


def test_training_goes_on_after_pop_and_add():
    model = Sequential([Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    model.pop()
    model.add(layers.Dense(2))
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    assert model.predict(X, verbose=0).shape == (5, 2)


def add(*items):
    def run():
        model = Sequential([layers.Dense(2, name="a")], name="stack")
        for item in items:
            model.add(item)

    return run


def test_layers_in_several_places_stay_one():
    dense, relu = layers.Dense(4), layers.ReLU()
    model = fill(Sequential([Input((4,)), dense, relu, dense, relu]))
    for copy in (Sequential.from_config(model.get_config()), clone_model(model)):
        assert copy.layers[0] is copy.layers[2] is not dense and len(copy.weights) == 2
        copy.set_weights(model.get_weights())
        np.testing.assert_allclose(copy(X), model(X))


def wrong_size():
    model = Sequential([layers.Dense(2, name="head")])
    model(X)
    model(X[:, :3])


MISTAKES = [
    (add(lambda x: x), ValueError, "'stack': only layers can be added.*`keras.layers.Lambda`"),
    (add("dense"), ValueError, "only layers can be added; got 'dense' of type str"),
    (add(layers.Dense), ValueError, "only layers can be added"),
    (add(layers.Dense(2, name="a")), ValueError, "different names; 'a' is there already"),
    (add(Input((4,))), ValueError, "an Input must come first"),
    (lambda: Sequential(name="stack").pop(), ValueError, "'stack' has no layer to take off"),
    (lambda: Sequential(name="stack")(X), ValueError, "'stack' has no layers yet"),
    (lambda: Sequential(name="stack").build((None, 4)), ValueError, "'stack' has no layers yet"),
    (lambda: Sequential([layers.Dense(2)]).count_params(), ValueError, "Build it first"),
    (lambda: Sequential([layers.Dense(2)]).output_shape, AttributeError, "has no `output_shape`"),
    (lambda: Sequential([layers.Dense(2)])([X, X]), ValueError, r"expects 1 input\(s\).*got 2"),
    (wrong_size, ValueError, "'head'.*axis -1 of size 4, found 3"),
    (lambda: Model().add(layers.Dense(2)), AttributeError, "add"),
]


@pytest.mark.parametrize("mistake, error, text", MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistake(mistake, error, text):
    with pytest.raises(error, match=text):
        mistake()
