"""`keras.ops.nn`: the ops that networks are made of."""
# ruff: noqa: F401, F403
# pyright: reportUnsupportedDunderAll=false

from kerasish.ops.math import polar
from kerasish.ops.nn import (
    activations,
    attention,
    convolution,
    ctc,
    encoding,
    losses,
    normalization,
    patches,
    pooling,
)
from kerasish.ops.nn.activations import *
from kerasish.ops.nn.attention import *
from kerasish.ops.nn.convolution import *
from kerasish.ops.nn.ctc import *
from kerasish.ops.nn.encoding import *
from kerasish.ops.nn.losses import *
from kerasish.ops.nn.normalization import *
from kerasish.ops.nn.patches import *
from kerasish.ops.nn.pooling import *

_PARTS = (
    *(activations, attention, convolution, ctc, encoding),
    *(losses, normalization, patches, pooling),
)
__all__ = sorted(["polar", *(name for part in _PARTS for name in part.__all__)])
