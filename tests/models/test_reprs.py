"""What is seen of models, optimizers and callbacks at a prompt: one line, or a table."""

import re

import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers


class Own(Model):
    def __init__(self, units):
        super().__init__(name="own")
        self.dense = layers.Dense(units)


def graph():
    x = Input((3,), name="x")
    return Model(x, layers.Dense(300, name="head<1>")(x), name="graph")


schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
own_rate = keras.optimizers.SGD(0.5)
own_rate.learning_rate = 0.25
CASES = [
    (
        Sequential([Input((3,)), layers.Dense(2)], name="stack"),
        "<Sequential 'stack': 1 layer, 8 params, built>",
    ),
    (graph(), "<Functional 'graph': 2 layers, 1,200 params, built>"),
    (Own(3), "<Own 'own': 1 layer, not built>"),
    (Sequential(name="empty"), "<Sequential 'empty': 0 layers, not built>"),
    (keras.optimizers.Adam(), "<Adam()>"),
    (keras.optimizers.Adam(0.01, beta_1=0.5), "<Adam(learning_rate=0.01, beta_1=0.5)>"),
    (own_rate, "<SGD(learning_rate=0.25)>"),
    (
        keras.optimizers.SGD(schedule, 0.5),
        "<SGD(learning_rate=<CosineDecay(initial_learning_rate=0.1, decay_steps=100)>, "
        "momentum=0.5)>",
    ),
    (
        keras.callbacks.EarlyStopping("loss", patience=3),
        "<EarlyStopping(monitor='loss', patience=3)>",
    ),
    (keras.callbacks.Callback(), "<Callback()>"),
    (keras.callbacks.LambdaCallback(on_epoch_end=print), "<LambdaCallback(...)>"),
    (keras.initializers.HeNormal(seed=3), "<HeNormal(seed=3)>"),
    (keras.regularizers.L2(0.5), "<L2(l2=0.5)>"),
]


@pytest.mark.parametrize("thing, expected", CASES, ids=[text for _, text in CASES])
def test_one_line(thing, expected):
    assert re.fullmatch(re.escape(expected).replace(re.escape("..."), ".*"), repr(thing))


def test_every_callback_and_optimizer_has_a_short_one():
    for cls in [keras.callbacks.CSVLogger, keras.callbacks.ModelCheckpoint]:
        assert repr(cls("file.keras")).startswith(f"<{cls.__name__}(file")
    for name in ("Adam", "SGD", "Lion", "Adafactor"):
        assert repr(getattr(keras.optimizers, name)()) == f"<{name}()>"


@pytest.mark.parametrize("make", [graph, lambda: Own(3), Sequential], ids=["graph", "own", "empty"])
def test_a_notebook_shows_the_layers(make):
    html = make()._repr_html_()
    assert "<table>" in html and "Total params" in html
    assert ("head&lt;1&gt; (Dense)" in html) == (make is graph)
