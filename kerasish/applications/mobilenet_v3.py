"""MobileNetV3: inverted residuals found by a search, with squeeze-and-excitation and hard swish."""

import warnings

from kerasish import layers
from kerasish.applications.blocks import channel_axis, conv, depthwise, norm, round_filters
from kerasish.applications.builders import SCALED, describe
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import unchanged as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request, rows_and_columns
from kerasish.core.errors import bad_argument
from kerasish.models import Model

_PAPER = 'Howard et al., 2019, "Searching for MobileNetV3"'
# Expansion, filters, kernel, stride, whether squeezed and excited, whether with hard swish. The
# last two, and a kernel of 5, are for those models that are not minimalistic.
_SMALL = (
    (1, 16, 3, 2, True, False),
    (72 / 16, 24, 3, 2, False, False),
    (88 / 24, 24, 3, 1, False, False),
    (4, 40, 5, 2, True, True),
    *[(6, 40, 5, 1, True, True)] * 2,
    *[(3, 48, 5, 1, True, True)] * 2,
    (6, 96, 5, 2, True, True),
    *[(6, 96, 5, 1, True, True)] * 2,
)
_LARGE = (
    (1, 16, 3, 1, False, False),
    (4, 24, 3, 2, False, False),
    (3, 24, 3, 1, False, False),
    (3, 40, 5, 2, True, False),
    *[(3, 40, 5, 1, True, False)] * 2,
    (6, 80, 3, 2, False, True),
    (2.5, 80, 3, 1, False, True),
    *[(2.3, 80, 3, 1, False, True)] * 2,
    *[(6, 112, 3, 1, True, True)] * 2,
    (6, 160, 5, 2, True, True),
    *[(6, 160, 5, 1, True, True)] * 2,
)


def _norm(x, name):
    return norm(x, name, epsilon=1e-3, momentum=0.999)


def _swish(x):
    return layers.Activation("hard_swish")(x)


def _relu(x):
    return layers.ReLU()(x)


def _squeeze_and_excite(x, filters, prefix):
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}avg_pool")(x)
    y = conv(y, round_filters(filters * 0.25), name=f"{prefix}conv", use_bias=True)
    y = layers.ReLU(name=f"{prefix}relu")(y)
    y = conv(y, filters, name=f"{prefix}conv_1", use_bias=True)
    y = layers.ReLU(6.0)(y + 3.0) * (1 / 6)
    return layers.Multiply(name=f"{prefix}mul")([x, y])


def _block(inputs, number, expansion, filters, kernel, stride, squeezed, activation):
    channels = inputs.shape[channel_axis()]
    wide = round_filters(channels * expansion)
    x, prefix = inputs, f"expanded_conv_{number}_" if number else "expanded_conv_"
    if number:
        x = activation(_norm(conv(x, wide, name=f"{prefix}expand"), f"{prefix}expand_bn"))
    x = depthwise(x, kernel, stride, f"{prefix}depthwise", pad=f"{prefix}depthwise_pad")
    x = activation(_norm(x, f"{prefix}depthwise_bn"))
    if squeezed:
        x = _squeeze_and_excite(x, wide, f"{prefix}squeeze_excite_")
    x = _norm(conv(x, filters, name=f"{prefix}project"), f"{prefix}project_bn")
    if stride == 1 and channels == filters:
        return layers.Add(name=f"{prefix}add")([inputs, x])
    return x


def _features(x, table, alpha, minimalistic):
    activation = _relu if minimalistic else _swish
    x = activation(_norm(conv(x, 16, 3, 2, "conv"), "conv_bn"))
    for number, (expansion, filters, kernel, stride, squeezed, swish) in enumerate(table):
        x = _block(
            x,
            number,
            expansion,
            round_filters(filters * alpha),
            3 if minimalistic else kernel,
            stride,
            squeezed and not minimalistic,
            activation if swish else _relu,
        )
    last = round_filters(x.shape[channel_axis()] * 6)
    return activation(_norm(conv(x, last, name="conv_1"), "conv_1_bn"))


def _head(request, x, filters, activation, dropout):
    if not request.include_top:
        return request.pool(x, named=True)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = activation(conv(x, filters, name="conv_2", use_bias=True))
    if dropout > 0:
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(conv(x, request.classes, name="logits", use_bias=True))
    return layers.Activation(request.classifier_activation, name="predictions")(x)


def _start(request, alpha, minimalistic):
    """Where the model starts; the size may be unknown, with the classifier too."""
    shape = request.input_shape
    if shape is None and request.input_tensor is not None:
        shape = request.input_tensor.shape[1:]
    shape = request.free_shape() if shape is None else tuple(shape)
    request.check_size(shape, 32)
    if request.pretrained:
        known = (1.0,) if minimalistic else (0.75, 1.0)
        if alpha not in known:
            wanted = f"one of {known} with `weights='imagenet'`, minimalistic={minimalistic}"
            raise bad_argument(request.builder, "alpha", wanted, alpha)
        if rows_and_columns(shape) != (224, 224):
            warnings.warn(
                f"{request.builder}: ImageNet's weights are of images of 224 by 224; they are "
                f"loaded, though `input_shape` is {request.input_shape}.",
                stacklevel=3,
            )
    return request.start(shape)


def _mobilenet(kind, table, last):
    title = f"MobileNetV3{kind.capitalize()}"

    def build(
        input_shape=None,
        alpha: float = 1.0,
        minimalistic: bool = False,
        include_top: bool = True,
        weights="imagenet",
        input_tensor=None,
        classes: int = 1000,
        pooling=None,
        dropout_rate: float = 0.2,
        classifier_activation="softmax",
        include_preprocessing: bool = True,
        name: str | None = title,
    ) -> Model:
        request = Request(
            title, name, include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation,
        )  # fmt: skip
        x = image = _start(request, alpha, minimalistic)
        if include_preprocessing:
            x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
        x = _features(x, table, alpha, minimalistic)
        filters = round_filters(last * alpha) if alpha > 1 else last
        x = _head(request, x, filters, _relu if minimalistic else _swish, dropout_rate)
        stem = f"weights_mobilenet_v3_{kind}{'_minimalistic' if minimalistic else ''}_224"
        files = weight_files("mobilenet_v3", f"{stem}_{float(alpha)}_float", bare="_no_top_v2")
        return request.model(image, x, files)

    describe(build, title, __name__, SCALED, _PAPER)
    return build


MobileNetV3Small = _mobilenet("small", _SMALL, 1024)
MobileNetV3Large = _mobilenet("large", _LARGE, 1280)

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]
