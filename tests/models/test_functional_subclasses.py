"""Subclasses made of symbolic tensors, with arguments of their own: saved and loaded whole."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, layers

X = np.ones((2, 3), "float32")


class Starred(Model):
    def __init__(self, *args, alpha=0.5, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha


class OtherNames(Model):
    def __init__(self, *given, **named):
        super().__init__(*given, **named)


class Third(Model):
    def __init__(self, inputs, outputs, alpha, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.alpha = alpha


class First(Model):
    def __init__(self, alpha, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.alpha = alpha


class Named(Model):
    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha


class Nameless(Model):
    def __init__(self, inputs, outputs, alpha=2.0):
        super().__init__(inputs, outputs)
        self.alpha = alpha


class MadeInside(Model):
    def __init__(self, alpha, **kwargs):
        x = Input((3,))
        super().__init__(x, layers.Dense(alpha)(x), **kwargs)
        self.alpha = alpha


class WithStep(Model):
    def train_step(self, data):
        return {"loss": 7.0}


def tensors():
    x = Input((3,))
    return x, layers.Dense(2)(x)


MAKERS = {
    "a star before": lambda x, y: Starred(x, y, alpha=0.7),
    "other names of stars": lambda x, y: OtherNames(x, y),
    "third": lambda x, y: Third(x, y, 0.9),
    "third by name": lambda x, y: Third(x, y, alpha=0.8),
    "first": lambda x, y: First(0.3, x, y),
    "by name": lambda x, y: Named(alpha=0.2, inputs=x, outputs=y),
    "no name": lambda x, y: Nameless(x, y, 3.0),
    "made inside": lambda x, y: MadeInside(4),
    "none": WithStep,
    "none, by name": lambda x, y: WithStep(inputs=x, outputs=y),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_is_loaded_as_it_was(make, tmp_path):
    model = make(*tensors())
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "model.keras")
    cls = type(model)
    loaded = keras.models.load_model(tmp_path / "model.keras", {cls.__name__: cls})
    assert (type(loaded), loaded.name) == (cls, model.name)
    assert getattr(loaded, "alpha", None) == getattr(model, "alpha", None)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)


def two_inputs(names):
    a, b = Input((1,), name="price"), Input((1,), name="cost")
    return Model(dict(zip(names, (a, b), strict=True)), a - b)


ONE, ZERO = np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")


@pytest.mark.parametrize("call", [lambda m, x: m(x), lambda m, x: m.predict(x, verbose=0)])
def test_values_without_names_are_refused_where_they_would_be_a_guess(call):
    model = two_inputs(("price", "cost"))
    for values in ([ONE, ZERO], (ONE, ZERO)):
        with pytest.raises(ValueError, match=r"a dict of inputs, \['price', 'cost'\].*Give a dict"):
            call(model, values)
    np.testing.assert_array_equal(call(model, {"cost": ZERO, "price": ONE}), [[1]])


def test_values_in_the_only_order_are_taken():
    with pytest.warns(UserWarning, match=r"a dict of inputs, \['a', 'b'\], and was given a list"):
        found = two_inputs(("a", "b"))([ONE, ZERO])
    np.testing.assert_array_equal(found, [[1]])


def test_nested_dicts_are_refused_too():
    a, b, c = (Input((1,), name=name) for name in "abc")
    model = Model([a, {"z": b, "y": c}], a + 2 * b + 4 * c)
    with pytest.raises(ValueError, match="would be a guess"):
        model([ONE, ZERO, ZERO])
    np.testing.assert_array_equal(model([ONE, {"y": ZERO, "z": ONE}]), [[3]])


def test_outputs_keep_the_order_of_their_names():
    x = Input((3,))
    model = Model(x, {"z": layers.Dense(1)(x), "b": [layers.Dense(1)(x)]})
    assert list(model(X)) == ["z", "b"]
