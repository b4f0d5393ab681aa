"""Every layer against Keras 3: config, values, dtypes, gradients and what training changes."""

import inspect
import random

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import layers
from kerasish.core.symbolic.keras_tensor import KerasTensor
from tests.support.layer_cases import arguments, parameters

# AugMix of Keras chooses by Python's `random`, its RandomElasticTransform cannot be compiled: see
# `tests/layers/test_image_policies.py`.
OWN_DRAWS = {"AugMix", "RandomElasticTransform"}


@pytest.fixture(params=parameters())
def case(request):
    return request.param


def test_config_is_keras(case):
    ours, theirs = case.make(layers).get_config(), case.make(keras.layers).get_config()
    assert plain(ours) == plain(theirs)


def test_arguments_stand_in_keras_order(case):
    ours, theirs = (positional(type(case.make(m))) for m in (layers, keras.layers))
    assert ours == theirs[: len(ours)]


def positional(cls):
    parameters = inspect.signature(cls.__init__).parameters.values()
    names = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
    return [name for name in names if name != "gptq_unpacked_column_size"]


def test_each_reads_what_the_other_wrote(case):
    ours, theirs = case.make(layers), case.make(keras.layers)
    here = layers.deserialize(keras.layers.serialize(theirs))
    there = keras.layers.deserialize(layers.serialize(ours))
    assert plain(here.get_config()) == plain(ours.get_config())
    assert plain(there.get_config()) == plain(theirs.get_config())
    assert here.supports_masking == there.supports_masking


def plain(data):
    """Tuples as lists, and policies by name: Keras writes them both ways."""
    if isinstance(data, dict) and data.get("class_name") == "DTypePolicy":
        return data["config"]["name"]
    if isinstance(data, dict):
        return {k: plain(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [plain(v) for v in data]
    return data


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # by Keras
def test_values_gradients_and_state_are_keras(case):
    if case.name in OWN_DRAWS:
        pytest.skip("compared with Keras in another way")
    x = case.inputs()
    ours, theirs = case.make(layers), case.make(keras.layers)
    for layer, symbol in ((ours, KerasTensor), (theirs, keras.KerasTensor)):
        random.seed(0)
        called_once(layer, x, symbol)
    if is_recurrent(ours):  # Keras moves their seeds on where it infers shapes too
        for one, other in zip(*(m.non_trainable_variables for m in (ours, theirs)), strict=True):
            one.assign(np.array(other))
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
    start = some_weights(theirs)
    ours.set_weights(start), theirs.set_weights(start)
    if isinstance(theirs, keras.layers.Normalization):
        theirs.finalize_state()
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-5)
    trains = "training" in inspect.signature(theirs.call).parameters
    modes = [{"training": False}, {"training": True}] if trains else [{}]
    for got, wanted in zip(behaviour(ours, x, modes), behaviour(theirs, x, modes), strict=True):
        assert jax.tree.map(lambda a: a.dtype, got) == jax.tree.map(lambda a: a.dtype, wanted)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), got, wanted
        )


def called_once(layer, x, symbol):
    """Build it, on arrays only where a penalty on the output is wanted: they take compilations."""
    if layer.activity_regularizer is None:
        x = jax.tree.map(lambda a: symbol(a.shape, a.dtype.name), x)
    layer(*arguments(x))


def some_weights(layer):
    """Weights near what the layer starts with, all different."""
    rng = np.random.default_rng(1)
    start = [np.array(v.value) for v in layer.weights]
    return [w + rng.uniform(0.1, 0.3, w.shape).astype(w.dtype) for w in start]


def behaviour(layer, x, modes):
    """Outputs, new state and losses, with training and without, and all gradients."""

    def run(trained, x):
        total, seen = 0.0, []
        for mode in modes:
            options = {**mode, "return_losses": True}
            y, state, losses = layer.stateless_call(trained, others, *arguments(x), **options)
            # Keras' `stateless_call` leaves out penalties on the output.
            losses = losses if layer.activity_regularizer is None else []
            total += sum(map(weighted_sum, jax.tree.leaves(y))) + sum(losses)
            if mode == {"training": False} and draws_at_rest(layer):
                state = []
            seen.append((y, state, losses))
        return total, seen

    values = [v.value for v in layer.trainable_variables]
    others = [v.value for v in layer.non_trainable_variables]
    by = 0 if jax.tree.leaves(x)[0].dtype == np.int32 else (0, 1)
    return jax.jit(jax.grad(run, argnums=by, has_aux=True))(values, x)


def weighted_sum(y):
    return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))


def is_recurrent(layer):
    return bool({"RNN", "Bidirectional"} & {cls.__name__ for cls in type(layer).__mro__})


def draws_at_rest(layer):
    """Whether Keras moves the layer's seeds on in inference too."""
    return is_recurrent(layer) or hasattr(layer, "get_random_transformation")
