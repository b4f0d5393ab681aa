"""Models made from symbolic tensors: each program runs with Keras 3 too, and gives the same."""

import json
import logging

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import Input, Model, layers, ops
from tests.support.counting import python_calls
from tests.support.keras_oracle import X, both, fill, graph, weights

A, B, C = X, X[:, :3], X[:, :2]


def inputs_of(k):
    return k.Input((4,), name="a"), k.Input((3,), name="b")


def two_in_two_out(k):
    a, b = inputs_of(k)
    h = k.layers.Dense(5, activation="relu")(k.layers.Concatenate()([a, b]))
    outputs = [k.layers.Dense(1, name="o1")(h), k.layers.Dense(2, name="o2")(h)]
    model = fill(k.Model([a, b], outputs))
    by_name = {"a": A, "b": B}
    calls = [model([A, B]), model((A, B)), model(by_name), model({**by_name, "unused": C})]
    return graph(model), model.output_names, calls, model.predict([A, B], verbose=0)


def dicts(k):
    a, b = inputs_of(k)
    h = k.layers.Concatenate()([a, b])
    outputs = {"z": k.layers.Dense(1, name="last")(h), "y": k.layers.Dense(2, name="first")(h)}
    model = fill(k.Model({"b": b, "a": a}, outputs))
    return (
        graph(model),
        model.output_names,
        model({"a": A, "b": B}),
        model({"b": B, "a": A, "c": C}),
    )


def nests(k):
    a, b, c = *inputs_of(k), k.Input((2,), name="c")
    h = k.layers.Concatenate()([a, b, c])
    d = k.layers.Dense(2)(h)
    model = fill(k.Model([a, {"b": b, "c": c}], [d, {"h": h, "e": d * 2}]))
    return graph(model), model([A, {"b": B, "c": C}])


def tuples(k):
    a, b = inputs_of(k)
    model = k.Model((a, {"b": (b,)}), {"sum": (a * 2, a + 1), "both": [b, (b * 2,)]})
    again = k.Model.from_config(model.get_config())
    made = [m((A, {"b": (B,)})) for m in (model, again)]
    kinds = [(type(out["sum"]).__name__, type(out["both"][1]).__name__) for out in made]
    pair = k.Model.from_config(k.Model(a, (a, a + 1)).get_config())
    return kinds, made, type(pair(A)).__name__


def lists_of_one(k):
    a = k.Input((4,), name="a")
    model = fill(k.Model([a], [k.layers.Dense(2)(a)]))
    return graph(model), model({"a": X}), model([X]), model(X)


def shared_layer(k):
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    dense = k.layers.Dense(3, name="shared")
    model = fill(k.Model([a, b], k.layers.Add()([dense(a), dense(b)])))
    return graph(model), model([X, 2 * X])


def shared_at_two_depths(k):
    x, shared = k.Input((4,)), k.layers.Dense(4, name="shared")
    a = shared(x)
    c = shared(k.layers.Dense(4, name="b")(a))
    d, e = k.layers.Dense(4, name="d")(c), k.layers.Dense(4, name="e")(a)
    return graph(k.Model(x, [k.layers.Add()([d, e]), shared(d)]))


def branches_and_an_unused_input(k):
    x, unused = k.Input((4,)), k.Input((2,), name="unused")
    a = k.layers.Dense(4, name="a")(x)
    b, c = k.layers.Dense(4, name="b")(a), k.layers.Dense(4, name="c")(x)
    d, e = k.layers.Add(name="d")([c, b]), k.layers.Dense(4, name="e")(x)
    f = k.layers.Add(name="f")([e, a, d])
    return graph(k.Model([unused, x], [c, f, a, k.layers.Dense(1, name="g")(e)]))


def models_in_a_model(k):
    x = k.Input((4,))
    inner = k.Model(x, k.layers.BatchNormalization()(k.layers.Dense(3)(x)), name="inner")
    stack = [k.Input((3,)), k.layers.Dense(2, name="in_stack"), k.layers.Dropout(0.1)]
    stack = k.Sequential(stack, name="stack")
    z = k.Input((4,))
    model = fill(k.Model(z, k.layers.Dense(1)(stack(inner(z)))))
    return graph(model), model(X), model(X, training=False)


def unbuilt_stack_in_a_model(k):
    stack = k.Sequential([k.layers.Dense(2), k.layers.Dense(3)], name="stack")
    z = k.Input((4,))
    model = fill(k.Model(z, stack(z)))
    return graph(model), model(X), weights(stack)


def model_called_twice(k):
    x = k.Input((4,))
    inner = k.Model(x, k.layers.Dense(4)(x), name="inner")
    z = k.Input((4,))
    model = fill(k.Model(z, [inner(inner(z)), inner(z)]))
    return graph(model), model(X)


def subclass_in_a_model(k):
    class Twice(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = k.layers.Dense(4)

        def call(self, x, training=False):
            return self.dense(self.dense(x))

    z = k.Input((4,))
    model = fill(k.Model(z, Twice(name="twice")(z)))
    return weights(model), model(X), model.output_shape


def from_the_middle(k):
    x = k.Input((4,))
    h = k.layers.Dense(3, name="h")(x)
    model = fill(k.Model(x, k.layers.Dense(2, name="y")(h)))
    to_h = k.Model(model.input, model.get_layer("h").output)
    everything = k.Model(model.inputs, [layer.output for layer in model.layers])
    from_h = k.Model(model.get_layer("h").output, model.output)
    return (
        [graph(to_h), to_h(X), graph(everything), everything(X)],
        [weights(from_h)["weights"], from_h.input_shape, from_h(B)],
    )


def ops_between_layers(k):
    x = k.Input((4,))
    h = k.layers.Dense(4)(x)
    outer = x[:, :2] * 2 - 1, k.ops.relu(h), 3 / (1 + x**2), -x, x[..., 0][:, None]
    inner = x @ np.eye(4, dtype="float32"), k.ops.mean(x, axis=(1,), keepdims=True), abs(h) % 2
    y = k.ops.concatenate([*outer, *inner, k.ops.where(x > 0, x, 0.0)], axis=-1)
    model = fill(k.Model(x, y))
    return weights(model), model.output_shape, model(X)


def unknown_sizes(k):
    x = k.Input((None, 4))
    model = fill(k.Model(x, k.layers.GlobalAveragePooling1D()(k.layers.Dense(3)(x))))
    return graph(model), model(X[None]), model(X[:, None])


def integers(k):
    x = k.Input((3,), dtype="int32")
    model = fill(k.Model(x, k.layers.Flatten()(k.layers.Embedding(10, 4)(x))))
    return graph(model), model(np.array([[1, 2, 3]])), model(np.array([[1.0, 2.0, 3.0]]))


def masks(k):
    x = k.Input((5,), dtype="int32")
    e = k.layers.Embedding(10, 4, mask_zero=True)(x)
    summed = k.layers.Add()([e, k.layers.Dropout(0.2)(e)])
    model = fill(k.Model(x, k.layers.GlobalAveragePooling1D()(summed)))
    return weights(model)["weights"], model(np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]))


def order_of(model, k):
    """Layers in order: in Keras the operations that compute masks stand between them."""
    return [layer.name for layer in model.layers if isinstance(layer, k.layers.Layer)]


def order_beside_a_masked_branch(k):
    words, tags = (k.Input((5,), dtype="int32", name=name) for name in ("words", "tags"))
    a = k.layers.Embedding(10, 4, name="a")(words)
    b = k.layers.Embedding(10, 4, mask_zero=True, name="b")(tags)
    both_masked = k.layers.Embedding(10, 4, mask_zero=True, name="c")(words)
    orders = []
    for joined in (
        k.layers.Concatenate(name="join")([a, b]),
        k.layers.Concatenate(name="join")([b, both_masked]),
        k.layers.Concatenate(axis=1, name="join")([a, b]),
        k.layers.Add(name="join")([both_masked, b, both_masked]),
        k.layers.Add(name="join")([a, b]),
    ):
        x = k.layers.Dropout(0.1, name="drop")(joined)
        for last in (
            k.layers.LSTM(3, name="last")(x),
            k.layers.GlobalAveragePooling1D(name="last")(
                k.layers.Bidirectional(k.layers.GRU(3, return_sequences=True), name="gru")(x)
            ),
            k.layers.GlobalMaxPooling1D(name="last")(x),
        ):
            orders.append(order_of(k.Model([words, tags], last), k))
    return orders


def order_of_words_and_letters(k):
    words = k.Input((5,), dtype="int32", name="words")
    letters = k.Input((5, 6), dtype="int32", name="letters")
    w = k.layers.Embedding(10, 4, mask_zero=True, name="word")(words)
    c = k.layers.Embedding(9, 3, mask_zero=True, name="letter")(letters)
    c = k.layers.TimeDistributed(k.layers.LSTM(4), name="spelling")(c)
    x = k.layers.Concatenate(name="join")([w, c])
    x = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True), name="reader")(x)
    return order_of(k.Model([words, letters], k.layers.Dense(7, name="tag")(x)), k)


def order_behind_masking(k):
    x, y = k.Input((5, 4), name="x"), k.Input((5, 4), name="y")
    a = k.layers.Masking(name="mask")(k.layers.Dense(4, name="a")(x))
    b = k.layers.Dense(4, name="c")(k.layers.Dense(4, name="b")(y))
    attention = k.layers.Attention(name="attend")([b, a])
    read = k.layers.LSTM(3, name="read")(a)
    summed = k.layers.LSTM(3, name="sum")(k.layers.Add(name="add")([a, a]))
    joined = k.layers.MultiHeadAttention(2, 2, name="heads")(b, a)
    return [
        order_of(k.Model([x, y], outputs), k)
        for outputs in ([attention, read], [read, b], [summed, b, attention], [joined, read])
    ]


def optional_inputs(k):
    class Plus(k.layers.Layer):
        def call(self, a, b=None):
            return a if b is None else a + b

        def compute_output_shape(self, a_shape, b_shape=None):
            return a_shape

    a, b = k.Input((4,), name="a"), k.Input((4,), name="b", optional=True)
    model = k.Model([a, b], Plus()(a, b))
    return model([X, None]), model([X, X]), model({"a": X, "b": None})


def freezing(k):
    x = k.Input((4,))
    h = k.layers.Dense(3, name="dense")(x)
    inner = k.Model(x, k.layers.BatchNormalization()(h), name="inner")
    model = k.Sequential([inner, k.layers.Dense(2)])
    seen = [weights(model)]
    for part, value in [(inner, False), (model.layers[1], False), (model, True), (model, False)]:
        part.trainable = value
        seen.append(weights(model))
    model.trainable = True
    inner.get_layer("dense").kernel.trainable = False
    return seen, weights(model), model.count_params(), [part.trainable for part in model.layers]


def ranks_and_types_of_inputs(k):
    x, z = k.Input((1,)), k.Input(())
    one, none = k.Model(x, x * 2), k.Model(z, z * 2)
    halves = X[:, :1].astype("float16")
    return one(X[:, 0]), none(X[:, :1]), one(X[:, :1].astype("int32")), one(halves)


def mixed_precision_with_a_float32_head(k):
    x = k.Input((4,))
    h = k.layers.Dense(3, dtype="mixed_bfloat16")(x)
    model = fill(k.Model(x, k.layers.Dense(2, dtype="float32")(h)))
    return weights(model), h, model.output, model(X), model.get_config()


def residual_blocks(k):
    h = x = k.Input((4,))
    for _ in range(3):
        h = k.layers.Add()([k.layers.Dense(4, activation="relu")(h), h])
    model = fill(k.Model(x, h))
    return graph(model), model(X)


def frozen_layers_stay(k):
    model = fill(k.Sequential([k.Input((4,)), k.layers.Dense(3), k.layers.Dense(1)]))
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, X[:, :1], verbose=0)
    pairs = zip(before, model.get_weights(), strict=True)
    return [bool(np.allclose(a, b)) for a, b in pairs]


def subclass_made_from_tensors(k):
    class Own(k.Model):
        def extra(self):
            return 3

    x = k.Input((4,))
    model = fill(Own(x, k.layers.Dense(2)(x)))
    again = Own.from_config(model.get_config())
    return graph(model), model(X), weights(again), again.extra()


def subclass_that_passes_arguments_on(k):
    class Own(k.Model):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.tracker = k.metrics.Mean(name="tracker")

    x = k.Input((4,))
    model = Own(inputs=x, outputs=k.layers.Dense(2)(x))
    return graph(model), weights(Own.from_config(model.get_config()))


def subclass_that_makes_its_graph(k):
    class Own(k.Model):
        def __init__(self, units, **kwargs):
            x = k.Input((4,))
            super().__init__(inputs=x, outputs=k.layers.Dense(units)(x), **kwargs)
            self.units = units
            self.beside = k.layers.Dense(1, name="beside")

        def call(self, x, training=None):
            return super().call(x) * 2

        def get_config(self):
            return {"units": self.units, "name": self.name}

    model = fill(Own(3))
    return weights(model), model(X), model.get_config(), weights(Own.from_config({"units": 2}))


PROGRAMS = [
    two_in_two_out,
    dicts,
    nests,
    tuples,
    lists_of_one,
    shared_layer,
    shared_at_two_depths,
    branches_and_an_unused_input,
    models_in_a_model,
    unbuilt_stack_in_a_model,
    model_called_twice,
    subclass_in_a_model,
    from_the_middle,
    ops_between_layers,
    unknown_sizes,
    integers,
    masks,
    order_beside_a_masked_branch,
    order_of_words_and_letters,
    order_behind_masking,
    optional_inputs,
    freezing,
    ranks_and_types_of_inputs,
    mixed_precision_with_a_float32_head,
    residual_blocks,
    frozen_layers_stay,
    subclass_made_from_tensors,
    subclass_that_passes_arguments_on,
    subclass_that_makes_its_graph,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_keras(program):
    both(program)


# -- configs, read by either


def config_nested(k):
    x = k.Input((4,))
    inner = k.Model(x, k.layers.BatchNormalization()(k.layers.Dense(3)(x)), name="inner")
    stack = k.Sequential([k.layers.Dense(2), k.layers.Dropout(0.1)], name="stack")
    z = k.Input((4,))
    h = inner(z)
    return k.Model(z, {"a": stack(h), "b": h})


def config_model_twice(k):
    x, z = k.Input((4,)), k.Input((4,))
    inner = k.Model(x, k.layers.Dense(4)(x), name="inner")
    return k.Model(z, [inner(inner(z)), inner(z)])


def config_ops(k):
    x = k.Input((4,))
    h = k.layers.Dense(4)(x)
    parts = [x[:, :2] * 2.0 - 1.0, k.ops.relu(h), k.ops.softmax(x / 2), k.ops.clip(x, 0, 1), 1 - x]
    parts += [k.ops.cast(x > 0, "float32"), k.ops.expand_dims(x[..., 0], -1)]
    return k.Model(x, k.ops.concatenate(parts, axis=-1))


def config_masks(k):
    x = k.Input((4,))
    e = k.layers.Embedding(10, 3, mask_zero=True)(k.ops.cast(abs(x) * 3, "int32"))
    return k.Model(x, k.layers.GlobalAveragePooling1D()(k.layers.Add()([e, e])))


def config_layer_used_elsewhere_before(k):
    dense, z, a = k.layers.Dense(4), k.Input((4,)), k.Input((4,))
    dense(z)
    return k.Model(a, dense(k.layers.Dense(4)(dense(a))))


def config_stack_without_input(k):
    model = k.Sequential([k.layers.Dense(3), k.layers.Dense(2)])
    model.build((None, 4))
    return model


CONFIGS = [
    config_nested,
    config_model_twice,
    config_ops,
    config_masks,
    config_layer_used_elsewhere_before,
    config_stack_without_input,
]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Layer 'global_average.*:UserWarning")
@pytest.mark.parametrize("writer, reader", [(kerasish, keras), (keras, kerasish)])
@pytest.mark.parametrize("make", CONFIGS, ids=lambda make: make.__name__)
def test_either_reads_the_others_config(make, writer, reader):
    model = fill(make(writer))
    kind = "Sequential" if isinstance(model, writer.Sequential) else "Model"
    made = getattr(reader, kind).from_config(json.loads(json.dumps(model.get_config())))
    made.set_weights([np.asarray(w) for w in model.get_weights()])
    for here, there in zip(arrays(model(X)), arrays(made(X)), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-5)
    if make is not config_masks:  # Keras has a layer for the comparison that makes the mask
        assert [part.name for part in made.layers] == [part.name for part in model.layers]
    assert [(w.name, w.shape) for w in made.weights] == [(w.name, w.shape) for w in model.weights]


def arrays(nest):
    nest = list(nest.values()) if isinstance(nest, dict) else nest
    return [np.asarray(x) for x in (nest if isinstance(nest, list) else [nest])]


@pytest.mark.parametrize("make", CONFIGS, ids=lambda make: make.__name__)
def test_json_makes_the_same_model(make):
    model = fill(make(kerasish))
    made = kerasish.models.model_from_json(model.to_json())
    assert made.get_config() == model.get_config()


def test_recorded_training_wins_over_the_models():
    """`base(x, training=False)` keeps batch statistics fixed in `fit`, as Keras' guides promise."""
    x, z = Input((4,)), Input((4,))
    base = Model(x, layers.BatchNormalization()(x))
    model = Model(z, base(z, training=False))
    model.compile("sgd", "mse")
    before = model.get_weights()[2:]
    model.fit(X, X, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[2:], before)


def test_dropout_of_a_keras_config_drops():
    """Keras writes `training=False` into the config of each Dropout call; nobody asked for it."""
    x = keras.Input((4,))
    config = keras.Model(x, keras.layers.Dropout(0.5)(x)).get_config()
    model = Model.from_config(config)
    assert np.any(np.asarray(model(np.ones((8, 4)), training=True)) == 0)


# -- mistakes


def pair():
    a, b = Input((4,), name="a"), Input((3,), name="b")
    return Model([a, b], layers.Concatenate()([a, b]), name="pair")


def single():
    a = Input((4,), name="a")
    return Model(a, layers.Dense(2, name="head")(a), name="single")


def named_twice():
    x = Input((4,))
    return Model(x, layers.Dense(2, name="d")(layers.Dense(2, name="d")(x)))


def disconnected():
    x, z = Input((4,)), Input((4,), name="other")
    return Model(x, layers.Dense(2)(x + z))


def on_tensor(fn):
    return lambda: fn(Input((4,), name="x"))


MISTAKES = [
    (lambda: pair()([A]), ValueError, r"'pair' expects 2 input\(s\) \['a', 'b'\]; got 1"),
    (lambda: pair()([A, B, C]), ValueError, "'pair' expects 2 .* got 3"),
    (lambda: pair()({"a": A, "bb": B}), ValueError, "missing input 'b': .*Did you mean 'bb'"),
    (lambda: pair()([A, None]), ValueError, "'pair': input 'b' is None, but it is not optional"),
    (lambda: single()(B), ValueError, r"'a' of model 'single'.*shape=\(None, 4\).*\(5, 3\)"),
    (lambda: single()(X[None, None]), ValueError, r"'a' of model 'single'.*found shape=\(1, 1, 5"),
    (lambda: single().get_layer("heat"), ValueError, "no layer 'heat'.*Did you mean 'head'"),
    (lambda: single().get_layer(index=9), ValueError, "`index` must be below 2; got 9"),
    (lambda: single().get_layer(), ValueError, "either `name` or `index`"),
    (named_twice, ValueError, "The name 'd' is used 2 times"),
    (disconnected, ValueError, "Graph disconnected: .* input 'other'"),
    (lambda: Model(inputs=Input((4,))), ValueError, "`outputs` must be given with `inputs`"),
    (lambda: Model(Input((4,)), layers.Dense(2)), ValueError, "`outputs` must be symbolic.*<Dense"),
    (lambda: Model(Input((4,)), np.ones(3)), ValueError, "`outputs` must be symbolic tensors"),
    (lambda: Input(), ValueError, "`shape` must be a tuple of sizes"),
    (lambda: Input(4), ValueError, r"must be a tuple; got 4. For one axis write \(4,\)"),
    (on_tensor(np.sin), ValueError, "cannot become a NumPy array; use `keras.ops`"),
    (on_tensor(jnp.sin), ValueError, "keras.ops"),
    (on_tensor(bool), TypeError, "no truth value; use `keras.ops.where`"),
    (on_tensor(lambda x: 1 if x > 1 else 0), TypeError, "no truth value"),
    (on_tensor(list), TypeError, "cannot be iterated over"),
    (on_tensor(len), TypeError, r"has no length; use `.shape`"),
    (on_tensor(float), ValueError, "has no value"),
    (on_tensor(lambda x: layers.Dense(2)([x, x])), ValueError, r"expects 1 input\(s\); got 2"),
    (lambda: layers.Dense(2)(Input((None,))), ValueError, "must be known in its last axis"),
    (lambda: layers.Conv2D(2, 3)(Input((4,))), ValueError, "Conv2D.*ndim=4, found ndim=2"),
]


@pytest.mark.parametrize("mistake, error, text", MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistake(mistake, error, text):
    with pytest.raises(error, match=text):
        mistake()


def test_symbolic_tensor_prints():
    assert repr(Input((4,), name="x")).startswith("<KerasTensor shape=(None, 4), dtype=float32")


# -- speed


def test_calls_compile_once_and_weights_are_listed_in_few_steps(caplog):
    h = x = Input((8,))
    for _ in range(100):
        h = layers.Dense(8)(h)
    model = Model(x, ops.relu(h))
    batch = np.ones((2, 8), "float32")
    model(batch)
    with jax.log_compiles(), caplog.at_level(logging.DEBUG):
        model(batch)
    assert not [r for r in caplog.records if "Compiling" in r.getMessage()]
    assert len(model.weights) == 200
    assert python_calls(lambda: model.weights) < 20 * 200


def test_a_function_of_a_tensor_that_no_layer_made():
    x = kerasish.KerasTensor((None, 3), name="x")
    y = ops.relu(x) + 1
    function = kerasish.Function(x, y)
    np.testing.assert_allclose(function(np.array([[-1.0, 0.0, 2.0]])), [[1.0, 1.0, 3.0]])
    assert function.compute_output_shape((4, 3)) == (4, 3)
    other = kerasish.KerasTensor((2,))
    assert kerasish.utils.get_source_inputs(other * 2) == [other]
