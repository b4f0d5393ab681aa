"""What two processes do together; each leaves what it found in a file of its own.

python -m kerasish.launch --devices-per-process 2 \\
    tests/support/two_process_program.py OUT [CASE ...]
"""

import os
import pathlib
import pickle
import signal
import sys
import time

import numpy as np

import kerasish as keras
from kerasish import distribution as dist
from kerasish.core import processes
from kerasish.distribution import initialization as watching
from kerasish.distribution import waiting
from tests.support import distributed_models

CHOICES = {
    **distributed_models.CHOICES,
    "tensor parallel": lambda: dist.TensorParallel(distributed_models.grid((2, 2))),
    "both": lambda: dist.FullyShardedTensorParallel(distributed_models.grid((2, 2)), min_size=16),
}
SHARES = ([8] * 10 + [3], [8] * 10)  # rows of each process' batches: they end differently


def train(name, choice):
    """A ready-made choice: as on one device."""
    with CHOICES[choice]().scope():
        return distributed_models.train(
            distributed_models.make(name), *distributed_models.data(name)
        )


def share(index, x, y):
    """One process' batches of a stream: its rows of each global batch."""
    start = 0
    for i in range(max(map(len, SHARES))):
        rows = [shares[i] if i < len(shares) else 0 for shares in SHARES]
        first = start + sum(rows[:index])
        if rows[index]:
            yield x[first : first + rows[index]], y[first : first + rows[index]]
        start += sum(rows)


def stream(parts):
    """A stream of which each process has a share that ends when it likes."""
    x, y = distributed_models.data("mlp", 163)
    model = distributed_models.make("mlp")
    losses = model.fit(share(parts, x, y), epochs=1, verbose=0).history["loss"]
    return [*losses, *model.evaluate(share(parts, x, y), verbose=0)]


def whole_batches():
    """The same batches on one process."""
    x, y = distributed_models.data("mlp", 163)
    for start in range(0, 160, 16):
        yield x[start : start + 16], y[start : start + 16]
    yield x[160:163], y[160:163]


def loop():
    """A loop of one's own."""
    model = distributed_models.make("mlp")
    x, y = distributed_models.data("mlp", 160)

    @keras.jit
    def step(x, y):
        def loss():
            return model.compute_loss(x, y, model(x, training=True))

        value, grads = keras.value_and_grad(loss, model.trainable_variables)()
        model.optimizer.apply(grads, model.trainable_variables)
        return value

    batches = [dist.distribute_batch((x[i : i + 16], y[i : i + 16])) for i in range(0, 160, 16)]
    return [float(step(*batch)) for batch in batches]


def files(folder):
    """Callbacks and saving: each file once, and whole before anyone reads it."""
    folder = pathlib.Path(folder)
    model, (x, y) = distributed_models.make("mlp"), distributed_models.data("mlp", 64)
    best = keras.callbacks.ModelCheckpoint(folder / "best.keras", "loss", save_best_only=True)
    log = keras.callbacks.CSVLogger(folder / "log.csv")
    history = model.fit(x, y, 16, epochs=2, callbacks=[best, log], verbose=2).history
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    model.save_weights(folder / "model.safetensors")
    try:
        model.save(folder / "model.keras", overwrite=False)
    except ValueError as error:
        refused = str(error)
    again = keras.models.load_model(folder / "model.keras")
    other = distributed_models.make("mlp", seed=4)
    other.load_weights(folder / "model.weights.h5")
    best = keras.models.load_model(folder / "best.keras")
    return {
        "weights": [v.numpy() for v in model.weights],
        "loaded": [v.numpy() for v in again.weights],
        "state": [v.numpy() for v in model.optimizer.variables],
        "loaded state": [v.numpy() for v in again.optimizer.variables],
        "loaded alone": [v.numpy() for v in other.weights],
        "best": [v.numpy() for v in best.weights],
        "parts": max(distributed_models.spread_over(again).values()),
        "refused": refused,
        "history": history,
    }


def refused(index):
    """Mistakes, each of which raises on every process."""
    x, y = distributed_models.data("mlp", 32)
    other_x = x + index

    def other_weights():
        model = distributed_models.make("mlp", seed=3 + index)
        keras.utils.set_random_seed(0)
        model.fit(x, y, verbose=0)

    def other_layers():
        model = keras.Sequential([keras.layers.Dense(4 + index)])
        model.compile("sgd", "mse")
        model.fit(x, np.zeros((32, 4 + index)), verbose=0)

    tries = {
        "number of rows": lambda: distributed_models.make("mlp").fit(
            x[index:], y[index:], verbose=0
        ),
        "rows": lambda: distributed_models.make("mlp").fit(other_x, y, verbose=0),
        "weights": other_weights,
        "layers": other_layers,
        "epochs": lambda: distributed_models.make("mlp").fit(x, y, epochs=1 + index, verbose=0),
        "calls": lambda: (
            distributed_models.make("mlp").fit if index else distributed_models.make("mlp").evaluate
        )(x, y, verbose=0),
        "mesh": lambda: dist.DeviceMesh((3, 2), ("batch", "model")),
        "one process' mesh": lambda: dist.DataParallel(devices=dist.list_devices()[:2]),
    }
    found = {}
    for name, attempt in tries.items():
        try:
            attempt()
        except (ValueError, RuntimeError) as error:
            found[name] = str(error)
    return found


def go_on(folder, end_at=None, by=signal.SIGKILL):
    """A run that backs up every step; the last process may send itself a signal in the middle."""

    class Killer(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if processes.index() == 1 and model.optimizer.iterations == end_at:
                os.kill(os.getpid(), by)

    model, (x, y) = distributed_models.make("mlp"), distributed_models.data("mlp", 64)
    backup = keras.callbacks.BackupAndRestore(folder, save_freq=1)
    with CHOICES["fully sharded"]().scope():
        history = model.fit(x, y, 16, epochs=3, callbacks=[Killer(), backup], verbose=0)
        return history.history, [v.numpy() for v in [*model.weights, *model.optimizer.variables]]


def end(how):
    """One of the processes ends, in a way of its own."""
    if how == "elsewhere":
        processes._machine = lambda: ""  # as if each ran on a machine of its own
    watching._STILL_SECONDS = 1
    dist.initialize(shutdown_timeout_seconds=1)
    first = processes.is_first()
    if how in ("here", "elsewhere"):
        os.kill(os.getpid(), signal.SIGKILL) if first else time.sleep(60)
    if how == "early" and first:
        processes.exchange("where the other one does not come")
    if how == "late" and first:
        time.sleep(4)


def hang(how):
    """Process 1 hangs in the second epoch of a run, in a way of its own."""
    waiting._NOTICE_SECONDS, waiting._SILENT_SECONDS = 1, 2
    dist.initialize(patience=3, shutdown_timeout_seconds=1)

    class Hangs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1 and not processes.is_first():
                os.kill(os.getpid(), signal.SIGSTOP) if how == "stopped" else time.sleep(60)

    model, (x, y) = distributed_models.make("mlp"), distributed_models.data("mlp", 64)
    with dist.DataParallel().scope():
        model.fit(x, y, 16, epochs=3, callbacks=[Hangs()], verbose=0)


def main(out, *cases):
    """Run all, or the cases named `model/choice`."""
    dist.initialize()
    index, folder = processes.index(), pathlib.Path(out)
    found = {case: train(*case.split("/")) for case in cases if "/" in case}
    if "rest" in cases:
        with dist.DataParallel().scope():
            found["stream"], found["loop"] = stream(index), loop()
            found["refused"] = refused(index)
        with CHOICES["fully sharded"]().scope():
            found["files"] = files(folder)
    if "go on" in cases:
        found["go on"] = go_on(folder / "never killed")
    if "killed" in cases:
        found["go on"] = go_on(folder / "killed", end_at=7)
    if "terminated" in cases:
        found["go on"] = go_on(folder / "terminated", end_at=3, by=signal.SIGTERM)
    for name in ("killed", "terminated"):
        if f"again {name}" in cases:
            found["go on"] = go_on(folder / name)
    (folder / f"{index}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    odd = {"end": end, "hang": hang}.get(sys.argv[2])
    odd(sys.argv[3]) if odd else main(*sys.argv[1:])
