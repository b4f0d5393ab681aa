"""DenseNet: each layer of a block takes the outputs of all layers before it."""

from kerasish import layers
from kerasish.applications.blocks import act, conv, join
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import torch as preprocess_input
from kerasish.applications.pretrained import weight_files
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


def _densenet(title, depths, hashes):
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

    stem = f"densenet/{title.lower()}_weights_tf_dim_ordering_tf_kernels"
    files = weight_files(stem, hashes)
    return builder(title, __name__, _PAPER, features, files, channels_first=False)


DenseNet121 = _densenet(
    "DenseNet121",
    (6, 12, 24, 16),
    ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
)
DenseNet169 = _densenet(
    "DenseNet169",
    (6, 12, 32, 32),
    ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
)
DenseNet201 = _densenet(
    "DenseNet201",
    (6, 12, 48, 32),
    ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
)

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
