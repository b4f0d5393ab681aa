"""Train on several devices: the same numbers as on one, with a part of the work or weights on each.

Shows: `keras.distribution` with one line before the model is made (data parallel, or weights
split too), where each weight lies, a loop of one's own on split batches, a model saved from
several devices that opens on one.

    python examples/several_devices.py                        # all; on CPUs 4 virtual ones
    python examples/several_devices.py --split weights --devices 8
    python -m kerasish.launch --processes 2 --devices-per-process 2 examples/several_devices.py

Prints the devices, how weights lie on them, a line an epoch, and the accuracy on unseen digits
from `fit` and from the loop of one's own: about 97% each. A larger program is
`distributed_transformer.py`.
"""

import argparse
import os
import pathlib

import jax
import numpy as np
from sklearn.datasets import load_digits

import kerasish as keras
from kerasish import layers


def load_data():
    """Training set and test set of digits."""
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target.astype("int32")
    order = np.random.default_rng(0).permutation(len(y))
    return (x[order[360:]], y[order[360:]]), (x[order[:360]], y[order[:360]])


def make_model():
    """A plain network; nothing in it knows of devices."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(10),
        ],
        name="digits",
    )


def train_by_hand(model, x, y, epochs, batch_size, say):
    """A loop of one's own: rows of each batch are spread over the devices, the rest is as ever."""
    optimizer = keras.optimizers.Adam(2e-3)
    optimizer.build(model.trainable_variables)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @keras.jit
    def step(x, y):
        def loss():
            return crossentropy(y, model(x, training=True))

        value, gradients = keras.value_and_grad(loss, model.trainable_variables)()
        optimizer.apply(gradients, model.trainable_variables)
        return value

    rng = np.random.default_rng(0)
    for epoch in range(epochs):
        order, losses = rng.permutation(len(x)), []
        for i in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[i : i + batch_size]
            value = step(*keras.distribution.distribute_batch((x[rows], y[rows])))
            losses.append(float(value))  # waits: of virtual devices, one step at a time
        say(f"Epoch {epoch + 1}: loss {np.mean(losses):.4f}")


def main():
    """Set up the devices, train twice, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", choices=["data", "weights"], default="data")
    parser.add_argument(
        "--devices", type=int, default=4, help="virtual ones, if there is but a CPU"
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/several_devices"))
    options = parser.parse_args()

    if "KERAS_DISTRIBUTION_PROCESS_ID" not in os.environ:  # of the launcher, which sets it itself
        jax.config.update("jax_num_cpu_devices", options.devices)  # before a device is used
    keras.distribution.initialize()
    split = {"data": keras.distribution.DataParallel, "weights": keras.distribution.FullySharded}
    distribution = split[options.split]()
    keras.distribution.set_distribution(distribution)  # before the model is made
    say = print if jax.process_index() == 0 else lambda *texts: None
    say(f"{jax.device_count()} devices in {jax.process_count()} processes.")

    options.out.mkdir(parents=True, exist_ok=True)
    (x, y), test = load_data()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = make_model()
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    say(distribution.report(model))
    model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=2)
    model.save(options.out / "model.keras")  # whole, whatever it was trained on
    by_fit = model.evaluate(*test, batch_size=60, verbose=0, return_dict=True)["accuracy"]

    model = make_model()
    train_by_hand(model, x, y, options.epochs, 64, say)
    model.compile(loss=loss, metrics=["accuracy"])
    by_hand = model.evaluate(*test, batch_size=60, verbose=0, return_dict=True)["accuracy"]
    say(f"Accuracy by a loop of one's own: {by_hand:.1%}")
    say(f"Accuracy by fit: {by_fit:.1%}")


if __name__ == "__main__":
    main()
