"""VGG: stacks of 3 by 3 convolutions, halved between them, and three fully connected layers."""

from collections.abc import Callable

from kerasish import layers
from kerasish.applications.blocks import conv
from kerasish.applications.builders import builder
from kerasish.applications.pretrained import KERNELS, weight_files

_WIDTHS = (64, 128, 256, 512, 512)
_PAPER = (
    'Simonyan and Zisserman, 2015, "Very Deep Convolutional Networks for Large-Scale Image\n'
    '    Recognition"'
)


def vgg(title: str, module: str, repeats: tuple) -> Callable:
    """The builder of one VGG.

    Args:
        title: Its name.
        module: `__name__` of its module.
        repeats: Convolutions of each of the five blocks.
    """

    def features(x):
        for block, (width, repeat) in enumerate(zip(_WIDTHS, repeats, strict=True), 1):
            for i in range(1, repeat + 1):
                name = f"block{block}_conv{i}"
                x = conv(x, width, 3, name=name, use_bias=True, activation="relu")
            x = layers.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
        return x

    files = weight_files(title.lower(), title.lower(), KERNELS)
    return builder(title, module, _PAPER, features, files, head=_head)


def _head(request, x):
    if not request.include_top:
        return request.pool(x, named=False)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return request.classifier(x)
