"""Metrics that count right answers."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.labels import label_kind
from kerasish.losses.loss import (
    align,
    check_shapes,
    squeeze_or_expand_to_same_rank,
    wrong_shape,
)
from kerasish.metrics.metric import Metric
from kerasish.metrics.reduction import MeanMetricWrapper


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """1 where `y_true` equals `y_pred`, 0 elsewhere.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ...)` -> the same.
    """
    y_true, y_pred = align(y_true, y_pred, "accuracy")
    return (y_true == y_pred).astype(settings.floatx())


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> jax.Array:
    """1 where `y_pred > threshold` says what `y_true` (0 or 1) says, 0 elsewhere.

    Args:
        y_true: Labels 0 and 1.
        y_pred: Scores.
        threshold: What scores must exceed to mean 1.

    Shapes:
        Two of `(batch, ..., d)` -> the same.

    Example:
        >>> print(np.array(keras.metrics.binary_accuracy([1, 0], [0.9, 0.7])).round(4))
        [1. 0.]
    """
    y_true, y_pred = squeeze_or_expand_to_same_rank(
        dtypes.to_array(y_true), dtypes.to_array(y_pred)
    )
    check_shapes(y_true, y_pred, "binary_accuracy")
    yes = y_pred > jnp.asarray(threshold)
    return (y_true == yes.astype(y_true.dtype)).astype(settings.floatx())


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """1 where the largest score is that of the one-hot label, 0 elsewhere.

    Args:
        y_true: One-hot labels.
        y_pred: Scores.

    Shapes:
        Two of `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> values = keras.metrics.categorical_accuracy([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
        >>> print(np.array(values).round(4))
        [1. 0.]
    """
    y_true, y_pred = _one_hot_pair(y_true, y_pred, "categorical_accuracy")
    right = jnp.argmax(y_true, axis=-1) == jnp.argmax(y_pred, axis=-1)
    return right.astype(settings.floatx())


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """1 where the largest score is that of class number `y_true`, 0 elsewhere.

    Args:
        y_true: Class numbers.
        y_pred: Scores.

    Shapes:
        `(batch, ...)` or `(batch, ..., 1)`, and `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> values = keras.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
        >>> print(np.array(values).round(4))
        [1. 0.]
    """
    y_true, y_pred = _number_pair(y_true, y_pred, "sparse_categorical_accuracy")
    right = y_true == jnp.argmax(y_pred, axis=-1).astype(y_true.dtype)
    if right.ndim > 1 and right.shape[-1] == 1:
        right = jnp.squeeze(right, -1)
    return right.astype(settings.floatx())


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> jax.Array:
    """1 where the one-hot label's class is among the `k` largest scores, 0 elsewhere.

    Args:
        y_true: One-hot labels.
        y_pred: Scores.
        k: How many may be tried.

    Shapes:
        Two of `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> values = keras.metrics.top_k_categorical_accuracy([[0, 0, 1]], [[0.5, 0.1, 0.4]], k=2)
        >>> print(np.array(values).round(4))
        [1.]
    """
    y_true, y_pred = _one_hot_pair(y_true, y_pred, "top_k_categorical_accuracy")
    return _in_top_k(jnp.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> jax.Array:
    """1 where class number `y_true` is among the `k` largest scores, 0 elsewhere.

    Args:
        y_true: Class numbers.
        y_pred: Scores, or class numbers from best to worst if `from_sorted_ids`.
        k: How many may be tried.
        from_sorted_ids: What `y_pred` is.

    Shapes:
        `(batch, ...)` and `(batch, ..., classes)` -> the first.

    Example:
        >>> values = keras.metrics.sparse_top_k_categorical_accuracy([2], [[0.5, 0.1, 0.4]], k=2)
        >>> print(np.array(values).round(4))
        [1.]
    """
    y_true = dtypes.to_array(y_true)
    shape = y_true.shape
    y_true, y_pred = _number_pair(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    if from_sorted_ids:
        right = jnp.any(y_true[..., None] == y_pred[..., :k], axis=-1).astype(settings.floatx())
    else:
        right = _in_top_k(y_true.astype("int32"), y_pred, k)
    return right.reshape(shape)


def _without_ones(shape):
    return [n for n in shape if n != 1]


def _in_top_k(label, scores, k):
    own = jnp.take_along_axis(scores, label[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    better = jnp.sum(scores > own, axis=-1)
    return (better < k).astype(settings.floatx())


def _one_hot_pair(y_true, y_pred, who):
    y_true, y_pred = dtypes.to_array(y_true), dtypes.to_array(y_pred)
    if y_true.shape != y_pred.shape:
        raise wrong_shape(who, y_true, y_pred, f"Class numbers go with `sparse_{who}`.")
    return y_true, y_pred


def _number_pair(y_true, y_pred, who):
    y_true, y_pred = dtypes.to_array(y_true), dtypes.to_array(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = jnp.squeeze(y_true, -1)
    wanted = y_pred.shape[:-1]
    if y_true.shape != wanted and _without_ones(y_true.shape) == _without_ones(wanted):
        y_true = y_true.reshape(wanted)
    if y_true.shape != wanted:
        hint = ""
        if y_true.shape == y_pred.shape:
            hint = f"One-hot labels go with `{who.removeprefix('sparse_')}`."
        wanted = f"class numbers of shape {wanted}"
        raise bad_argument(who, "y_true", wanted, y_true.shape, hint)
    return y_true, y_pred


class Accuracy(MeanMetricWrapper):
    """How often predictions equal labels.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
        0.75
    """

    _direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often `y_pred > threshold` says what labels of 0 and 1 say.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        threshold: What predictions must exceed to mean 1; 0 for logits.

    Example:
        >>> float(BinaryAccuracy()([1, 1, 0, 0], [0.98, 0.4, 0.1, 0.6]))
        0.5
    """

    _direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the one-hot label.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]]))
        0.5
    """

    _direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest score is that of the label's class number.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(SparseCategoricalAccuracy()([1, 0], [[0.1, 0.9], [0.2, 0.8]]))
        0.5
    """

    _direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the one-hot label's class is among the `k` largest scores.

    Args:
        k: How many may be tried.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(TopKCategoricalAccuracy(k=2)([[0, 0, 1]], [[0.5, 0.1, 0.4]]))
        1.0
    """

    _direction = "up"

    def __init__(self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the label's class number is among the `k` largest scores.

    Args:
        k: How many may be tried.
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        from_sorted_ids: Whether predictions are class numbers from best to worst, not scores.

    Example:
        >>> float(SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.1, 0.4]]))
        1.0
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        super().__init__(
            sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids

    def get_config(self) -> dict:
        """The arguments; `from_sorted_ids` only if set, so that older Keras reads it."""
        config = super().get_config()
        if not self.from_sorted_ids:
            config.pop("from_sorted_ids", None)
        return config


def accuracy_for(y_true_shape: tuple, y_pred_shape: tuple, name: str = "accuracy") -> Metric:
    """The metric that `metrics=["accuracy"]` means for outputs of these shapes.

    Args:
        y_true_shape: Shape of the targets.
        y_pred_shape: Shape of the predictions.
        name: Key of the result in the logs.

    Example:
        >>> accuracy_for((None,), (None, 10))
        <SparseCategoricalAccuracy name=accuracy>
    """
    classes = {
        "binary": BinaryAccuracy,
        "sparse": SparseCategoricalAccuracy,
        "categorical": CategoricalAccuracy,
    }
    return classes[label_kind(y_true_shape, y_pred_shape)](name=name)
