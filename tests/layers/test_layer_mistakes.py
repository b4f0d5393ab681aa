"""What `Layer` says to mistakes, and what it takes from older versions of Keras."""

import warnings

import jax.numpy as jnp
import keras as keras3
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Dense(2, activaton="relu"), "Did you mean 'activation'?"),
        (lambda: layers.Dense(2, nmae="x"), "Did you mean 'name'?"),
        (lambda: layers.Conv2D(2, 3, stride=2), "Did you mean 'strides'?"),
        (lambda: layers.LSTM(2, return_sequence=True), "Did you mean 'return_sequences'?"),
        (lambda: layers.SpatialDropout1D(rat=0.2), "Did you mean 'rate'?"),
        (lambda: layers.Discretization(num_bin=2), "Did you mean 'num_bins'?"),
        (lambda: layers.Add(axis=1), r"Add: unknown argument\(s\) \['axis'\]"),
    ],
)
def test_misspelt_arguments_get_a_suggestion(make, text):
    with pytest.raises((ValueError, TypeError), match=text.replace("?", r"\?")):
        make()


class Forgetful(keras.layers.Layer):
    def call(self, inputs):
        inputs + 1


@pytest.mark.parametrize("x", [np.ones((2, 3)), keras.Input((3,))], ids=["array", "symbolic"])
def test_call_without_return_names_its_layer(x):
    with pytest.raises(TypeError, match=r"'block' \(Forgetful\): `call` returned None.*`return`"):
        Forgetful(name="block")(x)


def test_call_without_return_is_found_inside_a_model():
    model = keras.Sequential([Forgetful(name="block"), layers.Dense(1)])
    with pytest.raises(TypeError, match="'block'"):
        model(np.ones((2, 3)))


@pytest.mark.parametrize("outer", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_sequences_are_asked_of_the_layer_before(outer):
    x = outer(4, name="first")(keras.Input((5, 2)))
    with pytest.raises(ValueError, match=r"Did you mean `return_sequences=True`.*'first'"):
        layers.LSTM(4)(x)
    with pytest.raises(ValueError, match=r"Did you mean `return_sequences=True`.*'first'"):
        layers.Conv1D(4, 3)(x)


def test_one_sample_is_told_to_add_the_batch_axis():
    with pytest.raises(ValueError, match=r"Add the batch axis: `x\[None\]`"):
        layers.Conv2D(4, 3)(np.ones((8, 8, 3)))


def test_a_kept_loss_function_is_computed_each_time():
    layer = layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((2,)), layer])
    layer.add_loss(lambda: keras.ops.sum(layer.kernel**2))
    model(np.ones((3, 2)))
    assert [float(loss) for loss in model.losses] == [2.0]
    layer.kernel.assign(np.zeros((2, 1)))
    assert [float(loss) for loss in model.losses] == [0.0]
    layer.kernel.assign(np.ones((2, 1)))
    model.compile("sgd", "mse")
    history = model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0, batch_size=4)
    np.testing.assert_allclose(history.history["loss"], [2.0])
    np.testing.assert_allclose(layer.kernel, np.full((2, 1), 1 - 0.01 * 2))


def test_a_loss_function_given_in_build_is_kept_once():
    class Penalized(keras.layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight((), "ones")
            self.add_loss(lambda: 3 * self.scale)

        def call(self, inputs):
            self.add_loss(lambda: keras.ops.sum(inputs))
            return inputs * self.scale

    layer = Penalized()
    for _ in range(2):
        layer(np.ones((1, 2)))
        assert sorted(float(loss) for loss in layer.losses) == [2.0, 3.0]


def test_a_value_outside_of_call_warns():
    with pytest.warns(UserWarning, match=r"forgotten at the next call.*add_loss\(lambda"):
        layers.Dense(1).add_loss(jnp.ones(()))


def test_a_symbolic_loss_says_where_it_belongs():
    x = keras.Input((2,))
    model = keras.Model(x, layers.Dense(1)(x))
    with pytest.raises(TypeError, match="inside the `call` of a layer of your own"):
        model.add_loss(keras.ops.sum(model.output))


def test_hasattr_before_super_says_no():
    class Early(keras.layers.Layer):
        def __init__(self):
            assert not hasattr(self, "_anything")
            assert getattr(self, "other", 3) == 3
            super().__init__()

        def call(self, inputs):
            return inputs

    assert Early()(np.ones(1)).shape == (1,)

    class Never(keras.layers.Layer):
        def __init__(self):
            pass

    with pytest.raises(RuntimeError, match=r"`super\(\).__init__\(\)` was not called"):
        Never()(np.ones(1))


@pytest.mark.parametrize(
    "make",
    [
        lambda k: k.layers.ReLU(),
        lambda k: k.layers.Dropout(0.5),
        lambda k: k.layers.Flatten(),
        lambda k: k.layers.Reshape((2, 1)),
        lambda k: k.layers.MaxPooling2D(),
        lambda k: k.layers.Rescaling(2.0),
        lambda k: k.layers.Identity(),
    ],
)
def test_layers_without_weights_are_built_once_made(make):
    layer = make(keras)
    assert layer.built
    assert layer.get_build_config() == make(keras3).get_build_config() is None
    assert layer.count_params() == 0


def test_layers_with_weights_are_not():
    for layer in (layers.Dense(1), layers.PReLU(), layers.TimeDistributed(layers.ReLU())):
        assert not layer.built

    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    assert not Own().built


OLD = {
    "LSTM": (layers.LSTM(2), {"time_major": False, "implementation": 2}),
    "GRU": (layers.GRU(2), {"time_major": False, "implementation": 1}),
    "SimpleRNN": (layers.SimpleRNN(2), {"time_major": False, "implementation": 1}),
    "ConvLSTM2D": (layers.ConvLSTM2D(2, 3), {"time_major": False, "implementation": 1}),
    "Conv2DTranspose": (layers.Conv2DTranspose(2, 3), {"groups": 1}),
    "DepthwiseConv2D": (layers.DepthwiseConv2D(3), {"groups": 1, "kernel_constraint": None}),
    "SeparableConv2D": (
        layers.SeparableConv2D(2, 3),
        {"groups": 1, "kernel_initializer": {"class_name": "GlorotUniform", "config": {}}},
    ),
    "BatchNormalization": (layers.BatchNormalization(3), {"axis": [3]}),
    "MultiHeadAttention": (layers.MultiHeadAttention(2, 2), {"query_shape": None}),
    "Dense": (layers.Dense(2), {"batch_input_shape": [None, 4]}),
}


@pytest.mark.parametrize("name", OLD)
def test_arguments_of_older_configs_are_taken(name):
    layer, old = OLD[name]
    config = layer.get_config()
    again = type(layer).from_config({**config, **old})
    assert again.get_config() == config


@pytest.mark.parametrize(
    ("layer", "old"),
    [
        (layers.LSTM(2), {"time_major": True}),
        (layers.Conv2DTranspose(2, 3), {"groups": 2}),
        (layers.SeparableConv2D(2, 3), {"groups": 2}),
        (layers.BatchNormalization(), {"axis": [1, 2]}),
    ],
)
def test_arguments_of_older_configs_that_mean_something_are_refused(layer, old):
    (name,) = old
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        type(layer).from_config({**layer.get_config(), **old})


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (layers.Attention(), [np.ones((1, 2, 3))] * 2),
        (layers.Add(), [np.ones((1, 2))] * 2),
        (layers.Embedding(3, 2, mask_zero=True), np.ones((1, 2))),
        (layers.Masking(), np.ones((1, 2, 3))),
        (layers.LSTM(2), np.ones((1, 2, 3))),
        (layers.Bidirectional(layers.LSTM(2)), np.ones((1, 2, 3))),
        (layers.GlobalAveragePooling1D(), np.ones((1, 2, 3))),
    ],
)
def test_compute_mask_takes_keras_argument_names(layer, inputs):
    layer.compute_mask(inputs, mask=None)


def test_dense_forwards_training():
    class Own(layers.Dense):
        def call(self, inputs, training=None):
            return super().call(inputs, training=training)

    assert Own(3)(np.ones((2, 4)), training=True).shape == (2, 3)


def test_add_variable_takes_keras_argument_order():
    layer = layers.Identity()
    variable = layer.add_variable((2,), "zeros", "int32", False)
    assert (variable.dtype, variable.trainable) == ("int32", False)


def test_no_warning_from_a_value_in_call():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layers.Dense(1, activity_regularizer="l2")(np.ones((1, 2)))


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (layers.Conv2D(3, 5), (3, 32, 2), r"got \(None, 3, 32, 2\)"),
        (layers.MaxPooling2D(5), (3, 3, 2), r"at most as large as the input \(None, 3, 3, 2\)"),
        (layers.Cropping2D(20), (None, 30, 3), r"smaller than the input \(None, None, 30, 3\)"),
        (layers.Lambda(lambda x: jnp.concatenate([x, jnp.ones((2, 2))])), (4,), r"\(None, 4\)"),
    ],
)
def test_messages_carry_the_users_shapes(layer, shape, text):
    with pytest.raises((ValueError, TypeError), match=text) as caught:
        layer(keras.Input(shape))
    notes = "".join(caught.value.__notes__)
    assert "83" not in str(caught.value) + notes
    assert f"called on shapes {{'inputs': {(None, *shape)}}}" in notes
