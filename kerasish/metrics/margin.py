"""Hinge losses as metrics."""

from typing import Any

from kerasish.losses import categorical_hinge, hinge, squared_hinge
from kerasish.metrics.reduction import MeanMetricWrapper


class Hinge(MeanMetricWrapper):
    """Mean of `max(0, 1 - y_true * y_pred)`, labels -1 and 1 (or 0 and 1).

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(Hinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        0.75
    """

    _direction = "down"

    def __init__(self, name: str = "hinge", dtype: Any = None):
        super().__init__(hinge, name, dtype)


class SquaredHinge(MeanMetricWrapper):
    """Mean of `max(0, 1 - y_true * y_pred) ** 2`, labels -1 and 1 (or 0 and 1).

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(SquaredHinge()([[-1.0, 1.0]], [[0.5, 2.0]]))
        1.125
    """

    _direction = "down"

    def __init__(self, name: str = "squared_hinge", dtype: Any = None):
        super().__init__(squared_hinge, name, dtype)


class CategoricalHinge(MeanMetricWrapper):
    """Mean of `max(0, 1 + best wrong score - right score)`, for one-hot labels.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
        0.5
    """

    _direction = "down"

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None):
        super().__init__(categorical_hinge, name, dtype)
