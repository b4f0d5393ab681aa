"""`fit` and `evaluate` against Keras 3: same seed, same weights, same data, same curves."""

import keras as keras3
import numpy as np
import pytest

import kerasish

# Keras 3 asks newer JAX for 64-bit shapes; kerasish never does, and elsewhere this is an error.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Explicitly requested dtype int64 requested in ShapeDtypeStruct:UserWarning"
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 6)).astype("float32")
Y = RNG.integers(0, 3, size=100)
ONE_HOT = np.eye(3, dtype="float32")[Y]
WEIGHTS = RNG.uniform(size=100).astype("float32")


def both(program):
    """Results of a program written for Keras, under Keras 3 and under kerasish."""
    results = []
    for keras in (keras3, kerasish):
        keras.utils.set_random_seed(3)
        results.append(program(keras))
    return results


def classifier(keras, **options):
    inputs = keras.Input((6,))
    x = keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2")(inputs)
    x = keras.layers.BatchNormalization()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    model.compile(**options)
    return model


def two_headed(keras, **options):
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    x = keras.layers.Concatenate()([a, b])
    first = keras.layers.Dense(3, activation="softmax", name="first")(x)
    second = keras.layers.Dense(1, name="second")(x)
    model = keras.Model([a, b], [first, second])
    model.compile(**options)
    return model


def on_top(keras, **options):
    """A model on one that was compiled for itself."""
    model = keras.Sequential(
        [classifier(keras, **{**options, "loss": "mae"}), keras.layers.Dense(3)]
    )
    model.compile(**options)
    return model


SPARSE = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}
DENSE = {"optimizer": "sgd", "loss": "mse"}
TWO_X = [X[:, :4], X[:, 4:]]
TWO_Y = [ONE_HOT, X[:, :1]]
TWO = {"optimizer": "sgd", "loss": ["categorical_crossentropy", "mse"]}
BY_NAME = {"first": "categorical_crossentropy", "second": "mae"}


def OwnGap(y_true, y_pred):  # noqa: N802
    return abs(y_true - y_pred)


# name: model, compile options, fit's data, fit options
def firstClass(y_true, y_pred):  # noqa: N802
    return y_pred[:, 0]


class SecondClass:
    def __call__(self, y_true, y_pred):
        return y_pred[:, 1]


CASES = {
    "accuracy": (classifier, {**SPARSE, "metrics": ["accuracy"]}, (X, Y), {}),
    "short accuracy name": (classifier, {**SPARSE, "metrics": ["acc"]}, (X, Y), {}),
    "sample weights": (
        classifier,
        {**SPARSE, "metrics": ["accuracy"], "weighted_metrics": ["acc"]},
        (X, Y),
        {"sample_weight": WEIGHTS},
    ),
    "class weights": (classifier, SPARSE, (X, Y), {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}),
    "validation split": (
        classifier,
        {**SPARSE, "loss": "crossentropy"},
        (X, Y),
        {"validation_split": 0.2},
    ),
    "validation data": (
        classifier,
        {**DENSE, "metrics": ["mae", "mse"]},
        (X, ONE_HOT),
        {"validation_data": (X, ONE_HOT), "validation_freq": 2},
    ),
    "functions as metrics": (
        classifier,
        {**DENSE, "metrics": [OwnGap, lambda a, b: abs(a + b)]},
        (X, ONE_HOT),
        {},
    ),
    "a compiled model within": (
        on_top,
        {**DENSE, "metrics": ["mae"]},
        (X, ONE_HOT),
        {"validation_data": (X, ONE_HOT)},
    ),
    "weighted validation": (
        classifier,
        {**SPARSE, "weighted_metrics": ["accuracy"]},
        (X, Y),
        {"validation_data": (X, Y, WEIGHTS), "validation_batch_size": 7},
    ),
    "steps per epoch": (classifier, SPARSE, (X, Y), {"steps_per_epoch": 2}),
    "validation steps": (
        classifier,
        SPARSE,
        (X, Y),
        {"validation_data": (X, Y), "validation_steps": 2},
    ),
    "initial epoch": (classifier, SPARSE, (X, Y), {"initial_epoch": 1}),
    "two outputs": (two_headed, TWO, (TWO_X, TWO_Y), {}),
    "loss weights": (two_headed, {**TWO, "loss_weights": [1.0, 0.1]}, (TWO_X, TWO_Y), {}),
    "one weight for all losses": (
        two_headed,
        {**TWO, "loss": "mse", "loss_weights": 0.3},
        (TWO_X, TWO_Y),
        {},
    ),
    "names of metrics": (
        classifier,
        {**SPARSE, "metrics": ["Accuracy", firstClass, lambda y, p: p[:, 1], SecondClass()]},
        (X, Y),
        {},
    ),
    "by name": (
        two_headed,
        {**TWO, "loss": BY_NAME, "metrics": {"first": ["accuracy"], "second": "mse"}},
        ({"a": TWO_X[0], "b": TWO_X[1]}, {"first": ONE_HOT, "second": X[:, :1]}),
        {},
    ),
    "metrics in lists": (
        two_headed,
        {**TWO, "metrics": [["accuracy"], ["mae", "mse"]]},
        (TWO_X, TWO_Y),
        {},
    ),
    "one output without a loss": (
        two_headed,
        {**TWO, "loss": ["categorical_crossentropy", None]},
        (TWO_X, TWO_Y),
        {},
    ),
    "weights of two outputs": (
        two_headed,
        {**TWO, "weighted_metrics": [["accuracy"], ["mae"]]},
        (TWO_X, TWO_Y),
        {"sample_weight": [WEIGHTS, WEIGHTS * 2]},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_same_curves_and_weights(name):
    make, compile_options, data, fit_options = CASES[name]

    def program(keras):
        model = make(keras, **compile_options)
        options = {"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0, **fit_options}
        history = model.fit(*data, **options)
        return history.history, history.epoch, model.get_weights(), model.evaluate(*data, verbose=0)

    (history, epochs, weights, scores), (ours, our_epochs, our_weights, our_scores) = both(program)
    assert sorted(ours) == sorted(history)
    assert our_epochs == epochs
    for key, values in history.items():
        np.testing.assert_allclose(ours[key], values, rtol=1e-5, err_msg=key)
    for a, b in zip(weights, our_weights, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(our_scores, scores, rtol=1e-5)


OPTIMIZERS = {
    "sgd": lambda keras: keras.optimizers.SGD(0.05),
    "momentum": lambda keras: keras.optimizers.SGD(0.05, momentum=0.9),
    "nesterov": lambda keras: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "rmsprop": lambda keras: keras.optimizers.RMSprop(0.01),
    "adam": lambda keras: keras.optimizers.Adam(0.01),
    "adamw": lambda keras: keras.optimizers.AdamW(0.01, weight_decay=0.02),
    "nadam": lambda keras: keras.optimizers.Nadam(0.01),
    "clipnorm": lambda keras: keras.optimizers.Adam(0.01, clipnorm=0.1),
    "clipvalue": lambda keras: keras.optimizers.SGD(0.1, clipvalue=0.05),
    "global_clipnorm": lambda keras: keras.optimizers.SGD(0.1, global_clipnorm=0.1),
    "ema": lambda keras: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9),
    "accumulation": lambda keras: keras.optimizers.Adam(0.01, gradient_accumulation_steps=4),
    "schedule": lambda keras: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_of_an_optimizer(name):
    """Loss after each of 50 steps, from the same weights, to 1e-4 relative."""

    def program(keras):
        model = classifier(
            keras, optimizer=OPTIMIZERS[name](keras), loss="categorical_crossentropy"
        )
        losses = []
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: losses.append(logs["loss"])
        )
        model.fit(X, ONE_HOT, batch_size=10, epochs=5, shuffle=False, verbose=0, callbacks=[watch])
        return losses

    theirs, ours = both(program)
    assert len(ours) == 50
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_results_of_one_batch_at_a_time():
    def program(keras):
        model = classifier(keras, **SPARSE, metrics=["accuracy"])
        found = [model.train_on_batch(X[i : i + 20], Y[i : i + 20]) for i in (0, 20, 40)]
        found.append(model.test_on_batch(X[:30], Y[:30]))
        found.append(list(model.test_on_batch(X[:30], Y[:30], return_dict=True).values())[::-1])
        return (
            np.array(found),
            model.predict_on_batch(X[:5]),
            model.predict(X, batch_size=7, verbose=0),
        )

    theirs, ours = both(program)
    for a, b in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
