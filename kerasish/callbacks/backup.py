"""Going on after an interruption as if there had been none."""

import json
import os
import pathlib
import random
import shutil
import signal
import threading
import warnings
import zipfile
from typing import Any

import ml_dtypes
import numpy as np

from kerasish.callbacks.callback import Callback
from kerasish.core import seeds
from kerasish.core.errors import bad_argument
from kerasish.core.files import replacing

_LATEST, _PREVIOUS = "latest.npz", "previous.npz"


class BackupAndRestore(Callback):
    """Backs up the training now and then; a `fit` that finds a backup goes on from there.

    A run that was killed and started again ends with the same weights as one that was not, bit for
    bit: a backup holds weights, optimizer, metrics, random states, the epoch, the batch, and where
    the data stood. The data itself must come again as it came: arrays do, and streams whose
    batches are the same when they are read again (those done are read once more and dropped).
    Other callbacks begin anew.

    On SIGTERM it backs up at once, and ends the process with exit status 143.

    Args:
        backup_dir: Folder for the backup, of this run alone.
        save_freq: `"epoch"`, or a number of batches. Batches run fused all the same, so it backs
            up at the end of the call in which it is due; 1 runs and backs up every batch.
            `False` backs up on SIGTERM alone.
        double_checkpoint: Whether to keep the backup before the last one, for the case that the
            last one cannot be read.
        delete_checkpoint: Whether to delete the backup when training is done.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> folder = tempfile.mkdtemp()
        >>> keeper = BackupAndRestore(folder, delete_checkpoint=False)
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=keeper)
        >>> again = model.fit(x, y, epochs=3, verbose=0, callbacks=BackupAndRestore(folder))
        >>> again.epoch
        [2]
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int | bool = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__()
        if not backup_dir:
            raise bad_argument(self, "backup_dir", "a folder's path", backup_dir)
        is_count = isinstance(save_freq, int) and save_freq >= 1 and save_freq is not True
        if save_freq != "epoch" and save_freq is not False and not is_count:
            raise bad_argument(self, "save_freq", "'epoch', a positive integer or False", save_freq)
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._epoch, self._batch, self._unsaved = 0, 0, 0
        self._terminated = False
        self._handler: Any = None

    @property
    def every_batch(self) -> bool:
        """Whether it must be called for each batch."""
        return self.save_freq == 1

    # -- hooks

    def on_train_begin(self, logs=None):
        """Look for a backup, and listen for SIGTERM."""
        self._unsaved, self._terminated = 0, False
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, self._note_signal)
        backup = self._read()
        if backup is not None:
            meta, arrays = backup
            self.model.resume_from(
                meta["epoch"], meta["batch"], meta["data"], lambda: self._restore(meta, arrays)
            )

    def on_epoch_begin(self, epoch, logs=None):
        """Count from here."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Note how many batches of the epoch are done."""
        self._batch = batch

    def on_train_batch_end(self, batch, logs=None):
        """Back up if it is time."""
        self._unsaved += batch + 1 - self._batch
        self._batch = batch + 1
        counted = self.save_freq not in ("epoch", False)
        if (counted and self._unsaved >= self.save_freq) or self._terminated:
            self._save(self._epoch, self._batch)

    def on_epoch_end(self, epoch, logs=None):
        """Back up, unless batches decide."""
        if self.save_freq == "epoch" or self._terminated:
            self._save(epoch + 1, 0)

    def on_train_end(self, logs=None):
        """Delete the backup: it is no longer needed."""
        if self.delete_checkpoint:
            folder = pathlib.Path(self.backup_dir)
            for name in (_LATEST, _PREVIOUS):
                (folder / name).unlink(missing_ok=True)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def release(self):
        """Stop listening; a signal that came after the last backup is heard now."""
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None
            if self._terminated:
                self._terminated = False
                signal.raise_signal(signal.SIGTERM)

    def _note_signal(self, number, frame):
        self._terminated = True

    # -- the backup

    def _save(self, epoch, batch):
        self._unsaved = 0
        arrays, dtypes = {}, {}
        for kind, variables in self._variables().items():
            for i, variable in enumerate(variables):
                value = np.asarray(variable.read())
                dtypes[f"{kind}/{i}"] = value.dtype.name
                arrays[f"{kind}/{i}"] = _as_numpy(value)
        numpy_state = np.random.get_state(legacy=False)
        arrays["numpy"] = numpy_state["state"]["key"]
        version, python_state, gauss = random.getstate()
        arrays["python"] = np.array(python_state, "uint32")
        meta = {
            "epoch": epoch,
            "batch": batch,
            "data": self.model.place_in_data(),
            "dtypes": dtypes,
            "python": [version, gauss],
            "numpy": [numpy_state["state"]["pos"], numpy_state["has_gauss"], numpy_state["gauss"]],
        }
        arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), "uint8")
        path = pathlib.Path(self.backup_dir, _LATEST)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            with open(beside, "wb") as file:
                np.savez(file, **arrays)
            if self.double_checkpoint and path.exists():
                with replacing(path.with_name(_PREVIOUS)) as old:
                    shutil.copyfile(path, old)
        if self._terminated:
            self._terminated = False
            raise SystemExit(128 + signal.SIGTERM)

    def _variables(self):
        model = self.model
        found = {
            "model": model.variables,
            "optimizer": model.optimizer.variables,
            "metrics": model.metrics_variables,
            "seed": [seeds.global_seed_generator().state],
        }
        known = {id(v) for v in found["metrics"]}
        found["model"] = [v for v in found["model"] if id(v) not in known]
        return found

    def _read(self):
        paths = [pathlib.Path(self.backup_dir, name) for name in (_LATEST, _PREVIOUS)]
        if not self.double_checkpoint:
            paths = paths[:1]
        failure = None
        for path in filter(pathlib.Path.exists, paths):
            try:
                with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
                return json.loads(arrays.pop("meta").tobytes()), arrays
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                failure = ValueError(f"BackupAndRestore: {path} is damaged: {error}")
                failure.__cause__ = error
        if failure is not None:
            raise failure
        return None

    def _restore(self, meta, arrays):
        model = self.model
        if not model.built:
            raise ValueError(
                f"BackupAndRestore: model {model.name!r} must be built to go on from a backup. "
                "Call it on a batch, or `build(input_shape)`, before `fit`."
            )
        model.optimizer.build(model.trainable_variables)
        for kind, variables in self._variables().items():
            names = [name for name in meta["dtypes"] if name.startswith(f"{kind}/")]
            fits = [v.shape for v in variables] == [arrays[name].shape for name in names]
            if not fits and kind == "metrics":
                if meta["batch"]:
                    warnings.warn("The epoch's metrics begin anew.", stacklevel=4)
                continue
            if not fits:
                raise ValueError(
                    f"BackupAndRestore: the backup in {self.backup_dir} is of another {kind}: it "
                    f"has {len(names)} arrays where there are {len(variables)}, or others' shapes. "
                    "Use a folder of its own for each run."
                )
            for variable, name in zip(variables, names, strict=True):
                variable.assign(_from_numpy(arrays[name], meta["dtypes"][name]))
        version, gauss = meta["python"]
        random.setstate((version, tuple(map(int, arrays["python"])), gauss))
        position, has_gauss, gauss = meta["numpy"]
        np.random.set_state(("MT19937", arrays["numpy"], position, has_gauss, gauss))


def _as_numpy(value):
    """The array in a type that NumPy's files know."""
    if value.dtype.kind != "V":
        return value
    return value.view(f"u{value.dtype.itemsize}")


def _from_numpy(value, name):
    return value if value.dtype.name == name else value.view(np.dtype(getattr(ml_dtypes, name)))
