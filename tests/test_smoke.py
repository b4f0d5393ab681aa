"""What a newcomer does first, in ten seconds: `make smoke`, and a hook before each commit."""

import numpy as np

import kerasish as keras
from kerasish import layers

X = np.random.default_rng(0).normal(size=(256, 4)).astype("float32")
Y = (X @ [1.0, -2.0, 0.5, 3.0] > 0).astype("int32")


def sequential():
    model = keras.Sequential([layers.Dense(16, "relu"), layers.Dense(2, "softmax")])
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def test_trains_and_predicts():
    model = sequential()
    history = model.fit(X, Y, epochs=8, verbose=0)
    assert history.history["accuracy"][-1] > 0.9
    assert model.evaluate(X, Y, verbose=0)[1] > 0.9
    assert model.predict(X[:3], verbose=0).shape == (3, 2)


def test_functional_model_of_two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    assert model.predict([X, X], verbose=0).shape == (256, 1)
    assert "concatenate" in str(model.to_json())


def test_layer_of_ones_own():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")

        def call(self, inputs):
            return inputs * self.scale

    np.testing.assert_array_equal(Scale()(X), X)


def test_step_of_ones_own():
    weight, optimizer = keras.Variable(np.zeros(4, "float32")), keras.optimizers.SGD(0.1)

    @keras.jit
    def step(x, y):
        loss, grads = keras.value_and_grad(lambda: ((x @ weight - y) ** 2).mean(), [weight])()
        optimizer.apply(grads, [weight])
        return loss

    losses = [float(step(X, X[:, 0])) for _ in range(20)]
    assert losses[-1] < losses[0] / 10


def test_saves_and_loads(tmp_path):
    model = sequential()
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), expected)
