"""The number of fused steps, the kind of source and the process never change a result."""

import hashlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

pytestmark = pytest.mark.exact

SAMPLES, BATCH = 200, 16  # 12 full batches and a partial one


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6)).astype("float32")
    return x, rng.integers(0, 3, size=SAMPLES)


def make_model(cls=keras.Sequential, **compile_options):
    keras.utils.set_random_seed(7)
    model = cls(
        [
            keras.Input((6,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **compile_options
    )
    return model


def weights_after(model, *args, **options):
    history = model.fit(*args, batch_size=BATCH, epochs=2, verbose=0, **options)
    return [
        *model.get_weights(),
        *(np.asarray(v) for v in model.optimizer.variables),
    ], history.history


def assert_identical(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def reference():
    return weights_after(make_model(), *data())


@pytest.mark.parametrize("steps", [1, 2, 8, 13, "auto"])
def test_any_number_of_fused_steps_gives_the_same_bits(steps, reference):
    weights, history = weights_after(make_model(steps_per_execution=steps), *data())
    assert_identical(weights, reference[0])
    assert history == reference[1]


def test_watching_every_batch_changes_nothing(reference):
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    weights, _ = weights_after(make_model(), *data(), callbacks=[watch])
    assert seen == [*range(13)] * 2
    assert_identical(weights, reference[0])


def test_a_stream_of_the_same_batches_gives_the_same_bits():
    x, y = data()
    in_order, _ = weights_after(make_model(), x, y, shuffle=False)

    def batches():
        while True:
            for i in range(0, SAMPLES, BATCH):
                yield x[i : i + BATCH], y[i : i + BATCH]

    model = make_model()
    model.fit(batches(), epochs=2, steps_per_epoch=13, verbose=0)
    weights = [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables)]
    assert_identical(weights, in_order)


class Stateful(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class ByHand(keras.Sequential):
    def train_step(self, data):
        x, y = data

        def loss():
            y_pred = self(x, training=True)
            return self.compute_loss(y=y, y_pred=y_pred), y_pred

        (value, y_pred), grads = keras.value_and_grad(
            loss, self.trainable_variables, has_aux=True
        )()
        self.optimizer.apply(grads, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(value, sample_weight=len(x))
        return self.compute_metrics(x, y, y_pred)


class Stateless(keras.Sequential):
    def train_step(self, state, data):
        return super().train_step(state, data)


@pytest.mark.parametrize("cls", [Stateful, ByHand, Stateless])
def test_a_custom_step_gives_the_same_bits_as_the_built_in_one(cls, reference):
    weights, history = weights_after(make_model(cls), *data())
    assert_identical(weights, reference[0])
    assert history == reference[1]


SCRIPT = """
    import hashlib, numpy as np, sys
    sys.path.insert(0, {tests!r})
    from tests.training.test_reproducible import data, make_model, weights_after
    weights, _ = weights_after(make_model(), *data())
    print(hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest())
"""


def test_another_process_gives_the_same_bits(reference, request):
    here = hashlib.sha256(b"".join(w.tobytes() for w in reference[0])).hexdigest()
    script = textwrap.dedent(SCRIPT.format(tests=str(request.config.rootpath)))
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip().splitlines()[-1] == here


def test_shuffling_differs_from_epoch_to_epoch_and_follows_the_seed():
    x = np.arange(64, dtype="float32")[:, None]
    orders = []

    class Spy(keras.Model):
        def __init__(self):
            super().__init__()
            self.w = self.add_weight(shape=(), initializer="zeros", name="w")

        def call(self, inputs):
            return inputs * 0 + self.w

        def train_step(self, data):
            return {"first": data[0, 0]}

    def run():
        keras.utils.set_random_seed(3)
        model = Spy()
        model.compile("sgd", "mse")
        return model.fit(x, epochs=3, batch_size=64, verbose=0).history["first"]

    orders = [run(), run()]
    assert orders[0] == orders[1]
    assert len(set(orders[0])) > 1
