"""What every runner measures, and the line it prints."""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.models import MODELS, Model, find_model, known, make_data

EPOCHS_TO_WARM_UP = 2
CALLS = 50
MANY = 20_000  # rows to predict, if the model's data have as many
PREDICTED = 32  # rows of a batch that is predicted


def arguments() -> argparse.Namespace:
    """What the command line of a runner says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("model", type=known, help=f"one of {', '.join(MODELS)}, or mlp:64x3@32")
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured once warm")
    parser.add_argument("--first", action="store_true", help="measure the first epoch alone")
    parser.add_argument("--began", type=float, help="when the process did, as `time.time()` says")
    return parser.parse_args()


class EpochClock:
    """Notes when epochs end; `fit`, or a loop in its place, starts it and calls `tick`."""

    def __init__(self):
        self.times = [time.perf_counter()]

    def tick(self) -> None:
        """An epoch has ended and its loss was read."""
        self.times.append(time.perf_counter())

    def first_epoch(self) -> float:
        """Seconds from the start to the end of the first epoch, compilation included."""
        return self.times[1] - self.times[0]

    def since(self, began: float) -> float:
        """Seconds from `time.time()` at some point to the end of the first epoch."""
        return self.times[1] + time.time() - time.perf_counter() - began

    def step(self, model: Model) -> float:
        """Seconds a step, over the median of the epochs after the warm-up."""
        lengths = np.diff(self.times)[EPOCHS_TO_WARM_UP:]
        return statistics.median(lengths) / model.steps


def report(build: Callable) -> None:
    """Measure one framework on one model and print the figures as a line of JSON.

    Args:
        build: Function that makes the model and returns two: `train(x, y, clock, epochs)`, which
            ticks the clock at each epoch's end, and `predict`, from a NumPy array to one.
    """
    options = arguments()
    model = find_model(options.model)
    began = time.time() if options.began is None else options.began
    start = time.perf_counter()
    x, y = make_data(model)
    began += time.perf_counter() - start  # the data are nobody's work
    start = time.perf_counter()
    train, predict = build()
    clock = EpochClock()
    if options.first:
        train(x, y, clock, 1)
        print(json.dumps({"until the first epoch": clock.since(began)}))
        return
    train(x, y, clock, EPOCHS_TO_WARM_UP + options.epochs)
    many = x[: min(MANY, len(x))]
    figures = {
        "until the first epoch": clock.since(began),
        "build": clock.times[0] - start,
        "first epoch": clock.first_epoch(),
        "step": clock.step(model),
        "predict 1": seconds(predict, x[:1], CALLS),
        f"predict a batch of {PREDICTED}": seconds(predict, many, 5) * PREDICTED / len(many),
        "peak memory": peak_memory(),
    }
    print(json.dumps(figures))


def seconds(predict: Callable, x: np.ndarray, calls: int) -> float:
    """Median seconds of a call, the first two left out."""
    times = []
    for _ in range(calls + 2):
        start = time.perf_counter()
        predict(x)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def peak_memory() -> float:
    """The most bytes this process ever held in memory."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
