"""The fast loops of recurrent layers against the equations of one step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasish import layers
from kerasish.core.state.functional import pure
from kerasish.layers.rnn.gru import gru_step
from kerasish.layers.rnn.lstm import lstm_step
from kerasish.layers.rnn.simple_rnn import simple_rnn_step

UNITS = 3


def _lstm(x, states, w):
    return lstm_step(x, states, *w)


def _gru(x, states, w):
    return (gru_step(x, states[0], *w[:2], *w[2]),)


def _gru_before(x, states, w):
    return (gru_step(x, states[0], *w),)


def _simple(x, states, w):
    return (simple_rnn_step(x, states[0], *w),)


CASES = {
    "lstm": (layers.LSTM, {}, 2, _lstm),
    "gru": (layers.GRU, {}, 1, _gru),
    "gru, reset before": (layers.GRU, {"reset_after": False}, 1, _gru_before),
    "simple": (layers.SimpleRNN, {}, 1, _simple),
}


@pytest.mark.parametrize("name", CASES)
def test_loop_is_the_equations(name):
    make, options, count, step = CASES[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 4)).astype("float32")
    layer = make(UNITS, return_sequences=True, **options)
    layer.build(x.shape)
    values = [rng.normal(size=v.shape).astype("float32") for v in layer.weights]

    def by_equations(values, x):
        states = (jnp.zeros((len(x), UNITS)),) * count
        outputs = []
        for at in range(x.shape[1]):
            states = step(x[:, at], states, values)
            outputs.append(states[0])
        return jnp.stack(outputs, 1)

    run = pure(layer, layer.weights)
    loop = lambda values, x: run(values, x)[0]  # noqa: E731
    np.testing.assert_allclose(loop(values, x), by_equations(values, x), rtol=1e-5, atol=1e-6)
    weight = rng.normal(size=(2, 5, UNITS))
    total = lambda f: lambda values, x: (f(values, x) * weight).sum()  # noqa: E731
    found, wanted = (jax.grad(total(f), (0, 1))(values, x) for f in (loop, by_equations))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
