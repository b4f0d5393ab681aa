"""Metrics for real-valued targets."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish import losses
from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import align, divide_no_nan, weigh
from kerasish.metrics.metric import Metric
from kerasish.metrics.reduction import Mean, MeanMetricWrapper


class MeanSquaredError(MeanMetricWrapper):
    """Mean of `(y_true - y_pred) ** 2`.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
        2.0
    """

    _direction = "down"

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """Mean of `|y_true - y_pred|`.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
        1.0
    """

    _direction = "down"

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean of `100 |y_true - y_pred| / |y_true|`, in percent.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]]))
        25.0
    """

    _direction = "down"

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean of `(log(1 + y_true) - log(1 + y_pred)) ** 2`.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
        0.2402
    """

    _direction = "down"

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class RootMeanSquaredError(Mean):
    """Root of the mean of `(y_true - y_pred) ** 2` over all that was seen.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(RootMeanSquaredError()([[0.0, 0.0]], [[3.0, 3.0]]))
        3.0
    """

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets, predictions, and a weight per sample or value.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        y_true, y_pred = align(y_true, dtypes.to_array(y_pred, self.dtype), self.name)
        super().update_state(jnp.square(y_pred - y_true), sample_weight)

    def result(self) -> jax.Array:
        """The root so far."""
        return jnp.sqrt(super().result())


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> jax.Array:
    """The cosine of the angle between targets and predictions: 1 is the best.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        axis: The axis of the vectors.
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between targets and predictions: 1 is the best.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        axis: The axis of the vectors.

    Example:
        >>> float(CosineSimilarity()([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [3.0, 0.0]]))
        0.5
    """

    _direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(cosine_similarity, name, dtype, axis=axis)
        self.axis = axis


class LogCoshError(MeanMetricWrapper):
    """Mean of `log(cosh(y_pred - y_true))`.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> round(float(LogCoshError()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
        0.2169
    """

    _direction = "down"

    def __init__(self, name: str = "logcosh", dtype: Any = None):
        super().__init__(losses.log_cosh, name, dtype)


_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """The share of the targets' variance that predictions explain: 1 is the best, 0 is the mean's.

    Args:
        class_aggregation: How the scores of the outputs become one: `"uniform_average"`,
            `"variance_weighted_average"`, or `None` for one each.
        num_regressors: Number of predictors, for the adjusted score; 0 is the plain one, which is
            also given while there are not enough samples for the other.
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Shapes:
        Takes `(batch, outputs)` twice, and weights `(batch,)` or `(batch, outputs)`.

    Example:
        >>> round(float(R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])), 4)
        0.5
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        if class_aggregation not in _AGGREGATIONS:
            raise bad_argument(
                self, "class_aggregation", f"one of {_AGGREGATIONS}", class_aggregation
            )
        if num_regressors < 0:
            raise bad_argument(self, "num_regressors", "0 or more", num_regressors)
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(name="num_samples")
        self.built = False

    def _build(self, outputs):
        self.squared_sum = self.add_variable((outputs,), name="squared_sum")
        self.sum = self.add_variable((outputs,), name="sum")
        self.total_mse = self.add_variable((outputs,), name="residual")
        self.count = self.add_variable((outputs,), name="count")
        self.built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets, predictions, and weights.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        y_true, y_pred = align(y_true, dtypes.to_array(y_pred, self.dtype), self.name)
        if y_pred.ndim != 2 or y_true.ndim != 2:
            raise bad_argument(self, "y_pred", "of shape (batch, outputs)", y_pred.shape)
        if not self.built:
            self._build(y_pred.shape[1])
        weight = dtypes.to_array(1 if sample_weight is None else sample_weight, self.dtype)
        weight = jnp.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        self.total_mse.assign_add(jnp.sum(weigh((y_true - y_pred) ** 2, weight), axis=0))
        self._add_deviations(y_true, weight)
        self.num_samples.assign_add(losses.loss.count(y_true))

    def _add_deviations(self, y_true, weight):
        """Merge squared deviations from the batch's mean with those from the mean so far.

        The difference of two sums of squares would lose all digits where the mean is large.

        References:
            Chan, Golub and LeVeque, 1983, "Algorithms for Computing the Sample Variance".
        """
        before, added = self.count.value, jnp.sum(weight, axis=0)
        total = jnp.sum(weigh(y_true, weight), axis=0)
        mean = divide_no_nan(total, added)
        within = jnp.sum(weigh((y_true - mean) ** 2, weight), axis=0)
        shift = mean - divide_no_nan(self.sum.value, before)
        between = shift**2 * before * divide_no_nan(added, before + added)
        self.squared_sum.assign_add(within + between)
        self.sum.assign_add(total)
        self.count.assign_add(added)

    def result(self) -> jax.Array:
        """The score so far."""
        if not self.built:
            raise RuntimeError(f"{self.name}: nothing was seen yet; call `update_state` first.")
        total = self.squared_sum.value
        scores = 1 - self.total_mse.value / total
        scores = jnp.where(jnp.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = jnp.sum(total * scores) / jnp.sum(total)
        return self._adjust(scores) if self.num_regressors else scores

    def _adjust(self, scores):
        n = self.num_samples.value
        freedom = n - self.num_regressors - 1
        adjusted = 1 - (1 - scores) * (n - 1) / jnp.maximum(freedom, 1)
        return jnp.where(freedom > 0, adjusted, scores)
