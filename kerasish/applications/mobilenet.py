"""MobileNet: convolutions of each channel by itself, each followed by one across channels."""

import warnings
from typing import Any

from kerasish import layers
from kerasish.applications.blocks import conv, depthwise, norm
from kerasish.applications.builders import describe, scaling
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import weight_files
from kerasish.applications.request import Request, rows_and_columns
from kerasish.core.errors import bad_argument
from kerasish.models import Model

_PAPER = (
    'Howard et al., 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile\n'
    '    Vision Applications"'
)
_SIZES = (128, 160, 192, 224)  # of images that weights were trained on
_ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
# Filters and stride of each block.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


def square(shape: tuple, sizes: tuple) -> int | None:
    """Height of an image as high as wide whose height is one of those; `None` of others.

    Args:
        shape: Shape of one image.
        sizes: Heights that there are weights for.
    """
    rows, columns = rows_and_columns(shape)
    return rows if rows == columns and rows in sizes else None


def usual_size(request: Request, sizes: tuple) -> int:
    """The size whose weights fit the image that was asked for, or else the usual 224.

    Args:
        request: The caller's arguments.
        sizes: Heights that there are weights for.
    """
    shape = request.input_shape
    return 224 if shape is None else square(tuple(shape), sizes) or 224


def trained_size(request: Request, shape: tuple, sizes: tuple) -> int | None:
    """The height of images that the weights to load were trained on; warns of other images.

    Args:
        request: The caller's arguments.
        shape: Shape of one image.
        sizes: Heights that there are weights for.
    """
    if not request.pretrained:
        return rows_and_columns(shape)[0]
    size = square(shape, sizes)
    if size is None:
        warnings.warn(
            f"{request.builder}: there are ImageNet's weights for square images of {sizes}; those "
            f"for 224 are loaded, though `input_shape` is {shape}.",
            stacklevel=3,
        )
    return size or 224


def _norm_relu(x, name):
    return layers.ReLU(6.0, name=f"{name}_relu")(norm(x, f"{name}_bn"))


def _block(x, number, filters, stride, multiplier):
    name, padding = f"conv_dw_{number}", "valid" if stride == 2 else "same"
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{number}")(x)
    options = {"padding": padding, "depth_multiplier": multiplier}
    x = depthwise(x, 3, stride, name, **options)
    x = _norm_relu(x, name)
    return _norm_relu(conv(x, filters, name=f"conv_pw_{number}"), f"conv_pw_{number}")


def _head(request, x, dropout):
    if not request.include_top:
        return request.pool(x, named=False)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = conv(x, request.classes, name="conv_preds", use_bias=True)
    x = layers.Reshape((request.classes,), name="reshape_2")(x)
    return layers.Activation(request.classifier_activation, name="predictions")(x)


def MobileNet(  # noqa: N802
    input_shape: tuple | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: str | None = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Model:
    request = Request(
        "MobileNet", name, include_top, weights, input_tensor, input_shape, pooling, classes,
        classifier_activation,
    )  # fmt: skip
    shape = request.image_shape(usual_size(request, _SIZES))
    if request.pretrained and alpha not in _ALPHAS:
        wanted = f"one of {tuple(_ALPHAS)} with `weights='imagenet'`"
        raise bad_argument("MobileNet", "alpha", wanted, alpha)
    if request.pretrained and depth_multiplier != 1:
        wanted = "1 with `weights='imagenet'`"
        raise bad_argument("MobileNet", "depth_multiplier", wanted, depth_multiplier)
    size = trained_size(request, shape, _SIZES)
    image = request.start(shape)
    x = _norm_relu(conv(image, int(32 * alpha), 3, 2, "conv1"), "conv1")
    for number, (filters, stride) in enumerate(_BLOCKS, 1):
        x = _block(x, number, int(filters * alpha), stride, depth_multiplier)
    files = weight_files("mobilenet", f"mobilenet_{_ALPHAS.get(alpha)}_{size}_tf", bare="_no_top")
    x = _head(request, x, dropout)
    return request.model(image, x, files, name=name or f"mobilenet_{alpha:.2f}_{size}")


describe(MobileNet, "MobileNet", __name__, scaling(__name__), _PAPER)

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
