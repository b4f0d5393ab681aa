"""Files go both ways between Keras 3 and here: predictions, optimizer, config, next loss."""

import json

import keras
import numpy as np
import pytest

import kerasish
from tests.support import model_cases

CASES = model_cases.CASES
LOOSE = {"bfloat16_weights", "mixed_bfloat16", "float16_layer"}


def predict(model, x):
    out = model(x, training=False)
    out = list(out.values()) if isinstance(out, dict) else out
    out = out if isinstance(out, list | tuple) else [out]
    return [np.asarray(o).astype("float32") for o in out]


def next_loss(model, x, y):
    return float(np.ravel(model.train_on_batch(x, y))[0])


def state_of(model):
    return [np.asarray(v).astype("float32") for v in model.optimizer.variables]


def plain(config):
    """Config as JSON reads it; without what may differ: names of shared objects."""

    def clean(node):
        if isinstance(node, dict):
            return {k: clean(v) for k, v in node.items() if k != "shared_object_id"}
        return [clean(v) for v in node] if isinstance(node, list) else node

    return clean(json.loads(json.dumps(config)))


def differences(ours, theirs, path=""):
    """Where two configs differ, each with both values."""
    if isinstance(ours, dict) or isinstance(theirs, dict):
        ours, theirs = ours or {}, theirs or {}
        # Whether Keras writes the shape a layer without weights was built with depends on how it
        # was made; absent, `None` and `{}` are one to all readers.
        keys = {*ours, *theirs} - ({"build_config"} if len({*ours} ^ {*theirs}) else set())
        rows = [(k, ours.get(k) or None, theirs.get(k) or None) for k in sorted(keys)]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        rows = [(i, a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    else:
        # Some layers of Keras turn their axis into a list of one when built.
        return [] if ours == theirs or [ours] == theirs else [f"{path}: {ours!r} != {theirs!r}"]
    return [line for key, a, b in rows for line in differences(a, b, f"{path}/{key}")]


def assert_close(ours, theirs, rtol=1e-5, atol=1e-5):
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def check(path, model, readers, name, x, y):
    """Save, and read back in each library: all must agree with the model saved."""
    before, state = predict(model, x), state_of(model)
    model.save(path)
    loaded = [reader.saving.load_model(path) for reader in readers]
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if name in LOOSE else {}
    for one in loaded:
        assert_close(predict(one, x), before, **tolerance)
        assert_close(state_of(one), state)
    for configs in ("get_config", "get_compile_config"):
        ours, theirs = (plain(getattr(m, configs)()) for m in (loaded[0], (model, *loaded)[-1]))
        found = differences(ours, theirs)
        assert not found, "\n".join(found)
    losses = [next_loss(m, x, y) for m in (model, *loaded)]
    np.testing.assert_allclose(losses, losses[0], **(tolerance or {"rtol": 1e-4}))
    return loaded[-1]


@pytest.mark.parametrize("name", CASES)
def test_a_model_goes_there_and_back(name, tmp_path):
    model = CASES[name](kerasish)
    x, y = model_cases.data_for(model)
    model_cases.compile_case(name, model, kerasish)
    next_loss(model, x, y)
    theirs = check(tmp_path / "ours.keras", model, (kerasish, keras), name, x, y)
    check(tmp_path / "theirs.keras", theirs, (kerasish,), name, x, y)


OPTIMIZERS = [
    name
    for name in sorted(kerasish.optimizers.__all__)
    if name not in ("LossScaleOptimizer", "MultiOptimizer", "OptimizerMap", "Optimizer")
    and isinstance(getattr(keras.optimizers, name, None), type)
]


def with_optimizer(k, name):
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.Dense(2)])
    model.compile(getattr(k.optimizers, name)(0.01), "mse")
    return model


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("writer", "reader"), [(kerasish, keras), (keras, kerasish)])
def test_every_optimizer_goes_on_as_it_would_have(writer, reader, name, tmp_path):
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model = with_optimizer(writer, name)
    model.train_on_batch(x, x[:, :2])
    model.save(tmp_path / "x.keras")
    loaded = reader.saving.load_model(tmp_path / "x.keras")
    assert_close(state_of(loaded), state_of(model))
    for _ in range(2):
        losses = [next_loss(m, x, x[:, :2]) for m in (model, loaded)]
        np.testing.assert_allclose(*losses, rtol=1e-5)
