"""What keeps signals alive in deep networks, as the papers say: SELU, alpha dropout, He, Glorot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

RNG = np.random.default_rng(0)
UNITS, ROWS = 256, 400


def deep(depth, activation, initializer, *extra):
    keras.utils.set_random_seed(0)
    stack = []
    for _ in range(depth):
        stack.append(layers.Dense(UNITS, activation, kernel_initializer=initializer))
        stack += [make() for make in extra]
    return keras.Sequential([keras.Input((UNITS,)), *stack])


def inputs():
    return RNG.normal(size=(ROWS, UNITS)).astype("float32")


def by_layer(model, x, **options):
    """Mean and variance after each dense layer."""
    found = []
    for layer in model.layers:
        x = layer(x, **options)
        if isinstance(layer, layers.Dense):
            found.append((float(jnp.mean(x)), float(jnp.var(x))))
    return np.array(found)


def test_selu_keeps_mean_and_variance_through_a_hundred_layers():
    """Klambauer et al., 2017, theorem 1, for weights of mean 0 and variance 1/n.

    From mean in (-0.1, 0.1) and variance in [0.8, 1.5] they stay there.
    """
    statistics = by_layer(deep(100, "selu", "lecun_normal"), inputs())
    assert np.abs(statistics[:, 0]).max() < 0.1
    assert statistics[:, 1].min() > 0.8 and statistics[:, 1].max() < 1.5


def test_selu_draws_other_inputs_to_the_fixed_point():
    statistics = by_layer(deep(100, "selu", "lecun_normal"), 0.5 * inputs() + 0.5)
    assert np.abs(statistics[-50:, 0]).max() < 0.1
    assert statistics[-50:, 1].min() > 0.8 and statistics[-50:, 1].max() < 1.5


def test_other_activations_and_initializers_do_not():
    assert by_layer(deep(100, "selu", "glorot_uniform"), inputs())[-1, 1] == pytest.approx(
        1, abs=0.5
    )
    assert by_layer(deep(100, "selu", "he_normal"), inputs())[-1, 1] > 1.5
    assert by_layer(deep(100, "elu", "lecun_normal"), inputs())[-1, 1] < 0.2


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(rate):
    keras.utils.set_random_seed(1)
    x = RNG.normal(size=(1000, 1000)).astype("float32")
    y = layers.AlphaDropout(rate)(x, training=True)
    assert float(jnp.mean(y)) == pytest.approx(0, abs=0.01)
    assert float(jnp.var(y)) == pytest.approx(1, abs=0.01)
    _, counts = np.unique(y, return_counts=True)
    assert counts.max() / y.size == pytest.approx(rate, abs=0.01)


def test_alpha_dropout_keeps_a_selu_network_normal_and_dropout_does_not():
    x = inputs()

    def last(make):
        model = deep(50, "selu", "lecun_normal", make)
        return by_layer(model, x, training=True)[-25:]

    alpha = last(lambda: layers.AlphaDropout(0.05))
    assert np.abs(alpha[:, 0]).max() < 0.2
    assert alpha[:, 1].min() > 0.7 and alpha[:, 1].max() < 1.6


def forward_and_backward(model, x):
    """Mean squares of each layer's signal and of the gradient that comes back to it."""
    count = len(model.layers)
    bumps = [jnp.zeros((len(x), UNITS))] * (count + 1)
    weight = RNG.normal(size=(len(x), UNITS)).astype("float32")

    def run(bumps):
        y, signals = x + bumps[0], []
        for layer, bump in zip(model.layers, bumps[1:], strict=True):
            y = layer(y) + bump
            signals.append(jnp.mean(y**2))
        return jnp.sum(y * weight), signals

    (_, signals), gradients = jax.value_and_grad(run, has_aux=True)(bumps)
    return np.array(signals), np.array([float(jnp.mean(g**2)) for g in gradients])


@pytest.mark.parametrize("initializer", ["he_normal", "he_uniform"])
def test_he_keeps_both_variances_in_a_deep_relu_network(initializer):
    """He et al., 2015, section 2.2: neither grows nor shrinks by a factor a layer."""
    forward, backward = forward_and_backward(deep(30, "relu", initializer), inputs())
    assert 0.3 < forward[-1] / forward[0] < 3
    assert 0.3 < backward[0] / backward[-1] < 3


def test_glorot_halves_them_in_a_relu_network():
    forward, backward = forward_and_backward(deep(30, "relu", "glorot_normal"), inputs())
    assert (forward[-1] / forward[0]) ** (1 / 29) == pytest.approx(0.5, abs=0.05)
    assert (backward[0] / backward[-1]) ** (1 / 30) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("initializer", ["glorot_normal", "glorot_uniform"])
def test_glorot_keeps_both_variances_where_tanh_is_nearly_linear(initializer):
    """Glorot and Bengio, 2010, section 4.2, assume the linear regime."""
    forward, backward = forward_and_backward(deep(30, "tanh", initializer), 0.03 * inputs())
    assert 0.5 < forward[-1] / forward[0] < 2
    assert 0.5 < backward[0] / backward[-1] < 2


def test_the_old_initialization_lets_both_vanish():
    """The same paper's "standard" one, uniform of variance 1 / (3 n)."""
    old = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    forward, backward = forward_and_backward(deep(20, "tanh", old), 0.03 * inputs())
    assert (forward[-1] / forward[0]) ** (1 / 19) == pytest.approx(1 / 3, abs=0.05)
    assert (backward[0] / backward[-1]) ** (1 / 20) == pytest.approx(1 / 3, abs=0.05)
