"""Trials before a long training: they find faults, and leave everything as it was."""

import os

import numpy as np
import pytest

import kerasish as keras
from kerasish import callbacks, layers
from kerasish.diagnostics import dry_run, overfit_one_batch

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 4)).astype("float32"), RNG.normal(size=(64, 1)).astype("float32")


def model():
    made = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(64, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(1),
        ]
    )
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return made


def state(model):
    metrics = [v for metric in model.metrics for v in metric.variables]
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables, *metrics)]


@pytest.fixture
def trained():
    made = model()
    made.fit(X, Y, verbose=0)
    before, history = state(made), made.history
    numbers = np.random.get_state()[1].copy()
    yield made
    for one, other in zip(before, state(made), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(numbers, np.random.get_state()[1])
    assert made.history is history
    assert all(layer.trainable for layer in made.layers)
    assert not made.stop_training


# -- one batch by heart


def test_a_sound_model_learns_a_batch_by_heart(trained, tmp_path):
    report = overfit_one_batch(trained, X, Y, steps=300)
    assert report.overfits
    assert report.unchanged == []
    assert report.losses.shape == (301,)
    assert "overfits one batch" in repr(report)
    report.plot(tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 500


def test_losses_are_those_of_training_by_hand():
    one, other = (keras.Sequential([keras.Input((4,)), layers.Dense(1)]) for _ in range(2))
    other.set_weights(one.get_weights())
    for made in (one, other):
        made.compile(keras.optimizers.SGD(0.1), "mse")
    losses = [other.train_on_batch(X[:16], Y[:16]) for _ in range(6)]
    np.testing.assert_allclose(
        overfit_one_batch(one, X, Y, batch_size=16, steps=5).losses, losses, rtol=1e-5
    )


def test_parts_without_a_gradient_are_named():
    x = keras.Input((4,))
    lost = layers.Lambda(lambda v: keras.ops.stop_gradient(v))(layers.Dense(3, name="lost")(x))
    broken = keras.Model(x, layers.Dense(1, name="head")(lost))
    broken.compile("sgd", "mse")
    report = overfit_one_batch(broken, X, Y, steps=5)
    assert report.unchanged == ["lost/kernel", "lost/bias"]
    assert not report.overfits
    assert "does not overfit" in repr(report)
    assert "no step changed lost/kernel" in repr(report)


def test_a_batch_of_a_generator():
    assert len(overfit_one_batch(model(), ((X, Y) for _ in range(1)), steps=3).losses) == 4


def test_steps_are_a_number():
    with pytest.raises(ValueError, match="`steps` must be a positive number of steps; got 0"):
        overfit_one_batch(model(), X, Y, steps=0)


# -- a step of everything


class Watch(callbacks.Callback):
    def __init__(self):
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")
        type(self).last = self

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(f"batch {batch}")

    def on_test_batch_end(self, batch, logs=None):
        self.seen.append(f"validation {batch}")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(sorted(logs))

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_all_runs_once_and_nothing_is_left(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watch = Watch()
    done = dry_run(
        trained,
        X,
        Y,
        validation_data=(X, Y),
        callbacks=[
            watch,
            callbacks.ModelCheckpoint("best-{val_loss:.2f}.keras", save_best_only=True),
            callbacks.CSVLogger("log.csv"),
            callbacks.BackupAndRestore("backup"),
            callbacks.TensorBoard("logs"),
            callbacks.EarlyStopping(patience=0),
            callbacks.ReduceLROnPlateau(patience=0),
            callbacks.OneCycle(0.1),
            callbacks.GradualUnfreezing(),
            callbacks.RemoteMonitor(),
        ],
    )
    assert os.listdir(tmp_path) == []
    assert watch.seen == []
    names = ["loss", "mae", "val_loss", "val_mae"]
    assert [one for one in Watch.last.seen if not isinstance(one, list)] == [
        *("begin", "batch 0", "validation 0", "end")
    ]
    assert sorted(set(done.logs) & set(names)) == names
    assert list(done.seconds) == ["train, validate", "predict", "save", "load weights"]
    assert done.left_out == ["RemoteMonitor"]
    assert "Left out: RemoteMonitor." in repr(done)


def test_a_backup_is_neither_read_nor_deleted(trained, tmp_path):
    backup = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model().fit(X, Y, epochs=3, verbose=0, callbacks=[backup])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    dry_run(trained, X, Y, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("given", "error", "part"),
    [
        ({"validation_data": (X[:, :2], Y)}, ValueError, "train, validate"),
        (
            {"callbacks": callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs["acc"])},
            KeyError,
            "train",
        ),
    ],
)
def test_what_would_fail_later_fails_now(trained, given, error, part):
    with pytest.raises(error) as caught:
        dry_run(trained, X, Y, **given)
    assert caught.value.__notes__[-1] == f"dry_run: this came of the part {part!r}."


class Function:
    """Has no config."""

    def __call__(self, x):
        return x


def test_a_model_that_cannot_be_saved_says_so():
    class Own(layers.Layer):
        def __init__(self, fn):
            super().__init__()
            self.function = fn

        def call(self, inputs):
            return self.function(inputs)

    made = keras.Sequential([keras.Input((4,)), Own(Function()), layers.Dense(1)])
    made.compile("sgd", "mse")
    with pytest.raises(TypeError, match="Function") as caught:
        dry_run(made, X, Y)
    assert "the part 'save'" in caught.value.__notes__[-1]


def test_generators_give_a_batch():
    source = ((X[:8], Y[:8]) for _ in range(2))
    done = dry_run(model(), source)
    assert "predict" not in done.seconds
    next(source)
