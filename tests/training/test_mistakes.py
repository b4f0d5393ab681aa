"""Data that makes no sense, arguments that are wrong, and what the error or warning says of it."""

import threading

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.training import idle_accelerator

X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
CLASSES = (np.arange(20) % 3).astype("int32")
BITS = (np.arange(20) % 2).astype("float32")[:, None]


def classifier(loss="sparse_categorical_crossentropy", units=3, **kwargs):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, "sigmoid")])
    model.compile("sgd", loss, **kwargs)
    return model


def spoilt(labels, value):
    labels = labels.copy()
    labels[13] = value
    return labels


def batches(y, weights=None):
    for i in range(0, 20, 5):
        batch = X[i : i + 5], y[i : i + 5]
        yield batch if weights is None else (*batch, weights[i : i + 5])


class Data(keras.utils.PyDataset):
    def __init__(self, y):
        super().__init__()
        self.y = y

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[5 * i : 5 * i + 5], self.y[5 * i : 5 * i + 5]


WAYS = {
    "fit": lambda m, y: m.fit(X, y, verbose=0),
    "fit, a generator": lambda m, y: m.fit(batches(y), steps_per_epoch=4, verbose=0),
    "fit, a PyDataset": lambda m, y: m.fit(Data(y), verbose=0),
    "fit, JAX arrays": lambda m, y: m.fit(jnp.asarray(X), jnp.asarray(y), verbose=0),
    "evaluate": lambda m, y: m.evaluate(X, y, verbose=0),
    "evaluate, a PyDataset": lambda m, y: m.evaluate(Data(y), verbose=0),
    "train_on_batch": lambda m, y: m.train_on_batch(X, y),
    "test_on_batch": lambda m, y: m.test_on_batch(X, y),
}
LABELS = {
    "sparse, too large": ("sparse_categorical_crossentropy", 3, spoilt(CLASSES, 3), "got 3"),
    "sparse, negative": ("sparse_categorical_crossentropy", 3, spoilt(CLASSES, -1), "got -1"),
    "binary, -1": ("binary_crossentropy", 1, spoilt(BITS, -1), r"targets from 0 to 1; got -1"),
    "binary, 255": (keras.losses.BinaryCrossentropy(), 1, spoilt(BITS, 255), "got 255"),
    "binary focal": ("binary_focal_crossentropy", 1, spoilt(BITS, 2), "got 2"),
    "binary, NaN": ("binary_crossentropy", 1, spoilt(BITS, np.nan), "got nan"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", LABELS)
def test_labels_out_of_range_are_an_error_before_the_step(way, kind):
    loss, units, y, text = LABELS[kind]
    model = classifier(loss, units)
    before = model.get_weights()
    with pytest.raises(ValueError, match=text):
        WAYS[way](model, y)
    if way not in ("fit, a generator", "fit, a PyDataset"):  # whose first batches are good
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("way", ["fit", "evaluate", "train_on_batch", "fit, a PyDataset"])
def test_labels_are_looked_at_in_uncompiled_steps_too(way):
    with pytest.raises(ValueError, match="got 3"):
        WAYS[way](classifier(run_eagerly=True), spoilt(CLASSES, 3))


@pytest.mark.parametrize("way", ["arrays", "a generator", "a batch"])
def test_labels_of_weight_0_may_be_anything(way):
    weights = np.where(np.arange(20) == 13, 0.0, 1.0).astype("float32")
    y = spoilt(CLASSES, -1)
    model = classifier()
    if way == "arrays":
        model.fit(X, y, sample_weight=weights, verbose=0)
    elif way == "a generator":
        model.fit(batches(y, weights), steps_per_epoch=4, verbose=0)
    else:
        model.train_on_batch(X, y, sample_weight=weights)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_an_ignored_class_is_a_label_and_others_are_not():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    classifier(loss).fit(X, spoilt(CLASSES, 255), verbose=0)
    with pytest.raises(ValueError, match="got 7"):
        classifier(loss).fit(X, spoilt(CLASSES, 7), verbose=0)


def test_soft_binary_targets_and_labels_of_named_outputs_pass():
    classifier("binary_crossentropy", 1).fit(X, BITS * 0.9 + 0.05, verbose=0)
    x = keras.Input((4,))
    outputs = {"a": layers.Dense(3, name="a")(x), "b": layers.Dense(1, "sigmoid", name="b")(x)}
    model = keras.Model(x, outputs)
    model.compile("sgd", {"a": "mse", "b": "binary_crossentropy"})
    model.fit(X, {"a": X[:, :3], "b": BITS}, verbose=0)
    with pytest.raises(ValueError, match=r"output 'b': `y` must be targets from 0 to 1; got 5"):
        model.train_on_batch(X, {"a": X[:, :3], "b": spoilt(BITS, 5)})


VALIDATION = {
    "labels": ((X, spoilt(CLASSES, 9)), r"fit: `validation_data`: .*got 9"),
    "shape": ((X[:, :2], CLASSES), r"fit: `validation_data`: "),
    "rows": ((X, CLASSES[:7]), r"fit: `validation_data`: `y` must have as many rows"),
    "dtype": ((X.astype(str), CLASSES), r"fit: `validation_data`: `x` must be numbers"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["arrays", "stream"])
@pytest.mark.parametrize("case", VALIDATION)
def test_validation_data_is_checked_before_the_first_step(case, stream):
    data, text = VALIDATION[case]
    model = classifier()
    before = model.get_weights()
    with pytest.raises(ValueError, match=text):
        if stream:
            model.fit(Data(CLASSES), validation_data=data, verbose=0)
        else:
            model.fit(X, CLASSES, validation_data=data, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize("built", [True, False])
def test_validation_streams_are_checked_first_and_read_once(built):
    seen = []

    def validation():
        for batch in batches(CLASSES):
            seen.append(batch)
            yield batch

    model = classifier()
    if not built:
        model = keras.Sequential([layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(
        Data(CLASSES), epochs=1, validation_data=validation(), validation_steps=4, verbose=0
    )
    assert len(seen) == 4
    again = model.evaluate(X, CLASSES, batch_size=5, verbose=0)
    assert history.history["val_loss"][0] == pytest.approx(again, rel=1e-6)
    with pytest.raises(ValueError, match="`validation_data`: "):
        model.fit(Data(CLASSES), validation_data=Data(X), verbose=0)


def test_a_shuffled_validation_set_gives_each_row_once():
    class Rows(keras.utils.PyDataset):
        begun = 0

        def on_epoch_begin(self):
            self.begun += 1

        def __len__(self):
            return 4

        def __getitem__(self, i):
            return X[5 * i : 5 * i + 5], CLASSES[5 * i : 5 * i + 5]

    rows = Rows()
    classifier().fit(X, CLASSES, epochs=3, validation_data=rows, verbose=0)
    assert rows.begun == 3


ARGUMENTS = {
    "epochs": ({"epochs": 2.5}, r"fit: `epochs` must be .*; got 2.5"),
    "negative epochs": ({"epochs": -1}, r"fit: `epochs` must be .*; got -1"),
    "initial_epoch": ({"initial_epoch": "3"}, r"fit: `initial_epoch` must be"),
    "class_weight, a list": ({"class_weight": [1, 2, 3]}, r"fit: `class_weight` must be a dict"),
    "class_weight, names": ({"class_weight": {"a": 1.0}}, r"fit: `class_weight` must be"),
    "class_weight, no number": ({"class_weight": {0: "x"}}, r"fit: `class_weight` must be"),
    "sample_weight, rows": (
        {"sample_weight": np.ones(3)},
        r"`sample_weight` must have as many rows as `x`",
    ),
    "validation_freq 0": ({"validation_freq": 0}, r"fit: `validation_freq` must be .*; got 0"),
    "validation_steps": ({"validation_steps": 0}, r"fit: `validation_steps` must be .*; got 0"),
    "validation_batch_size": (
        {"validation_batch_size": 2.5},
        r"fit: `validation_batch_size` must be .*; got 2.5",
    ),
    "validation_freq": ({"validation_freq": "x"}, r"fit: `validation_freq` must be"),
    "validation_split": ({"validation_split": 2}, r"fit: `validation_split` must be"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_the_argument_at_fault_is_named(case):
    arguments, text = ARGUMENTS[case]
    with pytest.raises(ValueError, match=text):
        classifier().fit(X, CLASSES, verbose=0, **arguments)


@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_steps_are_named(method):
    with pytest.raises(ValueError, match=f"{method}: `steps` must be a positive integer"):
        getattr(classifier(), method)(X, steps=0, verbose=0)


@pytest.mark.parametrize("data", [X, Data(X)], ids=["arrays", "PyDataset"])
def test_evaluate_without_targets(data):
    if isinstance(data, Data):
        data = [(X[:5],)].__iter__()
    with pytest.raises(ValueError, match=r"`y` must be given: .*\(x, y\)"):
        classifier().evaluate(data, verbose=0)


HINTS = {
    "one sample": (X[0], r"One sample\? Add the batch axis: `x\[None\]`"),
    "one sample, JAX": (jnp.asarray(X[0]), r"`x\[None\]`"),
    "a list of samples": (list(X), r"20 arrays are 20 inputs; for one, `np.stack\(x\)`"),
    "a list of batches": ([X[:5], X[5:10]], r"2 arrays are 2 inputs; for one, `np.concatenate"),
}


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "evaluate", "fit"])
@pytest.mark.parametrize("case", HINTS)
def test_inputs_that_do_not_fit_get_a_hint(case, method):
    x, text = HINTS[case]
    rest = () if method.startswith("predict") else (CLASSES[:5],)
    quiet = {} if method == "predict_on_batch" else {"verbose": 0}
    with pytest.raises((ValueError, TypeError), match=text):
        getattr(classifier(), method)(x, *rest, **quiet)


def test_a_hint_is_given_only_where_it_helps():
    model = classifier()
    with pytest.raises(ValueError) as caught:
        model.predict(np.ones((3, 7), "float32"), verbose=0)
    assert "batch axis" not in str(caught.value)


def test_a_second_fit_of_a_model_is_refused():
    model = classifier()

    class Nested(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X, CLASSES, verbose=0)  # this is fine
            self.model.fit(X, CLASSES, verbose=0)

    with pytest.raises(RuntimeError, match="is being trained by another `fit`"):
        model.fit(X, CLASSES, verbose=0, callbacks=Nested())
    model.fit(X, CLASSES, verbose=0)  # and none is running any more

    inside, go_on, errors = threading.Event(), threading.Event(), []

    class Wait(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            inside.set()
            go_on.wait(60)

    thread = threading.Thread(
        target=lambda: model.fit(X, CLASSES, verbose=0, callbacks=Wait()), daemon=True
    )
    thread.start()
    assert inside.wait(60)
    try:
        with pytest.raises(RuntimeError, match="another thread"):
            model.fit(X, CLASSES, verbose=0)
    finally:
        go_on.set()
        thread.join(60)
    assert not errors
    model.fit(X, CLASSES, verbose=0)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_stop_iteration_of_a_dataset_is_an_error(method, workers):
    class Broken(Data):
        def __getitem__(self, i):
            if i == 2:
                next(iter(()))
            return super().__getitem__(i) if method != "predict" else super().__getitem__(i)[:1]

    data = Broken(CLASSES)
    data.workers = workers
    with pytest.raises(RuntimeError, match=r"`__getitem__\(2\)` raised StopIteration"):
        getattr(classifier(), method)(data, verbose=0)


def test_stop_iteration_of_other_functions_of_users_is_an_error():
    def step(x):
        next(iter(()))

    class Own(keras.Sequential):
        def train_step(self, data):
            next(iter(()))

    model = Own([keras.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "mse")
    with pytest.raises((RuntimeError, StopIteration)):
        model.fit(X, X[:, :3], verbose=0)
    data = keras.utils.timeseries_dataset_from_array(X, None, 2).map(step)
    with pytest.raises((RuntimeError, StopIteration)):
        list(data)


def test_nan_in_the_loss_points_to_the_checks_once():
    model = classifier("mse")
    with pytest.warns(UserWarning, match="enable_nan_checks") as caught:
        model.fit(X * np.inf, np.zeros((20, 3)), epochs=3, verbose=0)
    assert len(caught) == 1
    stop = keras.callbacks.TerminateOnNaN()  # says it itself
    classifier("mse").fit(X * np.inf, np.zeros((20, 3)), verbose=0, callbacks=stop)


def test_predict_on_batch_compiles_a_bounded_number_of_programs():
    model = classifier()
    long = np.random.default_rng(1).normal(size=(200, 4)).astype("float32")
    expected = model.predict(long, verbose=0)
    sizes = [*range(1, 40, 7), *range(40, 200, 3)]
    for size in sizes:
        np.testing.assert_allclose(model.predict_on_batch(long[:size]), expected[:size], 1e-5)
    assert model._compiled_steps["predict"].traces < 45 < len(sizes)


def test_a_loss_of_weight_0_may_be_nan():
    x = keras.Input((4,))
    good = layers.Dense(1, name="good")
    model = keras.Model(x, [good(x), layers.Dense(1, name="bad")(keras.ops.log(x - 1e6))])
    model.compile("sgd", ["mse", "mse"], loss_weights=[1.0, 0.0])
    model.train_on_batch(X, [BITS, BITS])
    assert all(np.isfinite(w).all() for w in good.get_weights())


def test_an_idle_accelerator_is_mentioned_once(monkeypatch):
    warn = idle_accelerator.warn_of_idle_accelerator
    warn.cache_clear()
    try:
        monkeypatch.setattr(idle_accelerator, "_DEVICE_FILES", {"/dev/null": ("toy", "jax[toy]")})
        monkeypatch.setattr(idle_accelerator, "_chosen_platforms", lambda: "")
        with pytest.warns(UserWarning, match=r"toy, /dev/null\) that JAX does not use") as caught:
            model = classifier()
            model.fit(X, CLASSES, verbose=0)
            model.fit(X, CLASSES, verbose=0)
        assert len(caught) == 1
        warn.cache_clear()
        monkeypatch.setattr(idle_accelerator, "_chosen_platforms", lambda: "cpu")
        model.fit(X, CLASSES, verbose=0)
    finally:
        warn.cache_clear()
        warn()
