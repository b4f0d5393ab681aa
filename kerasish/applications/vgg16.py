"""VGG of 16 layers."""

from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import caffe as preprocess_input
from kerasish.applications.vgg import vgg

VGG16 = vgg("VGG16", __name__, (2, 2, 3, 3, 3))

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
