"""Bests, where results may be NaN: a bad first epoch must not stand in the way of good ones."""

import numpy as np
import pytest

import kerasish as keras

NAN = float("nan")
BEST = {
    "min": ("loss", [NAN, 3.0, NAN, 1.0, 2.0], [True, True, False, True, False], 1.0),
    "max": ("accuracy", [NAN, 0.1, NAN, 0.4, 0.2], [True, True, False, True, False], 0.4),
    "inf first": ("loss", [np.inf, 3.0, 4.0], [True, True, False], 3.0),
    "NaN only": ("loss", [NAN, NAN], [True, False], NAN),
}


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["accuracy"])
    return model


def mode_of(name):
    return "max" if name == "accuracy" else "min"


@pytest.mark.parametrize("case", BEST)
def test_model_checkpoint(case, model, tmp_path):
    name, values, saved, best = BEST[case]
    path = tmp_path / "best.keras"
    keeper = keras.callbacks.ModelCheckpoint(
        path, monitor=name, save_best_only=True, mode=mode_of(name)
    )
    keeper.set_model(model)
    for epoch, (value, expected) in enumerate(zip(values, saved, strict=True)):
        path.unlink(missing_ok=True)
        keeper.on_epoch_end(epoch, {name: value})
        assert path.exists() == expected
    assert keeper.best == pytest.approx(best, nan_ok=True)


@pytest.mark.parametrize("case", BEST)
def test_early_stopping(case, model):
    name, values, saved, best = BEST[case]
    stopper = keras.callbacks.EarlyStopping(
        name, patience=9, mode=mode_of(name), restore_best_weights=True
    )
    stopper.set_model(model)
    stopper.on_train_begin()
    for epoch, value in enumerate(values):
        model.layers[0].bias.assign([float(epoch)])
        stopper.on_epoch_end(epoch, {name: value})
    assert stopper.best == pytest.approx(best, nan_ok=True)
    stopper.on_train_end()
    last_best = max([i for i, good in enumerate(saved) if good], default=len(values) - 1)
    assert float(model.layers[0].bias.numpy()[0]) == last_best


def test_early_stopping_stops_where_all_is_nan(model):
    stopper = keras.callbacks.EarlyStopping("loss", patience=2)
    stopper.set_model(model)
    stopper.on_train_begin()
    for epoch in range(3):
        stopper.on_epoch_end(epoch, {"loss": NAN})
    assert model.stop_training and stopper.stopped_epoch == 2


def test_reduce_on_plateau_counts_from_the_first_number(model):
    reducer = keras.callbacks.ReduceLROnPlateau("loss", patience=2, factor=0.5)
    reducer.set_model(model)
    reducer.on_train_begin()
    for epoch, value in enumerate([NAN, 3.0, 2.0, 1.0]):
        reducer.on_epoch_end(epoch, {"loss": value})
    assert reducer.best == 1.0
    assert float(np.asarray(model.optimizer.learning_rate)) == pytest.approx(0.01)


def test_orbax_keeps_a_number_before_nan(model, tmp_path):
    pytest.importorskip("orbax.checkpoint")
    keeper = keras.callbacks.OrbaxCheckpoint(
        tmp_path, monitor="loss", max_to_keep=1, keep_best=1, save_on_background=False
    )
    keeper._watch.set_model(model)
    assert keeper._goodness(NAN) < keeper._goodness(1e30)
