"""A run that is killed and started again ends as one that was not: the same bits."""

import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.callbacks.checkpoint.resumable import ResumableCheckpoint
from kerasish.data import PyDataset

pytestmark = pytest.mark.exact

SAMPLES, BATCH, EPOCHS = 100, 8, 3  # 12 full batches and a partial one
STEPS = -(-SAMPLES // BATCH)


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(SAMPLES, 6)).astype("float32"), rng.integers(0, 3, size=SAMPLES)


def make_model(seed=7, **options):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.GaussianNoise(0.1),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def state(model):
    variables = (*model.variables, *model.optimizer.variables)
    return [np.asarray(v.read()) for v in variables]


class Stop(Exception):
    pass


class StopAt(ResumableCheckpoint):
    """Ends the run with an error after so many batches, when all callbacks are done with them."""

    every_batch = False

    def __init__(self, steps):
        super().__init__()
        self.left, self.before = steps, -1

    def on_train_begin(self, logs=None):
        pass

    def on_epoch_end(self, epoch, logs=None):
        pass

    def on_epoch_begin(self, epoch, logs=None):
        self.before = -1

    def on_train_batch_begin(self, batch, logs=None):
        self.before = batch - 1

    def on_train_batch_end(self, batch, logs=None):
        self.left -= batch - self.before
        self.before = batch
        if self.left <= 0:
            raise Stop


class Squares(PyDataset):
    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        x, y = data()
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return x[rows], y[rows]


def endless():
    x, y = data()
    while True:
        for i in range(0, SAMPLES - BATCH, BATCH):
            yield x[i : i + BATCH], y[i : i + BATCH]


def fit(model, kind, callbacks=()):
    options = {"epochs": EPOCHS, "verbose": 0, "callbacks": list(callbacks)}
    if kind == "arrays":
        return model.fit(*data(), batch_size=BATCH, **options)
    if kind == "validation":
        return model.fit(*data(), batch_size=BATCH, validation_data=data(), **options)
    if kind == "part of a pass":
        return model.fit(*data(), batch_size=BATCH, steps_per_epoch=5, **options)
    if kind == "generator":
        return model.fit(endless(), steps_per_epoch=10, **options)
    return model.fit(Squares(), **options)


KINDS = ["arrays", "validation", "part of a pass", "generator", "PyDataset"]


@pytest.fixture(scope="module")
def uninterrupted():
    found = {}

    def ask(kind):
        if kind not in found:
            model = make_model()
            found[kind] = fit(model, kind).history, state(model)
        return found[kind]

    return ask


@pytest.mark.filterwarnings("ignore:The data ran out:UserWarning")  # a part of 5 in passes of 13
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [1, 7, 13, 14, 20])
def test_any_interruption_leaves_no_trace(kind, stop, uninterrupted, tmp_path):
    history, right = uninterrupted(kind)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    if kind == "part of a pass":
        stop = min(stop, 13)
    with pytest.raises(Stop):
        fit(make_model(), kind, [backup, StopAt(stop)])
    # Another process: other weights, another seed, other random states.
    model = make_model(seed=99)
    again = fit(model, kind, [keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    for one, other in zip(state(model), right, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.history == history and again.epoch == list(range(EPOCHS))
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("before", [1, 4, "auto"])
@pytest.mark.parametrize("after", [1, 3, "auto"])
def test_whatever_number_of_steps_is_fused(before, after, uninterrupted, tmp_path):
    _, right = uninterrupted("arrays")
    backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=2)
    with pytest.raises(Stop):
        fit(make_model(steps_per_execution=before), "arrays", [backup, StopAt(17)])
    model = make_model(seed=99, steps_per_execution=after)
    fit(model, "arrays", [keras.callbacks.BackupAndRestore(tmp_path)])
    for one, other in zip(state(model), right, strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_are_backed_up_and_kept_if_asked(uninterrupted, tmp_path):
    _, right = uninterrupted("arrays")
    options = {"delete_checkpoint": False, "double_checkpoint": True}
    with pytest.raises(Stop):
        backup = keras.callbacks.BackupAndRestore(tmp_path, **options)
        fit(make_model(), "arrays", [backup, StopAt(2 * STEPS + 3)])
    latest = tmp_path / "latest.npz"
    whole = latest.read_bytes()
    latest.write_bytes(whole[: len(whole) // 2])  # the one before must do
    model = make_model(seed=99)
    history = fit(model, "arrays", [keras.callbacks.BackupAndRestore(tmp_path, **options)])
    assert history.epoch == [0, 1, 2]
    for one, other in zip(state(model), right, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest.npz", "previous.npz"]
    assert fit(model, "arrays", [keras.callbacks.BackupAndRestore(tmp_path)]).epoch == [0, 1, 2]


def test_bad_backups_say_what_is_wrong(tmp_path):
    (tmp_path / "latest.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match=r"latest.npz is damaged"):
        fit(make_model(), "arrays", [keras.callbacks.BackupAndRestore(tmp_path)])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    fit(make_model(), "arrays", [backup])
    other = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    other.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="is of another model"):
        fit(other, "arrays", [keras.callbacks.BackupAndRestore(tmp_path / "b")])
    with pytest.raises(
        ValueError, match="`save_freq` must be 'epoch', a positive integer or False"
    ):
        keras.callbacks.BackupAndRestore(tmp_path, save_freq="batch")
    with pytest.raises(ValueError, match="`backup_dir` must be a folder's path"):
        keras.callbacks.BackupAndRestore("")


# -- in another process

CHILD = """
import os, sys, time
import numpy as np
sys.path.insert(0, {tests!r})
import kerasish as keras
from tests.training.test_resume import fit, make_model, state
folder = sys.argv[1]
print("ready", flush=True)
model = make_model(seed=int(sys.argv[2]))
backup, saved = os.path.join(folder, "backup"), os.path.join(folder, "model.keras")
keepers = [getattr(keras.callbacks, sys.argv[4])(backup, save_freq=int(sys.argv[3]))]
if len(sys.argv) > 5:
    def wait(batch, logs):
        print("trained", flush=True)
        time.sleep(float(sys.argv[5]))

    keepers.append(keras.callbacks.ModelCheckpoint(saved, save_freq=1))
    keepers.append(keras.callbacks.LambdaCallback(on_train_batch_end=wait))
fit(model, "arrays", keepers)
np.savez(os.path.join(folder, "done.npz"), *state(model))
"""


def start(tests, folder, seed, freq, *rest, keeper="BackupAndRestore"):
    script = textwrap.dedent(CHILD.format(tests=str(tests)))
    words = [sys.executable, "-c", script, folder, seed, freq, keeper, *rest]
    words = [str(word) for word in words]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def run_with_kills(tests, folder, right, rng, kills, keeper="BackupAndRestore"):
    """Start, kill at a random moment, start again; the last must end as if never killed."""
    ended = []
    for _ in range(kills):
        child = start(tests, folder, 7, 1, 0.02, keeper=keeper)
        assert child.stdout.readline().strip() == "ready"
        time.sleep(rng.uniform(0.2, 2.5))
        child.kill()
        ended.append(child.wait(60))
        child.stdout.close()
        saved = folder / "model.keras"
        if saved.exists():
            keras.models.load_model(saved)
        if (folder / "done.npz").exists():
            break
    child = start(tests, folder, 7, 1, keeper=keeper)
    assert child.wait(120) == 0
    child.stdout.close()
    with np.load(folder / "done.npz") as found:
        for name, value in zip(found.files, right, strict=True):
            np.testing.assert_array_equal(found[name], value)
    return ended


@pytest.fixture
def tests(request):
    return request.config.rootpath


def test_kills_leave_no_trace(tests, tmp_path, uninterrupted):
    run_with_kills(tests, tmp_path, uninterrupted("arrays")[1], random.Random(0), kills=5)


@pytest.mark.slow
def test_fifty_kills_leave_no_trace(tests, tmp_path, uninterrupted):
    rng, killed, round_ = random.Random(1), 0, 0
    while killed < 50:
        folder = tmp_path / str(round_)
        folder.mkdir()
        ended = run_with_kills(tests, folder, uninterrupted("arrays")[1], rng, kills=8)
        killed, round_ = killed + ended.count(-signal.SIGKILL), round_ + 1


def test_sigterm_saves_and_stops(tests, tmp_path, uninterrupted):
    child = start(tests, tmp_path, 7, 10**6, 0.1)
    assert child.stdout.readline().strip() == "ready"
    deadline = time.monotonic() + 60
    while not (tmp_path / "model.keras").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.terminate()
    assert child.wait(60) == 143
    child.stdout.close()
    assert (tmp_path / "backup" / "latest.npz").exists()
    run_with_kills(tests, tmp_path, uninterrupted("arrays")[1], random.Random(0), kills=0)


def test_sigterm_is_heard_again_after_training(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fit(make_model(), "arrays", [keras.callbacks.BackupAndRestore(tmp_path)])
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(Stop):
        fit(make_model(), "arrays", [keras.callbacks.BackupAndRestore(tmp_path), StopAt(3)])
    assert signal.getsignal(signal.SIGTERM) is before
