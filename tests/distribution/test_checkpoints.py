"""Files do not depend on how many devices wrote them."""

import contextlib

import numpy as np
import pytest

import kerasish as keras
from kerasish import distribution as dist
from tests.support import distributed_models


def on(count, min_size=16):
    devices = dist.list_devices()[:count]
    return dist.FullySharded(dist.DeviceMesh((count,), ("batch",), devices), min_size)


def trained(distribution):
    with distribution.scope():
        model = distributed_models.make("mlp")
        model.fit(*distributed_models.data("mlp", 64), 16, verbose=0)
    return model


def went_on(model, scope):
    """The loss of an epoch more, and the predictions after it."""
    x, y = distributed_models.data("mlp", 64)
    with scope:
        loss = model.fit(x, y, 16, verbose=0, shuffle=False).history["loss"]
        return np.hstack([loss, *model.predict(x, 16, verbose=0)])


@pytest.mark.parametrize("wrote,read", [(8, 1), (8, 2), (8, 4), (1, 8), (2, 8), (4, 8)])
def test_weights(wrote, read, tmp_path):
    model = trained(on(wrote))
    path = tmp_path / "some.weights.h5"
    model.save_weights(path)
    with on(read).scope():
        other = distributed_models.make("mlp", seed=9)
        other.optimizer.build(other.trainable_variables)
        before = [v.value.sharding for v in other.weights]
        other.load_weights(path)
    assert [v.value.sharding for v in other.weights] == before
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert all(len(v.value.devices()) == read for v in other.weights)


@pytest.mark.parametrize("wrote,read", [(8, 2), (1, 8)])
def test_whole_models(wrote, read, tmp_path):
    model = trained(on(wrote))
    path = tmp_path / "some.keras"
    model.save(path)
    with on(read).scope():
        other = keras.saving.load_model(path)
    assert max(distributed_models.spread_over(other).values()) == read
    slots = [v.path for v in other.optimizer.variables if v.shape]
    assert all(
        distributed_models.spread_over(other)[path] == read for path in slots if "kernel" in path
    )
    alone = keras.saving.load_model(path)  # as `other`, its random state starts anew
    expected = went_on(alone, contextlib.nullcontext())
    np.testing.assert_allclose(went_on(other, on(read).scope()), expected, rtol=1e-5, atol=1e-6)
