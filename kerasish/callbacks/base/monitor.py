"""Callbacks that watch one result: is it better than the best so far?"""

import warnings
from typing import Any

import numpy as np

from kerasish import ops
from kerasish.callbacks.base.callback import Callback
from kerasish.core import settings


class MonitorCallback(Callback):
    """Base of the callbacks that compare a result with its best value so far.

    Args:
        monitor: Name of the result in the logs.
        mode: `"min"` if less is better, `"max"` if more is, `"auto"` to tell by the name: less for
            losses, what the model's metric of that name says for others.
        baseline: The value to beat at first; `None`: the first one seen is the best.
        min_delta: How much better a value must be to count as better, in the result's unit.

    Example:
        >>> class Shout(MonitorCallback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         value = self.look(logs)
        >>> Shout(monitor="val_loss").monitor
        'val_loss'
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: `mode` must be 'auto', 'min' or 'max'; got {mode!r}. "
                "Going on with 'auto'.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._direction: str | None = None

    def get_state(self) -> dict:
        """The best value so far."""
        return {"best": self.best}

    @property
    def monitor_op(self) -> Any:
        """`ops.less` or `ops.greater`, by which results are compared; `None` before that is known.

        Where `mode` is `"auto"` it is known from the first comparison on.
        """
        return {"max": ops.greater, "min": ops.less, None: None}[self._direction]

    def _set_monitor_op(self):
        """Settle whether more or less is better; the name is Keras', for callbacks that call it."""
        self._direction = self._direction or self._find_direction()

    def _is_improvement(self, monitor_value, reference_value):
        return self.improves(monitor_value, reference_value)

    def improves(self, value: Any, best: Any) -> bool:
        """Whether `value` is better than `best` by more than `min_delta`.

        A best that is NaN counts as none: a bad first epoch does not stand in the way of all good
        ones.

        Args:
            value: The new value.
            best: The best one so far; `None` for none.
        """
        self._set_monitor_op()
        if best is None:
            return True
        if np.isnan(best):
            return not np.isnan(value)
        if self._direction == "max":
            return bool(_rounded(value - self.min_delta) > _rounded(best))
        return bool(_rounded(value + self.min_delta) < _rounded(best))

    def _find_direction(self):
        if self.mode != "auto":
            return self.mode
        name = self.monitor.removeprefix("val_")
        for metric in _flat_metrics(getattr(self.model, "metrics", None) or []):
            direction = getattr(metric, "_direction", None)
            if metric.name == name and direction:
                return "max" if direction == "up" else "min"
        if name == "loss" or name.endswith("_loss"):
            return "min"
        raise ValueError(
            f"{type(self).__name__}: `mode` must be 'min' or 'max' for monitor={self.monitor!r}, "
            "whose name does not tell whether more or less is better."
        )


def _flat_metrics(metrics):
    for metric in metrics:
        yield metric
        yield from _flat_metrics(getattr(metric, "metrics", []))


def _rounded(value):
    # As the device would compare them: a difference that 32 bits do not show is none.
    return np.float64(value) if settings.floatx() == "float64" else np.float32(value)


def warn_of_absence(callback: Any, logs: dict | None) -> None:
    """Warn that the watched result is not in the logs.

    Args:
        callback: The callback that watches it.
        logs: The results there are.
    """
    warnings.warn(
        f"{type(callback).__name__} watches {callback.monitor!r}, which is not among the results: "
        f"{', '.join(logs or {})}.",
        stacklevel=3,
    )
