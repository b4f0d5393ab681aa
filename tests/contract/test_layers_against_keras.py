"""Every layer against Keras 3: config, values, dtypes, gradients and what training changes."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from layer_cases import CASES

from kerasish import layers


@pytest.fixture(params=CASES, ids=lambda case: case.id)
def case(request):
    return request.param


def test_config_is_keras(case):
    ours, theirs = case.make(layers).get_config(), case.make(keras.layers).get_config()
    assert without_names(ours) == without_names(theirs)


def without_names(data):
    """Made-up names aside, and what Keras writes as a tuple like what it writes as a list."""
    if isinstance(data, dict):
        return {k: without_names(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [without_names(v) for v in data]
    return data


def test_values_gradients_and_state_are_keras(case):
    x = case.inputs()
    ours, theirs = case.make(layers), case.make(keras.layers)
    ours(x), theirs(x)
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
    ours.set_weights(start := [np.asarray(w) for w in some_weights(theirs)])
    theirs.set_weights(start)
    for got, wanted in zip(behaviour(ours, x), behaviour(theirs, x), strict=True):
        assert jax.tree.map(lambda a: a.dtype, got) == jax.tree.map(lambda a: a.dtype, wanted)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), got, wanted)


def some_weights(layer):
    """Weights near what the layer starts with, all different."""
    rng = np.random.default_rng(1)
    for w in layer.get_weights():
        yield w if w.dtype.kind != "f" else w + rng.uniform(0.1, 0.3, w.shape).astype(w.dtype)


def behaviour(layer, x):
    """Outputs, new state and losses, with training and without, and all gradients."""

    def run(trained, x):
        total, seen = 0.0, []
        for training in (False, True):
            call = layer.stateless_call(trained, others, x, training=training, return_losses=True)
            weights = jnp.cos(jnp.arange(call[0].size)).reshape(call[0].shape)
            total += jnp.sum(call[0] * weights) + sum(call[2])
            seen.append(call)
        return total, seen

    values = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    by = 0 if jax.tree.leaves(x)[0].dtype == np.int32 else (0, 1)
    return jax.jit(jax.grad(run, argnums=by, has_aux=True))(values, x)
