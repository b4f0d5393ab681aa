"""Small programs written for Keras 3, run with both libraries: the same results and hooks."""

import io

import jax
import numpy as np
import pytest

import kerasish as keras
from tests.support.keras_oracle import X, both

Y = np.arange(5, dtype="float32")[:, None]


def linear(k, *, outputs=1, **options):
    k.utils.set_random_seed(1)
    inputs = k.Input((4,))
    heads = [k.layers.Dense(1, name=name)(inputs) for name in ("zeta", "alpha")[:outputs]]
    model = k.Model(inputs, heads if outputs > 1 else heads[0])
    model.compile("sgd", "mse", **options)
    return model


def nested(k):
    nest = {"b": [1, (2, 3)], "a": {"z": 4, "y": None}}
    tree = k.tree
    return [
        tree.flatten(nest),
        tree.flatten_with_path(nest),
        [
            list(made)
            for made in (tree.map_structure(str, nest), tree.pack_sequence_as(nest, "abcde"))
        ],
        tree.lists_to_tuples(nest)["b"],
        tree.map_structure_up_to([0, 0], len, [[1, 2], [3]]),
        tree.map_shape_structure(len, {"a": (1, 2), "b": [(3, None), (4, 5, 6)]}),
        tree.traverse(lambda x: tree.MAP_TO_NONE if x == 2 else None, nest),
        tree.traverse(lambda x: "pair" if x == (2, 3) else None, nest, top_down=False),
    ]


def operation(k):
    class Scale(k.Operation):
        def __init__(self, factor, name=None):
            super().__init__(name=name)
            self.factor = factor

        def call(self, x):
            return x * self.factor

        def compute_output_spec(self, x):
            return k.KerasTensor(x.shape, x.dtype)

    inputs, scale = k.Input((4,)), Scale(3.0)
    model = k.Model(inputs, scale(inputs))
    again = k.Model.from_config(model.get_config(), custom_objects={"Scale": Scale})
    said = io.StringIO()
    model.summary(print_fn=lambda text, line_break=None: said.write(text))
    return [
        scale(2.0),
        model(X),
        again(X),
        scale.name,
        isinstance(k.layers.Dense(1), k.Operation),
    ], ("scale (Scale)" in said.getvalue())


def results_in_order(k):
    model = linear(k, outputs=2, metrics=[["mse", "mae"], ["mae"]])
    history = model.fit(X, [Y, Y], verbose=0, shuffle=False)
    return [np.array(model.evaluate(X, [Y, Y], verbose=0)), list(history.history)]


def outputs_without_names(k):
    class Pair(k.Model):
        def __init__(self):
            super().__init__()
            self.one, self.other = k.layers.Dense(1), k.layers.Dense(1)

        def call(self, x):
            return self.one(x), self.other(x)

    k.utils.set_random_seed(1)
    model = Pair()
    losses = ["mse", k.losses.MeanAbsoluteError()]
    model.compile("sgd", losses, metrics=[["RootMeanSquaredError", "mae"], ["mae"]])
    history = model.fit(X, [Y, Y], verbose=0, shuffle=False).history
    return {name: np.array(values) for name, values in history.items()}


def a_callback_that_evaluates(k):
    class Watching(k.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(X, Y, verbose=0)
            self.model.predict(X, verbose=0)

    model = linear(k)
    returned = model.fit(X, Y, epochs=2, verbose=0, shuffle=False, callbacks=[Watching()])
    return [np.array(returned.history["loss"]), returned is model.history]


def hooks_of_prediction(k):
    seen = []

    class Noting(k.callbacks.Callback):
        def on_predict_batch_begin(self, batch, logs=None):
            seen.append(("begin", batch))

        def on_predict_batch_end(self, batch, logs=None):
            seen.append(("end", batch, sorted(logs)))

    linear(k).predict(X, batch_size=2, verbose=0, callbacks=[Noting()])
    return seen


def a_mask_of_ones_own(k):
    class Half(k.layers.Layer):
        def call(self, x):
            return x * 2

        def compute_mask(self, x, mask=None):
            return x[..., 0] > 0

    layer = Half()
    return [layer(X)._keras_mask, layer.supports_masking]


def a_step_that_calls_only_parts(k):
    class Pair(k.Model):
        def __init__(self):
            super().__init__()
            self.one = k.Sequential([k.Input((4,)), k.layers.Dense(2)])
            self.other = k.Sequential([k.Input((2,)), k.layers.Dense(1)])
            self.built = True

        def train_step(self, state, data):
            return {"size": jax.numpy.mean(data)}, state

    model = Pair()
    model.compile()
    return np.array(model.fit(X, verbose=0, shuffle=False).history["size"])


def older_names(k):
    model = k.Sequential([k.layers.InputLayer(input_shape=(4,)), k.layers.Dense(2)])
    return [
        model.output_shape,
        k.backend.standardize_dtype("int"),
        repr(k.KerasTensor((2,), name="t")),
    ]


def weightless_layers(k):
    layer = k.layers.Dropout(0.5, seed=1)
    states = [v.value for v in layer.non_trainable_variables]
    outputs, states = layer.stateless_call([], states, np.ones((2, 3), "float32"))
    return [outputs, [np.shape(state) for state in states]]


def pictures(k):
    shown = np.arange(48, dtype="float32").reshape(4, 4, 3)
    image, file = k.utils.array_to_img(shown, scale=False), io.BytesIO()
    k.utils.save_img(file, shown, file_format="png")
    reads = {"target_size": (2, 3)}, {"color_mode": "grayscale"}, {"target_size": (2, 4)}
    return [
        image.size,
        k.utils.img_to_array(image),
        k.utils.img_to_array(image, data_format="channels_first", dtype="uint8"),
        *(k.utils.img_to_array(k.utils.load_img(file, **options)) for options in reads),
        k.utils.img_to_array(k.utils.load_img(file, target_size=(2, 4), keep_aspect_ratio=True)),
        k.preprocessing.image.smart_resize(shown, (2, 4)),
    ]


PROGRAMS = [
    nested,
    operation,
    results_in_order,
    outputs_without_names,
    a_callback_that_evaluates,
    hooks_of_prediction,
]
PROGRAMS += [a_mask_of_ones_own, a_step_that_calls_only_parts, older_names]
PROGRAMS += [weightless_layers, pictures]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_same_results(program):
    both(program)


def test_metrics_names_are_those_of_the_list():
    model = linear(keras, outputs=2, metrics=[["mse"], ["mae"]])
    by_name = model.evaluate(X, [Y, Y], verbose=0, return_dict=True)
    listed = dict(zip(model.metrics_names, model.evaluate(X, [Y, Y], verbose=0), strict=True))
    assert listed == by_name
    assert list(listed) == ["loss", "zeta_loss", "alpha_loss", "alpha_mae", "zeta_mse"]


def test_data_that_end_after_an_epoch_end_the_training():
    model = linear(keras)
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(((X, Y) for _ in range(2)), epochs=3, verbose=0)
    assert history.epoch == [0]


def test_data_are_told_of_every_pass():
    calls = []

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

        def on_epoch_begin(self):
            calls.append("begin")

        def on_epoch_end(self):
            calls.append("end")

    model = linear(keras)
    model.fit(Data(), verbose=0, epochs=2)
    model.evaluate(Data(), verbose=0)
    model.predict(Data(), verbose=0)
    assert calls == ["begin", "end"] * 4


def test_limits_of_epochs_and_steps():
    keras.config.set_max_epochs(2)
    keras.config.set_max_steps_per_epoch(1)
    try:
        model = linear(keras)
        assert model.fit(X, Y, batch_size=2, epochs=5, verbose=0).params["epochs"] == 2
        assert int(model.optimizer.iterations) == 2
        assert len(model.predict(X, batch_size=2, verbose=0)) == 2
    finally:
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)


def test_windows_over_a_series():
    series = np.arange(20.0)
    data = keras.utils.timeseries_dataset_from_array(
        series, series[4:], 3, sampling_rate=2, sequence_stride=3, batch_size=2, end_index=15
    )
    (x, y), (x2, y2) = data
    np.testing.assert_array_equal(np.concatenate([x, x2])[:, 0], [0, 3, 6, 9])
    np.testing.assert_array_equal(
        np.concatenate([x, x2]) - np.arange(0, 6, 2), [[n] * 3 for n in (0, 3, 6, 9)]
    )
    np.testing.assert_array_equal(np.concatenate([y, y2]), [4, 7, 10, 13])
    shuffled = keras.preprocessing.timeseries_dataset_from_array(
        series, None, 2, batch_size=None, shuffle=True, seed=1
    )
    assert sorted(x[0] for x in shuffled) == list(range(19))


def test_a_model_as_a_diagram(tmp_path):
    pydot = pytest.importorskip("pydot")
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu")], name="inner")
    inputs = keras.Input((4,), name="start")
    model = keras.Model(inputs, inner(inputs) + keras.layers.Dense(3, name="side")(inputs))
    graph = keras.utils.model_to_dot(model, show_shapes=True, show_layer_activations=True)
    # Some releases of pydot give labels with their quotes.
    labels = {node.get_name(): (node.get_label() or "").strip('"') for node in graph.get_nodes()}
    named = {
        labels.get(e.get_source()).split(" ")[0]: labels.get(e.get_destination()).split(" ")[0]
        for e in graph.get_edges()
    }
    assert isinstance(graph, pydot.Dot)
    assert len(graph.get_edges()) == 4
    assert (
        "{side (Dense)|Activation: linear|{Input shape: (None, 4)|Output shape: (None, 3)}}"
        in labels.values()
    )
    assert {kind.strip("{") for kind in named} == {"start", "inner", "side"}
    expanded = keras.utils.model_to_dot(model, expand_nested=True)
    assert [g.get_label() for g in expanded.get_subgraphs()] == ["inner"]
    keras.utils.plot_model(model, tmp_path / "model.dot", show_layer_names=True)
    assert "inner (Sequential)" in (tmp_path / "model.dot").read_text()


def test_inputs_that_a_tensor_depends_on():
    a, b = keras.Input((2,)), keras.Input((2,))
    assert keras.utils.get_source_inputs(a * 2 + b) == [a, b]
    assert keras.utils.get_source_inputs(keras.layers.Dense(1)(b)) == [b]


FAILS = {
    "add_metric": (
        lambda: keras.layers.Layer().add_metric(1),
        NotImplementedError,
        "no `add_metric`",
    ),
    "trainable": (
        lambda: keras.layers.Dense(1, trainable="no"),
        ValueError,
        "`trainable` must be True",
    ),
    "policy": (lambda: keras.DTypePolicy(3), TypeError, "`name` must be a string; got 3"),
    "aggregation": (
        lambda: keras.Variable(1.0, aggregation="foo"),
        ValueError,
        "`aggregation` must be one of .*; got 'foo'",
    ),
    "backend": (lambda: keras.config.set_backend("torch"), ValueError, "must be 'jax'"),
    "limit": (lambda: keras.config.set_max_epochs(0), ValueError, "a positive integer or None"),
    "another shape": (
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]).build((None, 7)),
        ValueError,
        r"that of its Input, \(None, 4\); got \(None, 7\)",
    ),
    "outputs alone": (
        lambda: keras.Model(outputs=[keras.Input((2,))]),
        ValueError,
        "`inputs` must be given",
    ),
    "validation_freq": (
        lambda: linear(keras).fit(X, Y, validation_data=(X, Y), validation_freq="a", verbose=0),
        ValueError,
        "`validation_freq` must be a positive number of epochs",
    ),
    "weights of losses": (
        lambda: linear(keras, loss_weights=[1, 2]).fit(X, Y, verbose=0),
        ValueError,
        r"`loss_weights` must have one element for the output \['zeta'\]; got 2",
    ),
    "paths": (lambda: keras.tree.assert_same_paths({"a": 1}, {"b": 1}), ValueError, r"\('a',\)"),
    "leaves": (lambda: keras.tree.pack_sequence_as([1, 2], [1]), ValueError, "must hold 2 leaves"),
    "no function": (lambda: keras.tree.map_structure(3, 4), TypeError, "wants a function"),
    "long windows": (
        lambda: keras.utils.timeseries_dataset_from_array(np.arange(3), None, 4),
        ValueError,
        "a window spans 4 times; got 3",
    ),
    "picture": (lambda: keras.utils.array_to_img(np.ones((2, 2))), ValueError, "of 3 axes"),
    "colours": (lambda: keras.utils.load_img("x", color_mode="cmyk"), ValueError, "`color_mode`"),
}


@pytest.mark.parametrize("act,kind,text", FAILS.values(), ids=FAILS)
def test_mistakes_are_told(act, kind, text):
    with pytest.raises(kind, match=text):
        act()
