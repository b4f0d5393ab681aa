"""`keras.ops.image`: the ops of images."""
# ruff: noqa: F403
# pyright: reportUnsupportedDunderAll=false

from kerasish.ops.image import color, filters, resizing, transforms
from kerasish.ops.image.color import *
from kerasish.ops.image.filters import *
from kerasish.ops.image.resizing import *
from kerasish.ops.image.transforms import *

_PARTS = (color, filters, resizing, transforms)
__all__ = sorted(name for part in _PARTS for name in part.__all__)
