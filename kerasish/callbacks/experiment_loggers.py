"""Callbacks that report a run of training to a service that keeps experiments."""

import importlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.core import processes
from kerasish.core.errors import bad_argument


class _ExperimentLogger(Callback):
    """What the loggers have in common: parameters once, results of each epoch, an end."""

    every_batch = False
    _package = ""

    def __init__(self, params: Mapping[str, Any] | None = None):
        super().__init__()
        if params is not None and not isinstance(params, Mapping):
            raise bad_argument(self, "params", "a dict of names to values, or None", params)
        self.params_to_log = dict(params or {})
        self._service: Any = _library(type(self).__name__, self._package)
        self._run: Any = None
        self._ended = False

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin the run, and report what is trained and how."""
        if processes.is_first():
            self._ended = False
            self._begin({**self._facts(), **self.params_to_log})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Report the results.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Its results; those that are no numbers are left out.
        """
        if processes.is_first():
            found = {name: np.asarray(value) for name, value in (logs or {}).items()}
            scalars = {
                k: float(v) for k, v in found.items() if v.ndim == 0 and v.dtype.kind in "fiub"
            }
            self._report(scalars, epoch)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Note that training came to its end."""
        self._ended = True

    def release(self) -> None:
        """End the run, if it was begun here: as failed, if training did not come to its end."""
        run, self._run = self._run, None
        if run is not None:
            self._end(run, self._ended)

    def _facts(self):
        """What is trained and how, in strings and numbers."""
        model, params = self.model, self.params or {}
        facts = {"model": model.name, "epochs": params.get("epochs"), "steps": params.get("steps")}
        if model.built:
            facts["parameters"] = model.count_params()
        if model.optimizer is not None:
            config = model.optimizer.get_config()
            facts |= {f"optimizer_{name}": value for name, value in config.items()}
        loss = model.loss
        facts["loss"] = loss if isinstance(loss, str | None) else getattr(loss, "__name__", loss)
        plain = str | int | float | bool
        return {
            k: v if isinstance(v, plain) else repr(v) for k, v in facts.items() if v is not None
        }

    def _begin(self, facts):
        raise NotImplementedError

    def _report(self, results, epoch):
        raise NotImplementedError

    def _end(self, run, completed):
        raise NotImplementedError


class MLflowLogger(_ExperimentLogger):
    """Reports training to MLflow (`pip install "kerasish[mlflow]"`): parameters and results.

    A run that is active when training begins is written to and stays active; otherwise one is
    begun, and ended with training, as failed after an error. Where MLflow keeps runs is set by
    `mlflow.set_tracking_uri` and `mlflow.set_experiment`.

    Args:
        run_name: Name of the run that is begun; `None`: MLflow's choice.
        params: More parameters to report, by name.

    Raises:
        ImportError: When mlflow is not installed.

    Example:
        >>> logger = MLflowLogger(run_name="first")  # doctest: +SKIP
        >>> model.fit(x, y, callbacks=[logger])  # doctest: +SKIP
    """

    _package = "mlflow"

    def __init__(self, run_name: str | None = None, params: Mapping[str, Any] | None = None):
        super().__init__(params)
        self.run_name = run_name

    def _begin(self, facts):
        if self._service.active_run() is None:
            self._run = self._service.start_run(run_name=self.run_name)
        self._service.log_params(facts)

    def _report(self, results, epoch):
        self._service.log_metrics(results, step=epoch)

    def _end(self, run, completed):
        self._service.end_run("FINISHED" if completed else "FAILED")


class WandbLogger(_ExperimentLogger):
    """Reports training to Weights & Biases (`pip install "kerasish[wandb]"`).

    It gets the parameters once, and the results of each epoch.

    A run that is active when training begins is written to and stays active; otherwise one is
    begun, and ended with training, as failed after an error. `WANDB_MODE=offline` keeps it on this
    machine.

    Args:
        project: Name of the project of a run that is begun; `None`: W&B's choice.
        run_name: Name of the run that is begun; `None`: W&B's choice.
        params: More parameters to report, by name.

    Raises:
        ImportError: When wandb is not installed.

    Example:
        >>> logger = WandbLogger(project="digits")  # doctest: +SKIP
        >>> model.fit(x, y, callbacks=[logger])  # doctest: +SKIP
    """

    _package = "wandb"

    def __init__(
        self,
        project: str | None = None,
        run_name: str | None = None,
        params: Mapping[str, Any] | None = None,
    ):
        super().__init__(params)
        self.project = project
        self.run_name = run_name

    def _begin(self, facts):
        active = self._service.run
        if active is None:
            active = self._run = self._service.init(project=self.project, name=self.run_name)
        self._active = active
        active.config.update(facts, allow_val_change=True)

    def _report(self, results, epoch):
        self._active.log({"epoch": epoch, **results})

    def _end(self, run, completed):
        run.finish(exit_code=0 if completed else 1)


def _library(who: str, name: str) -> types.ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ImportError(f"{who} needs {name}: `pip install kerasish[{name}]`.") from None
