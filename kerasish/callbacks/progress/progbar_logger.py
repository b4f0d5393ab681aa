"""The progress bar of `fit`, `evaluate` and `predict`."""

from typing import Any

from kerasish.callbacks.base import displays
from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.progress.progbar import Progbar
from kerasish.core.errors import bad_argument

_COMPILING, _VALIDATING = "compiling…", "validating…"
_INTERVAL = 0.1  # seconds; each redraw waits for the device once


class ProgbarLogger(Callback):
    """Shows the progress and the results so far, in the way that stdout allows.

    Example:
        >>> logger = ProgbarLogger()
        >>> logger.set_params({"verbose": 2, "epochs": 3, "steps": 20})
        >>> logger.on_epoch_begin(0)
        Epoch 1/3
        >>> logger.on_epoch_end(0, {"loss": 0.5})
        20/20 - 0s - ...s/step - loss: 0.5000
    """

    every_batch = False

    def __init__(self):
        super().__init__()
        self.seen = 0
        self.progbar: Any = None
        self.target = None
        self.verbose = 1
        self.epochs = 1
        self._screen: Any = None
        self._in_fit = False

    def set_params(self, params: dict) -> None:
        """Take the verbosity and the numbers of epochs and steps.

        Args:
            params: Verbosity, epochs and steps by name.
        """
        super().set_params(params)
        verbose = params.get("verbose", 1)
        if verbose not in ("auto", 0, 1, 2):
            raise bad_argument(self, "verbose", "'auto', 0, 1 or 2", verbose)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs", 1)
        self.target = params.get("steps")

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Keep validation quiet from now on.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._in_fit = True
        self._screen = displays.choose(self.verbose)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Show what is not yet shown.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._in_fit = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin a bar, under its epoch's number.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._begin()
        if self.verbose and self.epochs > 1:
            self._screen.begin(f"Epoch {epoch + 1}/{self.epochs}")

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the bar.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the epoch's results.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._finish(logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Begin a bar; in `fit`, show that it is validating.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if not self._in_fit:
            self._begin()
        elif self.progbar is not None:
            self.progbar.pause(_VALIDATING)

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the bar, unless this is validation.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Show the results, unless this is validation.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if not self._in_fit:
            self._finish(logs)
            self._close()
        elif self.progbar is not None:
            self.progbar.resume(_VALIDATING)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Begin a bar.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Move the bar; predictions are not shown.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._update(batch, None)

    def on_predict_end(self, logs: dict | None = None) -> None:
        """Show that it is done.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._finish(None)
        self._close()

    def show_compiling(self, begins: bool) -> None:
        """Show that a step is being compiled, whose time is not the steps' time.

        Args:
            begins: Whether compiling begins; it ends otherwise.
        """
        if self.progbar is not None:
            change = self.progbar.pause if begins else self.progbar.resume
            change(_COMPILING)

    def _begin(self):
        self.seen = 0
        self._screen = self._screen or displays.choose(self.verbose)
        self.progbar = Progbar(
            self.target,
            verbose=self.verbose,
            interval=_INTERVAL,
            screen=self._screen,
            skip_first=False,
        )

    def _update(self, batch, logs):
        self.seen = batch + 1
        if self.target is not None:  # the last of `steps_per_execution` batches may not exist
            self.seen = min(self.seen, self.target)
        self.progbar.update(self.seen, {} if logs is None else logs, finalize=False)

    def _finish(self, logs):
        # A training that stops early has seen less than its target.
        seen = self.seen or self.target or 0
        self.target = self.progbar.target = self.target or seen
        self.progbar.update(seen, {} if logs is None else logs, finalize=True)

    def _close(self):
        if self._screen is not None:
            self._screen.close()
            self._screen = None
