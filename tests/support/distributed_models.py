"""Models to train on one device and on many, and what is compared."""

import numpy as np

import kerasish as keras
from kerasish import distribution as dist
from kerasish import layers

ROWS, BATCH = 32, 16

CHOICES = {
    "data parallel": lambda: dist.DataParallel(),
    "fully sharded": lambda: dist.FullySharded(min_size=16),
    "tensor parallel": lambda: dist.TensorParallel(grid((4, 2))),
    "both": lambda: dist.FullyShardedTensorParallel(grid((2, 4)), min_size=16),
}


def grid(shape):
    return dist.DeviceMesh(shape, ("batch", "model"))


def mlp():
    x = keras.Input((12,))
    h = layers.Dense(32, "relu")(x)
    h = layers.Dropout(0.2, seed=1)(h)
    return keras.Model(x, layers.Dense(8)(layers.Dense(16, "tanh")(h)))


def cnn():
    x = keras.Input((8, 8, 2))
    h = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    h = layers.BatchNormalization(synchronized=True)(h)
    h = layers.MaxPooling2D()(layers.ReLU()(h))
    return keras.Model(x, layers.Dense(8)(layers.Flatten()(h)))


def transformer():
    x = keras.Input((4,), dtype="int32")
    h = layers.Embedding(32, 16)(x)
    h = layers.LayerNormalization()(h + layers.MultiHeadAttention(4, 4)(h, h))
    h = layers.LayerNormalization()(h + layers.Dense(16)(layers.Dense(64, "gelu")(h)))
    return keras.Model(x, layers.Dense(8)(layers.GlobalAveragePooling1D()(h)))


MODELS = {"mlp": mlp, "cnn": cnn, "transformer": transformer}


def data(name, rows=ROWS):
    random = np.random.default_rng(0)
    x = {
        "mlp": lambda: random.normal(size=(rows, 12)).astype("float32"),
        "cnn": lambda: random.normal(size=(rows, 8, 8, 2)).astype("float32"),
        "transformer": lambda: random.integers(0, 32, (rows, 4)).astype("int32"),
    }[name]()
    return x, random.integers(0, 8, rows)


def make(name, optimizer=None, seed=3):
    keras.utils.set_random_seed(seed)
    keras.utils.clear_session(free_memory=False)
    model = MODELS[name]()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


class Losses(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(logs["loss"]))


def train(model, x, y):
    """20 steps; what is to be equal however many devices there are."""
    history = model.fit(x, y, BATCH, epochs=10, verbose=0).history
    return {
        "losses": history["loss"],
        "accuracies": history["accuracy"],
        "weights": [v.numpy() for v in model.weights],
        "state": [v.numpy() for v in model.optimizer.variables],
        "evaluated": model.evaluate(x, y, BATCH, verbose=0),
        "predicted": model.predict(x, BATCH, verbose=0),
    }


def assert_same(found, expected):
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-5)
    assert found["accuracies"] == expected["accuracies"]
    for name in ("weights", "state"):
        for a, b in zip(found[name], expected[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(np.abs(b).max(), 1e-3))
    np.testing.assert_allclose(found["evaluated"][0], expected["evaluated"][0], rtol=1e-5)
    assert found["evaluated"][1] == expected["evaluated"][1]
    np.testing.assert_allclose(found["predicted"], expected["predicted"], rtol=1e-4, atol=1e-5)


def spread_over(model):
    """For each weight and slot how many devices hold different parts of it."""
    variables = [*model.weights, *model.optimizer.variables]
    return {v.path: v.size // v.value.addressable_shards[0].data.size for v in variables}


def split_along(variable, name):
    """Whether a Variable is split along a mesh axis."""
    return name in variable.value.sharding.spec


def bytes_on(device, variables):
    """What a device holds, counted from the shards."""
    shards = [s for v in variables for s in v.value.addressable_shards]
    return sum(s.data.nbytes for s in shards if s.device == device)
