"""`keras.ops`: functions of arrays that also take symbolic tensors and Variables."""
# ruff: noqa: F401, F403
# pyright: reportUnsupportedDunderAll=false

from kerasish.ops import control_flow, core, einops, image, linalg, math, nn, numpy
from kerasish.ops.control_flow import *
from kerasish.ops.core import *
from kerasish.ops.einops import *
from kerasish.ops.linalg import *
from kerasish.ops.math import *
from kerasish.ops.nn import *
from kerasish.ops.numpy import *

_PARTS = (control_flow, core, einops, linalg, math, nn, numpy)
_NAMES = {name for part in _PARTS for name in part.__all__}
__all__ = sorted({"image", "linalg", "nn", "numpy", *_NAMES})
