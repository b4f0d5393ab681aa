"""Inception-ResNet: Inception's blocks, their output scaled and added to their input."""

from typing import Any

from kerasish import layers
from kerasish.applications.blocks import act, channel_axis, conv, norm
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.inception_v3 import STEM, branch, head, mixed
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.pretrained import KERNELS, weight_files
from kerasish.core.serialization.registry import publish

_PAPER = (
    'Szegedy, Ioffe, Vanhoucke and Alemi, 2017, "Inception-v4, Inception-ResNet and the Impact\n'
    '    of Residual Connections on Learning"'
)


class CustomScaleLayer(layers.Layer):
    """The first of two inputs plus `scale` times the second.

    Args:
        scale: Factor of the second.

    Shapes:
        A list of two of one shape -> that shape.

    Example:
        >>> float(CustomScaleLayer(0.5)([np.array([1.0]), np.array([4.0])])[0])
        3.0
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """The first input plus the second times `scale`.

        Args:
            inputs: What the layer is called on.
        """
        return inputs[0] + inputs[1] * self.scale


publish("keras.src.applications.inception_resnet_v2", {"CustomScaleLayer": CustomScaleLayer})

_SMALL = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)), ("average", (64, 1)))
_TO_17 = (((384, 3, 2),), ((256, 1), (256, 3), (384, 3, 2)), ("max",))
_TO_8 = (
    ((256, 1), (384, 3, 2)),
    ((256, 1), (288, 3, 2)),
    ((256, 1), (288, 3), (320, 3, 2)),
    ("max",),
)
# Kind of block -> how many, the scale, its branches.
_RESIDUAL = {
    "block35": (10, 0.17, (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))),
    "block17": (20, 0.1, (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))),
    "block8": (10, 0.2, (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))),
}


def _residual(x, kind, last=False):
    count, scale, branches = _RESIDUAL[kind]
    for i in range(1, count + 1):
        name, is_last = f"{kind}_{i}", last and i == count
        y = mixed(x, f"{name}_mixed", *branches)
        y = conv(y, x.shape[channel_axis(3)], name=f"{name}_conv", use_bias=True)
        x = CustomScaleLayer(1.0 if is_last else scale)([x, y])
        x = x if is_last else act(x, name=f"{name}_ac")
    return x


def _features(x):
    x = mixed(branch(x, *STEM), "mixed_5b", *_SMALL)
    x = mixed(_residual(x, "block35"), "mixed_6a", *_TO_17)
    x = mixed(_residual(x, "block17"), "mixed_7a", *_TO_8)
    x = conv(_residual(x, "block8", last=True), 1536, name="conv_7b")
    return act(norm(x, "conv_7b_bn", last=3, scale=False), name="conv_7b_ac")


InceptionResNetV2 = builder(
    "InceptionResNetV2",
    __name__,
    _PAPER,
    _features,
    weight_files("inception_resnet_v2", "inception_resnet_v2", KERNELS),
    name="inception_resnet_v2",
    default_size=299,
    min_size=75,
    head=head,
)

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]
