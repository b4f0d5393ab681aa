"""Training the last layers first, and more of them from epoch to epoch."""

from typing import Any

from kerasish.callbacks.base.callback import Callback
from kerasish.core.errors import bad_argument


class GradualUnfreezing(Callback):
    """Unfreezes a trained model from its last layers on, some epochs after each other.

    The optimizer keeps its state of the weights that it trains already. What is trained when
    training ends stays so.

    Args:
        up_to: Layers up to which the model is frozen, as `Model.freeze_up_to` takes them, one
            after the other, the last layers' first; after them all is trained. `None`: each layer
            of `model.layers` that has weights, but for the last one.
        every: Epochs between one and the next.

    References:
        Howard and Ruder, 2018, "Universal Language Model Fine-tuning for Text Classification".

    Example:
        >>> from kerasish.layers import Dense, Input
        >>> model = keras.Sequential([Input((2,)), Dense(3), Dense(3), Dense(1)])
        >>> unfreezing = GradualUnfreezing()
        >>> unfreezing.set_model(model)
        >>> for epoch in range(4):
        ...     unfreezing.on_epoch_begin(epoch)
        ...     print([layer.trainable for layer in model.layers])
        [False, False, True]
        [False, True, True]
        [True, True, True]
        [True, True, True]
    """

    every_batch = False

    def __init__(self, up_to: Any = None, every: int = 1):
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise bad_argument(self, "every", "a positive number of epochs", every)
        if up_to is not None and (isinstance(up_to, str) or not list(up_to)):
            raise bad_argument(self, "up_to", "a list of layers, or None", up_to)
        self.up_to = up_to if up_to is None else list(up_to)
        self.every = every
        self._stage: int | None = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin anew.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._stage = None

    def get_state(self) -> dict:
        """How far unfreezing is."""
        return {"_stage": self._stage}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Freeze the layers that are not to be trained yet.

        Args:
            epoch: Number of the epoch.
            logs: Nothing.

        Raises:
            ValueError: If the model is not built, or has no such layer.
        """
        up_to = self._layers() if self.up_to is None else self.up_to
        stage = min(epoch // self.every, len(up_to))
        if stage != self._stage:
            self.model.freeze_up_to(up_to[stage] if stage < len(up_to) else None)
        self._stage = stage

    def _layers(self):
        if not self.model.built:
            raise ValueError(
                f"GradualUnfreezing: the model {self.model.name!r} has no weights yet, so that "
                "nothing shows which layers to freeze. Build it first, or give `up_to`."
            )
        return [layer for layer in self.model.layers if layer.weights][-2::-1]
