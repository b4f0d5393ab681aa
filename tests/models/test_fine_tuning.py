"""Freezing up to a layer, unfreezing by and by, learning rates by depth."""

import numpy as np
import optax
import pytest

import kerasish as keras
from kerasish import callbacks, layers, optimizers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 4)).astype("float32"), RNG.normal(size=(32, 1)).astype("float32")


def stack():
    sizes = [layers.Dense(4, name=name) for name in ("a", "b", "c")]
    return keras.Sequential([keras.Input((4,)), *sizes, layers.Dense(1, name="top")])


def nested():
    inside = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="low"), layers.Dense(4, name="high")], name="base"
    )
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(1, name="top")(inside(layers.Dense(4, name="first")(x))))


def trained(model):
    return [v.path.split("/")[-2] for v in model.trainable_variables][::2]


@pytest.mark.parametrize(
    ("make", "layer", "left"),
    [
        (stack, "b", ["c", "top"]),
        (stack, 0, ["b", "c", "top"]),
        (stack, -2, ["top"]),
        (stack, "top", []),
        (stack, None, ["a", "b", "c", "top"]),
        (nested, "first", ["low", "high", "top"]),
        (nested, "low", ["high", "top"]),
        (nested, "base", ["top"]),
    ],
)
def test_all_up_to_a_layer_is_frozen(make, layer, left):
    model = make()
    model.get_layer(index=-1).trainable = False  # whatever was frozen before
    model.freeze_up_to(layer)
    assert trained(model) == left
    model.freeze_up_to(None)
    assert len(model.trainable_variables) == len(model.weights)


def test_a_layer_used_twice_and_layers_inside_layers():
    x = keras.Input((5, 4))
    shared = layers.Dense(4, name="shared")
    y = layers.Bidirectional(layers.LSTM(2), name="both")(shared(x))
    model = keras.Model(x, layers.Dense(1, name="top")(y))
    model.freeze_up_to(model.get_layer("both"))
    assert [v.path for v in model.trainable_variables] == ["top/kernel", "top/bias"]
    model.freeze_up_to(shared)
    assert len(model.trainable_variables) == len(model.weights) - 2


def test_a_subclassed_model_goes_by_the_order_of_its_layers():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.body, self.head = layers.Dense(3, name="body"), layers.Dense(1, name="head")

        def call(self, inputs):
            return self.head(self.body(inputs))

    model = Own()
    model.freeze_up_to("body")  # before there are weights
    model(X)
    assert [v.path.split("/")[-2] for v in model.trainable_variables] == ["head", "head"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("bb", r"`layer` must be a layer of the model, .*; got 'bb'. Did you mean 'b'"),
        (9, "`index` must be below 4; got 9"),
        (layers.Dense(1, name="foreign"), "must be a layer of the model"),
    ],
)
def test_unknown_layers_are_named(layer, message):
    with pytest.raises(ValueError, match=message):
        stack().freeze_up_to(layer)


# -- gradual unfreezing


class Trained(callbacks.Callback):
    def __init__(self):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(trained(self.model))


@pytest.mark.parametrize(
    ("unfreezing", "seen"),
    [
        ({}, ["top", "c top", "b c top", "a b c top"]),
        ({"every": 2}, ["top", "top", "c top", "c top"]),
        ({"up_to": ["b"]}, ["c top", *["a b c top"] * 3]),
    ],
)
def test_unfreezing_from_the_last_layers_on(unfreezing, seen):
    model, watch = stack(), Trained()
    model.compile("adam", "mse")
    before = model.get_layer("a").get_weights()[0]
    unfreezing = callbacks.GradualUnfreezing(**unfreezing)
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[unfreezing, watch])
    assert [" ".join(names) for names in watch.epochs] == seen
    assert np.any(before != model.get_layer("a").get_weights()[0]) == ("a" in watch.epochs[-1])


def test_unfreezing_resumes_to_the_bit(tmp_path):
    def run(stop_after=None):
        keras.utils.set_random_seed(0)
        model = stack()
        model.compile("adam", "mse")

        def stop(batch, logs):
            stop.batches += 1
            if stop.batches == stop_after:
                raise KeyboardInterrupt

        stop.batches = 0
        parts = [callbacks.GradualUnfreezing(), callbacks.LambdaCallback(on_train_batch_end=stop)]
        parts.append(callbacks.BackupAndRestore(tmp_path, save_freq=1))
        model.fit(X, Y, batch_size=8, epochs=4, verbose=0, callbacks=parts)
        return model.get_weights()

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(stop_after=7)
    for one, other in zip(whole, run(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be a positive number of epochs; got 0"),
        ({"up_to": "a"}, "`up_to` must be a list of layers, or None; got 'a'"),
        ({"up_to": []}, r"`up_to` must be a list of layers, or None; got \[\]"),
    ],
)
def test_bad_arguments_of_unfreezing(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.GradualUnfreezing(**arguments)


def test_unfreezing_needs_to_know_the_layers():
    model = keras.Sequential([layers.Dense(2), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"has no weights yet, .*Build it first"):
        model.fit(
            ((X, Y) for _ in range(2)),
            steps_per_epoch=1,
            verbose=0,
            callbacks=[callbacks.GradualUnfreezing()],
        )


# -- learning rates by depth


@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam, optimizers.Lion])
def test_each_depth_has_its_part_of_the_learning_rate(optimizer):
    model = stack()
    start = [w.copy() for w in model.get_weights()]
    model.compile(model.rates_by_depth(optimizer(0.1), first=0.001), "mse")
    model.fit(X, Y, batch_size=32, verbose=0, shuffle=False)
    moved = [new - old for new, old in zip(model.get_weights(), start, strict=True)]
    model.set_weights(start)
    model.compile(optimizer(0.1), "mse")
    model.fit(X, Y, batch_size=32, verbose=0, shuffle=False)
    plain = [new - old for new, old in zip(model.get_weights(), start, strict=True)]
    for depth, factor in enumerate([0.001, 0.01, 0.1, 1.0]):
        for i in (2 * depth, 2 * depth + 1):
            np.testing.assert_allclose(moved[i], factor * plain[i], rtol=1e-2, atol=1e-6)


def test_weight_decay_goes_by_the_same_rate():
    model = stack()
    kept = model.get_layer("a").get_weights()[0]
    optimizer = model.rates_by_depth(optimizers.SGD(0.5, weight_decay=0.1), first=0.01)
    optimizer.apply([0 * w.value for w in model.weights], model.weights)
    np.testing.assert_allclose(
        model.get_layer("a").kernel, kept * (1 - 0.5 * 0.1 * 0.01), rtol=1e-6
    )


def test_models_inside_are_gone_into_and_schedules_keep_proportions():
    model = nested()
    schedule = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    optimizer = model.rates_by_depth(optimizers.SGD(schedule), first=0.125)
    factors = optimizer.learning_rate_factors
    shown = {path.split("/")[0]: factor for path, factor in factors.items()}
    assert shown == pytest.approx({"first": 0.125, "low": 0.25, "high": 0.5, "top": 1.0})
    for step in range(2):
        weights = [w.numpy() for w in model.weights]
        optimizer.apply([np.ones(w.shape, "float32") for w in model.weights], model.weights)
        for weight, before in zip(model.weights, weights, strict=True):
            rate = 0.1 * 0.5**step * shown[weight.path.split("/")[-2]]
            np.testing.assert_allclose(before - weight.value, rate, rtol=1e-3, atol=1e-7)


def test_rates_go_with_the_model_to_a_file(tmp_path):
    model = stack()
    model.compile(model.rates_by_depth(optimizers.Adam(0.1)), "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.optimizer.learning_rate_factors == model.optimizer.learning_rate_factors
    for one in (model, loaded):
        one.fit(X, Y, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.get_weights()[0], loaded.get_weights()[0])


def test_float16_scales_the_inner_optimizer():
    model = stack()
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(0.1))
    assert model.rates_by_depth(optimizer).inner_optimizer.learning_rate_factors
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.learning_rate_factors == optimizer.learning_rate_factors


@pytest.mark.parametrize(
    ("optimizer", "first", "error", "message"),
    [
        (optimizers.SGD(), 0, ValueError, "`first` must be a number above 0 and at most 1; got 0"),
        (optimizers.SGD(), 2.0, ValueError, "`first` must be a number above 0"),
        ("adam", 0.1, ValueError, "`optimizer` must be an optimizer: `keras.optimizers.Adam"),
        (optimizers.get(optax.sgd(0.1)), 0.1, TypeError, "optax.multi_transform"),
        (
            optimizers.MultiOptimizer(lambda v: optimizers.SGD()),
            0.1,
            TypeError,
            "scale those of its `optimizers`",
        ),
    ],
)
def test_what_cannot_be_scaled(optimizer, first, error, message):
    with pytest.raises(error, match=message):
        stack().rates_by_depth(optimizer, first)


def test_equal_names_at_different_depths_are_refused():
    inside = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a")], name="base")
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(1, name="a")(inside(x)))
    with pytest.raises(ValueError, match="at different depths, have a weight 'a/kernel'"):
        model.rates_by_depth(optimizers.SGD())


def test_other_refusals():
    with pytest.raises(ValueError, match=r"has no weights yet\..*Build it first"):
        keras.Sequential([layers.Dense(1)]).rates_by_depth(optimizers.SGD())
    optimizer = stack().rates_by_depth(optimizers.SGD())
    with pytest.raises(TypeError, match="by the paths of a model's weights"):
        optimizer.as_optax()
    with pytest.raises(ValueError, match="`factors` must be numbers from 0; got"):
        optimizer.scale_learning_rates({"a": -1})
