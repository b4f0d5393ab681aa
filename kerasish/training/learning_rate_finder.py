"""The learning-rate finder: a short training in which the rate grows, and which leaves no trace."""

import contextlib
import io
import random as python_random
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state import seeds
from kerasish.core.state.compiled import jit
from kerasish.core.state.functional import capture
from kerasish.core.state.variable import Variable
from kerasish.data import make_batches
from kerasish.training.host_inputs import without_strings

# Of the running mean of losses: a batch's own loss says little.
_SMOOTHING = 0.9


class LearningRateCurve:
    """Loss against learning rate, as `model.find_learning_rate` found it.

    Attributes:
        rates: The learning rates tried, growing.
        losses: The loss of the batch trained at each.
        smoothed: Their running mean, unbiased.
        lowest: The rate at which the smoothed loss is lowest: above it, training begins to fail.
        suggestion: A tenth of that, within the rates tried: a rate to train with, or the top of a
            `OneCycle` to start from.
        note: What to try where the lowest loss lies at an end of the rates; else empty.

    Example:
        >>> curve = LearningRateCurve([0.001, 0.01, 0.1, 1.0], [2.0, 1.0, 0.5, 9.0])
        >>> curve.lowest, curve.suggestion
        (0.1, 0.01)
    """

    def __init__(self, rates: Any, losses: Any):
        self.rates = np.asarray(rates, "float64")
        self.losses = np.asarray(losses, "float64")
        self.smoothed = _smooth(self.losses)
        lowest = int(np.argmin(self.smoothed))
        self.lowest = float(self.rates[lowest])
        rounded = float(f"{self.lowest / 10:.3g}")
        self.suggestion = float(np.clip(rounded, self.rates[0], self.rates[-1]))
        self.note = ""
        if lowest == 0:
            self.note = "the loss is lowest at the first rate: try a smaller `start`"
        elif lowest == len(self.rates) - 1:
            self.note = "the loss still falls at the last rate: try a larger `end`"

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the curve with matplotlib.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415

        figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
        axis.plot(self.rates, self.losses, alpha=0.35, label="each batch")
        axis.plot(self.rates, self.smoothed, label="running mean")
        label = f"suggestion {self.suggestion:.3g}"
        axis.axvline(self.suggestion, linestyle="--", color="tab:green", label=label)
        nearest = int(np.argmin(np.abs(np.log(self.rates / self.suggestion))))
        axis.plot(self.suggestion, self.smoothed[nearest], "o", color="tab:green")
        axis.set_title(self.note, fontsize="medium")
        low, first = self.smoothed.min(), self.smoothed[0]
        room = max(first - low, 1e-3)
        axis.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axis.set_ylim(low - 0.2 * room, first + 0.5 * room)
        axis.legend()
        axis.grid(alpha=0.3)
        if path is not None:
            figure.savefig(path)
        if show is None:
            show = path is None and figure.canvas.required_interactive_framework is not None
        if show:
            plt.show()
        else:
            plt.close(figure)
        return figure

    def _repr_png_(self):
        """What a notebook shows, where matplotlib is installed."""
        with contextlib.suppress(ImportError):
            image = io.BytesIO()
            self.plot(show=False).savefig(image, format="png", dpi=110)
            return image.getvalue()

    def __repr__(self):
        span = f"{self.rates[0]:.3g} to {self.rates[-1]:.3g}"
        note = f"; {self.note}" if self.note else ""
        advice = f"try {self.suggestion:.3g}{note}"
        return f"<LearningRateCurve of {len(self.rates)} rates, {span}: {advice}>"


def _smooth(losses):
    mean, smoothed = 0.0, []
    for i, loss in enumerate(losses):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smoothed.append(mean / (1 - _SMOOTHING ** (i + 1)))
    return np.asarray(smoothed)


def find_learning_rate(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    start: float,
    end: float,
    steps: int | None,
    stop_factor: float,
) -> LearningRateCurve:
    """See `Trainer.find_learning_rate`.

    Args:
        model: The model, compiled.
        x: Inputs, as for `fit`.
        y: Targets.
        sample_weight: Weights of the samples.
        batch_size: Samples in a batch.
        start: First learning rate.
        end: Last learning rate.
        steps: Number of batches.
        stop_factor: How often the loss may lose what it gained before the search ends early.
    """
    if not 0 < start < end:
        raise bad_argument("find_learning_rate", "start, end", "positive and rising", (start, end))
    if not isinstance(steps, int) or steps < 10:
        raise bad_argument("find_learning_rate", "steps", "an integer of at least 10", steps)
    body = model._step("train")
    with kept_random_state():
        batches = make_batches(x, y, sample_weight, batch_size=batch_size, shuffle=True)
        batches = without_strings(model, "train", batches)
        stream = _endless(batches)
        first = next(stream)
        capture(body.body, jax.tree.map(jnp.asarray, first))  # builds what is built lazily
        with kept_values(model), _ramp(model.optimizer) as ramp, contextlib.closing(batches):

            @jit
            def train(batch, rate):
                ramp.assign(rate)
                model.reset_metrics()
                return body.finish(body.body(batch))["loss"]

            rates = start * (end / start) ** (np.arange(steps) / (steps - 1))
            losses: list[float] = []
            batch = first
            for rate in rates:
                losses.append(float(train(jax.tree.map(jnp.asarray, batch), jnp.float32(rate))))
                smoothed = _smooth(losses)
                if not np.isfinite(losses[-1]) or smoothed[-1] > _limit(smoothed, stop_factor):
                    break
                batch = next(stream)
    if not np.isfinite(losses[-1]):
        losses.pop()
    if len(losses) < 3:
        raise ValueError(
            f"find_learning_rate: the loss is not a number from the start, at a rate of {start}. "
            "Look at the data, or give a smaller `start`."
        )
    return LearningRateCurve(rates[: len(losses)], losses)


def _limit(smoothed, factor):
    """What the loss must not exceed; measured from the bottom, where losses may be negative."""
    low, first = smoothed.min(), smoothed[0]
    return low + factor * max(first - low, 0.25 * abs(low))


def _endless(batches):
    epoch = 0
    while True:
        found = False
        for batch in batches.epoch(epoch):
            found = True
            yield batch
        if not found:
            raise ValueError(
                "find_learning_rate: the data ran out. Give arrays, or a source that can start "
                "again or has a batch for each of the `steps`."
            )
        epoch += 1


@contextlib.contextmanager
def kept_random_state() -> Iterator:
    """Let Python's, NumPy's and kerasish's own random states be as they were."""
    own = seeds.global_seed_generator().state
    kept = python_random.getstate(), np.random.get_state(), own.numpy()
    try:
        yield
    finally:
        python_random.setstate(kept[0])
        np.random.set_state(kept[1])
        own.assign(kept[2])


@contextlib.contextmanager
def kept_values(model: Any) -> Iterator:
    """Let all the model's Variables be as they were: weights, optimizer, metrics, random states.

    Args:
        model: The model, compiled.
    """
    metrics = [v for m in model.metrics for v in m.variables]
    variables = {id(v): v for v in (*model.variables, *model.optimizer.variables, *metrics)}
    kept = [(v, np.array(v.read())) for v in variables.values()]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


@contextlib.contextmanager
def _ramp(optimizer):
    """A Variable that is every learning rate of the optimizer, a schedule's too."""
    rate = Variable(0.0, trainable=False, name="rate")
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    kept = [
        o.lend_learning_rate(lambda: rate.read()) for o in getattr(inner, "optimizers", [inner])
    ]
    try:
        yield rate
    finally:
        for give_back in kept:
            give_back()


__all__ = ["LearningRateCurve", "find_learning_rate"]
