"""Checks for classes of your own: each says what is wrong and what to do about it.

kerasish's own tests run them on every class it offers.
"""

from kerasish.testing.functions import check_constraint, check_initializer, check_regularizer
from kerasish.testing.layers import check_layer
from kerasish.testing.losses import check_loss, check_metric
from kerasish.testing.optimizers import check_optimizer

__all__ = [
    "check_constraint",
    "check_initializer",
    "check_layer",
    "check_loss",
    "check_metric",
    "check_optimizer",
    "check_regularizer",
]
