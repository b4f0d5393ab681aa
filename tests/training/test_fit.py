"""What `fit` takes, what it says when something is wrong, and what it leaves behind."""

import gc
import itertools
import os
import signal
import threading

import jax
import numpy as np
import optax
import pandas as pd
import pytest

import kerasish as keras
from kerasish import layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


def regressor(**options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, "tanh"), layers.Dense(1)])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return model


def classifier(loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax")])
    model.compile("sgd", loss)
    return model


# -- sources

BATCHES = [(X[i : i + 32], Y[i : i + 32]) for i in (0, 32, 64)]


class Table(keras.utils.PyDataset):
    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, index):
        return BATCHES[index]


def torch_loader():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(data, batch_size=32)


def grain_dataset():
    grain = pytest.importorskip("grain")
    source = grain.MapDataset.source(list(zip(X, Y, strict=True)))
    return source.batch(32).to_iter_dataset()


SOURCES = {
    "numpy": lambda: ((X, Y), {}),
    "jax": lambda: ((jax.device_put(X), jax.device_put(Y)), {}),
    "float64": lambda: ((X.astype("float64"), Y.astype("float64")), {}),
    "pandas": lambda: ((pd.DataFrame(X), pd.DataFrame(Y)), {}),
    "pandas series": lambda: ((pd.DataFrame(X), pd.Series(Y[:, 0])), {}),
    "lists": lambda: ((X.tolist(), Y.tolist()), {}),
    "generator": lambda: ((b for _ in range(3) for b in BATCHES), {"steps_per_epoch": 3}),
    "dataset": lambda: (Table(), {}),
    "torch": lambda: (torch_loader(), {}),
    "grain": lambda: (grain_dataset(), {}),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_source_trains_alike(name):
    data, options = SOURCES[name]()
    args = data if isinstance(data, tuple) else (data,)
    expected = regressor()
    expected.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model = regressor()
    history = model.fit(*args, epochs=3, shuffle=False, verbose=0, **options)
    assert len(history.history["loss"]) == 3
    for a, b in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)


def test_told_to_stop_as_an_epoch_begins_it_runs_one_step():
    def stop(epoch, logs=None):
        model.stop_training = epoch == 1

    model = regressor()
    callback = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
    model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=[callback])
    assert int(model.optimizer.iterations) == 24 + 1


def test_what_is_left_in_a_generator_is_not_read():
    def endless():
        for i in itertools.count():
            yield X[:2], np.full((2, 1), i, "float32")

    model, source, validation = regressor(), endless(), endless()
    model.fit(source, epochs=2, steps_per_epoch=3, verbose=0)
    model.fit(X, Y, epochs=2, validation_data=validation, validation_steps=3, verbose=0)
    model.evaluate(source, steps=1, verbose=0)
    model.predict(source, steps=2, verbose=0)
    assert (next(source)[1][0], next(validation)[1][0]) == (9, 6)


@pytest.mark.parametrize("options", [{"run_eagerly": True}, {"jit_compile": False}])
def test_uncompiled_training_agrees(options):
    compiled, eager = regressor(), regressor(**options)
    for model in (compiled, eager):
        model.fit(X, Y, shuffle=False, verbose=0)
    for a, b in zip(compiled.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7)
    assert eager.predict(X, verbose=0).shape == (96, 1)


def test_outputs_of_predict_keep_their_structure():
    a = keras.Input((4,))
    outputs = {"one": layers.Dense(2)(a), "two": [layers.Dense(1)(a), layers.Flatten()(a)]}
    found = keras.Model(a, outputs).predict(X[:50], batch_size=16, verbose=0)
    assert found["one"].shape == (50, 2)
    assert [y.shape for y in found["two"]] == [(50, 1), (50, 4)]
    np.testing.assert_array_equal(found["two"][1], X[:50])


# -- mistakes


def uncompiled():
    keras.Sequential([layers.Dense(2)]).fit(X, Y)


MISTAKES = {
    "not compiled": (uncompiled, "not compiled yet. Call `model.compile"),
    "lengths": (lambda: regressor().fit(X, Y[:10]), "`y` must have as many rows as `x`.*96.*10"),
    "labels": (
        lambda: classifier().fit(X, np.full(96, 3), verbose=0),
        "from 0 to 2; got 3",
    ),
    "one-hot": (
        lambda: classifier("categorical_crossentropy").fit(X, np.zeros(96, int), verbose=0),
        "Class numbers go with `sparse_categorical_crossentropy`",
    ),
    "loss": (
        lambda: classifier("sparse_categorical_crossentrpy"),
        "Did you mean 'sparse_categorical",
    ),
    "metric": (lambda: regressor(metrics=["accuraccy"]), "Did you mean 'accuracy'?"),
    "optimizer": (lambda: regressor(optimizer="adma"), "Did you mean 'adam'?"),
    "activation": (lambda: layers.Dense(3, activation="rellu"), "Did you mean 'relu'?"),
    "shape": (
        lambda: regressor().fit(X[:, :3], Y, verbose=0),
        r"expected shape=\(None, 4\), found shape=\(32, 3\)",
    ),
    "empty": (lambda: regressor().fit(X[:0], Y[:0]), "at least one row"),
    "no loss": (lambda: regressor(loss=None).fit(X, Y, verbose=0), "has no loss to minimise"),
    "loss name": (
        lambda: regressor(loss={"nowhere": "mse"}).fit(X, Y, verbose=0),
        "names output 'nowhere'",
    ),
    "steps": (
        lambda: regressor(steps_per_execution=0),
        "`steps_per_execution` must be 'auto' or at least 1",
    ),
    "empty generator": (lambda: regressor().fit(iter(()), verbose=0), "at least one batch"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_say_what_to_do(name):
    mistake, text = MISTAKES[name]
    with pytest.raises(ValueError, match=text):
        mistake()


def test_a_failed_fit_leaves_the_weights_as_they_were():
    model = regressor()
    model.fit(X, Y, verbose=0)
    good = model.get_weights()

    def stop(batch, logs):
        raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        model.fit(X, Y, verbose=0, callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=stop)])
    for a, b in zip(good, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Log(layers.Layer):
    def call(self, inputs):
        return keras.ops.log(inputs)


def test_nan_checks_name_the_layer_and_keep_the_weights():
    inputs = keras.Input((4,))
    outputs = layers.Dense(1)(Log(name="logarithm")(layers.Dense(4, name="before")(inputs)))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    good = model.get_weights()
    keras.config.enable_nan_checks()
    try:
        with pytest.raises(RuntimeError, match=r"output of '.*logarithm'"):
            model.fit(X, Y, verbose=0)
        for a, b in zip(good, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        keras.config.disable_nan_checks()


def test_ctrl_c_leaves_good_weights():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(256, "relu"), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    for i in range(8):
        before = int(model.optimizer.iterations)
        interrupt = threading.Timer(0.02 + 0.011 * i, os.kill, (os.getpid(), signal.SIGINT))
        interrupt.start()
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, epochs=100_000, verbose=0)
            interrupt.join()
        assert all(np.isfinite(w).all() for w in model.get_weights())
        assert int(model.optimizer.iterations) >= before
    model.fit(X, Y, verbose=0)


def test_freezing_a_layer_between_fits_is_seen():
    model = regressor()
    model.fit(X, Y, verbose=0)
    model.layers[0].trainable = False
    frozen, free = (layer.get_weights()[0] for layer in model.layers)
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen)
    assert np.abs(model.layers[1].get_weights()[0] - free).max() > 0


def test_a_hundred_fits_compile_once_and_keep_memory_flat():
    model = regressor()
    model.fit(X, Y, verbose=0)
    step = model._compiled_steps["train"]
    traces = step.traces
    gc.collect()
    arrays = len(jax.live_arrays())
    for _ in range(100):
        model.fit(X, Y, verbose=0)
    gc.collect()
    assert step.traces == traces
    assert len(jax.live_arrays()) <= arrays + 2


def test_no_value_is_read_until_someone_looks(monkeypatch):
    model = regressor(metrics=["mae"])
    model.fit(X, Y, verbose=0)
    reads = []
    real = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda x: reads.append(1) or real(x))
    history = model.fit(X, Y, epochs=5, verbose=0)
    assert not reads
    assert len(history.history["loss"]) == 5
    assert reads


def test_explain_fit_names_what_is_slow_in_loops():
    model = regressor()
    model.fit(X, Y, verbose=0)
    model._compiled_steps["train"].slow_op = "gradient of a convolution"
    explained = model.explain_fit()["train"]
    assert explained["steps"].endswith("no fast gradient of a convolution inside a loop")


def test_explain_fit_says_how_steps_ran():
    model = regressor()
    model.fit(X, Y, epochs=3, verbose=0)
    explained = model.explain_fit()["train"]
    assert explained["steps"] == "fused on the device"
    assert explained["traces"] == 1
    assert explained["compile_seconds"] > 0


def test_optax_transformation_as_it_is():
    model = regressor(optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2)))
    history = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0] / 2
