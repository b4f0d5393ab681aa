"""Models as estimators of scikit-learn, as Keras has them."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kerasish
from kerasish import layers
from kerasish.wrappers import SKLearnClassifier, SKLearnRegressor
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
KINDS = np.array(["low", "middle", "high"])[np.digitize(X.sum(axis=1), [-1, 1])]
QUIET = {"verbose": 0, "shuffle": False, "epochs": 3}


def make(X, y, k=kerasish, loss="mse", activation=None):
    k.utils.set_random_seed(0)
    width = y.shape[1] if y.ndim > 1 else 1
    model = k.Sequential([k.Input((X.shape[1],)), k.layers.Dense(width, activation=activation)])
    model.compile("adam", loss)
    return model


def test_predictions_are_keras():
    def program(k):
        names = {"k": k, "loss": "categorical_crossentropy", "activation": "softmax"}
        classes = k.wrappers.SKLearnClassifier(make, model_kwargs=names, fit_kwargs=QUIET)
        classes.fit(X, KINDS)
        numbers = k.wrappers.SKLearnRegressor(make, model_kwargs={"k": k}).fit(X, X[:, 0], **QUIET)
        both_ways = k.wrappers.SKLearnTransformer(make, model_kwargs={"k": k})
        both_ways.fit(X, X[:, 1], **QUIET)
        return [
            classes.predict(X).tolist(),
            np.asarray(classes.decision_function(X)),
            numbers.predict(X),
            both_ways.transform(X),
        ]

    both(program)


def test_fits_within_scikit_learn():
    options = {"loss": "categorical_crossentropy", "activation": "softmax"}
    classes = SKLearnClassifier(make, model_kwargs=options, fit_kwargs={**QUIET, "epochs": 400})
    steps = make_pipeline(StandardScaler(), classes)
    assert cross_val_score(steps, X, KINDS, cv=3).mean() > 0.5
    copied = clone(classes)
    assert copied.get_params()["fit_kwargs"] == classes.fit_kwargs and not hasattr(copied, "model_")


def compiled():
    model = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_several_targets_are_fitted_at_once():
    estimator = SKLearnRegressor(make).fit(X, X[:, :2], **QUIET)
    assert estimator.predict(X).shape == (60, 2)


def test_models_are_cloned_unless_they_go_on():
    model = compiled()
    first = model.get_weights()
    cold = SKLearnRegressor(model).fit(X, X[:, 0], **QUIET)
    np.testing.assert_array_equal(model.get_weights()[0], first[0])
    assert cold.model_ is not model and cold.epoch_ == 3
    warm = SKLearnRegressor(model, warm_start=True).fit(X, X[:, 0], **QUIET)
    assert warm.model_ is model and warm.fit(X, X[:, 0], **QUIET).model_ is model
    assert (model.get_weights()[0] != first[0]).any()


def test_arguments_of_fit_do_not_stay():
    given = {"verbose": 0}
    SKLearnRegressor(compiled(), fit_kwargs=given).fit(X, X[:, 0], epochs=2)
    assert given == {"verbose": 0}


def test_metadata_may_be_routed():
    estimator = SKLearnRegressor(compiled())
    with pytest.raises(RuntimeError, match=r"metadata routing is off"):
        estimator.set_fit_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        assert estimator.set_fit_request(sample_weight=True) is estimator


ERRORS = {
    r"`y` must be of two or more classes": lambda: SKLearnClassifier(make).fit(X, X[:, 0]),
    r"`y` must be of two classes at least": lambda: SKLearnClassifier(make).fit(X, [1] * 60),
    r"`model` must be a model, or a function": lambda: SKLearnRegressor(3).fit(X, X[:, 0]),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_models_must_be_compiled():
    with pytest.raises(RuntimeError, match=r"must be compiled with a loss and an optimizer"):
        SKLearnRegressor(kerasish.Sequential([layers.Dense(1)])).fit(X, X[:, 0])


def test_unknown_names_are_no_attributes():
    with pytest.raises(AttributeError, match=r"has no attribute 'SKLearnRanker'"):
        _ = kerasish.wrappers.SKLearnRanker
