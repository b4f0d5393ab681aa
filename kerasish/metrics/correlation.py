"""Metrics of how predictions move with targets."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import settings
from kerasish.losses.loss import align
from kerasish.metrics.reduction import MeanMetricWrapper


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> jax.Array:
    """Correlation of targets and predictions along an axis: from -1 to 1, NaN for constants.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        axis: The axis to go along.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`, without `axis`.

    References:
        Pearson, 1895, "Notes on Regression and Inheritance in the Case of Two Parents".

    Example:
        >>> values = keras.metrics.pearson_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])
        >>> print(np.array(values).round(4))
        [0.8109]
    """
    scores = [_standard(y, axis) for y in align(y_true, y_pred, "pearson_correlation")]
    return jnp.mean(scores[0] * scores[1], axis=axis)


def _standard(y, axis):
    y = y - jnp.mean(y, axis=axis, keepdims=True)
    return y / jnp.std(y, axis=axis, keepdims=True)


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> jax.Array:
    """Agreement of predictions with targets along an axis: from -1 to 1, which is equality.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        axis: The axis to go along.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`, without `axis`.

    References:
        Lin, 1989, "A Concordance Correlation Coefficient to Evaluate Reproducibility".

    Example:
        >>> values = keras.metrics.concordance_correlation([[0.0, 1.0, 0.5]], [[0.1, 0.9, 1.0]])
        >>> print(np.array(values).round(4))
        [0.7477]
    """
    y_true, y_pred = align(y_true, y_pred, "concordance_correlation")
    mean_true, mean_pred = (jnp.mean(y, axis=axis, keepdims=True) for y in (y_true, y_pred))
    spread = jnp.var(y_true, axis=axis) + jnp.var(y_pred, axis=axis)
    shift = jnp.squeeze(jnp.square(mean_true - mean_pred), axis)
    together = jnp.mean((y_true - mean_true) * (y_pred - mean_pred), axis=axis)
    return 2 * together / (spread + shift + settings.epsilon())


class PearsonCorrelation(MeanMetricWrapper):
    """Mean correlation of each sample's targets and predictions.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        axis: The axis to correlate along; 0 for a batch of single numbers, which must then be
            the whole set.

    Example:
        >>> metric = PearsonCorrelation(axis=0)
        >>> round(float(metric([0.0, 1.0, 0.5], [0.1, 0.9, 1.0])), 4)
        0.8109
    """

    _direction = "up"

    def __init__(self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """Mean agreement of each sample's predictions with its targets.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        axis: The axis to compare along; 0 for a batch of single numbers, which must then be the
            whole set.

    Example:
        >>> metric = ConcordanceCorrelation(axis=0)
        >>> round(float(metric([0.0, 1.0, 0.5], [0.1, 0.9, 1.0])), 4)
        0.7477
    """

    _direction = "up"

    def __init__(self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
