"""Area under a curve that thresholds trace: ROC, precision-recall, and its gain form."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import divide_no_nan
from kerasish.metrics.confusion import Counts, confusion_counts, is_even
from kerasish.metrics.metric import Metric
from kerasish.metrics.rate_at_rate import even_thresholds

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "majoring", "minoring")
MAX_COUNTS = 100_000_000  # thresholds times labels: 400 MB for each of four kinds


class AUC(Metric):
    """Area under the curve of one rate against another, as the threshold goes from 1 to 0.

    Args:
        num_thresholds: How many thresholds stand for all; more are nearer to the exact area.
        curve: `"ROC"` (true positives against false ones), `"PR"` (precision against recall) or
            `"PRGAIN"` (their gains over always saying yes).
        summation_method: Between thresholds: `"interpolation"`, or the higher (`"majoring"`) or
            lower (`"minoring"`) end.
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        thresholds: Thresholds of one's own, between 0 and 1, instead of a number of even ones.
        multi_label: Whether the columns of `(batch, labels)` each have an area, which are then
            averaged; otherwise all are one set of decisions.
        num_labels: Their number; found in the first batch if not given.
        label_weights: A weight per label: of its area if `multi_label`, else of its decisions.
        from_logits: Whether predictions are logits rather than probabilities.

    References:
        Davis and Goadrich, 2006, "The Relationship Between Precision-Recall and ROC Curves", for
        interpolating precision. Flach and Kull, 2015, "Precision-Recall-Gain Curves".

    Example:
        >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
        0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        super().__init__(dtype, name)
        if str(curve).upper() not in CURVES:
            raise bad_argument(self, "curve", f"one of {CURVES}", curve)
        if str(summation_method).lower() not in SUMMATIONS:
            raise bad_argument(self, "summation_method", f"one of {SUMMATIONS}", summation_method)
        if num_labels and not multi_label:
            raise bad_argument(self, "num_labels", "None unless `multi_label=True`", num_labels)
        if thresholds is None:
            if num_thresholds <= 1:
                raise bad_argument(self, "num_thresholds", "at least 2", num_thresholds)
            inner, self._evenly = even_thresholds(num_thresholds, self)[1:-1], True
        else:
            inner = sorted(thresholds)
            self._evenly = is_even([0.0, *inner, 1.0])
        self.num_thresholds = len(inner) + 2
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        # The outer two are outside of all scores, so the curve starts and ends at its ends.
        self.thresholds = [-settings.epsilon(), *inner, 1.0 + settings.epsilon()]
        self.given_thresholds = None if thresholds is None else inner
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = (
            None if label_weights is None else np.asarray(label_weights, self.dtype)
        )
        self.from_logits = from_logits
        self.built = False
        if num_labels or not multi_label:
            self._build(num_labels)

    def _build(self, labels):
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        if math.prod(shape) > MAX_COUNTS:
            wanted = f"few enough for {MAX_COUNTS:,} counts with {self.num_thresholds} thresholds"
            raise bad_argument(self, "num_labels", wanted, labels)
        for kind in Counts._fields:
            setattr(self, kind, self.add_variable(shape, name=kind))
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels of 0 and 1, scores, and a weight per sample or score.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        y_pred = dtypes.to_array(y_pred, "float32")
        if not self.built:
            if y_pred.ndim != 2:
                raise bad_argument(self, "y_pred", "of shape (batch, labels)", y_pred.shape)
            self._build(y_pred.shape[1])
        counts = confusion_counts(
            y_true,
            jax.nn.sigmoid(y_pred) if self.from_logits else y_pred,
            self.thresholds,
            self._evenly,
            sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        for kind in Counts._fields:
            getattr(self, kind).assign_add(getattr(counts, kind))

    def result(self) -> jax.Array:
        """The area so far."""
        if not self.built:
            raise RuntimeError(f"{self.name}: nothing was seen yet; call `update_state` first.")
        counts = Counts(*(getattr(self, kind).value for kind in Counts._fields))
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            pieces = _interpolated_precision(*counts)
        else:
            x, y = _POINTS[self.curve](*counts)
            pieces = (x[:-1] - x[1:]) * _HEIGHTS[self.summation_method](y[:-1], y[1:])
        area = jnp.sum(pieces, axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return jnp.mean(area)
        return divide_no_nan(jnp.sum(area * self.label_weights), jnp.sum(self.label_weights))

    def get_config(self) -> dict:
        """The arguments; `thresholds` only if they were given."""
        config = super().get_config()
        config.pop("thresholds", None)
        if self.given_thresholds is not None:
            config["thresholds"] = [float(t) for t in self.given_thresholds]
        if self.label_weights is not None:
            config["label_weights"] = self.label_weights.tolist()
        return config


def _roc(tp, fp, tn, fn):
    return divide_no_nan(fp, fp + tn), divide_no_nan(tp, tp + fn)


def _precision_recall(tp, fp, tn, fn):
    return divide_no_nan(tp, tp + fn), divide_no_nan(tp, tp + fp)


def _precision_recall_gain(tp, fp, tn, fn):
    odds = divide_no_nan(tp + fn, tn + fp)
    recall = jnp.where(tp == 0, 0.0, 1.0 - odds * divide_no_nan(fn, tp))
    precision = jnp.where(tp == 0, 1.0, 1.0 - odds * divide_no_nan(fp, tp))
    return jnp.maximum(recall, 0.0), precision


_POINTS = {"ROC": _roc, "PR": _precision_recall, "PRGAIN": _precision_recall_gain}
_HEIGHTS = {
    "interpolation": lambda a, b: (a + b) / 2.0,
    "majoring": jnp.maximum,
    "minoring": jnp.minimum,
}


def _interpolated_precision(tp, fp, tn, fn):
    """Pieces of the area where counts, not precision, are interpolated between thresholds.

    With tp = intercept + slope * p for p positives, a piece is the integral of tp / p over tp.
    """
    p = tp + fp
    slope = divide_no_nan(tp[:-1] - tp[1:], jnp.maximum(p[:-1] - p[1:], 0))
    intercept = tp[1:] - slope * p[1:]
    both = (p[:-1] > 0) & (p[1:] > 0)
    ratio = jnp.where(both, divide_no_nan(p[:-1], jnp.maximum(p[1:], 0)), 1.0)
    area = slope * (tp[:-1] - tp[1:] + intercept * jnp.log(ratio))
    return divide_no_nan(area, jnp.maximum(tp[1:] + fn[1:], 0))
