"""What the callbacks share that save whole runs: when they do, and how a run resumes."""

import itertools
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from jax.experimental import multihost_utils

from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.checkpoint import run_state
from kerasish.core import processes
from kerasish.core.errors import bad_argument

_asked = itertools.count()  # every process counts the same


class ResumableCheckpoint(Callback):
    """Base of callbacks that save a run now and then, and let the next `fit` resume from there.

    They come last in the list of callbacks, since they save the states of the others. On SIGTERM
    they save at once, and end the process with exit status 143.

    Args:
        save_freq: `"epoch"`, or a number of batches, or `False`: only on SIGTERM.
    """

    run_callbacks: Sequence[Callback] = ()  # all callbacks of the run

    def __init__(self, save_freq: str | int | bool = "epoch"):
        super().__init__()
        is_count = isinstance(save_freq, int) and save_freq >= 1 and save_freq is not True
        if save_freq != "epoch" and save_freq is not False and not is_count:
            raise bad_argument(self, "save_freq", "'epoch', a positive integer or False", save_freq)
        self.save_freq = save_freq
        self._epoch, self._batch, self._unsaved = 0, 0, 0
        self._terminated = False
        self._handler: Any = None

    def _find(self) -> tuple[dict, Callable] | None:
        """The `meta` of the run to resume, and a function that reads its arrays."""
        raise NotImplementedError

    def _write(self, epoch: int, batch: int, logs: dict) -> None:
        """Save the run, which stands before a batch of an epoch; certainly if `_terminated`."""
        raise NotImplementedError

    @property
    def every_batch(self) -> bool:
        """Whether it must be called for each batch."""
        return self.save_freq == 1

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look for a run to resume, and listen for SIGTERM.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._unsaved, self._terminated = 0, False
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and processes.count() == 1:  # of several, JAX listens
            self._handler = signal.signal(signal.SIGTERM, self._note_signal)
        found = self._find()
        if found is not None:
            meta, read = found
            self.model.resume_from(
                meta["epoch"], meta["batch"], meta["data"], lambda: self._restore(meta, read)
            )

    def _restore(self, meta, read):
        where = self._describe()
        run_state.build(self.model, where)
        state = run_state.RunState(meta, read())
        run_state.restore(state, self.model, self.run_callbacks, where)

    def _describe(self) -> str:
        """What is restored, for errors."""
        raise NotImplementedError

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count from here.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Note how many batches of the epoch are done.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._batch = batch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Save if it is time.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self._count(batch + 1 - self._batch)
        self._batch = batch + 1
        due = not isinstance(self.save_freq, str | bool) and self._unsaved >= self.save_freq
        if due or self._must_end():
            self._save(self._epoch, self._batch, logs)

    def _count(self, batches):
        self._unsaved += batches

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save, unless batches decide.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.save_freq == "epoch" or self._must_end():
            self._save(epoch + 1, 0, logs)

    def _must_end(self):
        if processes.count() > 1 and not self._terminated:
            # All at the same step, though only one may have had the signal.
            self._terminated = multihost_utils.reached_preemption_sync_point(next(_asked))
        return self._terminated

    def _save(self, epoch, batch, logs):
        self._unsaved = 0
        self._write(epoch, batch, logs or {})
        if self._must_end():
            self._terminated = False
            raise SystemExit(128 + signal.SIGTERM)

    def release(self) -> None:
        """Stop listening; a signal that came after the last saving is heard now."""
        self._stop_listening()
        if self._terminated:
            self._terminated = False
            signal.raise_signal(signal.SIGTERM)

    def _stop_listening(self):
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None

    def _note_signal(self, number, frame):
        self._terminated = True
