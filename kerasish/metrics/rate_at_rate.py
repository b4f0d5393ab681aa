"""The best of one rate that can be had at a floor under another, over all thresholds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.losses.loss import divide_no_nan
from kerasish.metrics.confusion import ConfusionMetric

MAX_THRESHOLDS = 1_000_000  # each is a float in a list, and a few more on the device


def even_thresholds(number: int, who: Any = "thresholds") -> list[float]:
    """0 to 1 in equal steps; one threshold is 0.5.

    Args:
        number: How many.
        who: Whom the error names.
    """
    if not isinstance(number, int | np.integer) or not 0 < number <= MAX_THRESHOLDS:
        wanted = f"a positive integer up to {MAX_THRESHOLDS:,}"
        raise bad_argument(who, "num_thresholds", wanted, number)
    return [0.5] if number == 1 else [i / (number - 1) for i in range(number)]


class _BestUnderConstraint(ConfusionMetric):
    _direction = "up"

    def __init__(
        self, what: Any, floor: Any, num_thresholds: Any, class_id: Any, name: Any, dtype: Any
    ):
        thresholds = even_thresholds(num_thresholds, type(self))
        super().__init__(thresholds, name=name, dtype=dtype)
        if not 0 <= floor <= 1:
            raise bad_argument(self, what, "between 0 and 1", floor)
        self.floor = floor
        self.num_thresholds = num_thresholds
        self.class_id = class_id

    def _best(self, wanted, constrained):
        return jnp.max(jnp.where(constrained >= self.floor, wanted, 0), initial=0)

    def _sensitivity(self):
        right = self.true_positives.value
        return divide_no_nan(right, right + self.false_negatives.value)

    def _specificity(self):
        right = self.true_negatives.value
        return divide_no_nan(right, right + self.false_positives.value)

    def _precision(self):
        right = self.true_positives.value
        return divide_no_nan(right, right + self.false_positives.value)


class SensitivityAtSpecificity(_BestUnderConstraint):
    """The highest share of 1s found at a threshold that passes over enough of the 0s.

    Args:
        specificity: The share of 0s to pass over, between 0 and 1.
        num_thresholds: How many thresholds to try.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> metric = SensitivityAtSpecificity(0.5)
        >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
        0.5
    """

    def __init__(
        self,
        specificity: Any,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("specificity", specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def result(self) -> jax.Array:
        """The best so far."""
        return self._best(self._sensitivity(), self._specificity())


class SpecificityAtSensitivity(_BestUnderConstraint):
    """The highest share of 0s passed over at a threshold that finds enough of the 1s.

    Args:
        sensitivity: The share of 1s to find, between 0 and 1.
        num_thresholds: How many thresholds to try.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> metric = SpecificityAtSensitivity(0.5)
        >>> round(float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 4)
        0.6667
    """

    def __init__(
        self,
        sensitivity: Any,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("sensitivity", sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def result(self) -> jax.Array:
        """The best so far."""
        return self._best(self._specificity(), self._sensitivity())


class PrecisionAtRecall(_BestUnderConstraint):
    """The highest precision at a threshold that finds enough of the 1s.

    Args:
        recall: The share of 1s to find, between 0 and 1.
        num_thresholds: How many thresholds to try.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> metric = PrecisionAtRecall(0.5)
        >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
        0.5
    """

    def __init__(
        self,
        recall: Any,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("recall", recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    def result(self) -> jax.Array:
        """The best so far."""
        return self._best(self._precision(), self._sensitivity())


class RecallAtPrecision(_BestUnderConstraint):
    """The highest share of 1s found at a threshold that is precise enough.

    Args:
        precision: The precision to keep, between 0 and 1.
        num_thresholds: How many thresholds to try.
        class_id: Look at this class only.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> metric = RecallAtPrecision(0.8)
        >>> float(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
        0.5
    """

    def __init__(
        self,
        precision: Any,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__("precision", precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    def result(self) -> jax.Array:
        """The best so far."""
        return self._best(self._sensitivity(), self._precision())
