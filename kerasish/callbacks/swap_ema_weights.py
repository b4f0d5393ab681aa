"""Evaluating with the moving average of the weights."""

import numpy as np

from kerasish.callbacks.base.callback import Callback


class SwapEMAWeights(Callback):
    """Puts the moving average of the weights into the model for evaluation and prediction.

    For optimizers made with `use_ema=True`. The weights of training come back afterwards.

    Args:
        swap_on_epoch: Whether to swap at the end of each epoch too, so that callbacks later in the
            list (`ModelCheckpoint`, say) see the averages; training's weights come back when the
            next epoch begins.

    Example:
        >>> SwapEMAWeights(swap_on_epoch=True).swap_on_epoch
        True
    """

    def __init__(self, swap_on_epoch: bool = False):
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._swapped = False

    def get_state(self) -> dict:
        """Whether the averages are in the model."""
        return {"_swapped": self._swapped}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Put training's weights back.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if self.swap_on_epoch:
            self._show_averages(False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the averages in, if each epoch asks for it.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        if not self.swap_on_epoch:
            return
        self._show_averages(True)
        if epoch == (self.params or {}).get("epochs", 0) - 1:
            # `fit` ends by moving the averages into the model: they must be the averages still.
            for weight, average in self._pairs():
                average.assign(np.array(weight.read()))

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Put the averages in.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._show_averages(True)

    def on_test_end(self, logs: dict | None = None) -> None:
        """Put training's weights back.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._show_averages(False)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Put the averages in.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._show_averages(True)

    def on_predict_end(self, logs: dict | None = None) -> None:
        """Put training's weights back.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._show_averages(False)

    def _show_averages(self, wanted):
        if self._swapped == wanted:
            return
        for weight, average in self._pairs():
            value = weight.read()
            weight.assign(average.read())
            average.assign(value)
        self._swapped = wanted

    def _pairs(self):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        optimizers = getattr(optimizer, "optimizers", [optimizer])
        averaging = [o for o in optimizers if getattr(o, "use_ema", False)]
        if not averaging:
            raise ValueError(
                "SwapEMAWeights: the optimizer keeps no averages. Make it with `use_ema=True`."
            )
        for o in filter(lambda o: o.built, averaging):
            pairs = zip(o._trainable_variables, o._model_variables_moving_average, strict=True)
            yield from ((weight, average) for weight, average in pairs if average is not None)
