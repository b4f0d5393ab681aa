"""Checkpoints with orbax: which are kept, onto which devices they go, that runs go on exactly."""

import os
import random
import signal
import sys

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import kerasish as keras
from kerasish import layers
from kerasish.callbacks import LambdaCallback, OrbaxCheckpoint
from tests.training.test_resume import (
    Stop,
    StopAt,
    run_with_kills,
    start,
    state,
    tests,  # noqa: F401
    uninterrupted,  # noqa: F401
)

pytestmark = pytest.mark.exact

pytest.importorskip("orbax.checkpoint")
pytestmark = pytest.mark.exact  # compared with another process
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        np.testing.assert_array_equal(one, other)


def small(units=8, **options):
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, name="a"), layers.Dropout(0.2), layers.Dense(1)]
    )
    model.compile("adam", "mse", **options)
    return model


@pytest.fixture(scope="module")
def model():
    return small()


def train(model, callbacks, epochs):
    return model.fit(X, X[:, :1], batch_size=6, epochs=epochs, verbose=0, callbacks=callbacks)


@pytest.fixture(scope="module")
def uninterrupted_small():
    keras.utils.set_random_seed(3)
    model = small()
    return train(model, [], 2).history, state(model)


STOPS = [(1, "auto", 1), (3, 2, "auto"), (4, 1, 2)]  # in epochs of three batches


@pytest.mark.parametrize(("stop", "before", "after"), STOPS)
def test_any_interruption_leaves_no_trace(stop, before, after, uninterrupted_small, tmp_path):
    history, right = uninterrupted_small
    keras.utils.set_random_seed(3)
    with pytest.raises(Stop):
        keepers = [OrbaxCheckpoint(tmp_path, save_freq=1), StopAt(stop)]
        train(small(steps_per_execution=before), keepers, 2)
    model = small(steps_per_execution=after)  # of other weights and another seed
    again = train(model, OrbaxCheckpoint(tmp_path, save_freq=2), 2)
    assert_same(state(model), right)
    assert again.history == history
    assert train(model, OrbaxCheckpoint(tmp_path), 2).epoch == [0, 1]  # it was done


SCORES = [3.0, 1.0, float("nan"), 5.0, 2.0, 4.0]
KEPT = {
    "the latest": ({}, [18]),
    "the latest two": ({"max_to_keep": 2}, [15, 18]),
    "all": ({"max_to_keep": None}, [3, 6, 9, 12, 15, 18]),
    "the best two too": ({"keep_best": 2, "mode": "min"}, [6, 15, 18]),
    "the greatest two too": ({"keep_best": 2, "mode": "max"}, [12, 18]),
    "each that is better": ({"save_best_only": True, "mode": "min", "max_to_keep": 9}, [3, 6]),
    "the best alone": ({"save_best_only": True, "mode": "max"}, [12]),
    "better than given": (
        {"save_best_only": True, "mode": "max", "initial_value_threshold": 6.0},
        [],
    ),
    "not in the background": ({"save_on_background": False, "save_freq": 5}, [17]),
}


@pytest.mark.parametrize("case", KEPT)
def test_which_checkpoints_are_kept(case, model, tmp_path):
    options, steps = KEPT[case]
    score = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=SCORES[epoch]))
    keeper = OrbaxCheckpoint(tmp_path, monitor="score", **options)
    train(model, [keeper, score], len(SCORES))
    assert keeper.steps == steps
    if steps and "keep_best" in options:
        best = {"min": 6, "max": 12}[options["mode"]]
        assert keeper.restore(model, "best") == best


def test_a_checkpoint_can_be_put_into_a_model(model, tmp_path):
    keeper = OrbaxCheckpoint(tmp_path, monitor="loss", max_to_keep=None)
    values = {}
    note = LambdaCallback(
        on_epoch_end=lambda epoch, logs: values.update({3 * epoch + 3: state(model)})
    )
    train(model, [note, keeper], 3)
    for step in (None, 3, 6):
        assert keeper.restore(model, step) == (step or 9)
        assert_same(state(model), values[step or 9])
    with pytest.raises(ValueError, match=r"`step` must be one of \[3, 6, 9\], 'best' or None"):
        keeper.restore(model, 2)
    uncompiled = keras.models.clone_model(model)
    keeper.restore(uncompiled)
    keeper.restore(model)
    assert_same(uncompiled.get_weights(), model.get_weights())


def test_weights_alone(model, tmp_path):
    keeper = OrbaxCheckpoint(tmp_path, save_weights_only=True)
    train(model, keeper, 1)
    weights = model.get_weights()
    other = small()
    OrbaxCheckpoint(tmp_path).restore(other)
    assert_same(other.get_weights(), weights)
    with pytest.raises(ValueError, match=r"holds weights alone, from which `fit` cannot go on"):
        train(other, OrbaxCheckpoint(tmp_path), 1)
    train(other, OrbaxCheckpoint(tmp_path, resume=False), 1)


def spread(model, count):
    """Lay a model's weights on so many devices: kernels split, the rest on all of them."""
    mesh = Mesh(np.array(jax.devices()[:count]), ("d",))
    model.optimizer.build(model.trainable_variables)
    for v in (*model.weights, *model.optimizer.variables):
        split = v.shape and v.shape[-1] % count == 0
        spec = PartitionSpec(*[None] * (len(v.shape) - 1), "d") if split else PartitionSpec()
        v.assign(jax.device_put(np.asarray(v.read()), NamedSharding(mesh, spec)))


@pytest.mark.parametrize(("before", "after"), [(4, 1), (4, 2), (1, 4), (2, 4), (4, 0)])
def test_arrays_go_onto_the_devices_of_the_model_there(before, after, tmp_path):
    model, other = small(), small()
    spread(model, before)
    train(model, OrbaxCheckpoint(tmp_path), 1)
    if after:
        spread(other, after)
    train(other, OrbaxCheckpoint(tmp_path), 1)
    assert_same(state(other), state(model))
    kernel = other.get_layer("a").kernel.read()
    assert len(kernel.sharding.device_set) == max(after, 1)
    assert kernel.committed == bool(after)


# -- what is wrong


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # orbax's threads
def test_a_damaged_checkpoint_is_an_error(model, tmp_path):
    train(model, OrbaxCheckpoint(tmp_path), 1)
    before = state(model)
    hurt = 0
    for path in sorted(p for p in (tmp_path / "3").rglob("*") if p.is_file()):
        whole = bytearray(path.read_bytes())
        at = len(whole) // 2
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] if whole else b"")
        try:
            OrbaxCheckpoint(tmp_path).restore(model)
        except ValueError as error:
            assert "cannot be read" in str(error) and "delete that step's folder" in str(error)
            hurt += 1
        assert_same(state(model), before)
        path.write_bytes(whole)
    assert hurt >= 3


def test_a_checkpoint_of_another_model_is_an_error(model, tmp_path):
    train(model, OrbaxCheckpoint(tmp_path), 1)
    with pytest.raises(ValueError, match=r"step 3 in .* is of another model: it has"):
        OrbaxCheckpoint(tmp_path).restore(small(units=7))
    with pytest.raises(ValueError, match="is of another model"):
        train(small(units=7), OrbaxCheckpoint(tmp_path), 2)
    with pytest.raises(ValueError, match="must be built to go on from there"):
        OrbaxCheckpoint(tmp_path).restore(keras.Sequential([layers.Dense(1)]))


WRONG = {
    "directory": ({"directory": ""}, "`directory` must be a folder's path"),
    "save_freq": ({"save_freq": 0}, "`save_freq` must be 'epoch', a positive integer or False"),
    "max_to_keep": ({"max_to_keep": 0}, "`max_to_keep` must be an integer of at least 1"),
    "keep_best": ({"keep_best": -1}, "`keep_best` must be an integer of at least 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_named(case):
    options, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        OrbaxCheckpoint(**{"directory": "x", **options})


def test_a_missing_orbax_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r"needs orbax: `pip install kerasish\[checkpoint\]`"):
        OrbaxCheckpoint("x")


def test_what_is_watched_must_be_there_to_save_the_best(model, tmp_path):
    with pytest.warns(UserWarning, match="'val_loss' is not among the results"):
        train(model, OrbaxCheckpoint(tmp_path, save_best_only=True), 1)


# -- in another process


@pytest.mark.slow
def test_sigterm_saves_and_stops(tests, tmp_path, uninterrupted):  # noqa: F811
    child = start(tests, tmp_path, 7, 10**6, 0.1, keeper="OrbaxCheckpoint")
    assert child.stdout.readline().strip() == "ready"
    assert child.stdout.readline().strip() == "trained"
    child.terminate()
    assert child.wait(60) == 128 + signal.SIGTERM
    child.stdout.close()
    assert [name for name in os.listdir(tmp_path / "backup") if name.isdigit()]
    right = uninterrupted("arrays")[1]
    run_with_kills(tests, tmp_path, right, None, kills=0, keeper="OrbaxCheckpoint")


@pytest.mark.slow
def test_kills_leave_no_trace(tests, tmp_path, uninterrupted):  # noqa: F811
    rng, right = random.Random(2), uninterrupted("arrays")[1]
    run_with_kills(tests, tmp_path, right, rng, kills=10, keeper="OrbaxCheckpoint")
