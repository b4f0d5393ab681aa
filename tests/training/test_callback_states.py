"""Callbacks go on as if there had been no interruption: same epochs, same rates, same files."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import callbacks as cb
from kerasish import layers

EPOCHS = 7
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
# Improves, waits, improves, waits until patience is at an end.
SCORES = [3.0, 3.5, 2.0, 2.5, 2.6, 2.7, 2.8]


class Scores(cb.Callback):
    """Writes what the others watch; ends the run with an error when it is asked to."""

    def __init__(self, stop=None):
        super().__init__()
        self.stop = stop

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.stop:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = SCORES[epoch]


class Counts(cb.Callback):
    """A callback of a user's own, with an array in its state."""

    seen = np.zeros(2)

    def on_epoch_end(self, epoch, logs=None):
        self.seen = np.add(self.seen, [1, epoch])

    def get_state(self):
        return {"seen": self.seen}


WATCHED = {"monitor": "score", "mode": "min"}
CASES = {
    "EarlyStopping": lambda folder: cb.EarlyStopping(
        patience=3, restore_best_weights=True, **WATCHED
    ),
    "ReduceLROnPlateau": lambda folder: cb.ReduceLROnPlateau(
        patience=2, factor=0.5, cooldown=1, **WATCHED
    ),
    "LearningRateScheduler": lambda folder: cb.LearningRateScheduler(lambda epoch, rate: rate / 2),
    "OneCycle": lambda folder: cb.OneCycle(0.1),
    "SwapEMAWeights": lambda folder: cb.SwapEMAWeights(swap_on_epoch=True),
    "ModelCheckpoint": lambda folder: cb.ModelCheckpoint(
        folder / "{epoch}.weights.h5", save_best_only=True, save_weights_only=True, **WATCHED
    ),
    "CSVLogger": lambda folder: cb.CSVLogger(folder / "log.csv"),
    "Counts": lambda folder: Counts(),
}


def run(folder, case, *keepers, stop=None):
    """Train with the callback: the model, the history, what is in the callback and the folder."""
    folder.mkdir(exist_ok=True)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01, use_ema=case == "SwapEMAWeights"), "mse")
    callback = CASES[case](folder)
    options = {"batch_size": 8, "epochs": EPOCHS, "verbose": 0}
    history = model.fit(X, X[:, :1], callbacks=[*keepers, Scores(stop), callback], **options)
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.suffix == ".csv"}
    names = sorted(p.name for p in folder.iterdir())
    weights = [np.asarray(v.read()) for v in (*model.variables, *model.optimizer.variables)]
    return weights, history.history, history.epoch, files, names, callback.get_state()


@pytest.mark.parametrize("case", CASES)
def test_an_interruption_changes_nothing(case, tmp_path):
    keras.utils.set_random_seed(5)
    right = run(tmp_path / "a", case)
    keras.utils.set_random_seed(5)
    stop = 5 if case == "EarlyStopping" else 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", case, cb.BackupAndRestore(tmp_path / "backup"), stop=stop)
    keras.utils.set_random_seed(6)
    found = run(tmp_path / "b", case, cb.BackupAndRestore(tmp_path / "backup"))
    for one, other in zip(found[0], right[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1:5] == right[1:5]
    np.testing.assert_equal(found[5], right[5])
    assert len(found[2]) == (6 if case == "EarlyStopping" else EPOCHS)


def test_a_run_that_was_to_stop_stops(tmp_path):
    keeper = cb.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    first = run(tmp_path / "a", "EarlyStopping", keeper)
    again = run(tmp_path / "a", "EarlyStopping", keeper)
    assert again[2] == first[2] == list(range(6))


def test_a_state_of_strange_things_is_refused(tmp_path):
    class Strange(cb.Callback):
        def get_state(self):
            return {"x": {1, 2}}

    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"Strange: `get_state` must return numbers.*got \{1, 2\}"):
        keepers = [Strange(), cb.BackupAndRestore(tmp_path)]
        model.fit(X, X[:, :1], verbose=0, callbacks=keepers)
