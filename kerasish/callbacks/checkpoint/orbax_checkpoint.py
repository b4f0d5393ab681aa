"""Checkpoints of whole runs with orbax, written from the devices while training continues."""

import os
import warnings
from typing import Any

import numpy as np

from kerasish.callbacks.base.displays import announce
from kerasish.callbacks.base.monitor import MonitorCallback
from kerasish.callbacks.checkpoint import run_state
from kerasish.callbacks.checkpoint.orbax_store import OrbaxFolder
from kerasish.callbacks.checkpoint.resumable import ResumableCheckpoint
from kerasish.core import processes
from kerasish.core.errors import bad_argument


class OrbaxCheckpoint(ResumableCheckpoint):
    """Keeps checkpoints of the whole run; a `fit` that finds some resumes from the latest.

    A checkpoint holds what `BackupAndRestore` keeps: weights, optimizer, metrics, random states,
    the epoch, the batch, the position in the data and the states of the other callbacks. So a run
    that was killed and started again ends with the same weights as one that was not, bit for bit.

    Arrays are written from their devices, by each process its own, while training
    continues; they are read onto the devices of the model that is there then, be they more or
    fewer.
    A checkpoint that was not finished does not count. Each is in a folder named for its step: the
    number of batches trained in all.

    On SIGTERM it saves at once, and ends the process with exit status 143. Of several processes
    all do so, once JAX has told them.

    Needs orbax: `pip install kerasish[checkpoint]`.

    Args:
        directory: Folder for the checkpoints, of this run only.
        monitor: Name of the result that tells the best.
        verbose: 1 to say when it saves.
        save_best_only: Whether to save only if `monitor` is better than ever before.
        mode: `"min"`, `"max"` or `"auto"`: whether less or more is better.
        save_freq: `"epoch"`, or a number of batches. Batches run fused all the same, so it saves
            at the end of the call in which it is due; 1 runs and saves every batch. `False` saves
            only on SIGTERM.
        initial_value_threshold: Value to beat at first, with `save_best_only`.
        max_to_keep: How many of the latest checkpoints to keep; `None`: all.
        save_on_background: Whether training continues while files are written.
        save_weights_only: Whether to save only the weights. A `fit` cannot resume from those.
        keep_best: How many of the best checkpoints to keep besides the latest ones.
        resume: Whether `fit` resumes from the latest checkpoint.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> keeper = OrbaxCheckpoint(tempfile.mkdtemp(), monitor="loss", max_to_keep=2)
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=keeper)
        >>> keeper.steps
        [2, 3]
        >>> keeper.restore(model, "best")
        3
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int | bool = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
        keep_best: int = 0,
        resume: bool = True,
    ):
        super().__init__(save_freq)
        if not directory:
            raise bad_argument(self, "directory", "a folder's path", directory)
        for name, value, least in (("max_to_keep", max_to_keep, 1), ("keep_best", keep_best, 0)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise bad_argument(self, name, f"an integer of at least {least}", value)
        self.directory = os.fspath(directory)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.mode = mode
        self.max_to_keep = max_to_keep
        self.save_on_background = save_on_background
        self.save_weights_only = save_weights_only
        self.keep_best = max(keep_best, int(save_best_only))
        self.resume = resume
        self._watch = MonitorCallback(monitor, mode, initial_value_threshold)
        self._step = 0
        self._folder = OrbaxFolder(
            self.directory, max_to_keep, self.keep_best, self._goodness, save_on_background
        )

    @property
    def best(self) -> float | None:
        """The best value so far of what it monitors, with `save_best_only`."""
        return self._watch.best

    @property
    def steps(self) -> list[int]:
        """The steps of which there are checkpoints."""
        with self._folder.opened():
            return self._folder.steps()

    def restore(self, model: Any, step: int | str | None = None) -> int:
        """Put a checkpoint into a model: weights, optimizer, metrics and random states.

        Args:
            model: The model, built; compiled for more than weights.
            step: Number of the step, `"best"`, or `None` for the latest.

        Returns:
            The step.
        """
        self._watch.set_model(model)
        with self._folder.opened():
            known = self._folder.steps()
            named = {None: self._folder.latest, "best": self._folder.best}
            found = named[step]() if step in named else step
            if found not in known:
                raise bad_argument(self, "step", f"one of {known}, 'best' or None", step)
            where = f"OrbaxCheckpoint: step {found} in {self.directory}"
            run_state.build(model, where)
            arrays = self._read(found, self._folder.read_meta(found), model)
            run_state.set_variables(model, arrays, where)
        return found

    def wait_until_finished(self) -> None:
        """Wait until all that was saved is on the disk."""
        self._folder.wait()

    # -- hooks

    def set_model(self, model: Any) -> None:
        """Take the model to watch.

        Args:
            model: The model.
        """
        super().set_model(model)
        self._watch.set_model(model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look for checkpoints, and listen for SIGTERM.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._folder.open()
        self._step = self._folder.latest() or 0
        super().on_train_begin(logs)
        if processes.count() > 1:
            self._stop_listening()  # JAX does, and sees to it that all stop at the same step

    def get_state(self) -> dict:
        """The batches trained in all, and the best value so far."""
        return {"step": self._step, "best": self._watch.best}

    def set_state(self, state: dict) -> None:
        """Take over the numbers of the interrupted run.

        Args:
            state: What `get_state` gave.
        """
        self._step, self._watch.best = state["step"], state["best"]

    def release(self) -> None:
        """Finish what is being written."""
        self._folder.close()
        super().release()

    def _count(self, batches):
        super()._count(batches)
        self._step += batches

    def _must_end(self):
        several = processes.count() > 1
        return self._terminated or (several and self._folder.must_end(self._step))

    # -- the checkpoints

    def _goodness(self, value):
        if np.isnan(value):
            return -np.inf
        return value if self._watch.improves(1.0, 0.0) else -value

    def _describe(self):
        return f"OrbaxCheckpoint: the checkpoint in {self.directory}"

    def _write(self, epoch, batch, logs):
        value = logs.get(self.monitor)
        if self.save_best_only and not self._is_better(value) and not self._must_end():
            return
        if self._folder.latest() == self._step:
            return  # nothing was trained since
        if self.save_weights_only:
            arrays = run_state.model_arrays(self.model)
            meta, arrays = {}, {k: v for k, v in arrays.items() if k.startswith("model/")}
        else:
            meta, arrays = run_state.collect(self.model, self.run_callbacks, epoch, batch)
        self._folder.write(self._step, meta, arrays, value)
        if self.verbose > 0:
            announce(f"Epoch {epoch if batch == 0 else epoch + 1}: saved step {self._step}")

    def _is_better(self, value):
        if value is None:
            warnings.warn(
                f"OrbaxCheckpoint: `monitor` {self.monitor!r} is not among the results, so nothing "
                "can be the best.",
                stacklevel=6,
            )
            return False
        better = self._watch.improves(value, self._watch.best)
        if better:
            self._watch.best = value
        return better

    def _find(self):
        step = self._folder.latest()
        if step is None or not self.resume or self.save_weights_only:
            return None
        meta = self._folder.read_meta(step)
        if "epoch" not in meta:
            raise ValueError(
                f"OrbaxCheckpoint: {self.directory} holds only weights, from which `fit` cannot "
                "resume. `restore` them first, and say `resume=False`."
            )
        return meta, lambda: self._read(step, meta, self.model)

    def _read(self, step, meta, model):
        """The arrays of a checkpoint: those of Variables on the devices where these are now."""
        return self._folder.read_arrays(step, meta, run_state.model_arrays(model))
