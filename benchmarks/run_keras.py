"""Runner for kerasish and Keras 3: one program, as their names are the same."""

import importlib

from benchmarks.measure import PREDICTED, arguments, report
from benchmarks.models import find_model

options = arguments()
keras = importlib.import_module(options.framework)
layers = keras.layers


MAKE = {
    "pool": layers.MaxPooling2D,
    "flatten": layers.Flatten,
    "batch_norm": layers.BatchNormalization,
    "relu": layers.ReLU,
    "dropout": layers.Dropout,
    "mean": layers.GlobalAveragePooling1D,
}


def call(x, kind, *sizes):
    """What a layer of the registry makes of a tensor."""
    if kind == "dense":
        return layers.Dense(sizes[0], activation="relu" if sizes[1] else None)(x)
    if kind == "conv":
        return layers.Conv2D(*sizes[:2], padding=sizes[2], activation="relu")(x)
    if kind == "lstm":
        return layers.LSTM(sizes[0], return_sequences=sizes[1])(x)
    if kind == "block":
        return block(x, *sizes)
    return MAKE[kind](*sizes)(x)


def block(x, heads, hidden):
    """A transformer block that normalizes first."""
    width = x.shape[-1]
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
    y = layers.LayerNormalization()(x)
    y = layers.Dense(hidden, activation="relu")(y)
    return layers.Add()([x, layers.Dense(width)(y)])


class Ticks(keras.callbacks.Callback):
    """Ticks the clock at each epoch's end, once the loss is read."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    def on_epoch_end(self, epoch, logs=None):
        float(logs["loss"])
        self.clock.tick()


def build():
    """The model, compiled, as `fit` and `predict` with Keras' defaults."""
    chosen = find_model(options.model)
    x = inputs = keras.Input(chosen.shape)
    for spec in chosen.layers:
        x = call(x, *spec)
    model = keras.Model(inputs, x)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def train(x, y, clock, epochs):
        ticks = Ticks(clock)
        model.fit(x, y, batch_size=chosen.batch, epochs=epochs, verbose=0, callbacks=[ticks])

    def predict(x):
        return model.predict(x, batch_size=PREDICTED, verbose=0)

    return train, predict


if __name__ == "__main__":
    report(build)
