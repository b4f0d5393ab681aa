"""scikeras: fit, pickle, clone, cross validation and a search over hyperparameters."""

import json
import pickle

import keras
import numpy as np
from scikeras.wrappers import KerasClassifier, KerasRegressor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4)).astype("float32")
y = (X.sum(axis=1) > 0).astype(int)


def make(hidden, meta):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(hidden, "relu"), keras.layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), *layers])


options = {"epochs": 3, "verbose": 0, "shuffle": False}
classifier = KerasClassifier(
    make, hidden=8, loss="binary_crossentropy", optimizer__learning_rate=0.05, **options
)
classifier.fit(X, y)
probabilities = classifier.predict_proba(X)
again = pickle.loads(pickle.dumps(classifier))
np.testing.assert_allclose(again.predict_proba(X), probabilities, rtol=1e-5)
cloned = clone(classifier).fit(X, y)
np.testing.assert_allclose(cloned.predict_proba(X), probabilities, rtol=1e-4)
search = GridSearchCV(classifier, {"hidden": [4, 8]}, cv=2).fit(X, y)
regressor = KerasRegressor(make, hidden=4, loss="mse", **options).fit(X, y * 1.0)
found = {
    "probabilities": probabilities[:5, 1].tolist(),
    "scores": cross_val_score(classifier, X, y, cv=2).tolist(),
    "best": search.best_params_,
    "regression": regressor.predict(X)[:3].tolist(),
}
print(json.dumps(found))
