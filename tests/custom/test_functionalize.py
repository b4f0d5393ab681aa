"""`functionalize`: a model as a pure function, trained by jax and optax alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import kerasish as keras
from kerasish import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 5)).astype("float32")
Y = (X[:, :1] * X[:, 1:2]).astype("float32")


def make():
    return keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(16, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )


def test_it_computes_what_the_model_does_and_changes_nothing():
    model = make()
    apply, values = keras.functionalize(model)
    before = model.get_weights()
    y, same = jax.jit(apply)(values, X)
    np.testing.assert_allclose(y, model(X), rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, same, values)
    step = jax.jit(apply, static_argnames=("training", "return_losses"))
    y, new, losses = step(values, X, training=True, return_losses=True)
    jax.tree.map(np.testing.assert_array_equal, before, model.get_weights())
    changed = [path for path, value in new.state.items() if np.any(value != values.state[path])]
    assert {path.split("/")[-1] for path in changed} >= {"moving_mean", "moving_variance"}
    assert len(changed) == 3  # the dropout's random state too
    np.testing.assert_allclose(sum(losses), sum(model.losses), rtol=1e-6)


def test_optax_alone_trains_as_fit_does():
    model, twin = make(), make()
    twin.set_weights(model.get_weights())
    for one in (model, twin):
        one.layers[2].rate = 0.0
    apply, values = keras.functionalize(model)
    tx = optax.sgd(0.1, momentum=0.9)

    @jax.jit
    def step(values, state, x, y):
        def loss(trainable):
            y_pred, new, losses = apply(
                (trainable, values.state), x, training=True, return_losses=True
            )
            return jnp.mean((y - y_pred) ** 2) + sum(losses), new

        grads, new = jax.grad(loss, has_aux=True)(values.trainable)
        updates, state = tx.update(grads, state, values.trainable)
        return new._replace(trainable=optax.apply_updates(values.trainable, updates)), state

    state = tx.init(values.trainable)
    for _ in range(3):
        for i in range(0, 64, 16):
            values, state = step(values, state, X[i : i + 16], Y[i : i + 16])
    apply.assign(values)
    twin.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    twin.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_two_rates_by_name_and_per_sample_gradients():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="lower"), layers.Dense(1)])
    apply, values = keras.functionalize(model)
    labels = {path: "slow" if "lower" in path else "fast" for path in values.trainable}
    tx = optax.multi_transform({"slow": optax.sgd(0.0), "fast": optax.sgd(0.1)}, labels)

    def loss(trainable, x, y):
        return jnp.mean((apply((trainable, values.state), x[None])[0][0] - y) ** 2)

    each = jax.jit(jax.vmap(jax.grad(loss), (None, 0, 0)))(values.trainable, X, Y)
    assert each["sequential/lower/kernel"].shape == (64, 5, 4)
    mean = jax.tree.map(lambda g: g.mean(0), each)
    updates, _ = tx.update(mean, tx.init(values.trainable), values.trainable)
    still = {path for path, update in updates.items() if not np.any(update)}
    assert still == {"sequential/lower/kernel", "sequential/lower/bias"}


class Watched(keras.Model):
    """Keeps a metric of its own in `call`."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)
        self.size = keras.metrics.Mean(name="size")

    def call(self, inputs):
        y = self.dense(inputs)
        self.size.update_state(jnp.abs(y))
        return y


def test_metrics_inside_are_state():
    model = Watched()
    model(X)
    apply, values = keras.functionalize(model)
    (_, once), (_, start) = apply(values, X), (None, values)
    (total,) = [path for path in values.state if path.endswith("total")]
    assert float(once.state[total]) == pytest.approx(2 * float(start.state[total]), rel=1e-5)


def test_one_name_twice_gets_two_paths():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.both = [layers.Dense(3, name="d"), layers.Dense(3, name="d")]

        def call(self, inputs):
            return self.both[1](self.both[0](inputs))

    model = Pair()
    model(np.ones((1, 3)))
    _, values = keras.functionalize(model)
    assert len(values.trainable) == 4


MISTAKES = {
    "no model": (lambda: keras.functionalize(jnp.tanh), "`model` must be a model or layer"),
    "not built": (
        lambda: keras.functionalize(layers.Dense(2)),
        "'dense' has no weights yet",
    ),
    "list": (
        lambda: keras.functionalize(make())[0](({}, {}), X),
        r"`values.trainable` must hold the arrays of 'sequential' by path; missing \['sequ",
    ),
}


@pytest.mark.parametrize("act,text", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(act, text):
    with pytest.raises(ValueError, match=text):
        act()
