"""Layers for strings: hashing, vocabularies and texts, against their definitions.

Keras' own need TensorFlow, which these tests do without.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.layers.preprocessing.farmhash import farm, join, sip
from kerasish.testing import check_layer

TEXTS = np.array(["The cat sat, on\tthe mat!", "A dog's É-DAY.", "", "the the"])
WORDS = ["the", "cat", "sat"]


def test_siphash_gives_the_papers_number():
    key = int.from_bytes(range(8), "little"), int.from_bytes(range(8, 16), "little")
    assert sip(bytes(range(15)), key) == 0xA129CA6149BE45E5


def test_farmhash_gives_tensorflows_numbers():
    numbers = {
        b"kerasish": 2687667538198252373,
        bytes(range(1, 40)): 10062775064334132184,
        bytes(range(1, 60)): 11674323898790287245,
        bytes(i % 120 + 1 for i in range(200)): 16064394806551540738,
    }
    assert {data: farm(data) for data in numbers} == numbers


@pytest.mark.parametrize("size", [0, 3, 5, 12, 20, 40, 60, 64, 65, 200])
def test_fingerprints_hang_on_every_byte(size):
    data = bytes(i % 251 for i in range(size))
    changed = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(size)]
    for fingerprint in (farm, lambda d: sip(d, (1, 2))):
        found = [fingerprint(d) for d in (data, *changed, data + b"\0")]
        assert len(set(found)) == size + 2
        assert all(0 <= f < 2**64 for f in found)


def test_joined_fingerprints_have_an_order():
    assert join(1, 2) != join(2, 1)


def test_bins_are_even():
    bins = layers.Hashing(10)(np.arange(5000))
    np.testing.assert_allclose(np.bincount(bins), 500, atol=90)
    salted = layers.Hashing(10, salt=4)(np.arange(5000))
    np.testing.assert_allclose(np.bincount(salted), 500, atol=90)
    assert np.mean(bins == salted) < 0.2


def test_hashing_keeps_a_bin_for_what_is_masked():
    x = np.array([["a", ""], ["b", "a"]])
    bins = np.asarray(layers.Hashing(4, mask_value="")(x))
    assert bins.shape == x.shape
    np.testing.assert_array_equal(bins == 0, x == "")
    np.testing.assert_array_equal(bins[x != ""] - 1, layers.Hashing(3)(x[x != ""]))


def test_bins_may_be_encoded():
    x = np.array([["a", "b"], ["c", "c"]])
    bins, hot = layers.Hashing(5)(x), np.eye(5)
    modes = {"one_hot": hot[bins], "count": hot[bins].sum(1), "multi_hot": hot[bins].max(1)}
    for mode, wanted in modes.items():
        np.testing.assert_array_equal(layers.Hashing(5, output_mode=mode)(x), wanted)


def test_crossings_join_features():
    a, b = np.array(["x", "y", "x", "x"]), np.array([1, 1, 2, 1])
    bins = np.asarray(layers.HashedCrossing(1000)([a, b]))
    assert bins[0] == bins[3] and len(set(bins.tolist())) == 3
    first, second = farm(b"x"), 1
    assert bins[0] == join(join(0xDECAFCAFFE, first), second) % 1000
    hot = layers.HashedCrossing(1000, output_mode="one_hot")([a[:, None], b[:, None]])
    np.testing.assert_array_equal(np.argmax(hot, axis=1), bins)


STRINGS = np.array([["a", "c", "x"], ["", "a", "a"]])


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[1, 3, 0], [0, 1, 1]]),
        ({"mask_token": ""}, [[2, 4, 1], [0, 2, 2]]),
        ({"output_mode": "multi_hot"}, [[1, 1, 0, 1], [1, 1, 0, 0]]),
        ({"output_mode": "count"}, [[1, 1, 0, 1], [1, 2, 0, 0]]),
        ({"output_mode": "count", "mask_token": ""}, [[1, 1, 0, 1], [0, 2, 0, 0]]),
        (
            {"output_mode": "count", "max_tokens": 5, "pad_to_max_tokens": True},
            [[1, 1, 0, 1, 0], [1, 2, 0, 0, 0]],
        ),
        (
            {"output_mode": "tf_idf", "idf_weights": [1.0, 2.0, 6.0]},
            [[3, 1, 0, 6], [3, 2, 0, 0]],
        ),
    ],
    ids=str,
)
def test_strings_get_their_numbers(options, wanted):
    layer = layers.StringLookup(vocabulary=["a", "b", "c"], **options)
    np.testing.assert_array_equal(layer(STRINGS), wanted)
    np.testing.assert_array_equal(layer(STRINGS.tolist()), wanted)
    np.testing.assert_array_equal(layer(np.char.encode(STRINGS)), wanted)
    again = layers.deserialize(layers.serialize(layer))
    np.testing.assert_array_equal(again(STRINGS.astype(object)), wanted)


def test_unknown_strings_are_spread_over_several_numbers():
    layer = layers.StringLookup(vocabulary=["a"], num_oov_indices=3, mask_token="")
    found = np.asarray(layer([str(n) for n in range(60)] + ["a", ""]))
    assert set(found[:-2].tolist()) == {1, 2, 3}
    assert found[-2:].tolist() == [4, 0]


def test_numbers_go_back_to_strings():
    layer = layers.StringLookup(vocabulary=["a", "b"], mask_token="")
    back = layers.StringLookup(vocabulary=layer.get_vocabulary(), mask_token="", invert=True)
    assert back(layer(STRINGS)).tolist() == [["a", "[UNK]", "[UNK]"], ["", "a", "a"]]
    assert back(np.array([99, 3])).tolist() == ["[UNK]", "b"]


def test_vocabularies_are_learnt_by_frequency():
    layer = layers.StringLookup(max_tokens=4)
    layer.adapt(["a", "b", "b", "c", "c", "d", "[UNK]"])
    assert layer.get_vocabulary() == ["[UNK]", "c", "b", "d"]
    batches = layers.StringLookup()
    batches.adapt(iter([["a", "b"], np.array(["b"]), ["z"] * 5]), steps=2)
    assert batches.get_vocabulary() == ["[UNK]", "b", "a"]
    assert batches.vocabulary_size() == 3


def test_rare_words_weigh_more():
    layer = layers.StringLookup(output_mode="tf_idf")
    layer.adapt(np.array([["a", "b"], ["a", "a"], ["a", "c"]]))
    weights = np.log(1 + 3 / (1 + np.array([3, 1, 1])))
    assert layer.get_vocabulary() == ["[UNK]", "a", "c", "b"]
    wanted = [[0, 2 * weights[0], 0, weights[2]], [weights.mean(), 0, 0, 0]]
    np.testing.assert_allclose(layer([["a", "b", "a"], ["x", "", ""]])[0], wanted[0], rtol=1e-6)
    np.testing.assert_allclose(layer([["x"], ["q"]])[0], wanted[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[1, 0, 2]]),
        ({"mask_token": 0}, [[2, 1, 3]]),
        ({"num_oov_indices": 3}, [[3, 2, 4]]),
        ({"output_mode": "count"}, [[1, 1, 1]]),
    ],
    ids=str,
)
def test_whole_numbers_get_numbers_in_models_too(options, wanted):
    layer = layers.IntegerLookup(vocabulary=[40, -7], **options)
    x = np.array([[40, 5, -7]])
    np.testing.assert_array_equal(layer(x), wanted)
    np.testing.assert_array_equal(jax.jit(layer)(x), wanted)
    inputs = kerasish.Input((3,), dtype="int32")
    model = kerasish.Model(inputs, layer(inputs))
    np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)


def test_whole_numbers_are_looked_up_as_layers_must():
    layer = layers.IntegerLookup(vocabulary=[3, 1, 8], output_mode="multi_hot")
    check_layer(layer, np.array([[1, 2, 8], [3, 3, 9]], "int32"))


def test_whole_numbers_go_back_and_are_learnt():
    layer = layers.IntegerLookup()
    layer.adapt(np.array([[5, 5, 3], [3, 3, -1]]))
    assert layer.get_vocabulary() == [-1, 3, 5]
    back = layers.IntegerLookup(vocabulary=layer.get_vocabulary(), invert=True)
    assert back(layer(np.array([3, 5, 9]))).tolist() == [3, 5, -1]
    hashed = layers.IntegerLookup(vocabulary=[1], num_oov_indices=4, oov_method="farmhash")
    assert set(hashed(np.arange(2, 90)).tolist()) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [["the", "cat", "sat", "on", "the", "mat"], ["a", "dogs", "Éday"], [], ["the"] * 2]),
        ({"standardize": "lower"}, [[], ["a", "dog's", "É-day."], [], ["the"] * 2]),
        ({"standardize": None, "split": None}, [[], ["A dog's É-DAY."], [""], ["the the"]]),
        ({"split": "character"}, [[], list("a dogs Éday"), [], list("the the")]),
        ({"ngrams": (2,)}, [[], ["a dogs", "dogs Éday"], [], ["the the"]]),
        ({"ngrams": 2}, [[], ["a", "dogs", "Éday", "a dogs", "dogs Éday"], [], None]),
        ({"standardize": np.char.upper, "split": lambda t: [x.split("T") for x in t]}, None),
    ],
    ids=[
        "plain",
        "lower case",
        "untouched",
        "characters",
        "pairs",
        "words and pairs",
        "own functions",
    ],
)
def test_texts_are_cut_into_words(options, wanted):
    found = layers.TextVectorization(**options).tokens_of(TEXTS)
    if wanted is None:
        wanted = [[], ["A DOG'S É-DAY."], [""], ["", "HE ", "HE"]]
    for one, other in zip(found, wanted, strict=True):
        assert one == other or not other


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [[2, 3, 4, 1, 2, 1], [1, 1, 1, 0, 0, 0], [0] * 6, [2, 2, 0, 0, 0, 0]]),
        ({"output_sequence_length": 2}, [[2, 3], [1, 1], [0, 0], [2, 2]]),
        ({"output_sequence_length": 8}, [[2, 3, 4, 1, 2, 1, 0, 0], [1] * 3 + [0] * 5, None, None]),
        ({"output_mode": "count"}, [[2, 2, 1, 1], [3, 0, 0, 0], [0] * 4, [0, 2, 0, 0]]),
        ({"output_mode": "multi_hot"}, [[1, 1, 1, 1], [1, 0, 0, 0], [0] * 4, [0, 1, 0, 0]]),
    ],
    ids=str,
)
def test_texts_become_numbers(options, wanted):
    layer = layers.TextVectorization(vocabulary=WORDS, **options)
    y = np.asarray(layer(TEXTS))
    for row, numbers in zip(y, wanted, strict=True):
        assert numbers is None or row.tolist() == numbers
    np.testing.assert_array_equal(layer(TEXTS[:, None]), y)
    again = layers.deserialize(layers.serialize(layer))
    np.testing.assert_array_equal(again(TEXTS.tolist()), y)


def test_uncut_texts_keep_their_shape():
    layer = layers.TextVectorization(split=None, vocabulary=["the the", "x"])
    np.testing.assert_array_equal(layer(TEXTS), [1, 1, 0, 2])
    np.testing.assert_array_equal(layer(TEXTS[:, None]), [[1], [1], [0], [2]])
    assert layer(["x", "q"]).tolist() == [3, 1]


def test_texts_are_learnt_and_feed_a_model():
    texts = np.array(["good film", "bad film", "good good", "bad bad film"] * 8)
    labels = np.array([1.0, 0.0, 1.0, 0.0] * 8)
    vectorize = layers.TextVectorization(output_sequence_length=4)
    vectorize.adapt(texts)
    assert vectorize.get_vocabulary() == ["", "[UNK]", "good", "film", "bad"]
    model = kerasish.Sequential(
        [
            layers.Embedding(vectorize.vocabulary_size(), 4, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(kerasish.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    model.fit(vectorize(texts), labels, epochs=10, verbose=0)
    assert model.evaluate(vectorize(texts), labels, verbose=0)[1] == 1.0


class Reader(kerasish.Model):
    """A model that keeps its layers for texts beside those it computes with."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.texts = layers.TextVectorization(output_mode="tf_idf")
        self.names = layers.StringLookup()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def test_learnt_vocabularies_go_through_files(tmp_path):
    model = Reader()
    model.texts.adapt(TEXTS)
    model.names.adapt(["Ann", "Bob", "Bob"])
    model(model.texts(TEXTS))
    model.save(tmp_path / "reader.keras")
    loaded = kerasish.saving.load_model(tmp_path / "reader.keras", {"Reader": Reader})
    assert loaded.names.get_vocabulary() == ["[UNK]", "Bob", "Ann"]
    np.testing.assert_array_equal(loaded.texts(TEXTS), model.texts(TEXTS))


def test_vocabularies_may_be_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("the\ncat\n")
    assert layers.StringLookup(vocabulary=str(path))(["cat", "x"]).tolist() == [2, 0]
    with pytest.raises(ValueError, match="a config may name no file to read"):
        layers.StringLookup.from_config({"vocabulary": str(path)})


ERRORS = {
    r"`num_bins` must be a positive integer": lambda: layers.Hashing(0),
    r"`salt` must be an integer, two of them": lambda: layers.Hashing(2, salt="a"),
    r"`dtype` must be 'int32' or 'int64'": lambda: layers.Hashing(2, dtype="float32"),
    r"`inputs` must be a list of two features": lambda: layers.HashedCrossing(2)(["a"]),
    r"`inputs` must be of one shape": lambda: layers.HashedCrossing(2)([["a"], ["a", "b"]]),
    r"`inputs` must be strings": lambda: layers.StringLookup(vocabulary=["a"])([1]),
    r"`inputs` must be integers": lambda: layers.IntegerLookup(vocabulary=[0.5]),
    r"`max_tokens` must be more than 1": lambda: layers.StringLookup(max_tokens=1),
    r"`max_tokens` must be given with": lambda: layers.StringLookup(pad_to_max_tokens=True),
    r"`num_oov_indices` must be an integer of": lambda: layers.StringLookup(num_oov_indices=-1),
    r"`output_mode` must be 'int' where `invert`": lambda: layers.StringLookup(
        invert=True, output_mode="count"
    ),
    r"`idf_weights` must be given with 'tf_idf'": lambda: layers.StringLookup(
        vocabulary=["a"], output_mode="tf_idf"
    ),
    r"`idf_weights` must be of shape \(1,\)": lambda: layers.StringLookup(
        vocabulary=["a"], output_mode="tf_idf", idf_weights=[1.0, 2.0]
    ),
    r"`vocabulary` must be of one token at least": lambda: layers.StringLookup(vocabulary=[]),
    r"`vocabulary` must be without repetitions; got \['a'\]": lambda: layers.StringLookup(
        vocabulary=["a", "b", "a"]
    ),
    r"`vocabulary` must be without `mask_token` but": lambda: layers.StringLookup(
        vocabulary=["a", "m"], mask_token="m"
    ),
    r"`vocabulary` must be of `max_tokens=2` at most": lambda: layers.StringLookup(
        vocabulary=["a", "b"], max_tokens=2
    ),
    r"all inputs must be in the vocabulary; got \['z'\]": lambda: layers.StringLookup(
        vocabulary=["a"], num_oov_indices=0
    )(["a", "z"]),
    r"a vocabulary was given, so none can be": lambda: layers.StringLookup(vocabulary=["a"]).adapt(
        ["b"]
    ),
    r"`oov_method` must be 'farmhash' with `salt`": lambda: layers.IntegerLookup(salt=3),
    r"`ngrams` must be a positive integer": lambda: layers.TextVectorization(ngrams=0),
    r"`standardize` must be one of": lambda: layers.TextVectorization(standardize="upper"),
    r"`output_sequence_length` must be None": lambda: layers.TextVectorization(
        output_mode="count", output_sequence_length=3
    ),
    r"`ragged` must be False": lambda: layers.TextVectorization(ragged=True),
    r"`inputs` must be of shape \(batch,\) or": lambda: layers.TextVectorization(vocabulary=["a"])(
        np.array([["a", "b"]])
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_strings_in_functions_that_are_compiled():
    with pytest.raises(TypeError, match=r"(?s)not a valid JAX|string"):
        jax.jit(layers.StringLookup(vocabulary=["a"]))(np.array(["a"]))
    numbers = jax.jit(layers.Hashing(3))(jnp.arange(3))
    assert numbers.tolist() == layers.Hashing(3)(np.arange(3)).tolist()


def test_no_vocabulary_no_width():
    with pytest.raises(RuntimeError, match="no vocabulary yet"):
        layers.StringLookup(output_mode="count")(["a"])
