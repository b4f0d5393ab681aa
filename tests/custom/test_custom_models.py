"""Models as users subclass them: blocks in loops, losses and metrics from the inside."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 8)).astype("float32")
Y = np.sin(X[:, :1]).astype("float32")


class ResidualBlock(layers.Layer):
    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(**kwargs)
        self.n_layers, self.n_neurons = n_layers, n_neurons
        self.hidden = [layers.Dense(n_neurons, activation="elu") for _ in range(n_layers)]

    def call(self, inputs):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class ResidualRegressor(keras.Model):
    """The first block is used four times, so its weights are shared."""

    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.first = layers.Dense(8, activation="relu")
        self.block1 = ResidualBlock(2, 8)
        self.block2 = ResidualBlock(2, 8)
        self.out = layers.Dense(output_dim)

    def call(self, inputs):
        z = self.first(inputs)
        for _ in range(1 + 3):
            z = self.block1(z)
        return self.out(self.block2(z))


class ReconstructingRegressor(keras.Model):
    """Adds a reconstruction loss and keeps a metric of it, both in `call`."""

    def __init__(self, output_dim, factor=0.05, **kwargs):
        super().__init__(**kwargs)
        self.output_dim, self.factor = output_dim, factor
        self.hidden = [layers.Dense(8, activation="relu") for _ in range(3)]
        self.out = layers.Dense(output_dim)
        self.reconstruction_mean = keras.metrics.Mean(name="reconstruction_error")

    def build(self, batch_input_shape):
        self.reconstruct = layers.Dense(batch_input_shape[-1])

    def call(self, inputs, training=False):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        error = jnp.mean(jnp.square(self.reconstruct(z) - inputs))
        self.add_loss(self.factor * error)
        if training:
            self.reconstruction_mean.update_state(error)
        return self.out(z)


def test_residual_blocks_in_a_loop(tmp_path):
    model = ResidualRegressor(1)
    model.compile("nadam", "mse")
    losses = model.fit(X, Y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert len(model.trainable_variables) == 2 * (1 + 2 + 2 + 1)
    before = model.predict(X, verbose=0)
    model.save(tmp_path / "m.keras")
    known = {"ResidualRegressor": ResidualRegressor, "ResidualBlock": ResidualBlock}
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects=known)
    np.testing.assert_allclose(loaded.predict(X, verbose=0), before, rtol=1e-5, atol=1e-6)
    more = loaded.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert more[-1] < losses[0]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("eager", [False, True], ids=["compiled", "eager"])
def test_losses_and_metrics_from_the_inside(eager, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    model = ReconstructingRegressor(1)
    model.compile(keras.optimizers.Adam(0.01), "mse", run_eagerly=eager)
    history = model.fit(X, Y, epochs=3, batch_size=32, verbose=0).history
    assert set(history) == {"loss", "reconstruction_error"}
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]
    before = model.evaluate(X, Y, verbose=0, return_dict=True)
    error = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    assert before["loss"] > error  # the reconstruction counts
    model.save(tmp_path / "m.keras")
    known = {"ReconstructingRegressor": ReconstructingRegressor}
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects=known)
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(before, rel=1e-4)


def test_fused_and_single_steps_of_it_agree():
    histories = []
    for steps in (1, 3):
        keras.utils.set_random_seed(1)
        model = ReconstructingRegressor(1)
        model.compile("adam", "mse", steps_per_execution=steps)
        histories.append(model.fit(X, Y, epochs=2, batch_size=16, verbose=0).history)
    assert histories[0] == histories[1]


def test_losses_from_the_inside_in_a_loop_of_ones_own():
    model = ReconstructingRegressor(1)
    model(X[:1])
    optimizer = keras.optimizers.Adam(0.01)

    @keras.jit
    def step(x, y):
        def loss():
            main = jnp.mean(jnp.square(y - model(x, training=True)))
            return sum([main, *model.losses]), (main, model.losses)

        run = keras.value_and_grad(loss, model.trainable_variables, has_aux=True)
        (total, (main, extra)), grads = run()
        optimizer.apply(grads, model.trainable_variables)
        return total, main, extra

    for _ in range(3):
        total, main, extra = step(X, Y)
    assert len(extra) == 1 and float(total) == pytest.approx(float(main + extra[0]))
    mean = model.reconstruction_mean
    assert float(mean.count) == 3
    assert float(mean.result()) * 0.05 == pytest.approx(float(extra[0]), rel=0.3)


def test_activity_regularizer_and_a_layers_own_loss_are_added():
    class Penalized(layers.Layer):
        def call(self, inputs):
            self.add_loss(0.5 * jnp.mean(jnp.square(inputs)))
            return inputs

    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(4, activity_regularizer="l2"), Penalized()]
    )
    model(X)
    y = np.asarray(model.layers[0](X))
    wanted = [0.01 * (y**2).sum() / len(X), 0.5 * (y**2).mean()]
    model(X)
    np.testing.assert_allclose(model.losses, wanted, rtol=1e-5)
