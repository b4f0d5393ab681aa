"""KerasTuner: three searches, and the best model of each loaded from its checkpoint."""

import json
import tempfile

import keras
import keras_tuner
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(64, 4)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")


def build(choices):
    keras.utils.set_random_seed(0)
    units = choices.Int("units", 4, 8, step=4)
    layers = [keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    rate = choices.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    return model


found = {}
for name, options in {
    "RandomSearch": {"max_trials": 3},
    "Hyperband": {"max_epochs": 3},
    "BayesianOptimization": {"max_trials": 3},
}.items():
    options |= {"directory": tempfile.mkdtemp(), "project_name": "search", "seed": 1}
    tuner = getattr(keras_tuner, name)(build, objective="val_accuracy", **options)
    tuner.search(x, y, epochs=2, validation_data=(x, y), verbose=0, shuffle=False)
    best = tuner.get_best_models(1)[0]
    found[name] = [*best.evaluate(x, y, verbose=0), tuner.get_best_hyperparameters()[0].values]
print(json.dumps(found))
