"""EfficientNet: inverted bottlenecks, their width, depth and image size scaled together."""

import math
from typing import Any

from kerasish import layers
from kerasish.applications.blocks import (
    act,
    channel_axis,
    conv,
    depthwise,
    halving_pad,
    norm,
    round_filters,
)
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import unchanged as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request
from kerasish.initializers import VarianceScaling

_PAPER = (
    'Tan and Le, 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural\n'
    '    Networks"'
)
_FOLDER = "https://storage.googleapis.com/keras-applications/"
_DEVIATION = (0.229, 0.224, 0.225)  # of red, green and blue in ImageNet's images
_DROP = 0.2  # rate at which the last block is left out; the others are less often

# Kernel, repeats, filters, expansion, stride.
_STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)


def kernel_initializer() -> VarianceScaling:
    """Of convolutions: normal, its variance 2 over the outputs of a filter."""
    return VarianceScaling(scale=2.0, mode="fan_out", distribution="truncated_normal")


def scaled_conv(
    x: Any, filters: int, kernel: Any = 1, strides: Any = 1, name: str | None = None, **options: Any
) -> Any:
    """Convolution as both kinds of EfficientNet have it.

    Args:
        x: Tensor of the network.
        filters: Channels of the output.
        kernel: Height and width of the kernel, or one number for both.
        strides: Steps between positions of the kernel.
        name: Name of the layer.
        **options: Further arguments of the layer.
    """
    initializer = kernel_initializer()
    return conv(x, filters, kernel, strides, name, kernel_initializer=initializer, **options)


def scaled_depthwise(x: Any, kernel: Any, stride: int, name: str, **options: Any) -> Any:
    """Convolution of each channel by itself, as both kinds of EfficientNet have it.

    Args:
        x: Tensor of the network.
        kernel: Height and width of the kernel, or one number for both.
        stride: Steps between positions of the kernel.
        name: Name of the layer.
        **options: Further arguments of the layer.
    """
    initializer = kernel_initializer()
    return depthwise(x, kernel, stride, name, depthwise_initializer=initializer, **options)


def squeeze_and_excite(x: Any, filters: int, squeezed: int, name: str | None) -> Any:
    """Each channel times a number from 0 to 1, computed from the averages of all channels.

    Args:
        x: Tensor of the network.
        filters: Channels of the output.
        squeezed: Channels between the two products.
        name: Name of the layer.
    """
    averages = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    shape = (filters, 1, 1) if channel_axis() == 1 else (1, 1, filters)
    y = layers.Reshape(shape, name=f"{name}se_reshape")(averages)
    options = {"use_bias": True}
    y = scaled_conv(y, squeezed, name=f"{name}se_reduce", activation="swish", **options)
    y = scaled_conv(y, filters, name=f"{name}se_expand", activation="sigmoid", **options)
    return layers.multiply([x, y], name=f"{name}se_excite")


def add_residual(x: Any, inputs: Any, drop: float, name: str | None) -> Any:
    """The block's input added to its output, which training leaves out at a rate.

    Args:
        x: Tensor of the network.
        inputs: What the block was given.
        drop: Rate at which training leaves the block out.
        name: Name of the layer.
    """
    if drop > 0:
        x = layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.add([x, inputs], name=f"{name}add")


def head(request: Request, x: Any, dropout: float, **dense: Any) -> Any:
    """Averages, dropout and classifier.

    Args:
        request: The caller's arguments.
        x: Tensor of the network.
        dropout: Rate of the dropout before the classifier.
        **dense: Further arguments of the last layer.
    """
    if not request.include_top:
        return request.pool(x, named=True)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dropout(dropout, name="top_dropout")(x)
    initializer = VarianceScaling(scale=1 / 3, mode="fan_out", distribution="uniform")
    return request.classifier(x, kernel_initializer=initializer, **dense)


def _norm_act(x, name, stem="", **options):
    return act(norm(x, f"{name}{stem}bn", last=3), "swish", f"{name}{stem}activation")


def _block(inputs, filters_in, filters_out, kernel, expansion, stride, drop, name):
    x, filters = inputs, filters_in * expansion
    if expansion != 1:
        x = _norm_act(scaled_conv(x, filters, name=f"{name}expand_conv"), name, "expand_")
    x = scaled_depthwise(x, kernel, stride, f"{name}dwconv", pad=f"{name}dwconv_pad")
    x = squeeze_and_excite(_norm_act(x, name), filters, max(1, filters_in // 4), name)
    x = norm(scaled_conv(x, filters_out, name=f"{name}project_conv"), f"{name}project_bn", last=3)
    if stride == 1 and filters_in == filters_out:
        x = add_residual(x, inputs, drop, name)
    return x


def _scaled(request, x):
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Normalization(axis=channel_axis(3))(x)
    if (
        request.pretrained
    ):  # what the weights were trained with, besides the mean and variance in them
        x = layers.Rescaling([1 / math.sqrt(deviation) for deviation in _DEVIATION])(x)
    return x


def _features(x, width, depth):
    repeats = [math.ceil(depth * stage[1]) for stage in _STAGES]
    before, done = round_filters(32 * width), 0
    x = halving_pad(x, 3, "stem_conv_pad")
    x = _norm_act(scaled_conv(x, before, 3, 2, "stem_conv", padding="valid"), "stem_")
    for stage, (kernel, _, filters, expansion, stride) in enumerate(_STAGES, 1):
        filters = round_filters(filters * width)
        for i in range(repeats[stage - 1]):
            name, drop = f"block{stage}{chr(97 + i)}_", _DROP * done / sum(repeats)
            stride_here = stride if i == 0 else 1
            x = _block(x, before, filters, kernel, expansion, stride_here, drop, name)
            before, done = filters, done + 1
    return _norm_act(scaled_conv(x, round_filters(1280 * width), name="top_conv"), "top_")


def _efficientnet(kind, width, depth, size, dropout):
    title = f"EfficientNet{kind.upper()}"
    files = weight_files(_FOLDER, title.lower())

    def features(x):
        return _features(x, width, depth)

    def classify(request, x):
        return head(request, x, dropout)

    return builder(
        title, __name__, _PAPER, features, files, default_size=size, scale=_scaled, head=classify
    )


EfficientNetB0 = _efficientnet("b0", 1.0, 1.0, 224, 0.2)
EfficientNetB1 = _efficientnet("b1", 1.0, 1.1, 240, 0.2)
EfficientNetB2 = _efficientnet("b2", 1.1, 1.2, 260, 0.3)
EfficientNetB3 = _efficientnet("b3", 1.2, 1.4, 300, 0.3)
EfficientNetB4 = _efficientnet("b4", 1.4, 1.8, 380, 0.4)
EfficientNetB5 = _efficientnet("b5", 1.6, 2.2, 456, 0.4)
EfficientNetB6 = _efficientnet("b6", 1.8, 2.6, 528, 0.5)
EfficientNetB7 = _efficientnet("b7", 2.0, 3.1, 600, 0.5)

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]
