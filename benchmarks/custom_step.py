"""What a `train_step` of one's own costs in `fit`, against the built-in one.

    python -m benchmarks.custom_step

Both train the same model on the same data and take turns, epoch by epoch, in one process.
"""

import argparse
import statistics
import time

import numpy as np

import kerasish as keras
from benchmarks.models import MODELS, make_data
from kerasish import layers

LIMIT = 1.10  # what a custom step may cost, as a multiple


class Custom(keras.Sequential):
    """A model whose step does, in plain stateful code, what the built-in one does."""

    def train_step(self, data):
        x, y = data

        def loss():
            y_pred = self(x, training=True)
            return self.compute_loss(x=x, y=y, y_pred=y_pred), y_pred

        weights = self.trainable_variables
        (value, y_pred), grads = keras.value_and_grad(loss, weights, has_aux=True)()
        self.optimizer.apply(grads, weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(value)
            else:
                metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


MAKE = {
    "dense": lambda units, relu: layers.Dense(units, activation="relu" if relu else None),
    "batch_norm": layers.BatchNormalization,
    "relu": layers.ReLU,
    "dropout": lambda rate: layers.Dropout(rate, seed=0),
}
STACKS = [
    name for name, model in MODELS.items() if {kind for kind, *_ in model.layers} <= set(MAKE)
]


def make(kind, model):
    """A compiled stack of layers of a class of models."""
    made = kind([keras.Input(model.shape), *(MAKE[k](*sizes) for k, *sizes in model.layers)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("adam", loss, metrics=["accuracy"])
    return made


def measure(name: str, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of a step, in epochs taken in turns: the built-in one's, a custom one's.

    Seconds on the wall, and of the processor's time, which other programs disturb less.
    """
    model = MODELS[name]
    x, y = make_data(model)
    both = [make(keras.Sequential, model), make(Custom, model)]
    both[1].set_weights(both[0].get_weights())
    for one in both:
        one.fit(x, y, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(*(one.get_weights() for one in both), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3)  # they are the same training
    clocks = {"wall": time.perf_counter, "processor": time.process_time}
    found: dict[str, tuple[list, list]] = {clock: ([], []) for clock in clocks}
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            before = {clock: read() for clock, read in clocks.items()}
            both[which].fit(x, y, epochs=1, verbose=0)
            for clock, read in clocks.items():
                found[clock][which].append((read() - before[clock]) / model.steps)
    return {clock: tuple(map(statistics.median, times)) for clock, times in found.items()}


def main() -> None:
    """Measure the models that were asked for, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.custom_step", description=__doc__)
    parser.add_argument("--models", nargs="+", default=STACKS, choices=STACKS)
    parser.add_argument("--rounds", type=int, default=15, help="epochs measured of each")
    options = parser.parse_args()
    for name in options.models:
        for clock, (built_in, own) in measure(name, options.rounds).items():
            verdict = "within" if own <= LIMIT * built_in else "above"
            figures = f"built-in {1e6 * built_in:,.1f} us a step, custom {1e6 * own:,.1f} us"
            ratio = f"ratio {own / built_in:.3f} ({verdict} {LIMIT})"
            print(f"{name}, {clock} time: {figures}, {ratio}", flush=True)


if __name__ == "__main__":
    main()
