"""Hinge losses: nothing to pay once the right answer wins by a margin of 1."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.losses.loss import Loss, align


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `max(0, 1 - y_true * y_pred)` over the last axis.

    Labels are -1 and 1; labels that are all 0 or 1 are taken as those.

    Args:
        y_true: Labels, -1 and 1 or 0 and 1.
        y_pred: Scores.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.hinge([[-1.0, 1.0]], [[0.5, 0.5]])).round(4))
        [1.]
    """
    y_true, y_pred = align(y_true, y_pred, "hinge")
    return jnp.mean(_shortfall(y_true, y_pred), axis=-1)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `max(0, 1 - y_true * y_pred) ** 2` over the last axis.

    Labels are -1 and 1; labels that are all 0 or 1 are taken as those.

    Args:
        y_true: Labels, -1 and 1 or 0 and 1.
        y_pred: Scores.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.squared_hinge([[-1.0, 1.0]], [[0.5, 0.5]])).round(4))
        [1.25]
    """
    y_true, y_pred = align(y_true, y_pred, "squared_hinge")
    return jnp.mean(jnp.square(_shortfall(y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """`max(0, 1 + best wrong score - right score)`, the classes on the last axis.

    Args:
        y_true: One-hot labels.
        y_pred: Scores.

    Shapes:
        One-hot labels and scores `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.categorical_hinge([[0.0, 1.0]], [[0.5, 1.0]])).round(4))
        [0.5]
    """
    y_true, y_pred = align(y_true, y_pred, "categorical_hinge")
    right = jnp.sum(y_true * y_pred, axis=-1)
    wrong = jnp.max((1.0 - y_true) * y_pred, axis=-1)
    return jnp.maximum(wrong - right + 1.0, 0.0)


def _shortfall(y_true, y_pred):
    # NaN stands for a target that does not count, and says nothing of the others.
    binary = jnp.all((y_true == 0) | (y_true == 1) | jnp.isnan(y_true))
    y_true = jnp.where(binary, 2.0 * y_true - 1.0, y_true)
    return jnp.maximum(1.0 - y_true * y_pred, 0.0)


class Hinge(Loss):
    """`hinge` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        0.75
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "hinge", dtype: Any = None
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return hinge(y_true, y_pred)


class SquaredHinge(Loss):
    """`squared_hinge` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        1.125
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return squared_hinge(y_true, y_pred)


class CategoricalHinge(Loss):
    """`categorical_hinge` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return categorical_hinge(y_true, y_pred)
