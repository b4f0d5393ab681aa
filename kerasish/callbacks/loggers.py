"""Callbacks that report the results of each epoch: to a file, to a server."""

import csv
import json
import os
import warnings
from typing import Any

import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.core import processes


class CSVLogger(Callback):
    """Writes a line of results to a CSV file after each epoch.

    The columns are `epoch`, the first epoch's results, and those with `val_` before them if it had
    none. What is missing later is written as `NA`.

    Args:
        filename: The file.
        separator: What stands between two values.
        append: Whether to continue an existing file instead of writing over it.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "log.csv")
        >>> logger = CSVLogger(path)
        >>> logger.on_train_begin()
        >>> logger.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.6})
        >>> logger.on_train_end()
        >>> print(path.read_text())
        epoch,loss,val_loss
        0,0.5,0.6
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self._file: Any = None
        self._names = None

    def get_state(self) -> dict:
        """The file's text so far, so that no line is lost or written twice."""
        if self._file is None:
            return {}
        with open(self._file.name, newline="") as file:
            return {"names": self._names, "text": file.read()}

    def set_state(self, state: dict) -> None:
        """Go on after the lines of the interrupted run.

        Args:
            state: What `get_state` gave.
        """
        self._names = state["names"]
        if not processes.is_first():
            return
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(state["text"])
        self._file.flush()

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open the file.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self.on_train_end()
        path = self.filename if processes.is_first() else os.devnull
        self._file = open(path, "a" if self.append else "w", newline="")  # noqa: SIM115
        self._names = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write a line.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.sep)
        if self._names is None:
            self._names = sorted(logs)
            if not any(name.startswith("val_") for name in self._names):
                self._names += [f"val_{name}" for name in self._names]
            if self._file.tell() == 0:
                writer.writerow(["epoch", *self._names])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self._names)])
        self._file.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the file.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        if self._file is not None:
            self._file.close()
            self._file = None

    def release(self) -> None:
        """Close the file, also after an error."""
        self.on_train_end()


def _cell(value):
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'


class RemoteMonitor(Callback):
    """Sends the results of each epoch to a server, by HTTP POST.

    A server that cannot be reached is a warning, not an error.

    Args:
        root: The server: `"http://localhost:9000"`.
        path: The path on the server.
        field: Name of the form's field that holds the results, as JSON.
        headers: Dict of more HTTP headers.
        send_as_json: Whether to send the JSON by itself, not in a form.

    Example:
        >>> RemoteMonitor("http://localhost:8000").path
        '/publish/epoch/end/'
    """

    _TIMEOUT = 10  # seconds; a server that hangs must not hold up training for longer

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: Any = "/publish/epoch/end/",
        field: str = "data",
        headers: Any = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Send the results.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if not processes.is_first():
            return
        # Here, because importing it takes as long as a tenth of kerasish.
        import urllib.parse
        import urllib.request

        results = {name: np.asarray(value).tolist() for name, value in (logs or {}).items()}
        text = json.dumps({"epoch": epoch, **results})
        if self.send_as_json:
            body, kind = text, "application/json"
        else:
            body = urllib.parse.urlencode({self.field: text})
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            urllib.request.urlopen(request, timeout=self._TIMEOUT).close()
        except OSError as error:
            message = f"RemoteMonitor: could not send to {request.full_url}: {error}"
            warnings.warn(message, stacklevel=2)
