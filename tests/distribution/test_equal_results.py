"""The same training on one device and on eight, for each ready-made choice."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import distribution as dist
from kerasish.training import chunk_sources, source_choice
from tests.support import distributed_models


@pytest.fixture(scope="module")
def alone():
    """Results on one device, by model."""
    found = {}

    def run(name):
        if name not in found:
            found[name] = distributed_models.train(
                distributed_models.make(name), *distributed_models.data(name)
            )
        return found[name]

    return run


CASES = [
    (model, choice) for model in distributed_models.MODELS for choice in distributed_models.CHOICES
]


@pytest.mark.parametrize("model_name,choice", CASES, ids=str)
def test_training_equals_one_devices(alone, model_name, choice):
    expected = alone(model_name)
    with distributed_models.CHOICES[choice]().scope():
        model = distributed_models.make(model_name)
        before = {v: v.value.sharding for v in model.weights}
        distributed_models.assert_same(
            distributed_models.train(model, *distributed_models.data(model_name)), expected
        )
        assert {v: v.value.sharding for v in model.weights} == before
        parts = distributed_models.spread_over(model)
    assert (max(parts.values()) > 1) == (choice != "data parallel")
    assert all(len(v.value.devices()) == 8 for v in model.variables)


def test_a_model_made_before_and_used_after(alone):
    model = distributed_models.make("mlp")
    with dist.FullySharded(min_size=16).scope():
        distributed_models.assert_same(
            distributed_models.train(model, *distributed_models.data("mlp")), alone("mlp")
        )
    assert max(distributed_models.spread_over(model).values()) == 8
    x, y = distributed_models.data("mlp")
    model.fit(x, y, 16, verbose=0)  # without a distribution weights stay where they are
    assert max(distributed_models.spread_over(model).values()) == 8


def test_data_that_lies_on_the_devices(monkeypatch, alone):
    monkeypatch.setattr(source_choice, "_source_for", lambda batches: chunk_sources.ResidentSource)
    distributed_models.assert_same(
        distributed_models.train(distributed_models.make("mlp"), *distributed_models.data("mlp")),
        alone("mlp"),
    )
    with dist.FullySharded(min_size=16).scope():
        distributed_models.assert_same(
            distributed_models.train(
                distributed_models.make("mlp"), *distributed_models.data("mlp")
            ),
            alone("mlp"),
        )


def test_partial_batches_watched_steps_and_streams():
    x, y = distributed_models.data(
        "mlp", 84
    )  # five batches, and one of 4 rows, which 8 devices do not divide

    def stream():
        for i in range(0, len(x), 16):
            yield x[i : i + 16], y[i : i + 16]

    def run():
        model, watch = distributed_models.make("mlp"), distributed_models.Losses()
        model.fit(x, y, 16, callbacks=[watch], verbose=0)
        losses = [*watch.seen, *model.fit(stream(), verbose=0).history["loss"]]
        accuracies = [
            model.evaluate(x, y, 16, verbose=0)[1],
            model.evaluate(stream(), verbose=0)[1],
        ]
        outputs = [model.predict(x, 16, verbose=0), model.predict(stream(), verbose=0)]
        return losses, accuracies, outputs

    expected = run()
    with distributed_models.CHOICES["fully sharded"]().scope():
        losses, accuracies, outputs = run()
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    assert accuracies == expected[1]
    np.testing.assert_allclose(outputs, expected[2], rtol=1e-4, atol=1e-5)


class Stateful(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = distributed_models.mlp()

    def call(self, x, training=False):
        return self.inner(x, training=training)

    def train_step(self, data):
        x, y = data

        def loss():
            return self.compute_loss(x, y, self(x, training=True))

        value, grads = keras.value_and_grad(loss, self.trainable_variables)()
        self.optimizer.apply(grads, self.trainable_variables)
        self.metrics[0].update_state(value)
        return {"loss": self.metrics[0].result()}


class Stateless(Stateful):
    def train_step(self, state, data):
        import jax

        trained, others, slots, metrics = state
        x, y = data
        grad = jax.value_and_grad(self.compute_loss_and_updates, has_aux=True)
        (loss, (_, _, others, metrics)), grads = grad(
            trained, others, metrics, x, y, None, training=True
        )
        trained, slots = self.optimizer.stateless_apply(slots, grads, trained)
        return {"loss": loss}, (trained, others, slots, metrics)


@pytest.mark.parametrize("kind", [Stateful, Stateless])
def test_custom_steps(kind):
    def run():
        keras.utils.set_random_seed(0)
        keras.utils.clear_session(free_memory=False)
        model = kind()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.01), loss)
        x, y = distributed_models.data("mlp", 32)
        return model.fit(x, y, 16, epochs=5, verbose=0).history["loss"]

    expected = run()
    with dist.FullySharded(min_size=16).scope():
        np.testing.assert_allclose(run(), expected, rtol=1e-5)


def loop():
    """A loop of one's own: the losses of 20 steps, and the weights."""
    model = distributed_models.make("mlp")
    optimizer, x, y = model.optimizer, *distributed_models.data("mlp", 32)

    @keras.jit
    def step(x, y):
        def loss():
            return model.compute_loss(x, y, model(x, training=True))

        value, grads = keras.value_and_grad(loss, model.trainable_variables)()
        optimizer.apply(grads, model.trainable_variables)
        return value

    losses = []
    for i in range(20):
        rows = slice(16 * (i % 2), 16 * (i % 2) + 16)
        losses.append(float(step(*dist.distribute_batch((x[rows], y[rows])))))
    return losses, [v.numpy() for v in model.weights], step.traces


def test_a_loop_of_ones_own():
    expected = loop()
    with dist.FullySharded(min_size=16).scope():
        losses, weights, traces = loop()
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5)
    for a, b in zip(weights, expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert traces == expected[2] == 1


OPTIMIZERS = {
    "accumulating": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=4),
    "clipping": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.1),
    "averaging": lambda: keras.optimizers.SGD(0.1, use_ema=True),
    "optax": lambda: __import__("optax").adamw(0.01),
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimizers(kind):
    def run():
        model = distributed_models.make("mlp", OPTIMIZERS[kind]())
        x, y = distributed_models.data("mlp", 32)
        losses = model.fit(x, y, 16, epochs=5, verbose=0).history["loss"]
        return losses, distributed_models.spread_over(model)

    expected, _ = run()
    with dist.FullySharded(min_size=16).scope():
        losses, parts = run()
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    slots = [path for path in parts if "kernel" in path and "/kernel" not in path]
    assert all(parts[path] == 8 for path in slots)


def test_mixed_precision():
    def run():
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        model = distributed_models.make("transformer")
        x, y = distributed_models.data("transformer", 32)
        return model.fit(x, y, 16, epochs=5, verbose=0).history["loss"]

    expected = run()
    with dist.FullySharded(min_size=16).scope():
        np.testing.assert_allclose(run(), expected, rtol=1e-2)
