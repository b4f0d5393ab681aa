"""Callbacks that change the learning rate between epochs."""

import inspect
from typing import Any

import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.base.displays import announce
from kerasish.callbacks.base.monitor import MonitorCallback, warn_of_absence
from kerasish.core.errors import bad_argument


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch, and notes it in the results.

    Args:
        schedule: Function `(epoch, learning_rate) -> new learning_rate`, or of `epoch` only;
            epochs count from 0.
        verbose: 1 to say what is set.

    Example:
        >>> halve_every_ten = LearningRateScheduler(lambda epoch: 0.1 * 0.5 ** (epoch // 10))
        >>> halve_every_ten.schedule(20)
        0.025
    """

    def __init__(self, schedule: Any, verbose: int = 0):
        super().__init__()
        if not callable(schedule):
            raise bad_argument(self, "schedule", "a function of the epoch", schedule)
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set this epoch's learning rate.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        for suffix, optimizer in optimizers_of(self.model):
            rate = self._next_rate(epoch, _rate(optimizer))
            optimizer.learning_rate = rate
            if self.verbose > 0:
                _say(self, epoch, "setting", suffix, rate)

    def _next_rate(self, epoch, rate):
        new: Any = self.schedule(epoch, rate) if takes_two(self.schedule) else self.schedule(epoch)
        if isinstance(new, str | bool) or new is None or np.ndim(new) != 0:
            raise bad_argument(self, "schedule", "a function that returns a number", new)
        return float(new)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the learning rate in the results.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        note_rates(self.model, logs)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by a factor when a result has not improved for some epochs.

    Args:
        monitor: Name of the result in the logs.
        factor: What the learning rate is multiplied by, less than 1.
        patience: Epochs without improvement after which the learning rate is reduced.
        verbose: 1 to say when it acts.
        mode: `"min"`, `"max"` or `"auto"`: whether less or more is better.
        min_delta: How much better a value must be to count as better.
        cooldown: Epochs after a reduction in which it does not count again.
        min_lr: The least learning rate it sets.

    Example:
        >>> reducer = ReduceLROnPlateau(factor=0.2, patience=5, min_lr=0.001)
        >>> reducer.in_cooldown()
        False
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise bad_argument(self, "factor", "less than 1", factor)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self):
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def get_state(self) -> dict:
        """The best value so far, and how long it has waited."""
        waited = {"cooldown_counter": self.cooldown_counter, "wait": self.wait}
        return {**super().get_state(), **waited}

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that epochs do not count."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forget an earlier training.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the result with the best so far; reduce the learning rate if it is time.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        logs = {} if logs is None else logs
        note_rates(self.model, logs)
        value = logs.get(self.monitor)
        if value is None:
            warn_of_absence(self, logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch):
        reduced = False
        for suffix, optimizer in optimizers_of(self.model):
            rate = _rate(optimizer)
            # Compared in 32 bits, as optimizers keep it: or it would be reduced to itself for ever.
            if rate <= np.float32(self.min_lr):
                continue
            optimizer.learning_rate = rate = max(rate * self.factor, self.min_lr)
            reduced = True
            if self.verbose > 0:
                _say(self, epoch, "reducing", suffix, rate)
        return reduced


def optimizers_of(model: Any) -> Any:
    """The model's optimizers, each with the ending of its learning rate's name in the logs.

    Args:
        model: The model, compiled.
    """
    several = getattr(model.optimizer, "optimizers", None)
    if several is None:
        return [("", model.optimizer)]
    return [(f"_{optimizer.name}", optimizer) for optimizer in several]


def _rate(optimizer):
    if not hasattr(optimizer, "learning_rate"):
        kind = type(optimizer).__name__
        raise RuntimeError(f"The optimizer ({kind}) has no `learning_rate` that could be changed.")
    return float(np.asarray(optimizer.learning_rate))


def _say(callback, epoch, act, suffix, rate):
    name = type(callback).__name__
    announce(f"Epoch {epoch + 1}: {name} {act} learning rate{suffix} to {rate}.", blank=True)


def note_rates(model: Any, logs: dict | None) -> None:
    """Put the learning rate into the logs, as `learning_rate`; that of each of several optimizers.

    Args:
        model: The model.
        logs: Results so far by name; empty where there are none.
    """
    if logs is not None:
        for suffix, optimizer in optimizers_of(model):
            logs[f"learning_rate{suffix}"] = _rate(optimizer)


def takes_two(schedule: Any) -> Any:
    """Whether a schedule takes the epoch and the learning rate, not the epoch only.

    Args:
        schedule: The function.
    """
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(schedule).parameters.values()
    many = any(p.kind == inspect.Parameter.VAR_POSITIONAL for p in parameters)
    return many or sum(p.kind in kinds for p in parameters) >= 2
