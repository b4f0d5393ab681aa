"""What every layer must do. A new layer joins with one line in `layer_cases`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from layer_cases import CASES

from kerasish import layers
from kerasish.core import dtypes
from kerasish.core.symbolic import KerasTensor

BASES = {"Input", "InputLayer", "InputSpec", "Layer", "Wrapper", "Lambda"}


@pytest.fixture(params=CASES, ids=lambda case: case.id)
def case(request):
    return request.param


def leaves(x):
    return jax.tree.leaves(x)


def test_every_public_layer_has_a_line():
    public = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    named = {getattr(layers, name).__name__ for name in public} - BASES
    assert named - {case.name for case in CASES} == set()


def test_promised_shape_is_the_real_shape(case):
    x, layer = case.inputs(), case.make(layers)
    promised = layer(jax.tree.map(lambda x: KerasTensor((None, *x.shape[1:]), x.dtype.name), x))
    real = layer(x)
    assert promised.shape[1:] == real.shape[1:]
    assert promised.dtype == real.dtype.name


def test_jit_changes_nothing(case):
    x, layer = case.inputs(), case.make(layers)
    eager = layer(x)
    run = jax.jit(layer.stateless_call)
    trained, others = ([v.read() for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))
    np.testing.assert_allclose(run(trained, others, x)[0], eager, rtol=1e-5, atol=1e-5)


def test_config_rebuilds_the_layer(case):
    config = case.make(layers).get_config()
    assert type(case.make(layers)).from_config(config).get_config() == config


def test_every_trainable_weight_gets_a_gradient(case):
    x, layer = case.inputs(), case.make(layers)
    layer(x)
    others = [v.read() for v in layer.non_trainable_variables]

    def total(values):
        y = layer.stateless_call(values, others, x)[0]
        return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))

    grads = jax.grad(total)([v.read() for v in layer.trainable_variables])
    pairs = zip(layer.trainable_variables, grads, strict=True)
    assert [v.path for v, grad in pairs if not np.any(grad)] == []


def test_mixed_precision_computes_in_16_bits_and_keeps_weights_in_32(case):
    dtypes.set_dtype_policy("mixed_bfloat16")
    x, layer = case.inputs(), case.make(layers)
    y = layer(x, training=True)
    assert y.dtype == jnp.bfloat16
    assert {v._value.dtype.name for v in layer.trainable_variables} <= {"float32"}
    assert not any(jnp.isnan(leaf).any() for leaf in leaves(y))


def test_empty_batch_gives_an_empty_batch(case):
    x = jax.tree.map(lambda x: x[:0], case.inputs())
    layer = case.make(layers)
    layer(case.inputs())
    assert layer(x).shape[0] == 0
