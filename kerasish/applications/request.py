"""What a caller asks of a builder: the arguments all builders share, checked in one place."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kerasish import activations, backend, layers
from kerasish.applications.pretrained import WeightFiles, load
from kerasish.core.errors import bad_argument
from kerasish.models import Model
from kerasish.utils import get_source_inputs

_CLASSES = 1000  # of ImageNet
_POOLS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


@dataclass(frozen=True)
class Request:
    """The arguments that all builders have, with `builder`, the builder's own name, for errors.

    Raises:
        ValueError: If an argument is none that Keras takes, or two do not go together.
    """

    builder: str
    name: str | None
    include_top: bool = True
    weights: str | os.PathLike | None = "imagenet"
    input_tensor: Any = None
    input_shape: tuple | None = None
    pooling: str | None = None
    classes: int = _CLASSES
    classifier_activation: str | Callable | None = "softmax"

    def __post_init__(self):
        if not (self.weights is None or self.pretrained or _is_file(self.weights)):
            wanted = "None (random), 'imagenet', or the path of a file of weights"
            hint = "There is no such file." if isinstance(self.weights, str | os.PathLike) else ""
            raise bad_argument(self.builder, "weights", wanted, self.weights, hint)
        if self.pooling not in (None, *_POOLS):
            raise bad_argument(self.builder, "pooling", "None, 'avg' or 'max'", self.pooling)
        if self.include_top:
            self._check_classifier()
        if self.input_tensor is not None and not backend.is_keras_tensor(self.input_tensor):
            wanted = "a symbolic tensor, as `keras.Input` makes"
            raise bad_argument(self.builder, "input_tensor", wanted, type(self.input_tensor))
        self._check_shape()

    @property
    def pretrained(self) -> bool:
        """Whether the weights trained on ImageNet are asked for."""
        return isinstance(self.weights, str) and self.weights == "imagenet"

    def _check_classifier(self):
        if self.pretrained and self.classes != _CLASSES:
            hint = "Give `weights=None`, or `include_top=False` and a classifier of your own."
            wanted = f"{_CLASSES} with `weights='imagenet'` and `include_top=True`"
            raise bad_argument(self.builder, "classes", wanted, self.classes, hint)
        known = (activations.softmax, activations.linear)
        if self.weights is not None and activations.get(self.classifier_activation) not in known:
            wanted = "None or 'softmax' where weights are loaded"
            raise bad_argument(
                self.builder, "classifier_activation", wanted, self.classifier_activation
            )

    def _check_shape(self):
        shape = self.input_shape
        if shape is None:
            return
        if not isinstance(shape, tuple | list) or len(shape) != 3:
            raise bad_argument(self.builder, "input_shape", "a tuple of three sizes", shape)
        if self.input_tensor is None:
            return
        given = tuple(self.input_tensor.shape[1:])
        pairs = zip(shape, given, strict=False)
        if len(given) != 3 or any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise bad_argument(
                self.builder, "input_shape", f"that of `input_tensor`, {given}, or None", shape
            )

    def refuse_channels_first(self) -> None:
        """Raise where images have their channels first: for models that Keras has not so."""
        if backend.image_data_format() == "channels_first":
            raise ValueError(
                f"{self.builder} needs images with channels last, as Keras' does; the image data "
                "format is 'channels_first'. "
                "Call `keras.config.set_image_data_format('channels_last')`."
            )

    def image(self, default_size: int, min_size: int = 32) -> Any:
        """The tensor to start from: an `Input`, or the caller's `input_tensor`.

        Args:
            default_size: Height and width where the model needs some and none are given.
            min_size: The least height and width that leave something to the last layer.
        """
        return self.start(self.image_shape(default_size, min_size))

    def start(self, shape: tuple) -> Any:
        """The caller's `input_tensor`, or an `Input` of that shape.

        Args:
            shape: Shape of one image.
        """
        return layers.Input(shape) if self.input_tensor is None else self.input_tensor

    def image_shape(self, default_size: int, min_size: int = 32) -> tuple:
        """The shape of one image that the arguments come to; see `image`.

        Args:
            default_size: Height and width where the caller says none.
            min_size: The least height and width.
        """
        shape = None if self.input_shape is None else tuple(self.input_shape)
        channels = 3 if shape is None else _channel(shape)
        if self.pretrained and channels != 3:
            wanted = "of 3 channels with `weights='imagenet'`"
            raise bad_argument(self.builder, "input_shape", wanted, shape)
        default = _with_channels(channels, default_size, default_size)
        if self.pretrained and self.include_top and shape not in (None, default):
            wanted = f"{default} with `weights='imagenet'` and `include_top=True`"
            raise bad_argument(self.builder, "input_shape", wanted, shape)
        if shape is None:
            return default if self.include_top else _with_channels(channels, None, None)
        if channels not in (1, 3):
            warnings.warn(
                f"{self.builder} is made for images of 1 or 3 channels; `input_shape` {shape} has "
                f"{channels}.",
                stacklevel=4,
            )
        self.check_size(shape, min_size)
        if self.include_top and None in shape:
            wanted = "known in all sizes with `include_top=True`"
            raise bad_argument(self.builder, "input_shape", wanted, shape)
        return shape

    def free_shape(self) -> tuple:
        """The shape of a coloured image of any size."""
        return _with_channels(3, None, None)

    def check_size(self, shape: tuple, min_size: int) -> None:
        """Raise on an image smaller than that in height or width.

        Args:
            shape: Shape of one image.
            min_size: The least height and width.
        """
        if any(size is not None and size < min_size for size in rows_and_columns(shape)):
            wanted = f"at least {min_size} by {min_size}"
            raise bad_argument(self.builder, "input_shape", wanted, shape)

    def head(self, x: Any, average: str | None = "avg_pool", named: bool = True) -> Any:
        """The classifier on averages over the image, or what `pooling` makes of the features.

        Args:
            x: Features of a convolutional network.
            average: Name of the layer that averages before the classifier, `None`: generated.
            named: Whether the layer of `pooling` has Keras' name, or a generated one.
        """
        if not self.include_top:
            return self.pool(x, named)
        return self.classifier(layers.GlobalAveragePooling2D(name=average)(x))

    def classifier(self, x: Any, name: str | None = "predictions", **dense: Any) -> Any:
        """The last layer: a probability a class, if `classifier_activation` is softmax.

        Args:
            x: Features, one vector for each image.
            name: Name of the layer.
            **dense: Further arguments of the last layer.
        """
        activation = self.classifier_activation
        return layers.Dense(self.classes, activation=activation, name=name, **dense)(x)

    def pool(self, x: Any, named: bool) -> Any:
        """What `pooling` makes of the features, by a layer with Keras' or a generated name.

        Args:
            x: Features.
            named: Whether the layer has Keras' name.
        """
        if self.pooling is None:
            return x
        return _POOLS[self.pooling](name=f"{self.pooling}_pool" if named else None)(x)

    def model(self, image: Any, outputs: Any, files: WeightFiles, name: str | None = None) -> Model:
        """The model from the image to the outputs, with the weights that were asked for.

        Args:
            image: The symbolic image.
            outputs: The symbolic outputs.
            files: ImageNet's files.
            name: Name of the model, where the caller gives none.
        """
        inputs = image if self.input_tensor is None else get_source_inputs(self.input_tensor)
        model = Model(inputs, outputs, name=name or self.name)
        load(model, self.weights, files, self.include_top)
        return model


def _is_file(path):
    return isinstance(path, str | os.PathLike) and os.path.exists(path)


def _channel(shape):
    return shape[0 if backend.image_data_format() == "channels_first" else -1]


def _with_channels(channels, rows, columns):
    first = backend.image_data_format() == "channels_first"
    return (channels, rows, columns) if first else (rows, columns, channels)


def rows_and_columns(shape: tuple) -> tuple:
    """Height and width in the shape of one image.

    Args:
        shape: Shape of one image.
    """
    return tuple(shape[1:] if backend.image_data_format() == "channels_first" else shape[:2])
