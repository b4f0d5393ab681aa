"""Stopping when the loss is no longer a number."""

import math

import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.base.displays import announce


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite.

    The loss in the logs is the epoch's mean so far, so it stays NaN once a batch's is: batches may
    run fused, and the look at the end of each run of them misses nothing. Looking waits for the
    device.

    Args:
        raise_error: Whether to raise a `RuntimeError` at once, so that no other callback's
            `on_train_end` runs (and overwrites a good backup, say), instead of stopping.

    Example:
        >>> TerminateOnNaN(raise_error=True).on_batch_end(7, {"loss": float("nan")})
        Traceback (most recent call last):
        RuntimeError: TerminateOnNaN: the loss is nan at batch 7; training is terminated.
    """

    every_batch = False

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look at the loss.

        Args:
            batch: Number of the batch in the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(np.mean(loss)):
            return
        if self.raise_error:
            raise RuntimeError(
                f"TerminateOnNaN: the loss is {loss} at batch {batch}; training is terminated."
            )
        announce(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
