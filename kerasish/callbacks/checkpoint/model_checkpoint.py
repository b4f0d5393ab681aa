"""Saving the model while it trains."""

import os
import pathlib
import warnings
from typing import Any

import numpy as np

from kerasish.callbacks.base.displays import announce
from kerasish.callbacks.base.monitor import MonitorCallback
from kerasish.core.atomic_files import replacing
from kerasish.core.errors import bad_argument


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after each epoch or every so many batches.

    A file is written under another name and renamed when it is complete, so a crash while saving
    leaves the file of before.

    Args:
        filepath: Where to save: `.keras` or `.h5`, and `.weights.h5` for weights only. May hold
            `{epoch:02d}` (from 1), `{batch}` (from 1) and the results' names: `{val_loss:.2f}`.
        monitor: Name of the result that tells the best, with `save_best_only`.
        verbose: 1 to say when it saves.
        save_best_only: Whether to save only if `monitor` is better than ever before.
        save_weights_only: Whether to save only the weights.
        mode: `"min"`, `"max"` or `"auto"`: whether less or more is better.
        save_freq: `"epoch"`, or a number of batches. A number calls it for each batch, so batches
            do not run fused.
        initial_value_threshold: Value to beat at first, with `save_best_only`.

    Example:
        >>> keeper = ModelCheckpoint("best.keras", save_best_only=True)
        >>> keeper.every_batch
        False
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise bad_argument(self, "save_freq", "'epoch' or a positive integer", save_freq)
        endings = (".weights.h5",) if save_weights_only else (".keras", ".h5")
        if not self.filepath.endswith(endings):
            wanted = f"a path that ends in {' or '.join(endings)}"
            raise bad_argument(self, "filepath", wanted, self.filepath)
        self._epoch = 0
        self._last_batch = -1
        self._batches_since_saving = 0

    @property
    def every_batch(self) -> bool:
        """Whether it must be called for each batch."""
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start counting batches from 0.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._epoch = epoch
        self._last_batch = -1

    def get_state(self) -> dict:
        """The best value so far, and the batches since it saved."""
        return {**super().get_state(), "_batches_since_saving": self._batches_since_saving}

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Note how many batches are done: an epoch may resume in its middle.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._last_batch = batch - 1

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save if it is time.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.save_freq == "epoch":
            return
        self._batches_since_saving += batch - self._last_batch
        self._last_batch = batch
        if self._batches_since_saving >= self.save_freq:
            self._batches_since_saving = 0
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save, unless batches decide.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.save_freq == "epoch":
            self._save(epoch, None, logs or {})

    def _save(self, epoch, batch, logs):
        path = self._path(epoch, batch, logs)
        better, news = self._compare(logs) if self.save_best_only else (True, "")
        self._say(epoch, f"{news}saving model to {path}" if better else news)
        if better:
            self._write(path)
            self._say(epoch, f"finished saving model to {path}")

    def _say(self, epoch, news):
        if self.verbose > 0:
            announce(f"Epoch {epoch + 1}: {news}", blank=True)

    def _write(self, path):
        if path.is_dir():
            raise bad_argument(self, "filepath", "a file's path, not a directory's", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:  # a model's own `save` may not be so careful
            if self.save_weights_only:
                self.model.save_weights(str(beside), overwrite=True)
            else:
                self.model.save(str(beside), overwrite=True)

    def _compare(self, logs):
        """Whether the result is the best so far, and what to say of it."""
        value = logs.get(self.monitor)
        if value is None or np.ndim(value) > 0:
            fault = "not among the results" if value is None else "not one number"
            warnings.warn(
                f"ModelCheckpoint: `monitor` {self.monitor!r} is {fault}: saving all the same.",
                stacklevel=4,
            )
            return True, ""
        before = "None" if self.best is None else f"{self.best:.5f}"
        better = self.improves(value, self.best)
        if not better:
            return False, f"{self.monitor} did not improve from {before}"
        self.best = value
        return True, f"{self.monitor} improved from {before} to {value:.5f}, "

    def _path(self, epoch, batch, logs):
        fields = {**({} if batch is None else {"batch": batch + 1}), **logs, "epoch": epoch + 1}
        try:
            return pathlib.Path(self.filepath.format(**fields))
        except KeyError as missing:
            wanted = f"made of names among {list(fields)}"
            raise bad_argument(self, "filepath", wanted, self.filepath) from missing
