"""Several callbacks as one."""

import inspect
from collections.abc import Iterator
from typing import Any

import jax

from kerasish.callbacks.base.callback import Callback, overrides
from kerasish.callbacks.base.history import History
from kerasish.callbacks.base.logs import Logs
from kerasish.callbacks.checkpoint.resumable import ResumableCheckpoint
from kerasish.callbacks.progress.progbar_logger import ProgbarLogger
from kerasish.core.errors import bad_argument

_BATCH_HOOKS = {
    "train": "on_train_batch_begin on_train_batch_end on_batch_begin on_batch_end".split(),
    "test": "on_test_batch_begin on_test_batch_end".split(),
    "predict": "on_predict_batch_begin on_predict_batch_end".split(),
}


class CallbackList(Callback):
    """Calls each of its callbacks in order; for training loops of one's own too.

    Args:
        callbacks: A callback, or a pytree of them.
        add_history: Whether to add a `History` if there is none.
        add_progbar: Whether to add a `ProgbarLogger` if there is none.
        model: The model they watch.
        **params: What they get in `set_params`: `verbose`, `epochs`, `steps`.

    Example:
        >>> from kerasish.callbacks import LambdaCallback
        >>> callbacks = CallbackList(LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs)))
        >>> callbacks.on_epoch_end(0, {"loss": 0.5, "accuracy": 1})
        {'accuracy': 1.0, 'loss': 0.5}
        >>> callbacks.wants_train_batches
        False
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        self.callbacks = []
        for callback in jax.tree.leaves(callbacks):
            self.append(callback)
        for wanted, kind in ((add_history, History), (add_progbar, ProgbarLogger)):
            if wanted and not any(isinstance(callback, kind) for callback in self):
                self.append(kind())
        self.set_model(model)
        self.set_params(params)

    def append(self, callback: Any) -> None:
        """Add a callback at the end, with the model and the parameters of the others.

        Args:
            callback: The callback.
        """
        if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
            hint = "Give an instance: `EarlyStopping()`, not `EarlyStopping`."
            raise bad_argument(self, "callbacks", "made of `Callback` objects", callback, hint)
        self.callbacks.append(callback)
        self.callbacks.sort(
            key=lambda c: isinstance(c, ResumableCheckpoint)
        )  # they save the others' states
        if self.model is not None:
            self._introduce(callback)
        if self.params:
            callback.set_params(self.params)

    def __iter__(self) -> Iterator:
        return iter(self.callbacks)

    def __len__(self) -> int:
        return len(self.callbacks)

    def set_params(self, params: dict) -> None:
        """Hand the parameters to each callback.

        Args:
            params: `verbose`, `epochs` and `steps`.
        """
        self.params = params
        if params:
            for callback in self:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand the model to each callback.

        Args:
            model: The model they watch.
        """
        if model is None:
            return
        super().set_model(model)
        for callback in self:
            self._introduce(callback)

    def _introduce(self, callback):
        if isinstance(callback, History):
            self.model.history = callback
        if isinstance(callback, ResumableCheckpoint):
            callback.run_callbacks = self.callbacks
        callback.set_model(self.model)

    def release(self) -> None:
        """Let each callback let go of what it took."""
        for callback in self:
            callback.release()

    def show_compiling(self, begins: bool) -> None:
        """Let progress bars show that a step is being compiled.

        Args:
            begins: Whether compiling begins; it ends otherwise.
        """
        for callback in self:
            if isinstance(callback, ProgbarLogger):
                callback.show_compiling(begins)

    @property
    def wants_train_batches(self) -> bool:
        """Whether a callback must be called for each batch of training."""
        return self._wants("train")

    @property
    def wants_test_batches(self) -> bool:
        """Whether a callback must be called for each batch of evaluation."""
        return self._wants("test")

    @property
    def wants_predict_batches(self) -> bool:
        """Whether a callback must be called for each batch of prediction."""
        return self._wants("predict")

    def _wants(self, stage):
        return any(
            getattr(callback, "every_batch", True) and overrides(callback, hook)
            for callback in self
            for hook in _BATCH_HOOKS[stage]
        )


def _standard(logs):
    return logs if isinstance(logs, Logs) else Logs(logs or {})


def _with_logs(hook):
    def call(self, logs=None):
        logs = _standard(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    return call


def _with_index(hook):
    def call(self, index, logs=None):
        logs = _standard(logs)
        for callback in self.callbacks:
            getattr(callback, hook)(index, logs)

    return call


_ARGUMENTS = {
    "index": "Number of the epoch or batch, from 0.",
    "logs": "Results so far by name; empty where there are none.",
}


def _define(make, hooks):
    for hook in hooks:
        method = make(hook)
        names = [name for name in inspect.signature(method).parameters if name in _ARGUMENTS]
        lines = [f"    {name}: {_ARGUMENTS[name]}" for name in names]
        document = [f"Call `{hook}` of each callback.", "", "Args:", *lines]
        method.__name__, method.__doc__ = hook, "\n".join(document)
        setattr(CallbackList, hook, method)


_define(_with_logs, [f"on_{stage}_{when}" for stage in _BATCH_HOOKS for when in ("begin", "end")])
_define(_with_index, ["on_epoch_begin", "on_epoch_end"])
for _hooks in _BATCH_HOOKS.values():
    _define(_with_index, _hooks)
