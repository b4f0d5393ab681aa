"""Uncertainty reports, the check of SELU networks, and statistics of layers in training."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import callbacks, layers
from kerasish.diagnostics import (
    check_self_normalizing,
    expected_calibration_error,
    uncertainty_report,
)

RNG = np.random.default_rng(0)


# -- uncertainty


def probabilities(*shape):
    e = np.exp(2 * RNG.normal(size=shape))
    return e / e.sum(-1, keepdims=True)


def test_report_is_its_definitions():
    samples, y = probabilities(20, 7, 4), RNG.integers(0, 4, 7)
    report = uncertainty_report(samples, y)
    mean = samples.mean(0)
    entropy = -(mean * np.log(mean)).sum(-1)
    np.testing.assert_allclose(report.entropy, entropy)
    # Mutual information is the mean divergence of the samples from their mean.
    divergence = (samples * np.log(samples / mean)).sum(-1).mean(0)
    np.testing.assert_allclose(report.mutual_information, divergence, atol=1e-9)
    for i in range(7):
        votes = [s.argmax() for s in samples[:, i]]
        assert report.agreement[i] == votes.count(report.prediction[i]) / 20
    assert report.accuracy == np.mean(mean.argmax(-1) == y)


def test_samples_that_agree_tell_nothing_of_the_model():
    report = uncertainty_report(np.repeat(probabilities(1, 5, 3), 9, axis=0))
    np.testing.assert_allclose(report.mutual_information, 0, atol=1e-12)
    assert (report.agreement == 1).all() and report.accuracy is None


def test_calibration_error_by_hand():
    p = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([1, 1, 1, 0, 1, 0])
    rows = np.stack([p, 1 - p], -1)
    wanted = (4 * abs(0.95 - 0.75) + 2 * abs(0.55 - 0.5)) / 6
    assert expected_calibration_error(1 - right, rows, bins=10) == pytest.approx(wanted)
    assert expected_calibration_error(np.eye(2)[1 - right], rows, bins=10) == pytest.approx(wanted)


def test_labels_drawn_from_the_probabilities_are_calibrated():
    p = probabilities(1, 50_000, 3)[0]
    y = (p.cumsum(-1) < RNG.uniform(size=(50_000, 1))).sum(-1)
    assert expected_calibration_error(y, p) < 0.01
    assert expected_calibration_error(y, np.eye(3)[p.argmax(-1)]) > 0.2


def test_binary_probabilities_and_plain_predictions():
    p = RNG.uniform(size=(9, 5, 1))
    y = RNG.integers(0, 2, 5)
    a, b = uncertainty_report(p, y), uncertainty_report(np.concatenate([1 - p, p], -1), y[:, None])
    np.testing.assert_allclose(a.entropy, b.entropy)
    assert uncertainty_report(probabilities(5, 3)).entropy.shape == (5,)


def test_reliability_plot(tmp_path):
    report = uncertainty_report(probabilities(200, 3), RNG.integers(0, 3, 200))
    report.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert "calibration error" in repr(report)
    with pytest.raises(ValueError, match="needs labels: give `y_true`"):
        uncertainty_report(probabilities(5, 3)).plot()


@pytest.mark.parametrize(
    "samples, y, message",
    [
        (np.ones(3), None, r"of shape \(samples, n, classes\) or \(n, classes\); got \(3,\)"),
        (RNG.normal(size=(5, 3)), None, "which add up to 1; got 'others'. Apply a softmax"),
        (probabilities(5, 3), [0, 1], r"`y_true` must be labels of 5 inputs; got \(2,\)"),
    ],
)
def test_bad_samples(samples, y, message):
    with pytest.raises(ValueError, match=message):
        uncertainty_report(samples, y)


# -- SELU networks


def selu_stack(*extra, x=None):
    first = layers.Dense(9, "selu", kernel_initializer="lecun_normal", name="first")
    model = keras.Sequential(
        [keras.Input((4,), name="in"), first, *extra, layers.Dense(2, "softmax")]
    )
    return model, x


def lecun(units=9, activation="selu", **options):
    return layers.Dense(units, activation, kernel_initializer="lecun_normal", **options)


GOOD = [
    selu_stack(lecun(), layers.AlphaDropout(0.1)),
    selu_stack(lecun(activation=None), layers.Activation("selu")),
    selu_stack(layers.Dense(5, "selu", kernel_initializer=keras.initializers.VarianceScaling(1.0))),
    selu_stack(x=RNG.normal(size=(500, 4))),
    selu_stack(x=np.concatenate([RNG.normal(size=(500, 3)), np.zeros((500, 1))], 1)),
    selu_stack(x=RNG.normal(0, [1, 1, 1, 0.1], (500, 4))),
]
BROKEN = {
    "activation": (
        selu_stack(lecun(activation="relu", name="bad")),
        "'bad': its activation is relu",
    ),
    "initializer": (
        selu_stack(layers.Dense(5, "selu", name="bad")),
        "'bad': its kernel starts from Glo",
    ),
    "bias": (
        selu_stack(lecun(bias_initializer="ones", name="bad")),
        "'bad': its bias starts from Ones",
    ),
    "dropout": (
        selu_stack(layers.Dropout(0.1, name="bad")),
        "'bad': Dropout changes mean and varia",
    ),
    "noise": (
        selu_stack(layers.GaussianNoise(0.1, name="bad")),
        "'bad': GaussianNoise changes mean",
    ),
    "normalization": (
        selu_stack(layers.BatchNormalization(name="bad")),
        "'bad': BatchNormalization is",
    ),
    "uniform": (
        selu_stack(layers.Dense(5, "selu", kernel_initializer="lecun_uniform", name="bad")),
        "'bad': its kernel starts from LecunUniform",
    ),
    "inputs": (
        selu_stack(x=RNG.normal(3, 1, (500, 4))),
        "'in': 4 of 4 input features are not stand",
    ),
    "one of great size": (selu_stack(x=RNG.normal(0, [1, 1, 1, 9], (500, 4))), "1 of 4 input"),
    "narrow": (selu_stack(x=RNG.normal(0, 0.1, (500, 4))), "4 of 4 input features"),
    "spread": (selu_stack(x=RNG.normal(0, 5, (500, 4))), "mean -?0.*, standard deviation [45]"),
}


@pytest.mark.parametrize("model, x", GOOD)
def test_good_networks_pass(model, x):
    assert check_self_normalizing(model, x) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_condition_names_the_layer(name):
    (model, x), message = BROKEN[name]
    with pytest.warns(UserWarning, match=f"check_self_normalizing: .*{message}"):
        found = check_self_normalizing(model, x)
    assert len(found) == 1


def test_skip_connections_and_other_networks():
    x = keras.Input((4,))
    h = lecun(4)(x)
    model = keras.Model(x, layers.Dense(1)(layers.Add(name="skip")([x, h])))
    with pytest.warns(UserWarning, match="'skip': Add is no part of a plain stack"):
        check_self_normalizing(model)
    with pytest.warns(UserWarning, match="joins several paths"):
        check_self_normalizing(keras.Model(x, layers.Dense(1)(x + h)))
    with pytest.warns(UserWarning, match="no layer has the activation SELU"):
        check_self_normalizing(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))


# -- statistics of layers


def deep(activation, initializer, depth=12, units=30, **options):
    keras.utils.set_random_seed(0)
    hidden = [
        layers.Dense(units, activation, kernel_initializer=initializer, name=f"hidden_{i}")
        for i in range(depth)
    ]
    model = keras.Sequential([keras.Input((10,)), *hidden, layers.Dense(1, name="out")])
    model.compile(keras.optimizers.SGD(1e-4), "mse", **options)
    return model


X = RNG.normal(size=(64, 10)).astype("float32")
Y = X[:, :1]


def look_at(model, epochs=1, **options):
    look = callbacks.LayerStatistics(X, Y, **options)
    model.fit(X, Y, epochs=epochs, verbose=0, callbacks=look)
    return look


def test_statistics_are_numpys():
    model = deep("relu", "he_normal", depth=2)
    look = callbacks.LayerStatistics(X, Y)
    before = model.get_weights()
    look.set_model(model)
    look.on_train_begin()
    kernel, bias, kernel2, bias2, last, last_bias = before
    first = np.maximum(X @ kernel + bias, 0)
    second = np.maximum(first @ kernel2 + bias2, 0)
    own = look.history["hidden_1"]
    assert own["mean"][0] == pytest.approx(second.mean(), rel=1e-5)
    assert own["std"][0] == pytest.approx(second.std(), rel=1e-5)
    assert own["dead"][0] == np.mean((second == 0).all(0))
    error = 2 * (second @ last + last_bias - Y) / len(X)
    gradient = np.sqrt(np.sum((second.T @ error) ** 2) + np.sum(error.sum(0) ** 2))
    assert look.history["out"]["gradient"][0] == pytest.approx(gradient, rel=1e-4)
    size = np.sqrt(np.sum(last**2) + np.sum(last_bias**2))
    assert look.history["out"]["update"][0] == pytest.approx(gradient / size, rel=1e-4)


def test_looking_changes_nothing():
    def weights(*looks):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.Input((10,)),
                layers.Dense(5),
                layers.BatchNormalization(),
                layers.Dropout(0.3),
                layers.Dense(1),
            ]
        )
        model.compile("adam", "mse")
        model.fit(X, Y, epochs=3, verbose=0, callbacks=list(looks))
        return [np.array(v.read()) for v in model.variables]

    for a, b in zip(weights(), weights(callbacks.LayerStatistics(X, Y)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_healthy_network_has_no_problems(tmp_path):
    look = look_at(deep("relu", "he_normal"), 2)
    assert look.problems() == {} and look.epochs == [0, 1, 2]
    look.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_vanishing_gradients_are_named():
    small = keras.initializers.RandomNormal(stddev=0.03)
    problems = look_at(deep("tanh", small)).problems()
    assert "vanishing gradients" in problems["hidden_0"]
    assert "hidden_11" not in problems and "out" not in problems


def test_exploding_gradients_are_named():
    large = keras.initializers.RandomNormal(stddev=2.0)
    problems = look_at(deep("linear", large, depth=8)).problems()
    assert {"hidden_0", "hidden_7"} <= set(problems)
    assert "exploding gradients" in problems["hidden_0"] or "not finite" in problems["hidden_0"]
    first = callbacks.LayerStatistics(X / 1000, Y, ratio=3.0)
    first.set_model(deep("relu", keras.initializers.RandomNormal(stddev=0.6), depth=8))
    first.on_train_begin()
    first.history["out"]["gradient"][-1] /= 100  # as of a last layer that hardly learns
    first.history["hidden_0"]["update"][-1] = 1.0
    assert "times the last layer's" in first.problems()["hidden_0"]


def test_dead_units_are_named_and_warned_of():
    model = deep("relu", "he_normal", depth=2)
    look = callbacks.LayerStatistics(X, Y, verbose=1)
    look.set_model(model)
    look.on_train_begin()
    assert look.problems() == {}
    layer = model.get_layer("hidden_0")
    layer.bias.assign(np.where(np.arange(30) < 20, -100.0, 0.0))
    with pytest.warns(UserWarning, match="layer 'hidden_0': 6[67]% of its units are dead"):
        look.on_epoch_end(0)


def test_chosen_layers_and_bad_ones():
    look = look_at(deep("relu", "he_normal", 3), layers=["hidden_1", "out"])
    assert list(look.history) == ["hidden_1", "out"]
    with pytest.raises(ValueError, match=r"`layers` must be names among .*; got 'none'"):
        look_at(deep("relu", "he_normal", 1), layers=["none"])
    with pytest.raises(ValueError, match=r"`ratio` must be above 1; got 0.5"):
        callbacks.LayerStatistics(X, Y, ratio=0.5)
    with pytest.raises(RuntimeError, match="nothing seen yet"):
        callbacks.LayerStatistics(X, Y).plot()
