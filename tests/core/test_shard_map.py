"""Layers inside of `jax.shard_map`, which keeps a record of what differs from device to device."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from kerasish import layers
from kerasish.core.lowering import assume_local_devices
from kerasish.core.shard_map import match_varying_axes

LAYERS = {
    "Dense": lambda: layers.Dense(4),
    "SimpleRNN": lambda: layers.SimpleRNN(4),
    "LSTM": lambda: layers.LSTM(4, return_sequences=True),
    "GRU": lambda: layers.GRU(4),
    "GRU, unrolled": lambda: layers.GRU(4, unroll=True, reset_after=False),
}


@pytest.mark.parametrize("where", [contextlib.nullcontext, assume_local_devices])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_of_weights_are_summed_over_devices(name, where):
    layer, every, first = LAYERS[name](), PartitionSpec(), PartitionSpec("batch")
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 5, 3)), "float32")
    layer.build(x.shape)
    weights, rest = (
        [v.value for v in some]
        for some in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def gradients(weights, x):
        def loss(weights, x):
            return jnp.sum(jnp.sin(layer.stateless_call(weights, rest, jnp.sin(x))[0]))

        return jax.grad(loss, (0, 1))(weights, x)

    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    with where():
        specs = {"in_specs": (every, first), "out_specs": (every, first)}
        divided = jax.jit(jax.shard_map(gradients, mesh=mesh, **specs))(weights, x)
    for ours, whole in zip(*map(jax.tree.leaves, (divided, gradients(weights, x))), strict=True):
        np.testing.assert_allclose(ours, whole, rtol=1e-5, atol=1e-5)


def test_elsewhere_arrays_stay_as_they_are():
    arrays = [jnp.ones(2), None, (jnp.zeros(3),)]
    assert match_varying_axes(arrays) is arrays
