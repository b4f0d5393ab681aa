"""What every layer must do. A new layer joins with one line in `layer_cases`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import CASES

from kerasish import layers
from kerasish.core.symbolic import KerasTensor

BASES = {"Input", "InputLayer", "InputSpec", "Layer", "Wrapper", "Lambda"}


@pytest.fixture(params=CASES, ids=lambda case: case.id, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def called(case):
    """The layer, called once: `(layer, inputs, outputs)`."""
    layer, x = case.make(layers), case.inputs()
    return layer, x, layer(x)


def values(variables):
    return [v.read() for v in variables]


def test_every_public_layer_has_a_line():
    public = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    named = {getattr(layers, name).__name__ for name in public} - BASES
    assert named - {case.name for case in CASES} == set()


def test_promised_shape_is_the_real_shape(case, called):
    _, x, real = called
    symbols = jax.tree.map(lambda x: KerasTensor((None, *x.shape[1:]), x.dtype.name), x)
    promised = case.make(layers)(symbols)
    assert promised.shape == (None, *real.shape[1:])
    assert promised.dtype == real.dtype.name


def test_jit_changes_nothing_and_every_weight_gets_a_gradient(called):
    layer, x, eager = called
    others = values(layer.non_trainable_variables)

    def total(trained):
        y = layer.stateless_call(trained, others, x)[0]
        return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)), y

    run = jax.jit(jax.grad(total, has_aux=True))
    grads, jitted = run(values(layer.trainable_variables))
    np.testing.assert_allclose(jitted, eager, rtol=1e-5, atol=1e-5)
    pairs = zip(layer.trainable_variables, grads, strict=True)
    assert [v.path for v, grad in pairs if not np.any(grad)] == []


def test_config_rebuilds_the_layer(called):
    config = called[0].get_config()
    assert type(called[0]).from_config(config).get_config() == config


def test_empty_batch_gives_an_empty_batch(called):
    layer, x, real = called
    empty = jax.tree.map(lambda x: jax.ShapeDtypeStruct((0, *x.shape[1:]), x.dtype), x)
    state = values(layer.trainable_variables), values(layer.non_trainable_variables)
    assert jax.eval_shape(layer.stateless_call, *state, empty)[0].shape == (0, *real.shape[1:])


def test_mixed_precision_computes_in_16_bits_and_keeps_weights_in_32(case):
    layer, x = case.make(layers, dtype="mixed_bfloat16"), case.inputs()
    y = layer(x, training=True)
    assert y.dtype == jnp.bfloat16
    assert {v.read().dtype.name for v in layer.trainable_variables} <= {"float32"}
    assert not jnp.isnan(y).any()
