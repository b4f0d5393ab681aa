"""Stopping when a result no longer improves."""

from typing import Any

import jax
import numpy as np

from kerasish.callbacks.base.displays import announce
from kerasish.callbacks.base.monitor import MonitorCallback, warn_of_absence


class EarlyStopping(MonitorCallback):
    """Stops training when a result has not improved for some epochs.

    Args:
        monitor: Name of the result in the logs.
        min_delta: How much better a value must be to count as better.
        patience: Epochs without improvement after which training stops.
        verbose: 1 to say when it acts.
        mode: `"min"`, `"max"` or `"auto"`: whether less or more is better.
        baseline: Value the result must beat for the waiting to start anew.
        restore_best_weights: Whether to go back to the best epoch's weights at the end. They are
            kept in host memory.
        start_from_epoch: Epochs to let pass before watching.

    Example:
        >>> stopper = EarlyStopping(patience=3, restore_best_weights=True)
        >>> stopper.monitor
        'val_loss'
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def get_state(self) -> dict:
        """The best value, when it was, the weights of then, and how long it has waited."""
        names = ("wait", "stopped_epoch", "best", "best_weights", "best_epoch")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: dict) -> None:
        """Take over what `get_state` gave; stop, if that run was to stop.

        Args:
            state: What `get_state` gave.
        """
        super().set_state(state)
        if self.wait < self.patience:  # this one has more patience than that of then
            self.stopped_epoch = 0
        if self.stopped_epoch:
            self.model.stop_training = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forget an earlier training.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the result with the best so far; stop if it is time.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                # Copied: on the CPU they may be views of memory that training writes to.
                self.best_weights = jax.tree.map(np.array, self.model.get_weights())
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Put the best weights back, if asked to.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if self.stopped_epoch > 0 and self.verbose > 0:
            announce(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                best = self.best_epoch + 1
                announce(f"Restoring model weights from the end of the best epoch: {best}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: dict | None) -> Any:
        """The watched result, `None` with a warning if it is not in the logs.

        Args:
            logs: The epoch's results.
        """
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn_of_absence(self, logs)
        return value
