"""Strings in models: the host turns them into numbers for each batch, the rest is compiled.

The oracle is the same model, with the same weights, on the numbers that the layers give outside.
"""

import json
import threading
import zipfile

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.serve.served_model import ServedModel
from kerasish.serve.tensors import from_json

TEXTS = np.array(
    ["a good film", "A bad film!", "so good, so long", "very bad indeed", "good", "bad, bad"] * 8,
    object,
)
LABELS = np.array([1, 0, 1, 0, 1, 0] * 8, "float32")
CITIES = np.array(["Oslo", "Rome", "Bern"] * 16, object)
AGES = np.linspace(0, 1, 48).astype("float32")
SIZES = np.arange(48) % 5


def vectorization(**options):
    layer = layers.TextVectorization(**{"output_sequence_length": 5, **options})
    layer.adapt(TEXTS)
    return layer


def head(name="head"):
    return [
        layers.Embedding(20, 4, name=f"{name}_words"),
        layers.GlobalAveragePooling1D(name=f"{name}_mean"),
        layers.Dense(1, "sigmoid", name=f"{name}_out"),
    ]


class Subclassed(keras.Model):
    def __init__(self, first, *rest):
        super().__init__()
        self.first, self.rest = first, list(rest)

    def call(self, inputs, training=False):
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return x


class Block(layers.Layer):
    """A layer of the user's own that takes strings."""

    def __init__(self, words):
        super().__init__()
        self.words, self.embedding = words, layers.Embedding(20, 4)

    def call(self, texts):
        return self.embedding(self.words(texts[:, 0]))


def functional(first, *rest, shape=(1,)):
    inputs = x = keras.Input(shape, dtype="string")
    for layer in (first, *rest):
        x = layer(x)
    return keras.Model(inputs, x)


STYLES = {
    "sequential": lambda *parts: keras.Sequential(list(parts)),
    "sequential with Input": lambda *parts: keras.Sequential(
        [keras.Input((1,), dtype="string"), *parts]
    ),
    "Input without an axis": lambda *parts: keras.Sequential(
        [keras.Input((), dtype="string"), *parts]
    ),
    "functional": functional,
    "subclassed": Subclassed,
    "nested": lambda first, *rest: functional(functional(first, rest[0]), *rest[1:]),
    "within a layer": lambda first, *rest: functional(Block(first), *rest[1:]),
}


def weights_of(model):
    return [np.asarray(v) for v in model.trainable_variables]


def compiled(model, **options):
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], **options)
    return model


@pytest.mark.parametrize("style", STYLES)
def test_a_text_classifier_trains_as_it_does_on_ids(style):
    words = vectorization()
    ids = np.asarray(words(TEXTS))
    model = compiled(STYLES[style](words, *head()))
    model.predict(TEXTS[:2], verbose=0)  # builds it
    plain = compiled(keras.Sequential(head("plain")))
    plain.build((None, 5))
    plain.set_weights(weights_of(model))
    options = {"batch_size": 10, "epochs": 2, "shuffle": False, "verbose": 0}
    seen = model.fit(TEXTS, LABELS, validation_data=(TEXTS[:9], LABELS[:9]), **options)
    wanted = plain.fit(ids, LABELS, validation_data=(ids[:9], LABELS[:9]), **options)
    for name, values in wanted.history.items():
        np.testing.assert_allclose(seen.history[name], values, rtol=1e-5, err_msg=name)
    for ours, theirs in zip(weights_of(model), weights_of(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    outputs = plain.predict(ids, verbose=0)
    np.testing.assert_allclose(model.predict(TEXTS, verbose=0), outputs, rtol=1e-5)
    np.testing.assert_allclose(model.predict(TEXTS, batch_size=7, verbose=0), outputs, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(model(TEXTS)), outputs, rtol=1e-5)
    np.testing.assert_allclose(
        model.evaluate(TEXTS, LABELS, verbose=0), plain.evaluate(ids, LABELS, verbose=0), rtol=1e-5
    )
    for method in ("train_on_batch", "test_on_batch"):
        ours = getattr(model, method)(TEXTS[:6], LABELS[:6])
        np.testing.assert_allclose(ours, getattr(plain, method)(ids[:6], LABELS[:6]), rtol=1e-5)
    np.testing.assert_allclose(
        model.predict_on_batch(TEXTS[:6]), plain.predict_on_batch(ids[:6]), rtol=1e-5
    )


@pytest.mark.parametrize("style", ["sequential", "functional", "subclassed"])
def test_shuffled_training_is_that_on_ids(style):
    words = vectorization()
    ids = np.asarray(words(TEXTS))
    results = []
    for x, first in ((TEXTS, [words]), (ids, [layers.Identity()])):
        keras.utils.set_random_seed(3)
        rest = [layers.Embedding(20, 4), layers.Dropout(0.3), layers.Flatten(), layers.Dense(1)]
        make = STYLES[style] if x is TEXTS else lambda *parts: keras.Sequential(list(parts[1:]))
        model = make(*first, *rest)
        model.compile("sgd", "mse")
        results.append(model.fit(x, LABELS, epochs=3, batch_size=8, verbose=0).history["loss"])
    np.testing.assert_allclose(*results, rtol=1e-5)


FORMS = {
    "(n,)": lambda x: x,
    "(n, 1)": lambda x: x[:, None],
    "a list": list,
    "a list of lists": lambda x: [[text] for text in x],
    "NumPy's strings": lambda x: x.astype(str),
    "bytes": lambda x: np.array([text.encode() for text in x], object),
    "NumPy's bytes": lambda x: x.astype("S"),
}


@pytest.mark.parametrize("style", ["sequential", "functional", "subclassed"])
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_strings(form, style):
    x = FORMS[form](TEXTS)
    words = vectorization()
    model = compiled(STYLES[style](words, *head()))
    model.fit(x, LABELS, verbose=0)
    plain = keras.Sequential(head("plain"))
    plain.build((None, 5))
    plain.set_weights(weights_of(model))
    outputs = plain.predict(np.asarray(words(TEXTS)), verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), outputs, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(model(x)), outputs, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_columns_of_pandas(dtype):
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(TEXTS).astype(dtype)
    model = compiled(keras.Sequential([vectorization(), *head()]))
    model.fit(column, LABELS, verbose=0)
    np.testing.assert_array_equal(
        model.predict(column, verbose=0), model.predict(TEXTS[:, None], verbose=0)
    )
    frame = pandas.DataFrame({"city": CITIES, "age": AGES})
    table = table_model()
    table.fit(dict(frame), LABELS, verbose=0)
    columns = {"city": CITIES[:, None], "age": AGES[:, None]}
    np.testing.assert_allclose(
        table.predict(dict(frame), verbose=0), table.predict(columns, verbose=0), rtol=1e-6
    )


def table_model():
    city = keras.Input((1,), dtype="string", name="city")
    age = keras.Input((1,), name="age")
    lookup = layers.StringLookup(vocabulary=["Rome", "Oslo"], output_mode="one_hot")
    x = layers.Concatenate()([lookup(city), age])
    model = keras.Model({"city": city, "age": age}, layers.Dense(1)(x))
    model.compile("sgd", "mse")
    return model


def test_streams_of_strings():
    model = compiled(keras.Sequential([vectorization(), *head()]))

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            rows = slice(12 * index, 12 * index + 12)
            return TEXTS[rows], LABELS[rows]

    def generator():
        for index in range(8):
            yield Data()[index % 4]

    model.fit(Data(), epochs=2, validation_data=Data(), verbose=0)
    model.fit(generator(), steps_per_epoch=4, epochs=2, verbose=0)
    model.fit([*generator()].__iter__(), verbose=0)
    outputs = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(model.predict(Data(), verbose=0), outputs, rtol=1e-6)
    wanted = model.evaluate(TEXTS, LABELS, verbose=0, batch_size=12)
    np.testing.assert_allclose(model.evaluate(Data(), verbose=0), wanted, rtol=1e-6)


def test_each_batch_of_a_generator_is_used_once():
    counts = layers.TextVectorization(output_mode="count", vocabulary=[str(i) for i in range(20)])
    model = keras.Sequential([counts, layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    seen = []

    class Sees(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model

        def call(self, x):
            return self.inner(x)

    outer = Sees()
    outer.compile("sgd", "mse")
    batches = ((np.array([str(i)], object), np.array([float(i)])) for i in range(10))
    done = keras.callbacks.LambdaCallback(on_train_batch_end=lambda i, logs: seen.append(i))
    history = outer.fit(batches, steps_per_epoch=5, epochs=2, callbacks=[done], verbose=0)
    assert seen == [*range(5)] * 2
    # The kernel starts at zero and each batch has a word of its own, so nothing is learnt twice.
    losses = [np.mean(np.arange(5.0) ** 2), np.mean(np.arange(5.0, 10) ** 2)]
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-6)


LAYERS = {
    "StringLookup": lambda **o: layers.StringLookup(vocabulary=["Rome", "Oslo"], **o),
    "StringLookup, mask": lambda **o: layers.StringLookup(
        vocabulary=["Rome", "Oslo"], mask_token="", **o
    ),
    "StringLookup, 3 for others": lambda **o: layers.StringLookup(
        vocabulary=["Rome"], num_oov_indices=3, **o
    ),
    "Hashing": lambda **o: layers.Hashing(7, **o),
    "Hashing, salt": lambda **o: layers.Hashing(7, salt=[3, 4], **o),
    "TextVectorization": lambda **o: layers.TextVectorization(vocabulary=["rome", "oslo"], **o),
    "TextVectorization, ngrams": lambda **o: layers.TextVectorization(
        vocabulary=["rome", "oslo"], ngrams=2, **o
    ),
    "TextVectorization, characters": lambda **o: layers.TextVectorization(
        vocabulary=list("rome"), split="character", **o
    ),
}
MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def layer_cases():
    for name in LAYERS:
        for mode in MODES:
            is_text = name.startswith("Text")
            if (is_text and mode == "one_hot") or (name.startswith("Hash") and mode == "tf_idf"):
                continue
            yield name, mode


@pytest.mark.parametrize(("name", "mode"), list(layer_cases()))
def test_layers_in_models_give_what_they_give_outside(name, mode):
    options = {"output_mode": mode}
    if mode == "tf_idf":
        count = 1 if "3 for" in name else 4 if "characters" in name else 2
        options["idf_weights"] = np.linspace(0.2, 0.7, count)
    layer = LAYERS[name](**options)
    outside = np.asarray(layer(CITIES[:, None]))
    model = functional(layer)
    assert model.output_shape[0] is None
    known = [(a, b) for a, b in zip(model.output_shape, outside.shape, strict=True) if a]
    assert all(a == b for a, b in known)
    assert model.output.dtype == str(outside.dtype)
    inside = model.predict(CITIES[:, None], verbose=0)
    np.testing.assert_array_equal(inside, outside)
    assert inside.dtype == outside.dtype
    np.testing.assert_array_equal(np.asarray(model(CITIES[:, None])), outside)


CROSSES = {
    "two of strings": ((CITIES, TEXTS), ("string", "string")),
    "strings and integers": ((CITIES, SIZES), ("string", "int64")),
    "integers and strings": ((SIZES, CITIES), ("int32", "string")),
    "integers": ((SIZES, SIZES[::-1].copy()), ("int64", "int64")),
    "three": ((CITIES, SIZES, TEXTS), ("string", "int64", "string")),
}


@pytest.mark.parametrize("mode", ["int", "one_hot"])
@pytest.mark.parametrize("case", CROSSES)
def test_crossings(case, mode):
    columns, dtypes = CROSSES[case]
    columns = [column[:, None] for column in columns]
    layer = layers.HashedCrossing(11, output_mode=mode)
    outside = np.asarray(layer(columns))
    inputs = [keras.Input((1,), dtype=dtype) for dtype in dtypes]
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model.predict(columns, verbose=0), outside)
    np.testing.assert_array_equal(np.asarray(model(columns)), outside)


INTEGERS = {
    "Hashing": lambda: layers.Hashing(5),
    "Hashing, salt": lambda: layers.Hashing(5, salt=8),
    "Hashing, mask": lambda: layers.Hashing(5, mask_value=3, output_mode="one_hot"),
    "IntegerLookup, fingerprints": lambda: layers.IntegerLookup(
        vocabulary=[1, 2], num_oov_indices=4, oov_method="farmhash"
    ),
    "IntegerLookup": lambda: layers.IntegerLookup(vocabulary=[1, 2], num_oov_indices=4),
    "CategoryEncoding": lambda: layers.CategoryEncoding(5, output_mode="one_hot"),
}


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_in_models(name, dtype):
    layer = INTEGERS[name]()
    column = SIZES[:, None].astype(dtype)
    outside = np.asarray(layer(column))
    inputs = keras.Input((1,), dtype=dtype)
    model = keras.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model.predict(column, verbose=0), outside)
    np.testing.assert_array_equal(np.asarray(model(column)), outside)


def test_categories_of_lookups():
    lookup = layers.StringLookup(vocabulary=["Rome", "Oslo"])
    encoding = layers.CategoryEncoding(lookup.vocabulary_size(), output_mode="multi_hot")
    model = functional(lookup, encoding, layers.Dense(1), shape=(2,))
    pairs = np.stack([CITIES, CITIES[::-1]], axis=1)
    model.compile("sgd", "mse")
    model.fit(pairs, LABELS, verbose=0)
    kernel, bias = map(np.asarray, model.layers[-1].weights)
    wanted = np.asarray(encoding(lookup(pairs))) @ kernel + bias
    np.testing.assert_allclose(model.predict(pairs, verbose=0), wanted, rtol=1e-5)


def test_lengths_that_vary_from_batch_to_batch():
    words = vectorization(output_sequence_length=None)
    model = compiled(keras.Sequential([words, *head()]))
    model.fit(TEXTS, LABELS, batch_size=5, verbose=0)
    plain = keras.Sequential(head("plain"))
    plain.build((None, None))
    plain.set_weights(weights_of(model))
    outputs = [
        plain.predict(np.asarray(words(TEXTS[i : i + 2])), verbose=0) for i in range(0, 6, 2)
    ]
    seen = model.predict(TEXTS[:6], batch_size=2, verbose=0)
    np.testing.assert_allclose(seen, np.concatenate(outputs), rtol=1e-5)


def feature_space(**options):
    columns = {
        "city": "string_categorical",
        "text": keras.utils.FeatureSpace.string_hashed(num_bins=6),
        "age": "float_normalized",
        "size": "integer_categorical",
        "code": keras.utils.FeatureSpace.integer_hashed(num_bins=4),
        "band": keras.utils.FeatureSpace.float_discretized(num_bins=3),
    }
    space = keras.utils.FeatureSpace(columns, crosses=[("city", "size")], crossing_dim=9, **options)
    space.adapt(TABLE)
    return space


TABLE = {
    "city": CITIES,
    "text": TEXTS,
    "age": AGES,
    "size": SIZES,
    "code": SIZES * 3,
    "band": AGES[::-1].copy(),
}


def test_a_table_by_feature_space():
    space = feature_space()
    encoded = np.asarray(space(TABLE))
    output = layers.Dense(1, name="out")(space.get_encoded_features())
    model = keras.Model(space.get_inputs(), output)
    model.compile("adam", "mse")
    plain = keras.Sequential([layers.Dense(1)])
    plain.build((None, encoded.shape[1]))
    plain.compile("adam", "mse")
    plain.set_weights(weights_of(model))
    options = {"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0}
    seen = model.fit(TABLE, LABELS, **options).history["loss"]
    np.testing.assert_allclose(seen, plain.fit(encoded, LABELS, **options).history["loss"], 1e-5)
    outputs = plain.predict(encoded, verbose=0)
    np.testing.assert_allclose(model.predict(TABLE, verbose=0), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(model(TABLE)), outputs, rtol=1e-5, atol=1e-6)


def test_a_feature_space_inside_a_model():
    space = feature_space()

    class Table(keras.Model):
        def __init__(self):
            super().__init__()
            self.space, self.out = space, layers.Dense(1)

        def call(self, columns):
            return self.out(self.space(columns))

    model = Table()
    model.compile("adam", "mse")
    model.fit(TABLE, LABELS, verbose=0)
    kernel, bias = map(np.asarray, model.out.weights)
    wanted = np.asarray(space(TABLE)) @ kernel + bias
    np.testing.assert_allclose(model.predict(TABLE, verbose=0), wanted, rtol=1e-4, atol=1e-6)


# -- files


@pytest.mark.parametrize("mode", ["int", "multi_hot", "tf_idf"])
@pytest.mark.parametrize("style", ["sequential", "sequential with Input", "functional"])
def test_files_hold_vocabularies(tmp_path, style, mode):
    length = {"output_sequence_length": 5} if mode == "int" else {"output_sequence_length": None}
    words = vectorization(output_mode=mode, **length)
    rest = head() if mode == "int" else [layers.Dense(1, "sigmoid")]
    model = compiled(STYLES[style](words, *rest))
    model.fit(TEXTS, LABELS, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.endswith("vocabulary.txt")]
        texts = {archive.read(name).decode() for name in names}
    assert texts == {"\n".join(words.get_vocabulary())}
    again = keras.models.load_model(path)
    outputs = model.predict(TEXTS, verbose=0)
    np.testing.assert_array_equal(again.predict(TEXTS, verbose=0), outputs)
    again.fit(TEXTS, LABELS, verbose=0)
    clone = keras.models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]


def test_a_table_goes_through_a_file_and_json(tmp_path):
    space = feature_space()
    output = layers.Dense(1, name="out")(space.get_encoded_features())
    model = keras.Model(space.get_inputs(), output)
    model.compile("adam", "mse")
    model.fit(TABLE, LABELS, verbose=0)
    model.save(tmp_path / "table.keras")
    again = keras.models.load_model(tmp_path / "table.keras")
    np.testing.assert_array_equal(again.predict(TABLE, verbose=0), model.predict(TABLE, verbose=0))
    config = json.loads(model.to_json())
    dtypes = [e["config"].get("dtype") for e in config["config"]["layers"]]
    assert dtypes.count("string") == 2


class Table(keras.Model):
    """Made without arguments; what it has learnt is in the file alone."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words = layers.TextVectorization(output_sequence_length=4)
        self.embedding, self.out = layers.Embedding(20, 3), layers.Dense(1)

    def call(self, columns):
        if isinstance(columns, dict):
            words = keras.ops.mean(self.embedding(self.words(columns["text"])), 1)
            return self.out(keras.ops.concatenate([words, columns["age"]], -1))
        return self.out(keras.ops.mean(self.embedding(self.words(columns)), 1))


@pytest.mark.parametrize(
    "x", [TEXTS, {"text": TEXTS[:, None], "age": AGES[:, None]}], ids=["texts", "columns"]
)
def test_subclassed_models_go_through_files(x, tmp_path):
    model = Table()
    model.words.adapt(TEXTS)
    model.compile("adam", "mse")
    model.fit(x, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", {"Table": Table})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.words.get_vocabulary() == model.words.get_vocabulary()


def test_a_served_model_takes_strings_and_is_warm():
    parts = [layers.Embedding(20, 4), layers.Flatten(), layers.Dense(2, name="out")]
    model = keras.Sequential(
        [keras.Input((1,), dtype="string", name="text"), vectorization(), *parts]
    )
    served = ServedModel(model)
    assert served.inputs[0].say() == "(batch, 1) of string"
    served.warm_up(8)
    traces = model._compiled_steps["predict"].traces
    text = from_json(served.inputs[0], ["a good film", "bad"])
    outputs = served.run({"text": np.concatenate([text] * 4)})["out"]
    assert model._compiled_steps["predict"].traces == traces == 4
    np.testing.assert_allclose(outputs[:2], np.asarray(model(text)), rtol=1e-5)


# -- how it is done


def test_the_host_works_in_the_thread_that_reads_ahead():
    threads = []

    class Words(layers.TextVectorization):
        def host_indices(self, inputs):
            threads.append(threading.current_thread().name)
            return super().host_indices(inputs)

    words = Words(output_sequence_length=5)
    words.adapt(TEXTS)
    model = compiled(keras.Sequential([words, *head()]))
    model.fit(TEXTS, LABELS, batch_size=12, epochs=3, verbose=0)
    assert threads.count("prefetch") == 12  # a class of the user's own: nothing is kept


def test_a_model_without_strings_has_no_part_on_the_host():
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(AGES[:, None], LABELS, verbose=0)
    model.predict(AGES[:, None], verbose=0)
    assert model._host_programs == {}


def test_what_strings_become_is_found_once():
    words = vectorization()
    model = compiled(keras.Sequential([words, *head()]))
    for _ in range(3):
        model.predict(TEXTS[:4], verbose=0)
        model.predict_on_batch(TEXTS[:4])
    assert len(model._host_programs) == 1
    assert model._compiled_steps["predict"].traces == 1


def test_numbers_are_kept_over_epochs_until_another_vocabulary():
    lookup = layers.StringLookup(vocabulary=["Rome", "Oslo"])
    calls = []
    model = functional(lookup, layers.Embedding(4, 1), layers.Flatten(), layers.Dense(1))
    model.compile("sgd", "mse")
    find = lookup.numbers_of
    lookup.__dict__["numbers_of"] = lambda tokens: calls.append(1) or find(tokens)

    class Swap(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                lookup.set_vocabulary(["Oslo", "Rome"])

    model.fit(CITIES, LABELS, batch_size=12, epochs=6, callbacks=[Swap()], verbose=0)
    assert len(calls) == 1 + 4 + 4  # the trial, then each batch, and again


def test_a_new_vocabulary_counts_at_once():
    lookup = layers.StringLookup(vocabulary=["Rome", "Oslo"])
    model = functional(lookup)
    assert model.predict(np.array(["Oslo"]), verbose=0).tolist() == [[2]]
    lookup.set_vocabulary(["Oslo", "Rome"])
    assert model.predict(np.array(["Oslo"]), verbose=0).tolist() == [[1]]


def test_run_eagerly():
    model = compiled(keras.Sequential([vectorization(), *head()]), run_eagerly=True)
    model.fit(TEXTS, LABELS, verbose=0)
    outputs = model.predict(TEXTS, verbose=0)
    np.testing.assert_allclose(np.asarray(model(TEXTS)), outputs, rtol=1e-5)


def test_a_step_of_the_users_own():
    class Own(keras.Model):
        def __init__(self, words, *rest):
            super().__init__()
            self.words, self.rest = words, list(rest)

        def call(self, x):
            x = self.words(x["text"])
            for layer in self.rest:
                x = layer(x)
            return x

        def train_step(self, data):
            x, y = data

            def loss():
                return keras.ops.mean((self(x, training=True)[:, 0] - y) ** 2)

            value, grads = keras.value_and_grad(loss, self.trainable_variables)()
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": value}

    model = Own(vectorization(), *head())
    model.compile("adam")
    first = model.fit({"text": TEXTS}, LABELS, epochs=8, verbose=0).history["loss"]
    assert first[-1] < first[0]


def test_monte_carlo_and_the_learning_rate_finder():
    parts = [layers.Embedding(20, 4), layers.Flatten(), layers.Dropout(0.5), layers.Dense(1)]
    model = keras.Sequential([vectorization(), *parts])
    model.compile("sgd", "mse")
    mean, std = model.predict(TEXTS, mc_samples=8, mc_seed=1, verbose=0)
    assert mean.shape == (48, 1)
    assert std.max() > 0
    assert len(model.find_learning_rate(TEXTS, LABELS, steps=10).rates) >= 3


def test_an_interrupted_fit_resumes(tmp_path):
    def run(stop):
        keras.utils.set_random_seed(1)
        model = compiled(keras.Sequential([vectorization(), *head()]))

        class Stop(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                if epoch == 1 and stop:
                    raise KeyboardInterrupt

        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=not stop)
        callbacks = [backup, Stop()] if stop is not None else []
        return model.fit(TEXTS, LABELS, epochs=4, batch_size=8, callbacks=callbacks, verbose=0)

    wanted = run(None).history["loss"]
    with pytest.raises(KeyboardInterrupt):
        run(True)
    np.testing.assert_allclose(run(False).history["loss"][-1], wanted[-1], rtol=1e-6)


# -- what cannot be


def invert(inputs):
    return layers.StringLookup(vocabulary=["a", "b"], invert=True)(inputs)


def test_strings_after_numbers():
    inputs = keras.Input((1,), dtype="int32")
    model = keras.Model(inputs, invert(inputs))
    assert model.output.dtype == "string"
    assert model(np.array([[1], [2]])).tolist() == [["a"], ["b"]]
    with pytest.raises(TypeError, match="gives strings, which a compiled function cannot"):
        model.predict(np.array([[1], [2]]), verbose=0)


ERRORS = {
    "no layer takes them": (
        lambda: compiled(keras.Sequential([layers.Dense(1)])).fit(TEXTS, LABELS, verbose=0),
        "`x` must be numbers; .*StringLookup",
    ),
    "labels": (
        lambda: compiled(keras.Sequential([vectorization(), *head()])).fit(TEXTS, TEXTS, verbose=0),
        "`y` must be numbers",
    ),
    "a layer of numbers": (
        lambda: functional(layers.Dense(1)),
        "'dense.*': must get numbers; got strings|argument `inputs`: must get numbers",
    ),
    "an op": (lambda: keras.ops.exp(keras.Input((1,), dtype="string")), "must get numbers"),
    "numbers for strings": (
        lambda: functional(vectorization()).predict(np.ones((3, 1)), verbose=0),
        "must get strings; got numbers",
    ),
    "strings for numbers": (
        lambda: keras.Model(*[keras.Input((1,))] * 2)(np.array([["a"]], object)),
        "must get numbers; got strings",
    ),
    "gaps": (
        lambda: functional(vectorization()).predict(np.array(["a", None], object), verbose=0),
        r"`x` must be strings in every element; got \[None\]",
    ),
    "unknown without a number": (
        lambda: functional(layers.StringLookup(vocabulary=["a"], num_oov_indices=0)).predict(
            np.array(["b"]), verbose=0
        ),
        r"must be in the vocabulary; got \['b'\]",
    ),
    "comparing": (
        lambda: functional(layers.Lambda(lambda x: x == "a")),
        "comparisons: must get numbers; got strings",
    ),
}


@pytest.mark.parametrize(("act", "text"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_to_do(act, text):
    with pytest.raises((ValueError, TypeError), match=text):
        act()


@pytest.mark.parametrize("act", ["summary", "profile"])
def test_counts_of_the_devices_work_are_refused(act):
    model = functional(vectorization(), *head())
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"{act}: .*takes strings"):
        model.summary(cost=True) if act == "summary" else model.profile(TEXTS, LABELS)


@pytest.mark.filterwarnings("ignore:.*older HDF5 format. The present")
def test_the_older_file_format_says_that_it_holds_no_vocabulary(tmp_path):
    model = functional(vectorization(), *head())
    with pytest.warns(UserWarning, match="holds no vocabularies.*string_lookup"):
        model.save(tmp_path / "model.h5")
