"""What single calls cost and leave behind: `predict` of a row, `train_on_batch`, traces."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")
Y = np.arange(70) % 3


class Counting(layers.Layer):
    """Counts how often its Python runs."""

    runs = 0

    def call(self, x):
        self.runs += 1
        return x


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((4,)), Counting(), layers.Dropout(0.5), layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("adam", loss, metrics=["accuracy"])
    return made


def test_the_python_of_a_step_runs_once_for_each_form_of_batch(model):
    counter = model.layers[0]
    before = counter.runs
    model.fit(X, Y, epochs=3, verbose=0)  # batches of 32, and one of 6
    assert counter.runs - before == 2
    assert set(model.trainable_variables) <= set(model._step("train").written)
    before = counter.runs
    model.evaluate(X, Y, verbose=0)
    assert counter.runs - before == 2
    assert not set(model._step("test").written) & set(model.weights)  # nothing of it is donated


def test_a_single_batch_is_predicted_at_once_and_may_be_changed(model):
    many = model.predict(X, verbose=0)
    for one in (X[:1], X[:1].tolist(), X[:1].astype("float64")):
        np.testing.assert_allclose(model.predict(one, verbose=0), many[:1], rtol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(X[:1]), many[:1], rtol=1e-6)
    row = model.predict(X[:1], verbose=0)
    row[0] = 1.0
    counter = model.layers[0]
    before = counter.runs
    model.predict(X[1:2], verbose=0)
    assert counter.runs == before


def test_results_of_a_batch_are_its_own(model):
    weights = model.get_weights()
    alone = model.test_on_batch(X, Y)
    model.train_on_batch(X[:32], Y[:32])
    model.set_weights(weights)
    np.testing.assert_allclose(model.test_on_batch(X, Y), alone, rtol=1e-6)
    assert model.test_on_batch(X, Y, return_dict=True).keys() == {"loss", "accuracy"}
    np.testing.assert_allclose(model.evaluate(X, Y, verbose=0), alone, rtol=1e-5)


def test_a_model_that_builds_as_it_is_called_is_built_as_a_whole():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = layers.Dense(4), layers.Dense(3)

        def call(self, x):
            return self.last(self.first(x))

    model = Own()
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X[:32], Y[:32], verbose=0)
    assert len(model.optimizer._trainable_variables) == 4
