"""Xception: residual blocks of separable convolutions."""

from kerasish import layers
from kerasish.applications.blocks import act, conv, norm
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.inception_v3 import head
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import KERNELS, weight_files

_PAPER = 'Chollet, 2017, "Xception: Deep Learning with Depthwise Separable Convolutions"'


def _separable(x, filters, name):
    options = {"padding": "same", "use_bias": False}
    return norm(layers.SeparableConv2D(filters, 3, name=name, **options)(x), f"{name}_bn")


def _block(x, number, widths, halve):
    """Separable convolutions, each after an activation, but for the very first."""
    residual = norm(conv(x, widths[-1], 1, 2)) if halve else x
    for i, width in enumerate(widths, 1):
        name = f"block{number}_sepconv{i}"
        x = x if (number, i) == (2, 1) else act(x, name=f"{name}_act")
        x = _separable(x, width, name)
    if halve:
        pool = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{number}_pool")
        x = pool(x)
    return layers.add([x, residual])


def _features(x):
    for i, (width, stride) in enumerate(((32, 2), (64, 1)), 1):
        name = f"block1_conv{i}"
        x = norm(conv(x, width, 3, stride, name, padding="valid"), f"{name}_bn")
        x = act(x, name=f"{name}_act")
    for number, width in enumerate((128, 256, 728), 2):
        x = _block(x, number, (width, width), halve=True)
    for number in range(5, 13):
        x = _block(x, number, (728, 728, 728), halve=False)
    x = _block(x, 13, (728, 1024), halve=True)
    for i, width in enumerate((1536, 2048), 1):
        name = f"block14_sepconv{i}"
        x = act(_separable(x, width, name), name=f"{name}_act")
    return x


Xception = builder(
    "Xception",
    __name__,
    _PAPER,
    _features,
    weight_files("xception", "xception", KERNELS),
    default_size=299,
    min_size=71,
    head=head,
)

__all__ = ["Xception", "decode_predictions", "preprocess_input"]
