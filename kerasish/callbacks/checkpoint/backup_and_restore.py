"""Going on after an interruption as if there had been none."""

import json
import os
import pathlib
import shutil
import zipfile

import ml_dtypes
import numpy as np

from kerasish.callbacks.checkpoint import run_state
from kerasish.callbacks.checkpoint.resumable import ResumableCheckpoint
from kerasish.core import processes
from kerasish.core.atomic_files import BESIDE, replacing
from kerasish.core.errors import bad_argument

_LATEST, _PREVIOUS = "latest.npz", "previous.npz"


class BackupAndRestore(ResumableCheckpoint):
    """Backs up the training now and then; a `fit` that finds a backup resumes there.

    A run that was killed and started again ends with the same weights as one that was not, bit for
    bit: a backup holds weights, optimizer, metrics, random states, the epoch, the batch, where the
    data stood, and the states of the other callbacks (see `Callback.get_state`). The data itself
    must come again as it came: arrays do, and streams whose batches are the same when they are read
    again (those done are read once more and dropped).

    On SIGTERM it backs up at once, and ends the process with exit status 143.

    Args:
        backup_dir: Folder for the backup, of this run only.
        save_freq: `"epoch"`, or a number of batches. Batches run fused all the same, so it backs
            up at the end of the call in which it is due; 1 runs and backs up every batch.
            `False` backs up only on SIGTERM.
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
        [0, 1, 2]
        >>> again.history["loss"][:2] == history.history["loss"]
        True
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike,
        save_freq: str | int | bool = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        super().__init__(save_freq)
        if not backup_dir:
            raise bad_argument(self, "backup_dir", "a folder's path", backup_dir)
        self.backup_dir = os.fspath(backup_dir)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look for a backup to resume, and listen for SIGTERM.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if processes.is_first():  # what a run left that was killed while it wrote
            for path in pathlib.Path(self.backup_dir).glob(f"{BESIDE}*"):
                path.unlink()
        super().on_train_begin(logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Delete the backup: it is no longer needed.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if self.delete_checkpoint and processes.is_first():
            folder = pathlib.Path(self.backup_dir)
            for name in (_LATEST, _PREVIOUS):
                (folder / name).unlink(missing_ok=True)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def _describe(self):
        return f"BackupAndRestore: the backup in {self.backup_dir}"

    def _write(self, epoch, batch, logs):
        meta, arrays = run_state.collect(self.model, self.run_callbacks, epoch, batch)
        arrays = {name: processes.gather_to_host(value) for name, value in arrays.items()}
        meta["dtypes"] = {name: value.dtype.name for name, value in arrays.items()}
        stored = {name: _as_numpy(value) for name, value in arrays.items()}
        stored["meta"] = np.frombuffer(json.dumps(meta).encode(), "uint8")
        path = pathlib.Path(self.backup_dir, _LATEST)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            with open(beside, "wb") as file:
                np.savez(file, **stored)  # pyright: ignore[reportArgumentType]
            if self.double_checkpoint and path.exists():
                with replacing(path.with_name(_PREVIOUS)) as old:
                    shutil.copyfile(path, old)

    def _find(self):
        paths = [pathlib.Path(self.backup_dir, name) for name in (_LATEST, _PREVIOUS)]
        if not self.double_checkpoint:
            paths = paths[:1]
        failure = None
        for path in filter(pathlib.Path.exists, paths):
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                failure = ValueError(f"BackupAndRestore: {path} is damaged: {error}")
                failure.__cause__ = error
        if failure is not None:
            raise failure
        return None


def _read(path):
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    meta = json.loads(stored.pop("meta").tobytes())
    arrays = {name: _from_numpy(stored[name], dtype) for name, dtype in meta["dtypes"].items()}
    return meta, lambda: arrays


def _as_numpy(value):
    """The array in a type that NumPy's files know."""
    if value.dtype.kind != "V":
        return value
    return value.view(f"u{value.dtype.itemsize}")


def _from_numpy(value, name):
    return value if value.dtype.name == name else value.view(np.dtype(getattr(ml_dtypes, name)))
