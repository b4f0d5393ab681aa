"""VGG of 16 layers."""

from kerasish.applications.imagenet_utils import decode_predictions
from kerasish.applications.preprocessing import caffe as preprocess_input
from kerasish.applications.vgg import vgg

VGG16 = vgg(
    "VGG16",
    __name__,
    (2, 2, 3, 3, 3),
    ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
)

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
