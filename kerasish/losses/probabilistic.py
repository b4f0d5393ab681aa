"""Losses between distributions and for counts."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import settings
from kerasish.losses.loss import Loss, align


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Sum of `y_true * log(y_true / y_pred)` over the last axis, in nats.

    Probabilities are clipped to `epsilon()` and 1.

    Args:
        y_true: Probabilities.
        y_pred: Probabilities.

    Shapes:
        Two of `(batch, ..., classes)` -> `(batch, ...)`.

    References:
        Kullback and Leibler, 1951, "On Information and Sufficiency".

    Example:
        >>> print(np.array(keras.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]])).round(4))
        [0.1438]
    """
    y_true, y_pred = align(y_true, y_pred, "kl_divergence")
    y_true, y_pred = (jnp.clip(y, settings.epsilon(), 1) for y in (y_true, y_pred))
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `y_pred - y_true * log(y_pred)` over the last axis.

    Minus the log-likelihood of counts `y_true` under rates `y_pred`, up to a constant.

    Args:
        y_true: Counts.
        y_pred: Rates, positive.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.poisson([[2.0]], [[1.0]])).round(4))
        [1.]
    """
    y_true, y_pred = align(y_true, y_pred, "poisson")
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + settings.epsilon()), axis=-1)


class KLDivergence(Loss):
    """`kl_divergence` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
        0.1438
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return kl_divergence(y_true, y_pred)


class Poisson(Loss):
    """`poisson` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
        1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "poisson",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return poisson(y_true, y_pred)
