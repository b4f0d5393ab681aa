"""`LayerStatistics`: layers in the order of the network, and only units that are dead called so."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.callbacks import LayerStatistics

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


def looked_at(model, y=None, epochs=1):
    look = LayerStatistics(X, X[:, :1] if y is None else y)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1] if y is None else y, epochs=epochs, verbose=0, callbacks=look)
    return look


def test_layers_are_in_the_order_of_their_calls():
    x = inputs = keras.Input((4,))
    made = {i: layers.Dense(4, "tanh", name=f"dense_{i}") for i in (10, 2, 1, 33)}
    for i in (33, 2, 10, 1):
        x = made[i](x)
    look = looked_at(keras.Model(inputs, layers.Dense(1, name="a_last")(x)))
    assert list(look.history) == ["dense_33", "dense_2", "dense_10", "dense_1", "a_last"]


def test_layers_of_one_name_are_kept_apart():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = keras.Sequential([layers.Dense(4, "relu", name="same")], name="a")
            self.b = keras.Sequential([layers.Dense(1, name="same")], name="b")

        def call(self, x):
            return self.b(self.a(x))

    history = looked_at(Two()).history
    assert len(history) == 2 and all("same" in name for name in history)


@pytest.mark.parametrize("activation", ["linear", "tanh", "sigmoid", "gelu", "leaky_relu"])
def test_small_or_constant_outputs_are_not_dead(activation):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4, activation, kernel_initializer="zeros", name="small"),
            layers.Dense(1),
        ]
    )
    look = looked_at(model)
    assert look.history["small"]["dead"] == [0.0, 0.0]


DEAD = {
    "relu": (layers.Dense(4, "relu", bias_initializer=keras.initializers.Constant(-1e3)), 1.0),
    "relu6 at 6": (layers.Dense(4, "relu6", bias_initializer=keras.initializers.Constant(1e3)), 1),
    "tanh at 1": (layers.Dense(4, "tanh", bias_initializer=keras.initializers.Constant(1e3)), 1.0),
    "relu, alive": (layers.Dense(4, "relu", bias_initializer=keras.initializers.Constant(9.0)), 0),
}


@pytest.mark.parametrize("case", DEAD)
def test_units_at_flat_parts_are_dead(case):
    layer, share = DEAD[case]
    layer = type(layer).from_config({**layer.get_config(), "name": "it"})
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(1)])
    assert looked_at(model).history["it"]["dead"][0] == share


def test_a_relu_layer_is_looked_at():
    model = keras.Sequential([keras.Input((4,)), layers.ReLU(name="it"), layers.Dense(1)])
    assert 0 <= looked_at(model).history["it"]["dead"][0] < 1


@pytest.mark.parametrize("depth", [3, 40])
def test_plot_runs_along_the_depth(depth, tmp_path):
    stack = [layers.Dense(4, "relu", name=f"d{i}") for i in range(depth)]
    model = keras.Sequential([keras.Input((4,)), *stack, layers.Dense(1, name="out")])
    figure = looked_at(model, epochs=2).plot(tmp_path / "figure.png")
    means, _, dead, gradient = figure.axes
    assert len(means.lines) == 3 and len({line.get_color().tobytes() for line in means.lines}) == 3
    assert list(means.lines[0].get_xdata()) == list(range(1, depth + 2))
    assert dead.get_ylim()[0] < 0 and dead.get_ylim()[1] == pytest.approx(1.02)
    assert gradient.get_yscale() == "log"
    labels = [text.get_text() for text in dead.get_xticklabels()]
    assert ("out" in labels) == (depth == 3)
    if depth == 40:
        assert dead.get_xlabel() == "depth: layer 1 (d0) to 41 (out)"
