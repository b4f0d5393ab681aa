"""`keras.ops.linalg`: the ops of linear algebra."""
# ruff: noqa: F403
# pyright: reportUnsupportedDunderAll=false

from kerasish.ops.linalg import decompositions
from kerasish.ops.linalg.decompositions import *

__all__ = sorted(decompositions.__all__)
