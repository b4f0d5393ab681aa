"""The base of all callbacks: hooks that do nothing."""

import inspect
from typing import Any

from kerasish.core.short_repr import short_repr


class Callback:
    """Something that watches `fit`, `evaluate` and `predict`, and may act through the model.

    A subclass overrides the hooks it wants. What it may do: read `logs`, set
    `self.model.stop_training = True`, set `self.model.optimizer.learning_rate`, read or set
    weights, and write into `logs` (callbacks later in the list and the history see it).

    `logs` is a dict whose values are read from the device when first looked at; a hook that does
    not look costs no waiting.

    Attributes:
        model: The model being trained, evaluated or asked; `None` before.
        params: Dict with `verbose`, `epochs` and `steps` (`None` if unknown).
        every_batch: Whether the batch hooks must run for each batch. `False` lets batches run
            fused on the device: the hooks then run once for several, with the last one's index.

    Example:
        >>> class Stopwatch(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"epoch {epoch}: loss {logs['loss']}")
        >>> Stopwatch().on_epoch_end(0, {"loss": 0.5})
        epoch 0: loss 0.5
    """

    params: dict | None = None
    every_batch: bool = True
    _model: Any = None

    def __repr__(self):
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        held = vars(self)
        return short_repr(self, {name: held[name] for name in names if name in held})

    def set_params(self, params: dict) -> None:
        """Called before all hooks, with `verbose`, `epochs` and `steps`.

        Args:
            params: The parameters.
        """
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before all hooks, with the model.

        Args:
            model: The model.
        """
        self._model = model

    @property
    def model(self) -> Any:
        """The model that the callback watches."""
        return self._model

    def get_state(self) -> dict:
        """What the callback has come to know in this run, for those that save whole runs.

        A run that is interrupted and resumes from what `BackupAndRestore` or `OrbaxCheckpoint`
        saved gives it to `set_state`, so that it acts as if there had been no interruption.

        Returns:
            Names to numbers, strings, arrays, `None`, and lists and dicts of them.
        """
        return {}

    def set_state(self, state: dict) -> None:
        """Take over what `get_state` gave in the interrupted run: attributes of those names.

        Called after `on_train_begin`, when the model has its values of then. Override it if
        attributes are not all there is to it.

        Args:
            state: What `get_state` gave.
        """
        vars(self).update(state)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Called when `fit` begins.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_train_end(self, logs: dict | None = None) -> None:
        """Called when `fit` ends, with the last epoch's logs.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Called when an epoch of `fit` begins; `epoch` counts from 0.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Called when an epoch of `fit` ends, with its results; validation's begin with `val_`.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Called before a batch of training; `batch` counts from 0 within the epoch.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Called after a batch of training, with the epoch's results so far.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """The older name of `on_train_batch_begin`, which calls it.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """The older name of `on_train_batch_end`, which calls it.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def release(self) -> None:
        """Called when `fit` is left, also by an error: to let go of what the callback took."""

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Called when `evaluate` begins, and validation within `fit`.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_test_end(self, logs: dict | None = None) -> None:
        """Called when `evaluate` or validation ends, with the results.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Called before a batch of `evaluate` or validation.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Called after a batch of `evaluate` or validation, with the results so far.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Called when `predict` begins.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_predict_end(self, logs: dict | None = None) -> None:
        """Called when `predict` ends.

        Args:
            logs: Results so far by name; empty where there are none.
        """

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Called before a batch of `predict`.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Called after a batch of `predict`, with its `outputs`.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin: Called with `(epoch, logs)`.
        on_epoch_end: Called with `(epoch, logs)`.
        on_train_begin: Called with `(logs)`.
        on_train_end: Called with `(logs)`.
        on_train_batch_begin: Called with `(batch, logs)`.
        on_train_batch_end: Called with `(batch, logs)`.
        **kwargs: Any other method or attribute of `Callback` by its name.

    Example:
        >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print("epoch", epoch, "!"))
        >>> shout.on_epoch_end(3, {})
        epoch 3 !
    """

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        on_train_batch_begin: Any = None,
        on_train_batch_end: Any = None,
        **kwargs: Any,
    ):
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update(kwargs)
        self.__dict__.update({name: hook for name, hook in hooks.items() if hook is not None})


def overrides(callback: Any, hook: str) -> bool:
    """Whether a callback's hook is other than the empty one of `Callback`.

    Args:
        callback: The callback.
        hook: Name of the hook.
    """
    method = getattr(callback, hook, None)
    return method is not None and getattr(method, "__func__", None) is not getattr(Callback, hook)
