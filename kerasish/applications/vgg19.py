"""VGG of 19 layers."""

from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import caffe as preprocess_input
from kerasish.applications.vgg import vgg

VGG19 = vgg("VGG19", __name__, (2, 2, 4, 4, 4))

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]
