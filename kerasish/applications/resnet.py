"""ResNet: bottleneck blocks whose input is added to their output before the last activation."""

from collections.abc import Callable
from typing import Any

from kerasish import layers
from kerasish.applications import blocks
from kerasish.applications.blocks import act, conv
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import caffe as preprocess_input
from kerasish.applications.pretrained import KERNELS, WeightFiles, weight_files

WIDTHS = (64, 128, 256, 512)
_PAPER = 'He, Zhang, Ren and Sun, 2016, "Deep Residual Learning for Image Recognition"'


def norm(x: Any, name: str) -> Any:
    """Batch normalization as both kinds of ResNet have it.

    Args:
        x: Tensor of the network.
        name: Name of the layer.
    """
    return blocks.norm(x, name, last=3, epsilon=1.001e-5)


def stem(x: Any, after: Callable = lambda x: x) -> Any:
    """A convolution of 7 by 7 and a pooling, both of stride 2, and `after` between the two.

    Args:
        x: Tensor of the network.
        after: Function of what the convolution gives.
    """
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = after(conv(x, 64, 7, 2, "conv1_conv", padding="valid", use_bias=True))
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    return layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)


def files(title: str) -> WeightFiles:
    """ImageNet's weights of either kind.

    Args:
        title: Name of the network.
    """
    return weight_files("resnet", title.lower(), KERNELS)


def _block(x, width, stride, name, project):
    plain = {"padding": "valid", "use_bias": True}
    shortcut = x
    if project:
        shortcut = conv(x, 4 * width, 1, stride, f"{name}_0_conv", **plain)
        shortcut = norm(shortcut, f"{name}_0_bn")
    x = norm(conv(x, width, 1, stride, f"{name}_1_conv", **plain), f"{name}_1_bn")
    x = act(x, name=f"{name}_1_relu")
    x = norm(conv(x, width, 3, 1, f"{name}_2_conv", use_bias=True), f"{name}_2_bn")
    x = act(x, name=f"{name}_2_relu")
    x = norm(conv(x, 4 * width, 1, 1, f"{name}_3_conv", **plain), f"{name}_3_bn")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return act(x, name=f"{name}_out")


def _resnet(title, depths):
    def features(x):
        x = stem(x, lambda x: act(norm(x, "conv1_bn"), name="conv1_relu"))
        for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), 2):
            for i in range(1, depth + 1):
                stride = 2 if i == 1 and stage > 2 else 1
                x = _block(x, width, stride, f"conv{stage}_block{i}", project=i == 1)
        return x

    return builder(title, __name__, _PAPER, features, files(title))


ResNet50 = _resnet("ResNet50", (3, 4, 6, 3))
ResNet101 = _resnet("ResNet101", (3, 4, 23, 3))
ResNet152 = _resnet("ResNet152", (3, 8, 36, 3))

__all__ = ["ResNet101", "ResNet152", "ResNet50", "decode_predictions", "preprocess_input"]
