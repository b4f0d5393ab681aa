"""Runner of the second table for kerasish and Keras 3."""

import importlib
import pathlib
import tempfile

import numpy as np

from benchmarks.other_keras import Adversaries, models, source, targets_of
from benchmarks.other_measure import arguments, report
from benchmarks.other_tasks import find_task

options = arguments()
keras = importlib.import_module(options.framework)
task = find_task(options.model)


class Ticks(keras.callbacks.Callback):
    """Ticks the clock at each epoch's end, once the loss is read, and stops when time is up."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def on_epoch_end(self, epoch, logs=None):
        float(logs["loss"])
        self.model.stop_training = self.clock.tick()


def adversaries():
    """Training in turns, and prediction by the generator."""
    both = Adversaries(keras)

    def train(x, y, clock, epochs):
        for _ in range(epochs):
            order = both.rng.permutation(len(x))
            for rows in np.split(order, task.steps):
                loss = both.step(x[rows])
            float(loss)
            if clock.tick():
                return

    def predict(x):
        return both.generator.predict(x[:, :16], verbose=0)

    return train, predict


def build():
    """The model with `fit` and `predict`."""
    if options.model == "gan":
        return adversaries()
    model = models(keras)[options.model]()

    def train(x, y, clock, epochs):
        given = {"epochs": epochs, "verbose": 0, "callbacks": [Ticks(clock)]}
        y = targets_of(options.model, y)
        if task.fed != "arrays":
            model.fit(source(keras, task, x, y), steps_per_epoch=task.steps, **given)
            return
        x = list(x) if isinstance(x, tuple) else x
        if options.model != "every-epoch":
            model.fit(x, y, batch_size=task.batch, **given)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "best.weights.h5"
            given["callbacks"] += [
                keras.callbacks.ModelCheckpoint(file, save_weights_only=True),
                keras.callbacks.EarlyStopping(patience=1000),
                keras.callbacks.ReduceLROnPlateau(patience=1000),
                keras.callbacks.CSVLogger(pathlib.Path(folder) / "log.csv"),
            ]
            model.fit(x, y, batch_size=task.batch, validation_data=(x[:640], y[:640]), **given)

    def predict(x):
        return model.predict(list(x) if isinstance(x, tuple) else x, verbose=0)

    return train, predict


if __name__ == "__main__":
    report(build, options, task)
