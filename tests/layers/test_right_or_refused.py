"""Layers that used to give wrong numbers without a word: right now, or an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

NOTHING = np.zeros((1, 3), bool)
SOME = np.array([[True, True, False]])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_mean_of_no_steps_is_zero(keepdims, data_format):
    x = np.ones((1, 3, 2), "float32")
    x = x if data_format == "channels_last" else x.swapaxes(1, 2)
    layer = layers.GlobalAveragePooling1D(data_format, keepdims)
    assert not np.asarray(layer(x, mask=NOTHING)).any()
    grad = jax.grad(lambda x: layer(x, mask=jnp.asarray(NOTHING)).sum())(jnp.asarray(x))
    assert not np.asarray(grad).any()
    np.testing.assert_allclose(layer(x, mask=SOME), np.ones(2).reshape(layer(x).shape))


def test_mean_of_masked_float16_does_not_overflow():
    x = np.full((1, 3000, 1), 100.0)
    y = layers.GlobalAveragePooling1D(dtype="float16")(x, mask=np.ones((1, 3000), bool))
    assert y.dtype == "float16"
    np.testing.assert_allclose(y, [[100.0]])


@pytest.mark.parametrize("make", [layers.Embedding, layers.ReversibleEmbedding])
@pytest.mark.parametrize(
    ("ids", "told"),
    [([4], "4"), ([-1], "-1"), ([2**32 + 1], str(2**32 + 1)), ([np.nan], "nan"), ([[1, 9]], "9")],
)
def test_ids_out_of_range_are_refused_where_they_are_known(make, ids, told):
    layer = make(4, 2, name="words")
    with pytest.raises(ValueError, match=rf"words: `inputs` must be .*; got {told}\."):
        layer(np.array(ids))


@pytest.mark.parametrize("id_", [4, -1, -4, np.nan, 3e9])
def test_ids_out_of_range_give_nan_in_compiled_functions(id_):
    layer = layers.Embedding(4, 2)
    layer(np.array([0]))
    y = np.asarray(keras.jit(layer)(jnp.asarray([0, id_])))
    assert np.isnan(y[1]).all()
    np.testing.assert_array_equal(y[0], layer.get_weights()[0][0])


def test_integers_beyond_32_bits_are_never_wrapped():
    with pytest.raises(ValueError, match=r"`inputs` must be integers from .* got 4294967301"):
        layers.Identity()(np.array([2**32 + 5]))
    assert layers.Identity()(np.array([2**31 - 1])).dtype == "int32"


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([5, 2**32 + 5, 7], [1, 2, 0]),
        ([5.0, 2.0**32 + 5], [1, 2]),
        (np.array([5], "uint8"), [1]),
        (np.array([-(2**40)]), [0]),
        ([[5], [6]], [[1], [0]]),
    ],
)
def test_integer_lookup_takes_64_bits_and_floats_that_are_integers(ids, found):
    layer = layers.IntegerLookup(vocabulary=[5, 2**32 + 5])
    np.testing.assert_array_equal(layer(ids), found)
    np.testing.assert_array_equal(layer(np.array(ids)), found)


def test_integer_lookup_learns_and_gives_back_64_bits():
    layer = layers.IntegerLookup()
    layer.adapt(np.array([2**40, 2**40, 7]))
    assert layer.get_vocabulary() == [-1, 2**40, 7]
    back = layers.IntegerLookup(vocabulary=layer.get_vocabulary(), invert=True)
    np.testing.assert_array_equal(back(layer(np.array([7, 2**40]))), [7, 2**40])
    with pytest.raises(ValueError, match="integers of more than 32 bits"):
        keras.jit(back)(jnp.asarray([1]))


def test_integer_lookup_refuses_other_numbers():
    layer = layers.IntegerLookup(vocabulary=[5])
    for wrong in ([5.5], [np.nan], np.array([2**64 - 1], "uint64"), ["5"]):
        with pytest.raises(ValueError, match="`inputs` must be integers"):
            layer(wrong)


def test_compiled_integer_lookup_knows_no_token_that_its_input_cannot_hold():
    layer = layers.IntegerLookup(vocabulary=[7, 2**32 + 5])
    np.testing.assert_array_equal(keras.jit(layer)(jnp.asarray([5, 7])), [0, 1])
    np.testing.assert_array_equal(keras.jit(layer)(jnp.asarray([7.0, 7.5])), [1, 0])


@pytest.mark.parametrize("make", [layers.StringLookup, layers.IntegerLookup])
@pytest.mark.parametrize("mode", ["int", "multi_hot"])
def test_lookups_without_vocabulary_refuse(make, mode):
    data = np.array([["a"]] if make is layers.StringLookup else [[3]])
    layer = make(output_mode=mode)
    again = make.from_config(layer.get_config())
    for one in (layer, again):
        with pytest.raises(RuntimeError, match="no vocabulary yet"):
            one(data)
    layer.adapt(data)
    layer(data)
    layer.adapt(data)


def test_text_vectorization_without_vocabulary_refuses():
    layer = layers.TextVectorization()
    for one in (layer, layers.TextVectorization.from_config(layer.get_config())):
        with pytest.raises(RuntimeError, match="no vocabulary yet"):
            one(["a b"])


@pytest.mark.parametrize("mode", ["int", "one_hot", "multi_hot"])
def test_discretization_is_symbolic_before_it_is_adapted(mode):
    layer = layers.Discretization(num_bins=4, output_mode=mode)
    inputs = keras.Input((1,))
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(ValueError, match="no bins yet"):
        layer(np.ones((2, 1)))
    data = np.arange(8.0)[:, None]
    layer.adapt(data)
    found = model.predict(data, verbose=0)
    np.testing.assert_array_equal(found, layer(data))
    assert found.shape[1:] == model.output_shape[1:]


def test_integer_lookup_is_symbolic_before_it_is_adapted():
    layer = layers.IntegerLookup()
    assert layer(keras.Input((3,), dtype="int32")).shape == (None, 3)


MASK = np.array([[True, True, False, False], [True, True, True, False]])


def _masked(x):
    return layers.Masking()(np.where(MASK[..., None], x, 0).astype("float32"))


@pytest.mark.parametrize(
    ("make", "states"),
    [
        (lambda: layers.LSTM(3), 2),
        (lambda: layers.GRU(3, return_sequences=True), 1),
        (lambda: layers.SimpleRNN(3), 1),
        (lambda: layers.RNN(layers.LSTMCell(3)), 2),
        (lambda: layers.Bidirectional(layers.GRU(3)), 2),
    ],
)
def test_masks_reach_recurrent_layers_with_initial_states(make, states):
    x = np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32")
    first = [np.full((2, 3), 0.1 * (i + 1), "float32") for i in range(states)]
    layer = make()
    found = layer(_masked(x), initial_state=first)
    wanted = layer(x, initial_state=first, mask=MASK)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert not np.allclose(found, layer(x, initial_state=first))


def test_masks_reach_a_users_layer_with_a_second_tensor():
    class Scaled(keras.layers.Layer):
        def call(self, inputs, factor, mask=None):
            return inputs * factor * mask[..., None]

    x = np.ones((2, 4, 2), "float32")
    found = Scaled()(_masked(x), np.float32(2.0))
    np.testing.assert_array_equal(found, 2 * x * MASK[..., None])
    explicit = Scaled()(_masked(x), np.float32(2.0), mask=jnp.ones((2, 4)))
    np.testing.assert_array_equal(explicit[0, 3], [0, 0])  # masking itself sets steps to 0


@pytest.mark.parametrize(
    "make",
    [
        lambda n: layers.StringLookup(num_oov_indices=n),
        lambda n: layers.IntegerLookup(num_oov_indices=n),
        lambda n: layers.StringLookup(max_tokens=n, pad_to_max_tokens=True, output_mode="count"),
        lambda n: layers.TextVectorization(ngrams=n),
        lambda n: layers.MelSpectrogram(num_mel_bins=n),
        lambda n: layers.MelSpectrogram(fft_length=n),
        lambda n: layers.STFTSpectrogram(frame_length=n),
        lambda n: layers.AdaptiveAveragePooling1D(n),
        lambda n: layers.AdaptiveMaxPooling2D((n, 1)),
        lambda n: layers.Discretization(num_bins=n),
        lambda n: layers.Discretization(num_bins=2, epsilon=1 / n),
    ],
)
def test_numbers_in_configs_have_a_budget(make):
    with pytest.raises(ValueError, match="must be of at most 134217728 elements"):
        make(10**9)


def test_equations_have_a_limit():
    with pytest.raises(ValueError, match="`equation` must be a string of at most 256 characters"):
        layers.EinsumDense("a" * 10**6 + ",b->b", 3)


def test_power_iterations_have_a_limit():
    with pytest.raises(ValueError, match="`power_iterations` must be at most 1000"):
        layers.SpectralNormalization(layers.Dense(2), power_iterations=10**9)


@pytest.mark.parametrize("normalizing", [layers.UnitNormalization(), None])
def test_zero_vectors_have_finite_gradients(normalizing):
    dot = layers.Dot(axes=1, normalize=True)

    def total(x):
        return (dot([x, x]) if normalizing is None else normalizing(x)).sum()

    x = jnp.zeros((1, 3))
    assert np.isfinite(total(x))
    assert np.isfinite(jax.grad(total)(x)).all()


def test_average_of_float16_does_not_overflow():
    x = np.full((1, 32, 32, 1), 60000.0)
    y = layers.AveragePooling2D(16, dtype="float16")(x)
    assert y.dtype == "float16"
    np.testing.assert_array_equal(y, np.full((1, 2, 2, 1), 60000.0, "float16"))


@pytest.mark.parametrize("make", [lambda: layers.Discretization(num_bins=2), layers.IntegerLookup])
def test_learning_anew_warns_of_programs_that_know_less(make):
    layer, data = make(), np.array([[1], [1], [2], [3]])
    layer.adapt(data)
    inputs = keras.Input((1,), dtype=data.dtype.name)
    model = keras.Model(inputs, layer(inputs))
    model.predict(data, verbose=0)
    with pytest.warns(UserWarning, match="programs compiled before keep"):
        layer.adapt(data + 5)
    model.compile()
    np.testing.assert_array_equal(model.predict(data + 5, verbose=0), layer(data + 5))
