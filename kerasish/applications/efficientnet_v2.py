"""EfficientNetV2: EfficientNet whose first blocks convolve in one step rather than in two."""

import math

from kerasish import layers
from kerasish.applications.blocks import act, channel_axis, norm, round_filters
from kerasish.applications.builders import SCALED, describe
from kerasish.applications.efficientnet import (
    add_residual,
    head,
    scaled_conv,
    scaled_depthwise,
    squeeze_and_excite,
)
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import unchanged as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request
from kerasish.initializers import Constant
from kerasish.models import Model

_PAPER = 'Tan and Le, 2021, "EfficientNetV2: Smaller Models and Faster Training"'
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DROP = 0.2  # rate at which the last block is left out; the others are less often

# Filters of the first convolution; then of each stage: whether its convolutions are fused,
# repeats, filters, expansion, stride.
_B = (
    32,
    (True, 1, 16, 1, 1),
    (True, 2, 32, 4, 2),
    (True, 2, 48, 4, 2),
    (False, 3, 96, 4, 2),
    (False, 5, 112, 6, 1),
    (False, 8, 192, 6, 2),
)
_S = (
    24,
    (True, 2, 24, 1, 1),
    (True, 4, 48, 4, 2),
    (True, 4, 64, 4, 2),
    (False, 6, 128, 4, 2),
    (False, 9, 160, 6, 1),
    (False, 15, 256, 6, 2),
)
_M = (
    24,
    (True, 3, 24, 1, 1),
    (True, 5, 48, 4, 2),
    (True, 5, 80, 4, 2),
    (False, 7, 160, 4, 2),
    (False, 14, 176, 6, 1),
    (False, 18, 304, 6, 2),
    (False, 5, 512, 6, 1),
)
_L = (
    32,
    (True, 4, 32, 1, 1),
    (True, 7, 64, 4, 2),
    (True, 7, 96, 4, 2),
    (False, 10, 192, 4, 2),
    (False, 19, 224, 6, 1),
    (False, 25, 384, 6, 2),
    (False, 7, 640, 6, 1),
)


def _norm_act(x, name):
    return act(_norm(x, f"{name}bn"), "swish", f"{name}activation")


def _norm(x, name):
    return norm(x, name, last=3, momentum=0.9)


def _fused(x, filters_in, filters_out, expansion, stride, name):
    if expansion != 1:
        x = scaled_conv(x, filters_in * expansion, 3, stride, f"{name}expand_conv")
        x = _norm_act(x, f"{name}expand_")
        return _norm(scaled_conv(x, filters_out, name=f"{name}project_conv"), f"{name}project_bn")
    return _norm_act(
        scaled_conv(x, filters_out, 3, stride, f"{name}project_conv"), f"{name}project_"
    )


def _separate(x, filters_in, filters_out, expansion, stride, name):
    filters = filters_in * expansion
    x = _norm_act(scaled_conv(x, filters, name=f"{name}expand_conv"), f"{name}expand_")
    x = _norm_act(scaled_depthwise(x, 3, stride, f"{name}dwconv2"), name)
    x = squeeze_and_excite(x, filters, max(1, filters_in // 4), name)
    return _norm(scaled_conv(x, filters_out, name=f"{name}project_conv"), f"{name}project_bn")


def _scaled(x, normalized):
    if not normalized:
        return layers.Rescaling(1 / 128, offset=-1)(x)
    x = layers.Rescaling(1 / 255)(x)
    variance = [deviation**2 for deviation in _DEVIATION]
    return layers.Normalization(axis=channel_axis(3), mean=list(_MEAN), variance=variance)(x)


def _features(x, stem, stages, width, depth):
    def rounded(filters):
        return round_filters(filters * width, at_least=0)

    before, done = rounded(stem), 0
    total = sum(stage[1] for stage in stages)  # before the depth is scaled, as Keras has it
    x = _norm_act(scaled_conv(x, before, 3, 2, "stem_conv"), "stem_")
    for stage, (fused, repeats, filters, expansion, stride) in enumerate(stages, 1):
        filters = rounded(filters)
        for i in range(math.ceil(depth * repeats)):
            inputs, name = x, f"block{stage}{chr(97 + i)}_"
            stride_here = stride if i == 0 else 1
            block = _fused if fused else _separate
            x = block(x, before, filters, expansion, stride_here, name)
            if stride_here == 1 and before == filters:
                x = add_residual(x, inputs, _DROP * done / total, name)
            before, done = filters, done + 1
    return _norm_act(scaled_conv(x, rounded(1280), name="top_conv"), "top_")


def _efficientnet(kind, table, width, depth, size):
    stem, *stages = table
    usual_name = f"efficientnetv2-{kind}"
    files = weight_files("efficientnet_v2", usual_name)
    title = f"EfficientNetV2{kind.upper()}"

    def build(
        include_top: bool = True,
        weights="imagenet",
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes: int = 1000,
        classifier_activation="softmax",
        include_preprocessing: bool = True,
        name: str | None = usual_name,
    ) -> Model:
        request = Request(
            title, name, include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation,
        )  # fmt: skip
        x = image = request.image(size)
        if include_preprocessing:
            x = _scaled(x, normalized=table is _B and x.shape[channel_axis(3)] == 3)
        x = _features(x, stem, stages, width, depth)
        return request.model(image, head(request, x, 0.2, bias_initializer=Constant(0.0)), files)

    describe(build, title, __name__, SCALED, _PAPER)
    return build


EfficientNetV2B0 = _efficientnet("b0", _B, 1.0, 1.0, 224)
EfficientNetV2B1 = _efficientnet("b1", _B, 1.0, 1.1, 240)
EfficientNetV2B2 = _efficientnet("b2", _B, 1.1, 1.2, 260)
EfficientNetV2B3 = _efficientnet("b3", _B, 1.2, 1.4, 300)
EfficientNetV2S = _efficientnet("s", _S, 1.0, 1.0, 384)
EfficientNetV2M = _efficientnet("m", _M, 1.0, 1.0, 480)
EfficientNetV2L = _efficientnet("l", _L, 1.0, 1.0, 480)

__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "decode_predictions",
    "preprocess_input",
]
