"""`Pipeline`: layers in a row as one, to prepare data with."""

from collections.abc import Sequence
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.layers.base.layer import Layer
from kerasish.layers.base.signatures import signature_of


class Pipeline(Layer):
    """Layers one after the other, as one layer. Unlike a model, it need not know what comes in.

    Args:
        layers: The layers, the first one first.

    Shapes:
        As of the layers; dicts of images, labels and more too, where the layers take them.

    Example:
        >>> layers = [keras.layers.AutoContrast(), keras.layers.Resizing(2, 2)]
        >>> Pipeline(layers)(np.ones((4, 6, 3))).shape
        (2, 2, 3)
    """

    passes_strings = True

    def __init__(self, layers: Sequence[Layer], name: str | None = None):
        super().__init__(name=name)
        if not isinstance(layers, list | tuple) or not all(isinstance(x, Layer) for x in layers):
            raise bad_argument(self, "layers", "a list of layers", layers)
        self._pipeline_layers = list(layers)  # as Keras' files call them
        self.built = all(layer.built for layer in layers)

    @property
    def layers(self) -> list:
        """The layers, the first one first."""
        return self._pipeline_layers

    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        for layer in self._pipeline_layers:
            takes = signature_of(type(layer), "call").parameters
            options = {"training": training, "mask": mask}
            inputs = layer(inputs, **{k: v for k, v in options.items() if k in takes})
            mask = get_mask(inputs)
        return inputs

    def get_config(self) -> dict:
        return {"name": self.name, "layers": serialize_keras_object(self._pipeline_layers)}
