"""Stopping training after some time."""

import datetime
import time
from typing import Any

from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.base.displays import announce
from kerasish.core import processes
from kerasish.core.errors import bad_argument


class TimeLimit(Callback):
    """Stops training after some time, whatever epoch and batch it is at.

    Steps that run fused on the device end first, which takes a fraction of a second. What callbacks
    do at the end of the epoch and of training (checkpoints, say) comes after the limit. A run that
    resumes from `BackupAndRestore` has the rest of the time. With several processes the clock of
    the first one counts, looked at after each epoch.

    Args:
        seconds: The time: seconds, or a `datetime.timedelta`.

    Raises:
        ValueError: If it is not positive.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x, y = np.ones((64, 3)), np.ones((64, 1))
        >>> history = model.fit(
        ...     x, y, epochs=10**6, verbose=0, callbacks=[TimeLimit(seconds=0.01)]
        ... )
        TimeLimit: training stops after 0.01 s, in epoch ...
    """

    every_batch = False

    def __init__(self, seconds: float | datetime.timedelta):
        super().__init__()
        is_span = isinstance(seconds, datetime.timedelta)
        number: Any = seconds.total_seconds() if is_span else seconds
        if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
            wanted = "a positive number of seconds, or a timedelta"
            raise bad_argument(self, "seconds", wanted, seconds)
        self.seconds = seconds
        self._limit = float(number)
        self._began: float | None = None
        self._before = 0.0  # seconds of the interrupted run
        self._epoch = 0

    def get_state(self) -> dict:
        """Seconds of training so far."""
        return {"_before": self._elapsed()}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look at the clock.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._began, self._before = time.monotonic(), 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Note the epoch.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop if the time is over.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if processes.count() == 1:
            self._stop_if(self._elapsed() >= self._limit)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop if the time is over, on all processes at once.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if processes.count() > 1:
            over = processes.first_says("time limit", lambda: int(self._elapsed() >= self._limit))
            self._stop_if(over == "1")
        else:
            self._stop_if(self._elapsed() >= self._limit)

    def _stop_if(self, over):
        if over and not self.model.stop_training:
            announce(
                f"TimeLimit: training stops after {self._limit:g} s, in epoch {self._epoch + 1}"
            )
            self.model.stop_training = True

    def _elapsed(self):
        return self._before + (0 if self._began is None else time.monotonic() - self._began)
