"""ConvNeXt: residual blocks of large convolutions of each channel, built like transformers."""

from typing import Any

from kerasish import initializers, layers
from kerasish.applications.builders import SCALED, describe
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import unchanged as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request
from kerasish.core.serialization.registry import publish
from kerasish.models import Model, Sequential

_PAPER = 'Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, 2022, "A ConvNet for the 2020s"'
_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_VARIANCE = [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2]
_SMALLEST_GAMMA = 1e-6


class LayerScale(layers.Layer):
    """Each channel times a number that is learnt.

    Args:
        init_values: What the numbers are at first.
        projection_dim: Number of channels.

    Shapes:
        `(..., projection_dim)` -> the same.

    Example:
        >>> np.asarray(LayerScale(0.5, 2)(np.array([[2.0, 4.0]])))
        array([[1., 2.]], dtype=float32)
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.init_values = init_values
        self.projection_dim = projection_dim

    def build(self, input_shape: tuple) -> None:
        self.gamma = self.add_weight(
            shape=(self.projection_dim,), initializer=initializers.Constant(self.init_values)
        )

    def call(self, x: Any) -> Any:
        """The input times `gamma`.

        Args:
            x: The array.
        """
        return x * self.gamma


publish("keras.src.applications.convnext", {"LayerScale": LayerScale})


def _norm(name=None):
    return layers.LayerNormalization(epsilon=1e-6, name=name)


def _block(inputs, width, name):
    x = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(inputs)
    x = _norm(f"{name}_layernorm")(x)
    x = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(x)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    x = layers.Dense(width, name=f"{name}_pointwise_conv_2")(x)
    x = LayerScale(_SMALLEST_GAMMA, width, name=f"{name}_layer_scale")(x)
    return inputs + layers.Activation("linear", name=f"{name}_identity")(x)


def _begin(stage, width, name):
    """What makes the image smaller before each stage: a convolution, and a normalization."""
    if stage == 0:
        conv = layers.Conv2D(width, 4, strides=4, name=f"{name}_stem_conv")
        return Sequential([conv, _norm(f"{name}_stem_layernorm")], name=f"{name}_stem")
    stage -= 1
    conv = layers.Conv2D(width, 2, strides=2, name=f"{name}_downsampling_conv_{stage}")
    before = _norm(f"{name}_downsampling_layernorm_{stage}")
    return Sequential([before, conv], name=f"{name}_downsampling_block_{stage}")


def _features(x, depths, widths, name):
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        x = _begin(stage, width, name)(x)
        for i in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{i}")
    return x


def _head(request, x):
    if not request.include_top:
        return _norm()(request.pool(x, named=False))
    name = f"{request.name}_head"
    x = layers.GlobalAveragePooling2D(name=f"{name}_gap")(x)
    return request.classifier(_norm(f"{name}_layernorm")(x), name=f"{name}_dense")


def _convnext(kind, depths, width):
    title, usual_name = f"ConvNeXt{kind}", f"convnext_{kind.lower()}"
    files = weight_files("convnext", usual_name)
    widths = [width * 2**stage for stage in range(4)]

    def build(
        include_top: bool = True,
        include_preprocessing: bool = True,
        weights="imagenet",
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes: int = 1000,
        classifier_activation="softmax",
        name: str | None = usual_name,
    ) -> Model:
        request = Request(
            title, name or usual_name, include_top, weights, input_tensor, input_shape, pooling,
            classes, classifier_activation,
        )  # fmt: skip
        request.refuse_channels_first()
        x = image = request.image(224)
        if include_preprocessing and x.shape[-1] == 3:
            x = layers.Normalization(
                mean=_MEAN, variance=_VARIANCE, name=f"{request.name}_prestem_normalization"
            )(x)
        x = _features(x, depths, widths, request.name)
        return request.model(image, _head(request, x), files)

    describe(build, title, __name__, SCALED, _PAPER)
    return build


ConvNeXtTiny = _convnext("Tiny", (3, 3, 9, 3), 96)
ConvNeXtSmall = _convnext("Small", (3, 3, 27, 3), 96)
ConvNeXtBase = _convnext("Base", (3, 3, 27, 3), 128)
ConvNeXtLarge = _convnext("Large", (3, 3, 27, 3), 192)
ConvNeXtXLarge = _convnext("XLarge", (3, 3, 27, 3), 256)

__all__ = [
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "decode_predictions",
    "preprocess_input",
]
