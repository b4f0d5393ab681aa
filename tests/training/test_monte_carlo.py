"""Monte Carlo dropout: the right distribution, nothing else changed, and what it costs."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.training import monte_carlo

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 8)).astype("float32")


def sample(model, x=X, count=40, **options):
    return model.predict(x, verbose=0, mc_samples=count, mc_keep=True, **options)


def one_layer(dropout, units=3, **options):
    """Dropout before a linear layer: what comes out can be computed."""
    return keras.Sequential([keras.Input((8,)), dropout, layers.Dense(units, **options)])


def test_mean_and_deviation_are_those_of_the_samples():
    model = one_layer(layers.Dropout(0.5))
    mean, std, samples = sample(model)
    assert samples.shape == (40, 50, 3)
    np.testing.assert_allclose(mean, samples.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, samples.std(0), rtol=1e-4, atol=1e-6)
    pair = model.predict(X, verbose=0, mc_samples=40, mc_seed=1)
    assert len(pair) == 2 and pair.mean.shape == pair.std.shape == (50, 3)


@pytest.mark.parametrize(
    "make, variance",
    [
        (lambda: layers.Dropout(0.2), 0.2 / 0.8),
        (lambda: layers.GaussianDropout(0.2), 0.2 / 0.8),
        (lambda: layers.Dropout(0.2, noise_shape=(None, 8)), 0.2 / 0.8),
    ],
)
def test_deviation_is_the_one_computed_by_hand(make, variance):
    model = one_layer(make())
    mean, std, _ = sample(model, count=4000, mc_seed=3)
    kernel = np.asarray(model.layers[-1].kernel)
    expected = np.sqrt(variance * (X**2 @ kernel**2))
    np.testing.assert_allclose(std, expected, rtol=0.08)
    np.testing.assert_allclose(
        mean, model.predict(X, verbose=0), atol=5 * expected.max() / 4000**0.5
    )


def test_alpha_dropout_keeps_mean_and_variance_of_normal_units():
    model = keras.Sequential([keras.Input((2000,)), layers.AlphaDropout(0.3)])
    _, _, samples = sample(model, RNG.normal(size=(2, 2000)).astype("float32"), count=100)
    assert samples.mean() == pytest.approx(0, abs=0.05)
    assert samples.std() == pytest.approx(1, abs=0.05)


def test_channels_are_dropped_as_one():
    model = keras.Sequential([keras.Input((4, 6)), layers.SpatialDropout1D(0.5)])
    _, _, samples = sample(model, np.ones((3, 4, 6), "float32"))
    assert (samples == samples[:, :, :1]).all() and set(np.unique(samples)) == {0, 2}


def classifier(*middle):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, "relu"), *middle, layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_only_dropout_acts_and_nothing_changes():
    model = classifier(layers.BatchNormalization(), layers.GaussianNoise(0.5))
    model.fit(X, np.zeros(50), verbose=0)
    mean, std, _ = sample(model)
    np.testing.assert_allclose(mean, model.predict(X, verbose=0), rtol=1e-5, atol=1e-7)
    assert std.max() < 1e-6
    model = classifier(layers.BatchNormalization(), layers.Dropout(0.5))
    model.fit(X, np.zeros(50), verbose=0)
    before = [np.array(v.read()) for v in (*model.variables, *model.optimizer.variables)]
    plain = model.predict(X, verbose=0)
    assert sample(model).std.max() > 0.01
    for old, v in zip(before, (*model.variables, *model.optimizer.variables), strict=True):
        np.testing.assert_array_equal(old, v.read())
    np.testing.assert_array_equal(plain, model.predict(X, verbose=0))


def test_seeds_reproduce_and_batches_do_not_matter():
    model = classifier(layers.Dropout(0.3), layers.Dense(9, "relu"), layers.Dropout(0.3))
    first = sample(model, mc_seed=5)
    np.testing.assert_array_equal(first.samples, sample(model, mc_seed=5).samples)
    np.testing.assert_allclose(
        first.samples, sample(model, mc_seed=5, batch_size=7).samples, rtol=1e-4
    )
    assert not np.array_equal(first.samples, sample(model, mc_seed=6).samples)
    assert not np.array_equal(sample(model).samples, sample(model).samples)
    draws = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        draws.append(sample(model).samples)
    np.testing.assert_array_equal(*draws)
    explained = model.explain_fit()["predict, 40 kept samples"]
    assert explained["traces"] <= 4, (
        "two sizes of batch, each whole and rest; seeds compile nothing"
    )


def test_layers_and_samples_draw_apart():
    """Two dropout layers on the same input never share their zeros, nor do two samples."""
    x = keras.Input((500,))
    model = keras.Model(x, [layers.Dropout(0.5, seed=7)(x), layers.Dropout(0.5, seed=7)(x)])
    (a, b) = sample(model, np.ones((1, 500), "float32"), count=20).samples
    for one, other in ((a, b), (a[1:], a[:-1])):
        assert np.mean(one == other) == pytest.approx(0.5, abs=0.03)


def test_rows_of_a_sample_share_one_network():
    _, _, samples = sample(one_layer(layers.Dropout(0.5)), np.ones((6, 8), "float32"))
    np.testing.assert_allclose(samples, np.repeat(samples[:, :1], 6, axis=1), rtol=1e-6)


def test_samples_that_do_not_fit_wait_their_turn(monkeypatch):
    model = classifier(layers.Dropout(0.5))
    wanted = sample(model, mc_seed=1)
    monkeypatch.setattr(monte_carlo, "_BYTES", 3 * 32 * 16 * 4)  # three of the 40 at a time
    model.compile("adam", "mse")
    for a, b in zip(wanted, sample(model, mc_seed=1), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Doubling(keras.Model):
    def __init__(self):
        super().__init__()
        self.dropout, self.dense = layers.Dropout(0.5), layers.Dense(2)

    def call(self, x, training=None):
        return self.dense(self.dropout(x, training=training))

    def predict_step(self, data):
        return 2 * super().predict_step(data)


def test_a_custom_step_of_a_model_that_is_not_built():
    model = Doubling()
    mean, std, _ = sample(model, count=2000)
    np.testing.assert_allclose(mean, model.predict(X, verbose=0), atol=0.6)
    assert std.min() > 0


@pytest.mark.parametrize("count", [0, 1.5, -1])
def test_bad_counts(count):
    with pytest.raises(ValueError, match="`mc_samples` must be a positive integer or None; got"):
        classifier().predict(X, mc_samples=count)


def deep():
    stack = [layer for _ in range(5) for layer in (layers.Dense(100, "relu"), layers.Dropout(0.1))]
    model = keras.Sequential([keras.Input((64,)), *stack, layers.Dense(10, "softmax")])
    return model, RNG.normal(size=(32, 64)).astype("float32")


def test_hundred_samples_cost_about_a_hundred_predictions():
    """In arithmetic, as XLA counts it: at most 1.3 times."""
    model, x = deep()
    model.predict(x, verbose=0, mc_samples=100)
    step = model._steps["predict, 100 samples"]
    sampled = keras.jit(step.body).lower((jnp.asarray(x),)).compile().cost_analysis()["flops"]
    plain = keras.jit(lambda x: model(x, training=False)).lower(np.tile(x, (100, 1)))
    assert sampled < 1.3 * plain.compile().cost_analysis()["flops"]
