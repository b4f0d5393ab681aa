"""Configs of Keras 1 and 2: how graphs, layers, optimizers and weights stood there."""

import json

import h5py
import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers
from kerasish.saving.state.keras_2_graph import is_older_config

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
ROWS = X[:, 0]


def layer(kind, nodes=None, **config):
    element = {"class_name": kind, "config": config}
    return element if nodes is None else {**element, "name": config["name"], "inbound_nodes": nodes}


def called(*references):
    return [[[*reference, {}] for reference in references]]


def functional(elements, inputs, outputs, name="model_1", version="2.2.4"):
    ends = {"input_layers": [[n, 0, 0] for n in inputs], "output_layers": outputs}
    return {
        "class_name": "Model",
        "config": {"name": name, "layers": elements, **ends},
        **({"keras_version": version, "backend": "tensorflow"} if version else {}),
    }


def start(name, *shape):
    return layer("InputLayer", [], name=name, batch_input_shape=[None, *shape], dtype="float32")


def dense(name, nodes, units=3):
    return layer("Dense", nodes, name=name, units=units, activation="tanh", use_bias=True)


def with_equal_weights(old, new):
    new.set_weights(old.get_weights())
    return old, new


def nested_twice(from_one=True):
    """A model within that is called twice, which Keras 2 counts from 1."""
    inner = functional([start("i", 3), dense("d", called(["i", 0, 0]))], ["i"], [["d", 0, 0]], "in")
    inner = {"class_name": "Model", "config": inner["config"], "name": "in"}
    first, second = (1, 2) if from_one else (0, 1)
    inner["inbound_nodes"] = called(["a", 0, 0]) + called(["b", 0, 0])
    joined = layer(
        "Concatenate", called(["in", first, 0], ["in", second, 0]), name="joined", axis=-1
    )
    config = functional(
        [start("a", 3), start("b", 3), inner, joined], ["a", "b"], [["joined", 0, 0]]
    )
    d = layers.Dense(3, "tanh")
    a, b = Input((3,)), Input((3,))
    return config, Model([a, b], layers.Concatenate()([d(a), d(b)])), [ROWS, -ROWS]


def nested_at_the_end():
    """A model and a stack within, the last of which is the output."""
    inner = functional([start("i", 3), dense("d", called(["i", 0, 0]))], ["i"], [["d", 0, 0]], "in")
    inner = {"class_name": "Model", "config": inner["config"], "name": "in"}
    inner["inbound_nodes"] = called(["a", 0, 0])
    stack = [layer("Dense", name="e", units=2, batch_input_shape=[None, 3])]
    stack = {"class_name": "Sequential", "config": stack, "name": "stack"}
    stack["config"] = {"name": "stack", "layers": stack["config"]}
    stack["inbound_nodes"] = called(["in", 1, 0])
    config = functional([start("a", 3), inner, stack], ["a"], [["in", 1, 0], ["stack", 1, 0]])
    a = Input((3,))
    x = layers.Dense(3, "tanh")(a)
    return config, Model(a, [x, layers.Dense(2)(x)]), ROWS


def states_along_with_the_input():
    elements = [
        start("x", 5, 3),
        start("h", 4),
        start("c", 4),
        layer("LSTM", called(["x", 0, 0], ["h", 0, 0], ["c", 0, 0]), name="l", units=4),
    ]
    config = functional(elements, ["x", "h", "c"], [["l", 0, 0]])
    x, h, c = Input((5, 3)), Input((4,)), Input((4,))
    model = Model([x, h, c], layers.LSTM(4)(x, initial_state=[h, c]))
    return config, model, [X, X[:, 0, :1] * np.ones(4), X[:, 1, :1] * np.ones(4)]


def tensors_among_keyword_arguments():
    attend = layer("MultiHeadAttention", [[["x", 0, 0, {"value": ["y", 0, 0]}]]], name="m")
    attend["config"] |= {"num_heads": 2, "key_dim": 3, "softmax_robust_masking": False}
    config = functional([start("x", 5, 3), start("y", 5, 3), attend], ["x", "y"], [["m", 0, 0]])
    x, y = Input((5, 3)), Input((5, 3))
    return config, Model([x, y], layers.MultiHeadAttention(2, 3)(x, y)), [X, -X]


def slashes_in_names():
    elements = [start("cqt/mag", 3), dense("out/a", called(["cqt/mag", 0, 0]))]
    x = Input((3,))
    model = Model(x, layers.Dense(3, "tanh")(x))
    return functional(elements, ["cqt/mag"], [["out/a", 0, 0]]), model, ROWS


def one_layer(kind, new, x=X, **config):
    """A stack of one layer, as Keras 1 and 2 wrote them: a list, the shape in the first."""

    def make():
        first = layer(kind, name="first", batch_input_shape=[None, *x.shape[1:]], **config)
        old = {"class_name": "Sequential", "config": [first], "keras_version": "2.1.6"}
        return old, Sequential([Input(x.shape[1:]), new()]), x

    return make


IMAGES = np.random.default_rng(1).normal(size=(2, 6, 6, 3)).astype("float32")
GRU = {"units": 4, "recurrent_activation": "sigmoid"}
CASES = {
    "a model called twice": nested_twice,
    "counted from 0": lambda: nested_twice(from_one=False),
    "models at the end": nested_at_the_end,
    "initial states": states_along_with_the_input,
    "keyword arguments": tensors_among_keyword_arguments,
    "slashes": slashes_in_names,
    "GRU of no choice": one_layer("GRU", lambda: layers.GRU(4, reset_after=False), **GRU),
    "GRU, reset after": one_layer("GRU", lambda: layers.GRU(4), **GRU, reset_after=True),
    "time major": one_layer(
        "LSTM",
        lambda: layers.LSTM(4),
        units=4,
        recurrent_activation="sigmoid",
        time_major=False,
        implementation=1,
    ),
    "CuDNNLSTM": one_layer("CuDNNLSTM", lambda: layers.LSTM(4), units=4, unit_forget_bias=True),
    "CuDNNGRU": one_layer("CuDNNGRU", lambda: layers.GRU(4), units=4),
    "ThresholdedReLU": one_layer(
        "ThresholdedReLU", lambda: layers.ReLU(threshold=0.5), theta=0.5, trainable=True
    ),
    "LeakyReLU": one_layer("LeakyReLU", lambda: layers.LeakyReLU(0.2), alpha=0.2),
    "axis in a list": one_layer(
        "BatchNormalization", layers.BatchNormalization, IMAGES, axis=[3], momentum=0.9
    ),
    "groups": one_layer(
        "Conv2D", lambda: layers.Conv2D(4, 3), IMAGES, filters=4, kernel_size=[3, 3], groups=1
    ),
    "kernels of separable layers": one_layer(
        "SeparableConv2D",
        lambda: layers.SeparableConv2D(4, 3),
        IMAGES,
        filters=4,
        kernel_size=[3, 3],
        groups=1,
        kernel_initializer={"class_name": "GlorotUniform", "config": {}},
        kernel_regularizer=None,
        kernel_constraint=None,
    ),
    "SpatialDropout1D": one_layer(
        "SpatialDropout1D",
        lambda: layers.SpatialDropout1D(0.1),
        rate=0.1,
        noise_shape=None,
        seed=None,
        trainable=True,
    ),
    "no weights, trainable": one_layer("Flatten", layers.Flatten, trainable=True),
}
READERS = {
    "model_from_json": lambda config: keras.models.model_from_json(json.dumps(config)),
    "model_from_json, no version": lambda config: keras.models.model_from_json(
        json.dumps({k: v for k, v in config.items() if k != "keras_version"})
    ),
    "from_config": lambda config: (
        Sequential if config["class_name"] == "Sequential" else Model
    ).from_config(json.loads(json.dumps(config["config"]))),
}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("case", CASES)
def test_what_configs_mean(case, read):
    config, new, x = CASES[case]()
    assert is_older_config(config)
    old, new = with_equal_weights(READERS[read](config), new)
    outputs = old.predict(x, verbose=0), new.predict(x, verbose=0)
    for ours, wanted in zip(*map(as_list, outputs), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6)
    assert not is_older_config(json.loads(old.to_json()))  # written again, it is a new one


def as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.mark.parametrize("read", READERS)
def test_hard_sigmoid_of_an_older_config(read):
    config, _, x = one_layer("Activation", layers.Identity, activation="hard_sigmoid")()
    np.testing.assert_allclose(READERS[read](config)(x), np.clip(0.2 * x + 0.5, 0, 1), rtol=1e-5)


def test_inputs_by_their_names_with_slashes():
    config, new, x = slashes_in_names()
    old, new = with_equal_weights(keras.models.model_from_json(json.dumps(config)), new)
    assert [t.name for t in old.inputs] == ["cqt_mag"]
    for name in ("cqt/mag", "cqt_mag"):
        np.testing.assert_allclose(old.predict({name: x}, verbose=0), new(x), rtol=1e-5)


def test_newer_configs_are_not_taken_for_older_ones():
    x = Input((5, 3))
    inner = Sequential([Input((3,)), layers.Dense(2)])
    for model in (
        Model(x, layers.TimeDistributed(inner)(layers.LSTM(3, return_sequences=True)(x))),
        inner,
    ):
        assert not is_older_config(json.loads(model.to_json()))
        assert not is_older_config(model.get_config())


# -- whole files


def as_keras_2(path, edit_config=lambda c: c, training=None, arrays=None):
    """Let an `.h5` file be of Keras 2."""
    with h5py.File(path, "a") as h5:
        config = edit_config(json.loads(h5.attrs["model_config"]))
        h5.attrs["model_config"] = json.dumps(config)
        if training is not None:
            h5.attrs["training_config"] = json.dumps(training)
        del h5.attrs["sum"]
        h5.attrs["keras_version"] = "2.3.1"
        found = []
        weights = h5["model_weights"]
        weights.visititems(lambda n, o: found.append(n) if isinstance(o, h5py.Dataset) else None)
        for name in found:
            for end, function in (arrays or {}).items():
                if name.split("/")[-1] == end:
                    array = function(weights[name][()])
                    del weights[name]
                    weights[name] = array
    return path


OPTIMIZERS = {
    "lr": ({"lr": 0.05, "decay": 0.0, "epsilon": None, "amsgrad": False}, "Adam"),
    "learning_rate": ({"learning_rate": 0.05, "name": "Adam"}, "Adam"),
    "a decay": ({"lr": 0.05, "decay": 0.5, "momentum": 0.9, "nesterov": True}, "SGD"),
    "a schedule's decay": ({"lr": 0.05, "schedule_decay": 0.004}, "Nadam"),
    "of tf.keras": ({"learning_rate": 0.05, "is_legacy_optimizer": False}, "Custom>RMSprop"),
}


@pytest.mark.filterwarnings("ignore:.*older HDF5", "ignore:.*holds no optimizer state")
@pytest.mark.parametrize("metrics", [["accuracy"], [[{"class_name": "MeanMetricWrapper"}]]])
@pytest.mark.parametrize("case", OPTIMIZERS)
def test_how_a_file_says_to_compile(case, metrics, tmp_path):
    config, kind = OPTIMIZERS[case]
    if isinstance(metrics[0], list):
        metrics[0][0]["config"] = {"name": "accuracy", "dtype": "float32"}
        metrics[0][0]["config"]["fn"] = "categorical_accuracy"
    training = {
        "optimizer_config": {"class_name": kind, "config": config},
        "loss": "categorical_crossentropy",
        "metrics": metrics,
        "sample_weight_mode": None,
        "loss_weights": None,
    }
    model = Sequential([Input((3,)), layers.Dense(4, "softmax")])
    model.save(tmp_path / "model.h5")
    old = keras.models.load_model(as_keras_2(tmp_path / "model.h5", training=training))
    rate = old.optimizer.learning_rate
    assert float(rate) == pytest.approx(0.05)
    y = np.eye(4)[[0, 1, 2, 3]]
    results = old.evaluate(ROWS, y, verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy"}
    right = model.predict(ROWS, verbose=0).argmax(-1) == [0, 1, 2, 3]
    assert results["accuracy"] == pytest.approx(right.mean())
    old.fit(ROWS, y, batch_size=1, verbose=0)
    if case == "a decay":  # the formula of then: lr / (1 + decay * iterations)
        assert float(old.optimizer.learning_rate) == pytest.approx(0.05 / (1 + 0.5 * 4))


def transposed_rows(gates):
    """How weights of layers for GPUs stood in a file, by how they stand now."""

    def kernel(new):
        parts = np.split(new, gates, axis=1)
        return np.concatenate([part.T.reshape(part.shape) for part in parts], axis=1)

    def recurrent(new):
        return np.concatenate([part.T for part in np.split(new, gates, axis=1)], axis=1)

    return {"kernel": kernel, "recurrent_kernel": recurrent}


@pytest.mark.filterwarnings("ignore:.*older HDF5", "ignore:.*does not say how to compile")
@pytest.mark.parametrize("around", [lambda x: x, layers.Bidirectional], ids=["plain", "both ways"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_of_layers_for_gpus(kind, around, tmp_path):
    model = Sequential([Input((5, 3)), around(getattr(layers, kind)(4))])
    generator = np.random.default_rng(3)
    model.set_weights([generator.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    model.save(tmp_path / "model.h5")
    halves = (lambda b: np.concatenate([b * 0.25, b * 0.75])) if kind == "LSTM" else np.ravel
    arrays = {**transposed_rows(4 if kind == "LSTM" else 3), "bias": halves}

    def edit(config):
        if isinstance(config, list):
            return [edit(item) for item in config]
        if not isinstance(config, dict):
            return config
        config = {key: edit(value) for key, value in config.items()}
        if config.get("class_name") == kind:
            known = ("units", "name", "return_sequences", "go_backwards", "stateful")
            inner = {k: v for k, v in config["config"].items() if k in known}
            return {"class_name": f"CuDNN{kind}", "config": inner}
        return config

    path = as_keras_2(tmp_path / "model.h5", edit, arrays=arrays)
    wanted = model.predict(X, verbose=0)
    old = keras.models.load_model(path)
    np.testing.assert_allclose(old.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)
    fresh = Sequential([Input((5, 3)), around(getattr(layers, kind)(4))])
    fresh.load_weights(path)
    np.testing.assert_allclose(fresh.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)
