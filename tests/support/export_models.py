"""Whole models to export, each with inputs for it: one function a model."""

import numpy as np

import kerasish as keras
from kerasish import layers, ops

RNG = np.random.default_rng(0)


def residual():
    x = image = keras.Input((16, 16, 3), name="image")
    for filters, stride in ((8, 1), (16, 2)):
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization()(y)
        y = layers.Conv2D(filters, 3, padding="same")(layers.ReLU()(y))
        short = layers.Conv2D(filters, 1, strides=stride, padding="same")(x)
        x = layers.ReLU()(layers.Add()([layers.BatchNormalization()(y), short]))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    return keras.Model(image, layers.Dense(5, "softmax")(layers.GlobalAveragePooling2D()(x)))


def u_net():
    image = keras.Input((16, 8, 2), name="image")
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    b = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D()(a))
    c = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(b)
    c = layers.Concatenate()([a, c])
    return keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(c))


def separable():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3), name="image"),
            layers.Rescaling(1 / 127.5, -1),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.ReLU(6.0),
            layers.SeparableConv2D(8, 3, padding="same", activation="swish"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def bidirectional_lstm():
    x = keras.Input((None, 3), name="series")
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    return keras.Model(x, layers.Dense(2)(layers.Bidirectional(layers.LSTM(3))(y)))


def masked_gru():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(9, 4, mask_zero=True)(ids)
    x = layers.GRU(5, return_sequences=True)(x)
    return keras.Model(ids, layers.Dense(3)(layers.GRU(4)(x)))


def block(x, causal):
    y = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=causal)
    x = layers.LayerNormalization()(x + y)
    y = layers.Dense(8)(layers.Dense(16, "gelu")(x))
    return layers.LayerNormalization()(x + layers.Dropout(0.1)(y))


def encoder():
    ids = keras.Input((10,), dtype="int32", name="ids")
    positions = layers.Embedding(10, 8)(ops.arange(10))
    x = layers.Embedding(9, 8)(ids) + positions
    x = block(block(x, False), False)
    return keras.Model(ids, layers.Dense(3, "softmax")(layers.GlobalAveragePooling1D()(x)))


def decoder():
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = block(block(layers.Embedding(9, 8)(ids), True), True)
    return keras.Model(ids, layers.Dense(9)(x))


def several_inputs():
    numbers = keras.Input((4,), name="numbers")
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    a, b = layers.Embedding(9, 4)(user), layers.Embedding(7, 4)(item)
    x = layers.Concatenate()([numbers, a, b, layers.Dot(1)([a, b])])
    inputs = {"numbers": numbers, "user": user, "item": item}
    return keras.Model(inputs, layers.Dense(1, "sigmoid")(layers.Dense(8, "relu")(x)))


def autoencoder():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(6, name="code"),
            layers.Dense(64, "relu"),
            layers.Reshape((4, 4, 4)),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid"),
        ]
    )


def text():
    """What comes after vectorization, which is done with strings, before."""
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32", name="words"),
            layers.Embedding(9, 6),
            layers.Conv1D(8, 3, padding="causal", activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(2, "softmax"),
        ]
    )


def several_outputs():
    x = keras.Input((6,), name="x")
    h = layers.Dense(8, "tanh")(x)
    outputs = {"class": layers.Dense(3, "softmax")(h), "same": x, "sum": ops.sum(h, -1), "h": h}
    return keras.Model(x, outputs)


@keras.saving.register_keras_serializable("tests")
class Gate(layers.Layer):
    """A layer of one's own, in `jnp`-like operations."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x):
        top = ops.cumsum(ops.sort(x, axis=-1), axis=-1)
        return ops.where(x > 0, x * self.scale, ops.log1p(ops.abs(top))) + ops.erf(x)


def custom():
    x = keras.Input((5,), name="x")
    return keras.Model(x, layers.Dense(2)(Gate(name="gate")(x)))


MODELS = [
    residual,
    u_net,
    separable,
    bidirectional_lstm,
    masked_gru,
    encoder,
    decoder,
    several_inputs,
    autoencoder,
    text,
    several_outputs,
    custom,
]


def random_inputs(model, rows, size=8):
    """Arrays by name for a model's inputs; sizes that vary are `size`."""
    found = {}
    for tensor in model.inputs:
        shape = (rows, *(size if n is None else n for n in tensor.shape[1:]))
        is_integer = tensor.dtype.startswith("int")
        found[tensor.name] = (
            RNG.integers(0, 7, shape).astype(tensor.dtype)
            if is_integer
            else RNG.normal(size=shape).astype("float32")
        )
    return found
