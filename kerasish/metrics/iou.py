"""Intersection over union: overlap of predicted and true regions, by class."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import spread, squeeze_or_expand_to_same_rank
from kerasish.metrics.metric import Metric

_RUN = 4096  # floats added one by one; longer runs would stop growing in float32
MAX_CLASSES = 10_000  # their matrix takes 400 MB


def _sums_by_pair(weight, pair, pairs):
    """The sum of the weights of each pair, in runs, as one long sum of floats loses digits."""
    known = isinstance(weight.size, int)
    runs = min(weight.size // _RUN, weight.size // pairs) if known else 0
    if runs < 2 or not dtypes.is_float(weight.dtype):
        return jax.ops.segment_sum(weight, pair, pairs)
    run = jnp.arange(weight.size) % runs
    sums = jax.ops.segment_sum(weight, run * pairs + pair, runs * pairs)
    return jnp.sum(sums.reshape(runs, pairs), axis=0)


class IoU(Metric):
    """Mean over some classes of `|overlap| / |union|` of where each is and is predicted.

    Keeps the matrix that counts pairs of true and predicted class. Classes that neither occur nor
    are predicted do not count.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes to average over.
        name: Key of the result in the logs.
        dtype: As in `Metric`. Counts are floats, also where this is an integer type.
        ignore_class: True class whose elements do not count.
        sparse_y_true: Whether labels are class numbers, not one-hot.
        sparse_y_pred: Whether predictions are class numbers, not scores.
        axis: The axis of the classes where there is one.

    Example:
        >>> float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]))
        0.333333...
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: Any,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(dtype or "int32", name)
        if not 0 < num_classes <= MAX_CLASSES:
            raise bad_argument(self, "num_classes", f"from 1 to {MAX_CLASSES:,}", num_classes)
        wanted = f"class numbers from 0 to {num_classes - 1}"
        if not all(0 <= n < num_classes for n in target_class_ids):
            raise bad_argument(self, "target_class_ids", wanted, list(target_class_ids))
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        shape = (num_classes, num_classes)
        # Floats whatever the dtype: integers would drop fractions of weights, and overflow.
        kind = self.dtype if dtypes.is_float(self.dtype) else "float32"
        self.total_cm = self.add_variable(shape, dtype=kind, name="total_confusion_matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels, predictions, and a weight for each of them.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        y_true, y_pred = dtypes.to_array(y_true), dtypes.to_array(y_pred)
        y_true = y_true if self.sparse_y_true else jnp.argmax(y_true, axis=self.axis)
        y_pred = y_pred if self.sparse_y_pred else jnp.argmax(y_pred, axis=self.axis)
        weight = self._weight(sample_weight, y_true).reshape(-1)
        true, pred = (y.astype("int32").reshape(-1) for y in (y_true, y_pred))
        classes = self.num_classes
        valid = (true >= 0) & (true < classes) & (pred >= 0) & (pred < classes)
        if self.ignore_class is not None:
            valid = valid & (true != self.ignore_class)
        weight = jnp.where(valid, weight, 0)
        pair = jnp.where(valid, true * classes + pred, 0)
        counts = _sums_by_pair(weight, pair, classes * classes).reshape(classes, classes)
        self.total_cm.assign_add(counts.astype(self.total_cm.dtype))

    def _weight(self, sample_weight, labels):
        given = dtypes.to_array(1 if sample_weight is None else sample_weight)
        if not dtypes.is_float(given.dtype):
            given = given.astype("int32")
        labels, weight = squeeze_or_expand_to_same_rank(labels, given)
        return jnp.broadcast_to(spread(weight, labels.shape), labels.shape)

    def result(self) -> jax.Array:
        """The mean so far; 0 before any."""
        matrix = self.total_cm.value.astype("float32")
        overlap = jnp.diag(matrix)
        union = jnp.sum(matrix, axis=0) + jnp.sum(matrix, axis=1) - overlap
        targets = np.array(self.target_class_ids)
        overlap, union = overlap[targets], union[targets]
        seen = union > 1e-9
        ratio = jnp.where(seen, overlap / (union + settings.epsilon()), 0.0)
        return jnp.sum(ratio) / (jnp.sum(seen) + settings.epsilon())


class BinaryIoU(IoU):
    """Mean of `|overlap| / |union|` for 0 and 1, predictions being scores.

    Args:
        target_class_ids: The classes to average over: 0, 1 or both.
        threshold: What scores must reach to be 1.
        name: Key of the result in the logs.
        dtype: As in `Metric`. Counts are floats, also where this is an integer type.

    Example:
        >>> float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]))
        0.333333...
    """

    def __init__(
        self,
        target_class_ids: Any = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels of 0 and 1, scores, and a weight for each of them.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        yes = dtypes.to_array(y_pred, "float32") >= self.threshold
        super().update_state(y_true, yes, sample_weight)


class MeanIoU(IoU):
    """Mean over all classes of `|overlap| / |union|`.

    Args:
        num_classes: Number of classes.
        name: Key of the result in the logs.
        dtype: As in `Metric`. Counts are floats, also where this is an integer type.
        ignore_class: True class whose elements do not count.
        sparse_y_true: Whether labels are class numbers, not one-hot.
        sparse_y_pred: Whether predictions are class numbers, not scores.
        axis: The axis of the classes where there is one.

    Example:
        >>> float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]))
        0.333333...
    """

    def __init__(
        self,
        num_classes: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        ids = range(num_classes)
        super().__init__(
            num_classes, ids, name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis
        )


class OneHotIoU(IoU):
    """Mean over some classes of `|overlap| / |union|`, labels being one-hot.

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes to average over.
        name: Key of the result in the logs.
        dtype: As in `Metric`. Counts are floats, also where this is an integer type.
        ignore_class: True class whose elements do not count.
        sparse_y_pred: Whether predictions are class numbers, not scores.
        axis: The axis of the classes.

    Example:
        >>> metric = OneHotIoU(num_classes=2, target_class_ids=[1])
        >>> float(metric([[1, 0], [0, 1]], [[0.6, 0.4], [0.3, 0.7]]))
        0.99999...
    """

    def __init__(
        self,
        num_classes: Any,
        target_class_ids: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )


class OneHotMeanIoU(MeanIoU):
    """Mean over all classes of `|overlap| / |union|`, labels being one-hot.

    Args:
        num_classes: Number of classes.
        name: Key of the result in the logs.
        dtype: As in `Metric`. Counts are floats, also where this is an integer type.
        ignore_class: True class whose elements do not count.
        sparse_y_pred: Whether predictions are class numbers, not scores.
        axis: The axis of the classes.

    Example:
        >>> metric = OneHotMeanIoU(num_classes=2)
        >>> float(metric([[1, 0], [1, 0]], [[0.6, 0.4], [0.3, 0.7]]))
        0.25
    """

    def __init__(
        self,
        num_classes: Any,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
