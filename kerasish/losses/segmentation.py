"""Losses on the overlap of regions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import settings
from kerasish.losses.loss import Loss, align


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = None) -> jax.Array:
    """`1 - 2 |overlap| / (|y_true| + |y_pred|)`.

    Args:
        y_true: True memberships, between 0 and 1.
        y_pred: Predicted ones.
        axis: The axes to sum over; `None` is all, the batch too.

    Shapes:
        Two of the same shape -> that without the axes.

    References:
        Milletari et al., 2016, "V-Net: Fully Convolutional Neural Networks for Volumetric
        Medical Image Segmentation".

    Example:
        >>> print(np.array(keras.losses.dice([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])).round(4))
        0.3333
    """
    y_true, y_pred = align(y_true, y_pred, "dice")
    overlap = jnp.sum(y_true * y_pred, axis)
    both = jnp.sum(y_true, axis) + jnp.sum(y_pred, axis)
    return 1 - 2.0 * overlap / (both + settings.epsilon())


def tversky(
    y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> jax.Array:
    """`1 - |overlap| / (|overlap| + alpha |missed| + beta |wrongly marked|)`.

    Args:
        y_true: True memberships, between 0 and 1.
        y_pred: Predicted ones.
        alpha: Weight of what is in `y_true` only.
        beta: Weight of what is in `y_pred` only.
        axis: The axes to sum over; `None` is all, the batch too.

    Shapes:
        Two of the same shape -> that without the axes.

    References:
        Salehi et al., 2017, "Tversky Loss Function for Image Segmentation Using 3D Fully
        Convolutional Deep Networks".

    Example:
        >>> print(np.array(keras.losses.tversky([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])).round(4))
        0.3333
    """
    y_true, y_pred = align(y_true, y_pred, "tversky")
    overlap = jnp.sum(y_true * y_pred, axis)
    missed = jnp.sum(y_true * (1 - y_pred), axis)
    extra = jnp.sum((1 - y_true) * y_pred, axis)
    return 1 - overlap / (overlap + alpha * missed + beta * extra + settings.epsilon())


class Dice(Loss):
    """`dice` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.
        axis: The axes to sum over; `None` is all, the batch too.

    Example:
        >>> round(float(Dice()([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 4)
        0.3333
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return dice(y_true, y_pred, self.axis)


class Tversky(Loss):
    """`tversky` reduced over the batch.

    Args:
        alpha: Weight of what is in `y_true` only.
        beta: Weight of what is in `y_pred` only.
        reduction, name, dtype: As in `Loss`.
        axis: The axes to sum over; `None` is all, the batch too.

    Example:
        >>> round(float(Tversky(alpha=1.0)([[1.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])), 4)
        0.5
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return tversky(y_true, y_pred, self.alpha, self.beta, self.axis)
