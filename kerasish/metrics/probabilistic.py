"""Metrics of predicted probabilities: the losses, averaged over all samples."""

from typing import Any

from kerasish.losses import (
    binary_crossentropy,
    categorical_crossentropy,
    kl_divergence,
    label_kind,
    poisson,
)
from kerasish.losses.categorical import unchecked_sparse_crossentropy
from kerasish.metrics.metric import Metric
from kerasish.metrics.reduction import MeanMetricWrapper


class KLDivergence(MeanMetricWrapper):
    """Mean of the sum of `y_true * log(y_true / y_pred)` over the classes, in nats.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
        0.1438
    """

    _direction = "down"

    def __init__(self, name: str = "kl_divergence", dtype: Any = None):
        super().__init__(kl_divergence, name, dtype)


class Poisson(MeanMetricWrapper):
    """Mean of `y_pred - y_true * log(y_pred)`.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(Poisson()([[2.0]], [[1.0]])), 4)
        1.0
    """

    _direction = "down"

    def __init__(self, name: str = "poisson", dtype: Any = None):
        super().__init__(poisson, name, dtype)


class BinaryCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of labels 0 and 1, in nats.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to 0.5, between 0 and 1.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ):
        super().__init__(
            binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of one-hot labels, in nats.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to the uniform distribution, between 0 and 1.
        axis: The axis of the classes.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ):
        super().__init__(
            categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean cross-entropy of class numbers, in nats.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: Number whose samples do not count.
        axis: The axis of the classes.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    _direction = "down"

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(
            unchecked_sparse_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis


def crossentropy_for(
    y_true_shape: tuple, y_pred_shape: tuple, name: str = "crossentropy"
) -> Metric:
    """The metric that `metrics=["crossentropy"]` means for outputs of these shapes.

    Args:
        y_true_shape: Shape of the targets.
        y_pred_shape: Shape of the predictions.
        name: Key of the result in the logs.

    Example:
        >>> crossentropy_for((None, 1), (None, 1))
        <BinaryCrossentropy name=crossentropy>
    """
    classes = {
        "binary": BinaryCrossentropy,
        "sparse": SparseCategoricalCrossentropy,
        "categorical": CategoricalCrossentropy,
    }
    return classes[label_kind(y_true_shape, y_pred_shape)](name=name)
