"""Inception: blocks of several branches of convolutions, their outputs side by side."""

from typing import Any

from kerasish import layers
from kerasish.applications.blocks import conv_norm_relu, join
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import KERNELS, weight_files
from kerasish.applications.request import Request

_PAPER = (
    'Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, 2016, "Rethinking the Inception\n'
    '    Architecture for Computer Vision"'
)


def branch(x: Any, *steps: Any) -> Any:
    """Convolutions one after the other.

    A step is `"average"` or `"max"`, a pooling of 3 by 3, the second of stride 2; or `(filters,
    kernel)`; with a third element, the stride, there is no padding.

    Args:
        x: Tensor of the network.
        *steps: What is done, in order.
    """
    for step in steps:
        if step == "average":
            x = layers.AveragePooling2D(3, strides=1, padding="same")(x)
        elif step == "max":
            x = layers.MaxPooling2D(3, strides=2)(x)
        else:
            x = conv_norm_relu(x, *step, padding="same" if len(step) == 2 else "valid")
    return x


def mixed(x: Any, name: str | None, *branches: tuple) -> Any:
    """Several branches of one tensor, side by side.

    Args:
        x: Tensor of the network.
        name: Name of the layer.
        *branches: Steps of each, as `branch` takes them.
    """
    return join([branch(x, *steps) for steps in branches], name, last=3)


# Both Inceptions begin so: from 299 by 299 to 35 by 35.
STEM = ((32, 3, 2), (32, 3, 1), (64, 3), "max", (80, 1, 1), (192, 3, 1), "max")


def _small(pooled):
    """Branches of blocks on 35 by 35."""
    large = ((64, 1), (96, 3), (96, 3))
    return ((64, 1),), ((48, 1), (64, 5)), large, ("average", (pooled, 1))


def _tall_and_wide(width):
    """Branches of blocks on 17 by 17: rows and columns one after the other."""
    wide, tall = (width, (1, 7)), (width, (7, 1))
    once = ((width, 1), wide, (192, (7, 1)))
    twice = ((width, 1), tall, wide, tall, (192, (1, 7)))
    return ((192, 1),), once, twice, ("average", (192, 1))


_BLOCKS = (
    _small(32),
    _small(64),
    _small(64),
    (((384, 3, 2),), ((64, 1), (96, 3), (96, 3, 2)), ("max",)),
    *map(_tall_and_wide, (128, 160, 160, 192)),
    (
        ((192, 1), (320, 3, 2)),
        ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
        ("max",),
    ),
)


def _split(x, name=None):
    """Rows and columns side by side."""
    return mixed(x, name, ((384, (1, 3)),), ((384, (3, 1)),))


def _features(x):
    x = branch(x, *STEM)
    for i, branches in enumerate(_BLOCKS):
        x = mixed(x, f"mixed{i}", *branches)
    for i in range(2):
        narrow = branch(x, (320, 1))
        once = _split(branch(x, (384, 1)), f"mixed9_{i}")
        twice = _split(branch(x, (448, 1), (384, 3)))
        pooled = branch(x, "average", (192, 1))
        x = join([narrow, once, twice, pooled], f"mixed{9 + i}", last=3)
    return x


def head(request: Request, x: Any) -> Any:
    """The usual classifier; the layer of `pooling` has a generated name.

    Args:
        request: The caller's arguments.
        x: Tensor of the network.
    """
    return request.head(x, named=False)


InceptionV3 = builder(
    "InceptionV3",
    __name__,
    _PAPER,
    _features,
    weight_files("inception_v3", "inception_v3", KERNELS),
    name="inception_v3",
    default_size=299,
    min_size=75,
    head=head,
)

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
