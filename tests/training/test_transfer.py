"""Transfer: reusing layers, freezing and unfreezing, and what the optimizer makes of it."""

import numpy as np
import optax
import pytest

import kerasish as keras
from kerasish import callbacks, layers, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = (X[:, 0] + X[:, 1] ** 2 > 1).astype("int32") + (X[:, 2] > 0.5)


def make_model(optimizer=None, classes=3):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "relu", name="lower"),
            layers.Dense(8, "relu", name="upper"),
            layers.Dense(classes, "softmax", name="head"),
        ]
    )
    model.compile(optimizer or optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def fit(model, epochs=1, **options):
    return model.fit(X, Y, epochs=epochs, verbose=0, shuffle=False, **options)


def weights(layer):
    return [np.array(w) for w in layer.get_weights()]


def changed(layer, before):
    return not all(np.array_equal(a, b) for a, b in zip(before, weights(layer), strict=True))


def slots(optimizer, part):
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return {v.path: np.array(v) for v in inner.variables if part in v.path}


OPTIMIZERS = {
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01),
    "averages": lambda: optimizers.Adam(0.01, use_ema=True, gradient_accumulation_steps=2),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "optax": lambda: optax.adam(0.01),
    "several": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(
            optimizers.Adam(0.01), {".*head.*": optimizers.SGD(0.1, momentum=0.9)}
        )
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_freezing_and_unfreezing_need_no_compile(name):
    model = make_model(OPTIMIZERS[name]())
    fit(model)
    lower, head = model.get_layer("lower"), model.get_layer("head")
    steps = int(model.optimizer.iterations)
    lower.trainable = False
    kept, before = slots(model.optimizer, "upper"), weights(lower)
    fit(model)
    assert not changed(lower, before)
    assert slots(model.optimizer, "lower") == {}, "the state of frozen weights is dropped"
    assert slots(model.optimizer, "upper").keys() == kept.keys()
    lower.trainable, top = True, weights(head)
    fit(model)
    assert changed(lower, before) and changed(head, top)
    assert slots(model.optimizer, "lower").keys() == {p.replace("upper", "lower") for p in kept}
    assert int(model.optimizer.iterations) > steps, "the count of steps goes on"


@pytest.mark.parametrize("name", ["momentum", "adam", "optax"])
def test_state_of_weights_that_stay_is_kept(name):
    """So freezing others changes nothing for them, to the bit."""
    model, alone = make_model(OPTIMIZERS[name]()), make_model(OPTIMIZERS[name]())
    for m in (model, alone):
        m.get_layer("lower").trainable = False
        fit(m)
    before = slots(model.optimizer, "head")
    model.get_layer("upper").trainable = False
    model._step("train")
    for path, value in slots(model.optimizer, "head").items():
        np.testing.assert_array_equal(value, before[path])
    assert any(np.any(v) for v in before.values())


def test_what_is_frozen_and_unfrozen_again_is_as_before_in_between():
    """A pass through `trainable = False` without training loses no state and compiles nothing."""
    one, other = make_model(), make_model()
    fit(one, 2)
    fit(other)
    other.get_layer("lower").trainable = False
    other.get_layer("lower").trainable = True
    fit(other)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert other.explain_fit()["train"]["traces"] == one.explain_fit()["train"]["traces"]


class Thaw(callbacks.Callback):
    """Gradual unfreezing: one layer more each epoch, from the top."""

    def on_epoch_begin(self, epoch, logs=None):
        for name in ["head", "upper", "lower"][: epoch + 1]:
            self.model.get_layer(name).trainable = True
        self.model.seen = [
            *getattr(self.model, "seen", []),
            weights(self.model.get_layer("upper")),
        ]


def test_a_callback_may_unfreeze_between_epochs():
    model = make_model()
    fit(model)
    for name in ("lower", "upper"):
        model.get_layer(name).trainable = False
    fit(model, 3, callbacks=Thaw())
    first, second, third = model.seen
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(second, third, strict=True))
    assert len(model.optimizer._trainable_variables) == 6


def test_a_model_that_was_built_by_fit_sees_freezing_too():
    model = keras.Sequential([layers.Dense(4, name="lower"), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model)
    model.get_layer("lower").trainable = False
    before = weights(model.get_layer("lower"))
    fit(model)
    assert not changed(model.get_layer("lower"), before)


def test_freezing_a_normalization_without_weights_is_seen():
    norm = layers.BatchNormalization(center=False, scale=False)
    model = keras.Sequential([keras.Input((6,)), norm, layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model)
    norm.trainable = False
    before = weights(norm)
    fit(model)
    assert not changed(norm, before)
    norm.trainable = True
    fit(model)
    assert changed(norm, before)


def test_an_old_optimizer_for_new_weights_is_an_error():
    optimizer = optimizers.Adam()
    fit(make_model(optimizer))
    fresh = make_model(optimizer)
    with pytest.raises(ValueError, match=r"Unknown variable .*Make a new optimizer for a new set"):
        fit(fresh)


def test_files_after_unfreezing_go_on_where_they_were(tmp_path):
    model = make_model()
    model.get_layer("lower").trainable = False
    fit(model)
    model.get_layer("lower").trainable = True
    fit(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for a, b in zip(model.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.read(), b.read())


def test_lower_layers_are_shared_and_copies_are_not():
    model = make_model()
    fit(model)
    shared = keras.Sequential([*model.layers[:-1], layers.Dense(1, "sigmoid")])
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    copied = weights(clone)
    for layer in shared.layers[:-1]:
        layer.trainable = False
    shared.compile(optimizers.SGD(0.1), "binary_crossentropy")
    before = weights(model)
    shared.fit(X, Y > 0, verbose=0)
    assert not changed(model, before), "frozen layers stay"
    for layer in shared.layers[:-1]:
        layer.trainable = True
    shared.optimizer.learning_rate = 0.01
    shared.fit(X, Y > 0, verbose=0)
    assert changed(model.get_layer("lower"), before[:2]), "unfrozen ones are the model's own"
    assert not changed(clone, copied)


def test_rates_by_layer():
    rates = optimizers.OptimizerMap(optimizers.SGD(0.1), {".*lower.*": optimizers.SGD(0.0)})
    model = make_model(optimizers.MultiOptimizer(rates))
    before = weights(model.get_layer("lower")), weights(model.get_layer("head"))
    fit(model)
    assert not changed(model.get_layer("lower"), before[0])
    assert changed(model.get_layer("head"), before[1])


@pytest.mark.slow
def test_pre_training_an_autoencoder_helps_with_few_labels():
    """Digits: 40 labels, 1,400 images without."""
    (x, y), (x_test, y_test) = keras.datasets.digits.load_data()
    x, x_test = (a.reshape(-1, 64) / np.float32(16) for a in (x, x_test))

    def encoder():
        keras.utils.set_random_seed(0)
        hidden = [layers.Dense(100, "elu", kernel_initializer="he_normal") for _ in range(3)]
        return keras.Sequential(
            [keras.Input((64,)), *hidden, layers.Dense(30, "elu")], name="encoder"
        )

    def train_head(body):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([body, layers.Dense(10, "softmax")])
        body.trainable = False
        model.compile(
            optimizers.Nadam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(x[:40], y[:40], epochs=60, verbose=0)
        body.trainable = True
        model.optimizer.learning_rate = 1e-4
        model.fit(x[:40], y[:40], epochs=20, verbose=0)
        return model.evaluate(x_test, y_test, verbose=0)[1]

    plain, trained = encoder(), encoder()
    autoencoder = keras.Sequential([trained, layers.Dense(100, "elu"), layers.Dense(64)])
    autoencoder.compile(optimizers.Nadam(0.002), "mse")
    losses = autoencoder.fit(x, x, epochs=15, verbose=0).history["loss"]
    assert losses[-1] < 0.25 * losses[0]
    assert train_head(trained) > train_head(plain) > 0.5
