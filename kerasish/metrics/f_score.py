"""F-scores: precision and recall in one number."""

import jax
import jax.numpy as jnp

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import wrong_shape
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
        Takes `(batch, classes)` twice, and weights `(batch,)`.

    Example:
        >>> y_true, y_pred = [[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]]
        >>> score = FBetaScore(beta=2.0, threshold=0.5)(np.array(y_true), np.array(y_pred))
        >>> [round(float(value), 4) for value in score]
        [0.0, 0.8333, 0.8333]
    """

    _direction = "up"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
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
        shape = () if self.average == "micro" else (classes,)
        for kind in KINDS:
            setattr(self, kind, self.add_variable(shape, dtype=self.dtype, name=kind))
        self.built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Take in a batch: labels of 0 and 1, scores, and a weight per sample."""
        y_true, y_pred = (dtypes.to_array(y, self.dtype) for y in (y_true, y_pred))
        if y_pred.ndim != 2:
            raise bad_argument(self, "y_pred", "of shape (batch, classes)", y_pred.shape)
        if y_true.shape != y_pred.shape:
            raise wrong_shape(self.name, y_true, y_pred, "One-hot encode class numbers.")
        if not self.built:
            self._build(y_pred.shape[1])
        yes = self._decide(y_pred).astype(self.dtype)
        weight = dtypes.to_array(1 if sample_weight is None else sample_weight, self.dtype)
        weight = weight.reshape(-1, 1) if weight.ndim else weight
        axis = None if self.average == "micro" else 0
        found = (yes * y_true, yes * (1 - y_true), (1 - yes) * y_true, y_true)
        for kind, counted in zip(KINDS, found, strict=True):
            getattr(self, kind).assign_add(jnp.sum(counted * weight, axis=axis))

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
        Takes `(batch, classes)` twice, and weights `(batch,)`.

    Example:
        >>> metric = F1Score(average="micro", threshold=0.5)
        >>> round(float(metric(np.array([[1, 1], [1, 0]]), np.array([[0.2, 0.6], [0.8, 0.6]]))), 4)
        0.6667
    """

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average, 1.0, threshold, name, dtype)
