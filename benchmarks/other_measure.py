"""What the runners of the second table measure, and the line each prints."""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable

from benchmarks.measure import peak_memory, seconds
from benchmarks.other_tasks import TASKS, Task, make_data

EPOCHS_TO_WARM_UP = 2
FEWEST, MOST = 3, 12  # epochs that are measured
CALLS = 30


class Clock:
    """Notes when epochs end, and says when enough have.

    Args:
        seconds: How long to train, once warm.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.times = [time.perf_counter()]

    def tick(self) -> bool:
        """An epoch has ended and its loss was read; whether that is enough."""
        self.times.append(time.perf_counter())
        measured = len(self.times) - 1 - EPOCHS_TO_WARM_UP
        return measured >= FEWEST and self.times[-1] - self.times[EPOCHS_TO_WARM_UP] > self.seconds

    def first_epoch_since(self, began: float) -> float:
        """Seconds from `time.time()` at some point to the end of the first epoch."""
        return self.times[1] + time.time() - time.perf_counter() - began

    def step(self, task: Task) -> float:
        """Seconds a step, over the median of the epochs after the warm-up."""
        ends = self.times[EPOCHS_TO_WARM_UP:]
        lengths = [b - a for a, b in itertools.pairwise(ends)]
        return statistics.median(lengths) / task.steps


def arguments() -> argparse.Namespace:
    """What the command line of a runner says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("framework")
    parser.add_argument("model", choices=TASKS)
    parser.add_argument("--first", action="store_true", help="measure the first epoch alone")
    parser.add_argument("--seconds", type=float, default=2.0, help="to train once warm")
    parser.add_argument("--began", type=float, help="when the process did, as `time.time()` says")
    return parser.parse_args()


def report(build: Callable, options: argparse.Namespace, task: Task) -> None:
    """Measure one framework on one model and print the figures as a line of JSON.

    Args:
        build: Makes the model and returns two functions: `train(x, y, clock, epochs)`, which ticks
            the clock at each epoch's end and stops when that says so, and `predict(x)`.
        options: What the command line says.
        task: The model's data.
    """
    began = time.time() if options.began is None else options.began
    start = time.perf_counter()
    x, y = make_data(task)
    began += time.perf_counter() - start  # the data are nobody's work
    train, predict = build()
    clock = Clock(options.seconds)
    train(x, y, clock, 1 if options.first else EPOCHS_TO_WARM_UP + MOST)
    figures = {"until the first epoch": clock.first_epoch_since(began)}
    if not options.first:
        figures["step"] = clock.step(task)
        one = tuple(a[:1] for a in x) if isinstance(x, tuple) else x[:1]
        figures["predict 1"] = seconds(predict, one, CALLS)
        figures["peak memory"] = peak_memory()
    print(json.dumps(figures))
