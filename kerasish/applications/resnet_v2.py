"""ResNetV2: as ResNet, but normalized and activated before each convolution, not after."""

from kerasish import layers
from kerasish.applications.blocks import act, conv
from kerasish.applications.builders import builder
from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import tf as preprocess_input
from kerasish.applications.resnet import WIDTHS, files, norm, stem

_PAPER = 'He, Zhang, Ren and Sun, 2016, "Identity Mappings in Deep Residual Networks"'


def _block(x, width, stride, name, project):
    before = act(norm(x, f"{name}_preact_bn"), name=f"{name}_preact_relu")
    shortcut = x
    if project:
        shortcut = _pointwise(before, 4 * width, f"{name}_0_conv")
    elif stride > 1:
        shortcut = layers.MaxPooling2D(1, strides=stride)(x)
    x = conv(before, width, name=f"{name}_1_conv", padding="valid")
    x = act(norm(x, f"{name}_1_bn"), name=f"{name}_1_relu")
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = conv(x, width, 3, stride, f"{name}_2_conv", padding="valid")
    x = act(norm(x, f"{name}_2_bn"), name=f"{name}_2_relu")
    x = _pointwise(x, 4 * width, f"{name}_3_conv")
    return layers.Add(name=f"{name}_out")([shortcut, x])


def _pointwise(x, filters, name):
    return conv(x, filters, name=name, padding="valid", use_bias=True)


def _resnet(title, depths):
    def features(x):
        x = stem(x)
        for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), 2):
            for i in range(1, depth + 1):
                stride = 2 if i == depth and stage < 5 else 1
                x = _block(x, width, stride, f"conv{stage}_block{i}", project=i == 1)
        return act(norm(x, "post_bn"), name="post_relu")

    return builder(title, __name__, _PAPER, features, files(title))


ResNet50V2 = _resnet("ResNet50V2", (3, 4, 6, 3))
ResNet101V2 = _resnet("ResNet101V2", (3, 4, 23, 3))
ResNet152V2 = _resnet("ResNet152V2", (3, 8, 36, 3))

__all__ = ["ResNet101V2", "ResNet152V2", "ResNet50V2", "decode_predictions", "preprocess_input"]
