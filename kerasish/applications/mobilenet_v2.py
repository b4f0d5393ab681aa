"""MobileNetV2: inverted residuals, wide inside and narrow where one block meets the next."""

from typing import Any

from kerasish import layers
from kerasish.applications.blocks import channel_axis, conv, depthwise, norm, round_filters
from kerasish.applications.builders import describe, scaling
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.mobilenet import square, trained_size, usual_size
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import KERNELS, weight_files
from kerasish.applications.request import Request
from kerasish.core.errors import bad_argument
from kerasish.models import Model

_PAPER = (
    'Sandler, Howard, Zhu, Zhmoginov and Chen, 2018, "MobileNetV2: Inverted Residuals and\n'
    '    Linear Bottlenecks"'
)
_SIZES = (96, 128, 160, 192, 224)  # of images that weights were trained on
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# Filters and stride of each block.
_BLOCKS = (
    (16, 1),
    (24, 2),
    (24, 1),
    (32, 2),
    *[(32, 1)] * 2,
    (64, 2),
    *[(64, 1)] * 3,
    *[(96, 1)] * 3,
    (160, 2),
    *[(160, 1)] * 2,
    (320, 1),
)


def _norm(x, name):
    return norm(x, name, epsilon=1e-3, momentum=0.999)


def _relu(x, name):
    return layers.ReLU(6.0, name=name)(x)


def _block(inputs, number, filters, stride):
    channels = inputs.shape[channel_axis()]
    x, prefix = inputs, f"block_{number}_" if number else "expanded_conv_"
    if number:
        x = _norm(conv(x, 6 * channels, name=f"{prefix}expand"), f"{prefix}expand_BN")
        x = _relu(x, f"{prefix}expand_relu")
    x = depthwise(x, 3, stride, f"{prefix}depthwise", pad=f"{prefix}pad")
    x = _relu(_norm(x, f"{prefix}depthwise_BN"), f"{prefix}depthwise_relu")
    x = _norm(conv(x, filters, name=f"{prefix}project"), f"{prefix}project_BN")
    if stride == 1 and channels == filters:
        return layers.Add(name=f"{prefix}add")([inputs, x])
    return x


def _features(x, alpha):
    x = _norm(conv(x, round_filters(32 * alpha), 3, 2, "Conv1"), "bn_Conv1")
    x = _relu(x, "Conv1_relu")
    for number, (filters, stride) in enumerate(_BLOCKS):
        x = _block(x, number, round_filters(int(filters * alpha)), stride)
    last = round_filters(1280 * max(alpha, 1.0))
    x = _norm(conv(x, last, name="Conv_1", padding="valid"), "Conv_1_bn")
    return _relu(x, "out_relu")


def MobileNetV2(  # noqa: N802
    input_shape: tuple | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: str | None = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    request = Request(
        "MobileNetV2", name, include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation,
    )  # fmt: skip
    size = usual_size(request, _SIZES)
    if input_shape is None and input_tensor is not None:
        size = square(tuple(input_tensor.shape[1:]), _SIZES) or 224
    shape = request.image_shape(size)
    if request.pretrained and alpha not in _ALPHAS:
        raise bad_argument(
            "MobileNetV2", "alpha", f"one of {_ALPHAS} with `weights='imagenet'`", alpha
        )
    size = trained_size(request, shape, _SIZES)
    image = request.start(shape)
    x = request.head(_features(image, alpha), average=None, named=False)
    kernels = f"{KERNELS}_{float(alpha)}_{size}"
    files = weight_files("mobilenet_v2", "mobilenet_v2", kernels, bare="_no_top")
    return request.model(image, x, files, name=name or f"mobilenetv2_{alpha:.2f}_{size}")


describe(MobileNetV2, "MobileNetV2", __name__, scaling(__name__), _PAPER)

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
