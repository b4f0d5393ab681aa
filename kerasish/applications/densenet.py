"""DenseNet: each layer of a block takes the outputs of all layers before it."""

from kerasish import layers
from kerasish.applications.blocks import act, conv, join
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import torch as preprocess_input
from kerasish.applications.pretrained import KERNELS, weight_files
from kerasish.applications.resnet import norm

_GROWTH = 32  # channels that each layer adds
_PAPER = (
    'Huang, Liu, van der Maaten and Weinberger, 2017, "Densely Connected Convolutional\n'
    '    Networks"'
)


def _norm_relu(x, name):
    return act(norm(x, f"{name}_bn"), name=f"{name}_relu")


def _layer(x, name):
    y = _norm_relu(x, f"{name}_0")
    y = conv(y, 4 * _GROWTH, name=f"{name}_1_conv", padding="valid")
    y = conv(_norm_relu(y, f"{name}_1"), _GROWTH, 3, name=f"{name}_2_conv")
    return join([x, y], f"{name}_concat", last=3)


def _halved(x, name):
    x = _norm_relu(x, name)
    x = conv(x, x.shape[-1] // 2, name=f"{name}_conv", padding="valid")
    return layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def _densenet(title, depths):
    def features(x):
        x = layers.ZeroPadding2D(3)(x)
        x = _norm_relu(conv(x, 64, 7, 2, "conv1_conv", padding="valid"), "conv1")
        x = layers.ZeroPadding2D(1)(x)
        x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
        for block, depth in enumerate(depths, 2):
            for i in range(1, depth + 1):
                x = _layer(x, f"conv{block}_block{i}")
            if block < 5:
                x = _halved(x, f"pool{block}")
        return act(norm(x, "bn"), name="relu")

    files = weight_files("densenet", title.lower(), KERNELS)
    return builder(title, __name__, _PAPER, features, files, channels_first=False)


DenseNet121 = _densenet("DenseNet121", (6, 12, 24, 16))
DenseNet169 = _densenet("DenseNet169", (6, 12, 32, 32))
DenseNet201 = _densenet("DenseNet201", (6, 12, 48, 32))

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
