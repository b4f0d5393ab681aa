"""The largest batch that fits."""

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.models.inspection import batch_size

X, Y = np.ones((300, 4), "float32"), np.ones((300, 1), "float32")


def model():
    made = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5)]
    )
    made.add(layers.Dense(1))
    made.compile("adam", "mse", metrics=["mae"])
    return made


def state(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize("used", [False, True])
def test_all_fits_and_nothing_changes(used):
    tried = model()
    if used:
        tried.fit(X, Y, verbose=0)
    tried.optimizer.build(tried.trainable_variables)
    before = state(tried)
    found = tried.find_batch_size(X, Y)
    assert (found.largest, found.note) == (300, "300 samples were given")
    assert [trial.batch_size for trial in found.trials] == [32, 64, 128, 256, 300]
    assert all(trial.seconds > 0 for trial in found.trials)
    sizes = [trial.bytes for trial in found.trials]
    assert sizes == sorted(sizes)
    assert found.fastest in [trial.batch_size for trial in found.trials]
    for one, other in zip(before, state(tried), strict=True):
        np.testing.assert_array_equal(one, other)
    tried.fit(X, Y, batch_size=found.largest, verbose=0)
    assert tried.find_batch_size(X, Y, most=100).note == "`most` is 100"


@pytest.mark.parametrize("fitting", [3, 100])
@pytest.mark.parametrize("how", ["planned", "failed"])
def test_the_limit_is_found_to_an_eighth(fitting, how, monkeypatch):
    measured = batch_size._seconds
    if how == "failed":

        def seconds(step, batch):
            if len(batch[0]) > fitting:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
            return measured(step, batch)

        monkeypatch.setattr(batch_size, "_seconds", seconds)
    else:
        tried = model()
        all_fit = tried.find_batch_size(X[:fitting], Y[:fitting], start=fitting)
        held = sum(v.size * v.read().dtype.itemsize for v in tried.variables)
        room = all_fit.trials[-1].bytes - held
        monkeypatch.setattr(batch_size, "_room", lambda: room)
    found = model().find_batch_size(X, Y)
    assert fitting - max(fitting // 8, 1) <= found.largest <= fitting
    assert "do not fit" in found.note
    assert "does not fit" in repr(found)


def test_not_even_one_fits(monkeypatch):
    monkeypatch.setattr(batch_size, "_room", lambda: 1)
    with pytest.raises(ValueError, match=r"not even one sample fits: a step takes .* there are 1"):
        model().find_batch_size(X, Y)


def test_other_errors_are_errors(monkeypatch):
    def fail(step, batch):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    monkeypatch.setattr(batch_size, "_seconds", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
        model().find_batch_size(X, Y)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": 0}, "`start` must be a positive number of samples; got 0"),
        ({"most": -1}, "`most` must be a positive number of samples; got -1"),
        ({"x": ((X, Y) for _ in range(2)), "y": None}, "`x` must be arrays"),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(ValueError, match=message):
        model().find_batch_size(**{"x": X, "y": Y, **given})
    with pytest.raises(ValueError, match="not compiled"):
        keras.Sequential([layers.Dense(1)]).find_batch_size(X, Y)


def test_the_memory_of_a_container_counts(tmp_path):
    proc = tmp_path / "meminfo"
    proc.write_text("MemTotal: 90 kB\nMemAvailable: 8 kB\n")
    assert batch_size.host_memory(str(proc), str(tmp_path)) == 8192
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert batch_size.host_memory(str(proc), str(tmp_path)) == 8192
    (tmp_path / "memory.max").write_text("5000\n")
    assert batch_size.host_memory(str(proc), str(tmp_path)) == 4000
