"""F-scores: precision and recall in one number."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import (
    spread,
    squeeze_or_expand_to_same_rank,
    weigh,
    wrong_shape,
)
from kerasish.metrics.metric import Metric

AVERAGES = (None, "micro", "macro", "weighted")
KINDS = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")


class FBetaScore(Metric):
    """Harmonic mean of precision and recall, recall counting `beta` times as much.

    Args:
        average: `None`: a score per class; `"micro"`: of all decisions together; `"macro"`: the
            mean over classes; `"weighted"`: that, weighted by the classes' frequencies.
        beta: How much recall counts, a positive float.
        threshold: What scores must exceed to be a yes, a float above 0 and up to 1. `None`: the
            largest score of each sample is its yes.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Shapes:
        Takes scores `(batch, ..., classes)` and labels of 0 and 1 of that shape, or class numbers
        `(batch, ...)` or `(batch, ..., 1)`; and weights `(batch,)` or `(batch, ...)`. One class
        may do without its axis, and its score is a number.

    Example:
        >>> y_true, y_pred = [[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]]
        >>> score = FBetaScore(beta=2.0, threshold=0.5)(np.array(y_true), np.array(y_pred))
        >>> [round(float(value), 4) for value in score]
        [0.0, 0.8333, 0.8333]
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        if average not in AVERAGES:
            raise bad_argument(self, "average", f"one of {AVERAGES}", average)
        if not isinstance(beta, float) or beta <= 0:
            raise bad_argument(self, "beta", "a positive float", beta)
        if threshold is not None and not (isinstance(threshold, float) and 0 < threshold <= 1):
            raise bad_argument(self, "threshold", "a float above 0 and up to 1", threshold)
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.built = False

    def _build(self, classes):
        if classes == 1 and self.threshold is None:
            warnings.warn(
                f"{self.name}: with one class and `threshold=None` every score is a yes, as it is "
                "the largest of its sample. Pass `threshold=0.5`, or 0 < threshold <= 1.",
                stacklevel=3,
            )
        shape = () if self.average == "micro" else (classes,)
        for kind in KINDS:
            setattr(self, kind, self.add_variable(shape, dtype=self.dtype, name=kind))
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels of 0 and 1, scores, and a weight per sample.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        y_pred = dtypes.to_array(y_pred, self.dtype)
        y_pred = y_pred[:, None] if y_pred.ndim == 1 else y_pred
        if y_pred.ndim < 2:
            raise bad_argument(self, "y_pred", "of shape (batch, ..., classes)", y_pred.shape)
        y_true = self._memberships(dtypes.to_array(y_true), y_pred)
        if not self.built:
            self._build(y_pred.shape[-1])
        weight = dtypes.to_array(1 if sample_weight is None else sample_weight, self.dtype)
        weight = squeeze_or_expand_to_same_rank(y_pred[..., 0], weight, expand_rank_1=False)[1]
        weight = jnp.broadcast_to(spread(weight, y_pred.shape[:-1]), y_pred.shape[:-1])
        rows = (-1, y_pred.shape[-1])
        yes, y_true = self._decide(y_pred).astype(self.dtype).reshape(rows), y_true.reshape(rows)
        weight, axis = weight.reshape(-1, 1), None if self.average == "micro" else 0
        found = (yes * y_true, yes * (1 - y_true), (1 - yes) * y_true, y_true)
        for kind, counted in zip(KINDS, found, strict=True):
            getattr(self, kind).assign_add(jnp.sum(weigh(counted, weight), axis=axis))

    def _memberships(self, y_true, y_pred):
        """Labels of 0 and 1 for each class; class numbers become that."""
        classes = y_pred.shape[-1]
        numbers = y_true
        if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1 < classes:
            numbers = jnp.squeeze(y_true, -1)
        if numbers.shape == y_pred.shape[:-1]:
            if classes == 1:
                return numbers[..., None].astype(self.dtype)
            return jax.nn.one_hot(numbers.astype("int32"), classes, dtype=self.dtype)
        if y_true.shape != y_pred.shape:
            hint = f"Or class numbers of shape {y_pred.shape[:-1]}."
            raise wrong_shape(self.name, y_true, y_pred, hint)
        return y_true.astype(self.dtype)

    def _decide(self, scores):
        if self.threshold is not None:
            return scores > self.threshold
        best = jnp.max(scores, axis=-1, keepdims=True)
        return (scores >= best) & (jnp.abs(scores) > 1e-9)

    def result(self) -> jax.Array:
        """The score so far: a number, or one per class."""
        if not self.built:
            raise RuntimeError(f"{self.name}: nothing was seen yet; call `update_state` first.")
        tiny, square = settings.epsilon(), self.beta**2
        right, extra, missed, present = (getattr(self, kind).value for kind in KINDS)
        precision, recall = right / (right + extra + tiny), right / (right + missed + tiny)
        score = (1 + square) * precision * recall / (square * precision + recall + tiny)
        if self.average is None and score.size == 1:
            return score.reshape(())
        if self.average == "weighted":
            return jnp.sum(score * present / (jnp.sum(present) + tiny))
        return score if self.average is None else jnp.mean(score)


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall.

    Args:
        average: `None`: a score per class; `"micro"`: of all decisions together; `"macro"`: the
            mean over classes; `"weighted"`: that, weighted by the classes' frequencies.
        threshold: What scores must exceed to be a yes, a float above 0 and up to 1. `None`: the
            largest score of each sample is its yes.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Shapes:
        Takes scores `(batch, ..., classes)` and labels of 0 and 1 of that shape, or class numbers
        `(batch, ...)` or `(batch, ..., 1)`; and weights `(batch,)` or `(batch, ...)`. One class
        may do without its axis, and its score is a number.

    Example:
        >>> metric = F1Score(average="micro", threshold=0.5)
        >>> round(float(metric(np.array([[1, 1], [1, 0]]), np.array([[0.2, 0.6], [0.8, 0.6]]))), 4)
        0.6667
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)
