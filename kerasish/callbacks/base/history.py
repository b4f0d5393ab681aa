"""The record that `fit` returns."""

import numbers
from typing import Any

from kerasish.callbacks.base import learning_curves
from kerasish.callbacks.base.callback import Callback


class History(Callback):
    """Records the results of each epoch; `fit` adds one and returns it.

    Attributes:
        history: Dict of names to lists with one number an epoch. Results wait on the device until
            this is looked at.
        epoch: The epochs run, counted from 0.

    Example:
        >>> record = History()
        >>> record.on_train_begin()
        >>> record.on_epoch_end(0, {"loss": 0.5})
        >>> record.history
        {'loss': [0.5]}
    """

    def __init__(self):
        super().__init__()
        self.epoch = []
        self._history = {}
        self._epochs = {}  # of each name: validation may be less frequent than training
        self._unread = []

    @property
    def history(self) -> dict[str, list]:
        """Names to their values, one an epoch."""
        unread, self._unread = self._unread, []
        for epoch, logs in unread:
            for name, value in logs.items():
                self._history.setdefault(name, []).append(value)
                self._epochs.setdefault(name, []).append(epoch)
        return self._history

    @history.setter
    def history(self, values: Any) -> None:
        self._unread = []
        self._history = values
        self._epochs = {name: list(range(len(series))) for name, series in values.items()}

    def get_state(self) -> dict:
        """All epochs so far."""
        return {"epoch": self.epoch, "history": self.history, "epochs": self._epochs}

    def set_state(self, state: dict) -> None:
        """Take over the epochs of the interrupted run.

        Args:
            state: What `get_state` gave.
        """
        self.epoch, self.history, self._epochs = state["epoch"], state["history"], state["epochs"]

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start counting epochs anew.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch's results, without looking at them.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self.epoch.append(epoch)
        self._unread.append((epoch, logs or {}))

    def plot(self, path: Any = None, metrics: Any = None, show: bool | None = None) -> Any:
        """Draw the learning curves: a panel for each result, training against validation.

        Args:
            path: File to save the figure to: `.png`, `.svg`, `.pdf`, ...
            metrics: Names of the results to draw, without `val_`. `None`: all of them.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The matplotlib figure; a notebook shows it when it is a cell's last value.
        """
        points = {name: (self._epochs_of(name), values) for name, values in self._numbers()}
        return learning_curves.draw(points, path, metrics, show)

    def _numbers(self):
        for name, values in self.history.items():
            if all(isinstance(value, numbers.Real) for value in values):
                yield name, values

    def _epochs_of(self, name):
        known, length = self._epochs.get(name, []), len(self._history[name])
        return known if len(known) == length else range(length)

    def __repr__(self):
        shown = "".join(f", {name}={values[-1]:.4g}" for name, values in self._numbers())
        return f"<History of {len(self.epoch)} epochs{shown}>"
