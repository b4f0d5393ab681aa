"""Models of the second table as Keras programs: the same under kerasish and under Keras 3."""

import functools

import numpy as np

from benchmarks.other_tasks import Task


def logits(keras):
    """Cross-entropy of integer classes and logits."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(keras, inputs, outputs, loss=None):
    """A functional model with Adam; cross-entropy of logits unless a loss is given."""
    model = keras.Model(inputs, outputs)
    model.compile("adam", loss or logits(keras))
    return model


def binary(keras, inputs, outputs):
    """One with cross-entropy of one logit."""
    return compiled(keras, inputs, outputs, keras.losses.BinaryCrossentropy(from_logits=True))


def normed(keras, x, filters, size=3, strides=1, activation="relu", **options):
    """A convolution with batch normalization."""
    layers = keras.layers
    x = layers.Conv2D(filters, size, strides, "same", use_bias=False, **options)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def head(keras, x, classes=10):
    """Mean over the pixels and logits."""
    layers = keras.layers
    return layers.Dense(classes)(layers.GlobalAveragePooling2D()(x))


def residual(keras):
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = normed(keras, inputs, 16)
    for filters in (16, 32, 64):
        for block in range(3):
            strides = 2 if block == 0 and filters > 16 else 1
            y = normed(keras, normed(keras, x, filters, 3, strides), filters, activation=None)
            if strides == 2:
                x = normed(keras, x, filters, 1, 2, activation=None)
            x = layers.ReLU()(layers.Add()([x, y]))
    return compiled(keras, inputs, head(keras, x))


def depthwise(keras):
    layers = keras.layers
    x = inputs = keras.Input((32, 32, 3))
    x = normed(keras, x, 32)
    for filters, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = layers.DepthwiseConv2D(3, strides, "same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = normed(keras, x, filters, 1)
    return compiled(keras, inputs, head(keras, x))


def unet(keras):
    layers = keras.layers
    x = inputs = keras.Input((64, 64, 3))
    skips = []
    for filters in (16, 32, 64):
        x = normed(keras, normed(keras, x, filters), filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = normed(keras, normed(keras, x, 128), 128)
    for filters, skip in zip((64, 32, 16), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 2, 2, "same")(x)
        x = layers.Concatenate()([x, skip])
        x = normed(keras, normed(keras, x, filters), filters)
    return compiled(keras, inputs, layers.Conv2D(4, 1)(x))


def text_conv(keras):
    layers = keras.layers
    x = inputs = keras.Input((200,), dtype="int32")
    x = layers.Embedding(20_000, 128)(x)
    x = layers.GlobalMaxPooling1D()(layers.Conv1D(128, 5, activation="relu")(x))
    return compiled(keras, inputs, layers.Dense(2)(layers.Dense(64, "relu")(x)))


def attend(keras, x, hidden, causal=False):
    """A transformer block that normalizes first."""
    layers = keras.layers
    width = x.shape[-1]
    y = layers.LayerNormalization()(x)
    y = layers.MultiHeadAttention(4, width // 4)(y, y, use_causal_mask=causal)
    x = layers.Add()([x, y])
    y = layers.Dense(hidden, activation="relu")(layers.LayerNormalization()(x))
    return layers.Add()([x, layers.Dense(width)(y)])


def positions(keras):
    """A layer that adds a learnt vector at each position."""

    class Positions(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.supports_masking = True

        def build(self, shape):
            self.table = self.add_weight(shape=tuple(shape[1:]), initializer="uniform")

        def call(self, x):
            return x + self.table

    return Positions()


def decoder(keras):
    layers = keras.layers
    x = inputs = keras.Input((128,), dtype="int32")
    x = positions(keras)(layers.Embedding(2000, 128)(x))
    for _ in range(4):
        x = attend(keras, x, 512, causal=True)
    return compiled(keras, inputs, layers.Dense(2000)(layers.LayerNormalization()(x)))


def bidirectional_gru(keras):
    layers = keras.layers
    inputs = keras.Input((60, 16))
    x = layers.Bidirectional(layers.GRU(64, return_sequences=True))(inputs)
    x = layers.Bidirectional(layers.GRU(64))(x)
    return compiled(keras, inputs, layers.Dense(10)(x))


def masked_lstm(keras):
    layers = keras.layers
    inputs = keras.Input((80,), dtype="int32")
    x = layers.Embedding(5000, 64, mask_zero=True)(inputs)
    return compiled(keras, inputs, layers.Dense(2)(layers.LSTM(64)(x)))


def dilated_conv(keras):
    layers = keras.layers
    x = inputs = keras.Input((256, 8))
    x = layers.Conv1D(32, 1)(x)
    for rate in (1, 2, 4, 8, 16, 32):
        y = layers.Conv1D(32, 3, padding="causal", dilation_rate=rate, activation="relu")(x)
        x = layers.Add()([x, layers.Conv1D(32, 1)(y)])
    return compiled(keras, inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def autoencoder(keras):
    layers = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    for filters in (32, 16):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.UpSampling2D()(x)
    return compiled(keras, inputs, layers.Conv2D(1, 3, padding="same")(x), "mse")


def wide_and_deep(keras):
    layers = keras.layers
    sizes = (1000, 500, 200, 50)
    ids = [keras.Input((), dtype="int32") for _ in sizes]
    numbers = keras.Input((13,))
    deep = [layers.Embedding(n, 16)(x) for n, x in zip(sizes, ids, strict=True)]
    wide = [layers.Embedding(n, 1)(x) for n, x in zip(sizes, ids, strict=True)]
    x = layers.Concatenate()([*deep, numbers])
    for units in (128, 64):
        x = layers.Dropout(0.1)(layers.Dense(units, activation="relu")(x))
    return binary(keras, [*ids, numbers], layers.Add()([layers.Dense(1)(x), *wide]))


def vae(keras):
    layers, ops = keras.layers, keras.ops

    class Sampling(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(0)

        def call(self, mean, log_variance):
            kl = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance), -1)
            self.add_loss(ops.mean(kl) / 784)
            noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
            return mean + ops.exp(0.5 * log_variance) * noise

    x = inputs = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, 2, "same", activation="relu")(x)
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    x = Sampling()(layers.Dense(8)(x), layers.Dense(8)(x))
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(x))
    for filters in (64, 32):
        x = layers.Conv2DTranspose(filters, 3, 2, "same", activation="relu")(x)
    return compiled(keras, inputs, layers.Conv2D(1, 3, padding="same")(x), "mse")


def conv_lstm(keras):
    layers = keras.layers
    inputs = keras.Input((8, 16, 16, 3))
    x = layers.ConvLSTM2D(16, 3, padding="same", return_sequences=True)(inputs)
    return compiled(keras, inputs, head(keras, layers.ConvLSTM2D(16, 3, padding="same")(x)))


def masked_attention(keras):
    layers = keras.layers
    inputs = keras.Input((96,), dtype="int32")
    x = positions(keras)(layers.Embedding(5000, 64, mask_zero=True)(inputs))
    for _ in range(2):
        x = attend(keras, x, 256)
    return compiled(keras, inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


def conv3d(keras):
    layers = keras.layers
    x = inputs = keras.Input((16, 16, 16, 1))
    for filters in (16, 32):
        x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling3D()(x)
    return compiled(keras, inputs, layers.Dense(10)(layers.GlobalAveragePooling3D()(x)))


def grouped_conv(keras):
    layers = keras.layers
    x = inputs = keras.Input((32, 32, 3))
    x = normed(keras, x, 64)
    for filters, strides in ((64, 1), (128, 2), (128, 1)):
        y = normed(keras, normed(keras, x, filters, 1), filters, 3, strides, groups=8)
        y = normed(keras, y, filters, 1, activation=None)
        if y.shape != x.shape:
            x = normed(keras, x, filters, 1, strides, activation=None)
        x = layers.ReLU()(layers.Add()([x, y]))
    return compiled(keras, inputs, head(keras, x))


def mixer(keras):
    layers = keras.layers

    def perceptron(x, hidden):
        y = layers.Dense(hidden, activation="gelu")(x)
        return layers.Dense(x.shape[-1])(y)

    inputs = keras.Input((64, 48))
    x = layers.Dense(96)(inputs)
    for _ in range(4):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Permute((2, 1))(perceptron(y, 64))])
        x = layers.Add()([x, perceptron(layers.LayerNormalization()(x), 192)])
    return compiled(keras, inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))


def squeeze_excite(keras):
    layers = keras.layers
    x = inputs = keras.Input((32, 32, 3))
    for filters, strides in ((32, 1), (64, 2), (128, 2)):
        x = normed(keras, normed(keras, x, filters, 3, strides), filters)
        y = layers.GlobalAveragePooling2D(keepdims=True)(x)
        y = layers.Conv2D(filters // 8, 1, activation="relu")(y)
        x = layers.Multiply()([x, layers.Conv2D(filters, 1, activation="sigmoid")(y)])
    return compiled(keras, inputs, head(keras, x))


def recommender(keras):
    layers = keras.layers
    ids = [keras.Input((), dtype="int32") for _ in range(2)]
    sizes = (20_000, 10_000)
    vectors = [layers.Embedding(n, 32)(x) for n, x in zip(sizes, ids, strict=True)]
    biases = [layers.Embedding(n, 1)(x) for n, x in zip(sizes, ids, strict=True)]
    return binary(keras, ids, layers.Add()([layers.Dot(1)(vectors), *biases]))


def siamese(keras):
    layers, ops = keras.layers, keras.ops
    x = inside = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    encoder = keras.Model(inside, layers.Dense(64)(layers.Flatten()(x)))
    both = [keras.Input((28, 28, 1)) for _ in range(2)]
    a, b = map(encoder, both)
    return binary(keras, both, layers.Dense(1)(ops.abs(a - b)))


def seq2seq(keras):
    layers = keras.layers
    source, target = (keras.Input((24,), dtype="int32") for _ in range(2))
    x = layers.Embedding(1000, 64)(source)
    _, *state = layers.LSTM(96, return_state=True)(x)
    y = layers.Embedding(1000, 64)(target)
    y = layers.LSTM(96, return_sequences=True)(y, initial_state=state)
    return compiled(keras, [source, target], layers.Dense(1000)(y))


def augmented(keras):
    layers = keras.layers
    x = inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(2.0, offset=-1.0)(x)
    x = layers.GaussianNoise(0.1)(layers.RandomFlip("horizontal")(x))
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return compiled(keras, inputs, layers.Dense(10)(layers.Dropout(0.5)(layers.Flatten()(x))))


def dense(keras, inputs):
    """The body of a plain perceptron."""
    layers = keras.layers
    x = layers.Dense(128, activation="relu")(inputs)
    return layers.Dense(64, activation="relu")(x)


def two_heads(keras):
    layers = keras.layers
    inputs = keras.Input((64,))
    x = dense(keras, inputs)
    heads = {
        "label": layers.Dense(10, name="label")(x),
        "size": layers.Dense(1, name="size")(x),
    }
    model = keras.Model(inputs, heads)
    losses = {"label": logits(keras), "size": keras.losses.Huber()}
    model.compile("adam", losses, loss_weights={"label": 1.0, "size": 0.5})
    return model


def every_epoch(keras):
    layers = keras.layers
    inputs = keras.Input((64,))
    model = keras.Model(inputs, layers.Dense(10)(dense(keras, inputs)))
    model.compile("adam", logits(keras), metrics=["accuracy"])
    return model


def generator(keras):
    layers = keras.layers
    inputs = keras.Input((64,))
    return compiled(keras, inputs, layers.Dense(10)(dense(keras, inputs)))


def dataset(keras):
    layers = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return compiled(keras, inputs, layers.Dense(10)(layers.Flatten()(x)))


MAKERS = {
    "residual": residual,
    "depthwise": depthwise,
    "unet": unet,
    "text-conv": text_conv,
    "decoder": decoder,
    "bidirectional-gru": bidirectional_gru,
    "masked-lstm": masked_lstm,
    "dilated-conv": dilated_conv,
    "autoencoder": autoencoder,
    "wide-and-deep": wide_and_deep,
    "vae": vae,
    "conv-lstm": conv_lstm,
    "masked-attention": masked_attention,
    "conv3d": conv3d,
    "grouped-conv": grouped_conv,
    "mixer": mixer,
    "squeeze-excite": squeeze_excite,
    "recommender": recommender,
    "siamese": siamese,
    "seq2seq": seq2seq,
    "augmented": augmented,
    "two-heads": two_heads,
    "every-epoch": every_epoch,
    "generator": generator,
    "dataset": dataset,
}


def models(keras) -> dict:
    """Functions that make each model, compiled, by name.

    Args:
        keras: kerasish or Keras.
    """
    return {name: functools.partial(make, keras) for name, make in MAKERS.items()}


class Adversaries:
    """A generator and a discriminator that train each other, by `train_on_batch`."""

    def __init__(self, keras):
        layers = keras.layers

        def stack(size, *units):
            hidden = [layers.Dense(n, activation="relu") for n in units[:-1]]
            return keras.Sequential([keras.Input((size,)), *hidden, layers.Dense(units[-1])])

        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self.generator = stack(16, 128, 128, 32)
        self.discriminator = stack(32, 128, 128, 1)
        self.discriminator.compile("adam", loss)
        noise = keras.Input((16,))
        self.both = keras.Model(noise, self.discriminator(self.generator(noise)))
        self.discriminator.trainable = False
        self.both.compile("adam", loss)
        self.discriminator.trainable = True
        self.rng = np.random.default_rng(1)

    def step(self, real):
        """Both learn from a batch; the loss of the generator."""
        rows = len(real)
        noise = self.rng.standard_normal((rows, 16), dtype="float32")
        fake = np.asarray(self.generator.predict_on_batch(noise))
        labels = np.repeat(np.array([[1.0], [0.0]], "float32"), rows, 0)
        self.discriminator.trainable = True
        self.discriminator.train_on_batch(np.concatenate([real, fake]), labels)
        self.discriminator.trainable = False
        return self.both.train_on_batch(noise, labels[:rows])


def targets_of(name: str, y) -> object:
    """The targets as a model's outputs are named, where it has several."""
    return {"label": y, "size": (y[:, None] / 10).astype("float32")} if name == "two-heads" else y


def source(keras, task: Task, x, y):
    """What `fit` is given as `x`, where it is not arrays."""
    size = task.batch

    def batch(i):
        return x[i * size : (i + 1) * size], y[i * size : (i + 1) * size]

    if task.fed == "generator":

        def endless():
            while True:
                for i in range(task.steps):
                    yield batch(i)

        return endless()

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return task.steps

        def __getitem__(self, i):
            return batch(i)

    return Batches(workers=2)
