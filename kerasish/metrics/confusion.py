"""Metrics of yes-or-no decisions: counts of right and wrong ones, and their ratios."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import (
    divide_no_nan,
    spread,
    squeeze_or_expand_to_same_rank,
    wrong_shape,
)
from kerasish.metrics.metric import Metric

NEVER = -1e10  # a score below any threshold


class Counts(NamedTuple):
    """Weighted counts, each `(thresholds,)`, or `(thresholds, labels)` for `multi_label`."""

    true_positives: jax.Array
    false_positives: jax.Array
    true_negatives: jax.Array
    false_negatives: jax.Array


def confusion_counts(
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    evenly: bool,
    sample_weight: Any = None,
    top_k: int | None = None,
    class_id: int | None = None,
    multi_label: bool = False,
    label_weights: Any = None,
) -> Counts:
    """Count decisions `y_pred > threshold` by whether they are made and right.

    Args:
        y_true: Labels, 0 or not.
        y_pred: Scores, between 0 and 1 if the thresholds are even.
        thresholds: In rising order if even.
        evenly: Whether they are 0 to 1 in equal steps: then one pass does for all of them.
        sample_weight: A weight per sample `(batch,)` or per score.
        top_k: Let only the `k` best scores of each sample be decisions.
        class_id: Look at this class only.
        multi_label: Whether to count the labels of `(batch, labels)` separately.
        label_weights: A weight per label.
    """
    y_true, y_pred = dtypes.to_array(y_true, "float32"), dtypes.to_array(y_pred, "float32")
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if y_true.shape != y_pred.shape:
        hint = "Labels must be 0 or 1 for each score: one-hot for classes."
        raise wrong_shape("confusion_counts", y_true, y_pred, hint)
    weight = _weight_of_scores(sample_weight, y_pred)
    if label_weights is not None:
        weight = weight * jnp.asarray(label_weights, "float32")
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if y_pred.ndim == 1:
            raise bad_argument("class_id", "y_pred", "of shape (batch, ..., classes)", y_pred.shape)
        y_true, y_pred, weight = (x[..., class_id, None] for x in (y_true, y_pred, weight))
    columns = y_pred.shape[-1] if multi_label else 1
    y_true, y_pred, weight = (x.reshape(-1, columns) for x in (y_true, y_pred, weight))
    positive = jnp.where(y_true != 0, weight, 0)
    negative = jnp.where(y_true != 0, 0, weight)
    counts = (_by_buckets if evenly else _by_comparing)(y_pred, positive, negative, thresholds)
    return counts if multi_label else Counts(*(x[:, 0] for x in counts))


def _weight_of_scores(sample_weight, scores):
    weight = dtypes.to_array(1 if sample_weight is None else sample_weight, "float32")
    weight = squeeze_or_expand_to_same_rank(scores, weight, expand_rank_1=False)[1]
    return jnp.broadcast_to(spread(weight, scores.shape), scores.shape)


def _only_top_k(scores, k):
    best = jax.lax.top_k(scores, k)[1]
    chosen = jnp.any(jax.nn.one_hot(best, scores.shape[-1], dtype=bool), axis=-2)
    return jnp.where(chosen, scores, NEVER)


def _by_comparing(scores, positive, negative, thresholds):
    above = scores[None] > jnp.asarray(thresholds, "float32")[:, None, None]

    def total(decided, weight):
        return jnp.sum(jnp.where(decided, weight[None], 0), axis=1)

    return Counts(
        total(above, positive),
        total(above, negative),
        total(~above, negative),
        total(~above, positive),
    )


def _by_buckets(scores, positive, negative, thresholds):
    """A score counts at all thresholds below it: sum by bucket, then sum up from the top."""
    number, columns = len(thresholds), scores.shape[1]
    bucket = jnp.ceil(jnp.clip(scores, 0.0, 1.0) * (number - 1)) - 1
    if thresholds[0] < 0 or thresholds[-1] > 1:
        bucket = jnp.maximum(bucket, 0)  # a score of 0 exceeds the first threshold
    position = bucket.astype("int32") * columns + jnp.arange(columns)

    def above(weight):
        sums = jax.ops.segment_sum(weight.reshape(-1), position.reshape(-1), number * columns)
        return jnp.cumsum(sums.reshape(number, columns)[::-1], axis=0)[::-1]

    tp, fp = above(positive), above(negative)
    return Counts(tp, fp, jnp.sum(negative, axis=0) - fp, jnp.sum(positive, axis=0) - tp)


def is_even(thresholds: Sequence[float]) -> bool:
    """Whether thresholds are 0 to 1 in equal steps.

    Args:
        thresholds: Numbers in rising order.
    """
    steps = np.linspace(0, 1, len(thresholds))
    return len(thresholds) > 2 and np.allclose(thresholds, steps, atol=settings.epsilon())


class ConfusionMetric(Metric):
    """Base of what is made of decision counts.

    Subclasses name the counts they keep in `kinds`; each is an attribute, a vector with one element
    a threshold.

    Args:
        thresholds: What scores must exceed, one number or several, each between 0 and 1.
        default: The threshold if none is given.
        name, dtype: As in `Metric`.
    """

    kinds: tuple[str, ...] = Counts._fields
    top_k: int | None = None
    class_id: int | None = None

    def __init__(
        self,
        thresholds: Any = None,
        default: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        given = [] if thresholds is None else list(np.atleast_1d(np.asarray(thresholds, object)))
        wrong = [t for t in given if t is None or not 0 <= t <= 1]
        if wrong:
            raise bad_argument(self, "thresholds", "between 0 and 1", wrong)
        self.init_thresholds = thresholds
        self.thresholds = given or [default]
        self._evenly = is_even(self.thresholds)
        self._make_counts((len(self.thresholds),))

    def _make_counts(self, shape):
        for kind in self.kinds:
            setattr(self, kind, self.add_variable(shape, name=kind))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels, scores, and a weight per sample or score.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        self._add(
            confusion_counts(
                y_true,
                y_pred,
                self.thresholds,
                self._evenly,
                sample_weight,
                self.top_k,
                self.class_id,
            )
        )

    def _add(self, counts):
        for kind in self.kinds:
            getattr(self, kind).assign_add(getattr(counts, kind))

    def _one_or_all(self, values):
        return values[0] if len(self.thresholds) == 1 else values

    def get_config(self) -> dict:
        """The arguments; `thresholds` as they were given."""
        config = super().get_config()
        if "thresholds" in config:
            config["thresholds"] = self.init_thresholds
        return config


class _Count(ConfusionMetric):
    """One count, at one threshold or several."""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None):
        super().__init__(thresholds, name=name, dtype=dtype)

    def result(self) -> jax.Array:
        """The count so far: a number, or a vector for several thresholds."""
        return self._one_or_all(getattr(self, self.kinds[0]).value)


class TruePositives(_Count):
    """How many labels of 1 are scored above the threshold.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(TruePositives()([0, 1, 1, 1], [1, 0, 1, 1]))
        2.0
    """

    kinds = ("true_positives",)


class FalsePositives(_Count):
    """How many labels of 0 are scored above the threshold.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1]))
        2.0
    """

    kinds = ("false_positives",)


class TrueNegatives(_Count):
    """How many labels of 0 are not scored above the threshold.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0]))
        2.0
    """

    kinds = ("true_negatives",)


class FalseNegatives(_Count):
    """How many labels of 1 are not scored above the threshold.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0]))
        2.0
    """

    kinds = ("false_negatives",)


class _Ratio(ConfusionMetric):
    """True positives over them and another count."""

    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        default = 0.5 if top_k is None else NEVER
        super().__init__(thresholds, default, name, dtype)
        self.top_k = top_k
        self.class_id = class_id

    def result(self) -> jax.Array:
        """The ratio so far: a number, or a vector for several thresholds."""
        right, wrong = (getattr(self, kind).value for kind in self.kinds)
        return self._one_or_all(divide_no_nan(right, right + wrong))


class Precision(_Ratio):
    """The share of right ones among the scores above the threshold.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        top_k: Let only the `k` best scores of each sample count, whatever the threshold then.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
        0.6667
    """

    kinds = ("true_positives", "false_positives")


class Recall(_Ratio):
    """The share of scores above the threshold among the labels of 1.

    Args:
        thresholds: What scores must exceed, between 0 and 1; several give a vector.
        top_k: Let only the `k` best scores of each sample count, whatever the threshold then.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
        0.6667
    """

    kinds = ("true_positives", "false_negatives")
