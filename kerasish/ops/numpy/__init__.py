"""`keras.ops.numpy`: the ops that NumPy's functions are the model of."""
# ruff: noqa: F403
# pyright: reportUnsupportedDunderAll=false

from kerasish.ops.numpy import (
    arithmetic,
    creation,
    elementwise,
    manipulation,
    products,
    reductions,
)
from kerasish.ops.numpy.arithmetic import *
from kerasish.ops.numpy.creation import *
from kerasish.ops.numpy.elementwise import *
from kerasish.ops.numpy.manipulation import *
from kerasish.ops.numpy.products import *
from kerasish.ops.numpy.reductions import *

_PARTS = (arithmetic, creation, elementwise, manipulation, products, reductions)
__all__ = sorted(name for part in _PARTS for name in part.__all__)
