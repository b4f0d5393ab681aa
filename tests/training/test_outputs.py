"""Losses, weights and metrics for outputs in any pytree, against Keras 3."""

from collections import namedtuple

import keras as keras3
import numpy as np
import pytest

import kerasish

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(8, 3)).astype("float32")
A, B, C = RNG.uniform(size=(3, 8, 1)).astype("float32")
W = np.arange(8).astype("float32")
Pair = namedtuple("Pair", "left right")


def results(keras, outputs, options, y, **data):
    """What `evaluate` finds, of a model whose output of each name is the sum of its inputs."""

    def make(name):
        return keras.layers.Dense(1, kernel_initializer="ones", name=name)(x)

    x = keras.Input((3,))
    model = keras.Model(x, kerasish.tree.map_structure(make, outputs))
    model.compile("sgd", **options)
    found = model.evaluate(X, y, verbose=0, return_dict=True, **data)
    assert model.fit(X, y, verbose=0, **data).history.keys() == found.keys()
    return {name: float(value) for name, value in found.items()}


LISTS = {"a": ["a1", "a2"], "b": {"c": "bc"}}
THREE = {"a": ["a1", "a2"], "b": "b1"}
IN_LISTS = {"a": [A, B], "b": {"c": C}}
IN_THREE = {"a": [A, B], "b": C}
MSE_MAE = {"a": ["mse", "mae"], "b": "mse"}
# name: outputs by their layers' names, arguments of `compile`, targets, others of `evaluate`
CASES = {
    "losses and metrics": (
        LISTS,
        {
            "loss": {"a": ["mse", "mae"], "b": {"c": "mse"}},
            "metrics": {"a": [["mae"], ["mse", "mae"]], "b": {"c": ["mae"]}},
        },
        IN_LISTS,
        {},
    ),
    "loss weights": (
        LISTS,
        {
            "loss": {"a": ["mse", "mae"], "b": {"c": "mse"}},
            "loss_weights": {"a": [2.0, 3.0], "b": {"c": 4.0}},
        },
        IN_LISTS,
        {},
    ),
    "one loss for all": (LISTS, {"loss": "mse"}, IN_LISTS, {}),
    "losses in a flat list": (
        THREE,
        {"loss": ["mse", "mae", "mse"], "loss_weights": [1.0, 2.0, 3.0]},
        IN_THREE,
        {},
    ),
    "targets in a flat list": (THREE, {"loss": MSE_MAE}, [A, B, C], {}),
    "an output without a loss": (
        THREE,
        {"loss": {"a": ["mse", None], "b": "mse"}},
        {"a": [A, None], "b": C},
        {},
    ),
    "targets of outputs with a loss": (["a", "b"], {"loss": ["mse", None]}, [A], {}),
    "tuples for lists": (THREE, {"loss": MSE_MAE}, {"a": (A, B), "b": C}, {}),
    "named tuples": (
        {"p": Pair("a", "b"), "q": "c"},
        {"loss": {"p": Pair("mse", "mae"), "q": "mse"}},
        {"p": Pair(A, B), "q": C},
        {},
    ),
    "lists of one loss": (
        {"out": "o", "other": "p"},
        {"loss": {"out": ["mse"], "other": "mae"}, "metrics": {"out": ["mae"], "other": "mse"}},
        {"out": A, "other": B},
        {},
    ),
    "one list of one loss": ({"out": "o"}, {"loss": {"out": ["mse"]}}, {"out": A}, {}),
    "sample weights for all": (
        THREE,
        {"loss": MSE_MAE, "weighted_metrics": {"a": [["mae"], ["mse"]], "b": ["mae"]}},
        IN_THREE,
        {"sample_weight": W},
    ),
    "sample weights for some": (
        THREE,
        {"loss": MSE_MAE},
        IN_THREE,
        {"sample_weight": {"a": [W, None], "b": None}},
    ),
    "weighted metrics of one name": (
        ["a", "b"],
        {
            "loss": "mse",
            "metrics": {"a": ["mae"], "b": ["mse"]},
            "weighted_metrics": {"a": ["mae"], "b": ["mse", "mae"]},
        },
        [A, B],
        {"sample_weight": [W, W]},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_results_are_keras_results(case):
    outputs, options, y, data = case
    ours, theirs = (results(keras, outputs, options, y, **data) for keras in (kerasish, keras3))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_lists_for_a_dict_are_in_the_order_of_sorted_keys():
    outputs, options = {"b": "x", "a": "y"}, {"loss": ["mse", "mae"], "metrics": [["mae"], ["mse"]]}
    theirs = results(keras3, outputs, options, {"a": A, "b": B})
    with pytest.warns(UserWarning, match=r"sorted keys, \['a', 'b'\], not \['b', 'a'\] as written"):
        ours = results(kerasish, outputs, options, {"a": A, "b": B})
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_several_losses_of_one_output_add_up():
    ours = results(kerasish, "a", {"loss": ["mse", "mae"], "loss_weights": [1.0, 2.0]}, A)
    error = X.sum(1, keepdims=True) - A
    mse, mae = np.mean(error**2), np.mean(abs(error))
    assert ours == pytest.approx({"a_loss": mse + mae, "loss": mse + 2 * mae}, abs=1e-4)


def gap(y_true, y_pred):
    """A loss of one output or of several."""
    pairs = zip(*(kerasish.tree.flatten(y) for y in (y_true, y_pred)), strict=True)
    return sum(keras3.ops.mean(abs(t - p), axis=-1) for t, p in pairs)


# outputs in tuples or dicts, losses in lists: one of all, and one of each
@pytest.mark.parametrize("weights", [None, [0.5, (2.0, 3.0)]])
def test_a_loss_of_several_outputs(weights):
    options = {"loss": [gap, (gap, "mse")], "loss_weights": weights}
    ours, theirs = (results(k, ("a", "b"), options, (A, B)) for k in (kerasish, keras3))
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert "a_b_loss" in ours


def test_losses_of_some_and_of_all_outputs_in_a_dict():
    outputs = {"p": ("p1", "p2"), "q": {"r": "r1", "s": "s1"}, "t": "t1"}
    loss = {"p": [gap, (None, "mse")], "q": [gap, {"r": "mse"}], "t": "mae"}
    y = {"p": (A, B), "q": {"r": C, "s": A}, "t": B}
    ours, theirs = (results(k, outputs, {"loss": loss}, y) for k in (kerasish, keras3))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_subclass_without_output_names():
    def program(keras):
        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.head = keras.layers.Dense(1, kernel_initializer="ones")

            def call(self, x):
                return {"p": {"q": [self.head(x), self.head(x)]}, "r": self.head(x)}

        model = Model()
        model.compile(
            "sgd",
            loss={"p": {"q": ["mse", "mae"]}, "r": "mse"},
            metrics={"p": {"q": [["mae"], ["mae"]]}, "r": ["mse"]},
            loss_weights={"p": {"q": [0.5, 2.0]}, "r": 1.0},
        )
        return model.evaluate(X, {"p": {"q": [A, B]}, "r": C}, verbose=0, return_dict=True)

    assert program(kerasish) == pytest.approx(program(keras3), abs=1e-5)


MISTAKES = {
    "unknown name": ({"loss": {"a": "mse", "d": "mse"}}, IN_THREE, "names output 'd'"),
    "too few losses": ({"loss": ["mse"]}, IN_THREE, r"one element for each of the 3 outputs"),
    "too few in a list": (
        {"loss": {"a": ["mse"], "b": "mse"}},
        IN_THREE,
        r"\['a/a1', 'a/a2', 'b'\]; got 1",
    ),
    "too few targets": ({"loss": MSE_MAE}, {"a": [A], "b": C}, "one array for each of the outputs"),
    "no target": ({"loss": MSE_MAE}, {"a": [A, None], "b": C}, "targets for output 'a/a2'"),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_what_does_not_fit_is_refused(case):
    options, y, message = case
    with pytest.raises(ValueError, match=message):
        results(kerasish, THREE, options, y)


# -- weights of classes


def history(fit):
    head = kerasish.layers.Dense(1, kernel_initializer="ones", name="a")
    model = kerasish.Sequential([kerasish.Input((3,)), head])
    model.compile("sgd", "mse")
    return model.fit(X, LABELS, verbose=0, shuffle=False, **fit).history["loss"]


LABELS = (A > 0.5).astype("int32")
BOTH = np.where(LABELS[:, 0] == 1, 3.0, 2.0).astype("float32")


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({"class_weight": {0: 2.0, 1: 3.0}}, BOTH),
        ({"class_weight": np.array([2.0, 3.0])}, BOTH),
        ({"class_weight": {"a": {0: 2.0, 1: 3.0}}}, BOTH),
        ({"class_weight": [{0: 2.0, 1: 3.0}]}, BOTH),
        ({"class_weight": {0: 2.0, 1: 3.0}, "sample_weight": W}, BOTH * W),
        ({"class_weight": {0: 2.0, 1: 3.0}, "sample_weight": W[:, None]}, BOTH * W),
    ],
)
def test_class_weights_are_sample_weights(given, weights):
    assert history(given) == pytest.approx(history({"sample_weight": weights}), rel=1e-5)


@pytest.mark.parametrize("given", [[{0: 2.0, 1: 3.0}, None], {"a": {0: 2.0, 1: 3.0}}])
@pytest.mark.parametrize("source", ["arrays", "generator"])
def test_class_weights_of_some_outputs(given, source):
    def fit(**weights):
        x = kerasish.Input((3,))
        a, b = (kerasish.layers.Dense(1, kernel_initializer="ones", name=n)(x) for n in "ab")
        model = kerasish.Model(x, [a, b])
        model.compile("sgd", "mse")
        if source == "generator" and "class_weight" in weights:
            return model.fit(iter([(X, [LABELS, B])]), verbose=0, **weights).history
        return model.fit(X, [LABELS, B], verbose=0, **weights).history

    want = fit(sample_weight=[BOTH, np.ones(8, "float32")])
    got = fit(class_weight=given)
    assert {k: v[0] for k, v in got.items()} == pytest.approx({k: v[0] for k, v in want.items()})


def test_class_numbers_as_strings_are_named():
    with pytest.raises(ValueError, match=r"got \{'0': 1.0\}. JSON makes strings of numbers"):
        history({"class_weight": {"0": 1.0}})
