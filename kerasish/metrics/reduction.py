"""Sums and means over all that was seen, exact however it is cut into batches."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.serialization.registry import published
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.state.variable import is_variable
from kerasish.losses.loss import (
    Loss,
    apply_mask,
    as_arrays,
    count,
    divide_no_nan,
    needs_values,
    squeeze_or_expand_to_same_rank,
    weigh,
)
from kerasish.metrics.metric import Metric

_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def per_sample(values: Any, sample_weight: Any, reduce: Callable, dtype: str) -> tuple:
    """Weighted values and weights, both with the batch axis only.

    Args:
        values: Of any rank. A mask that travels with them sets weights to 0; without weights it
            changes nothing, as in Keras.
        sample_weight: A weight per sample, per value, or `None`.
        reduce: What merges the values of one sample: `jnp.sum` or `jnp.mean`.
        dtype: What to compute in.

    Shapes:
        `(batch, ...)` -> `(batch,)` twice; the weights are `None` if there are none.
    """
    mask, weight = get_mask(values), sample_weight
    if weight is not None:
        weight = apply_mask(weight, mask, dtype, "sum")
    values = dtypes.to_array(values, dtype)
    if weight is not None:
        values, weight = squeeze_or_expand_to_same_rank(values, dtypes.to_array(weight, dtype))
        values = _keep_axes(values, weight.ndim, reduce)
        axes = weight.ndim
        weight = jnp.broadcast_to(weight, values.shape)
        values = weigh(values, weight)
        if axes > 1:
            weight = _keep_axes(weight, 1, reduce)
    return _keep_axes(values, 1, reduce), weight


def _keep_axes(x, number, reduce):
    return reduce(x, axis=tuple(range(number, x.ndim))) if x.ndim > number else x


class Sum(Metric):
    """Weighted sum of all values seen since the last reset.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> float(Sum()([1.0, 3.0, 5.0]))
        9.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable(dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, and a weight for each or each sample.

        Args:
            values: Array or number.
            sample_weight: A weight per sample or value, if they differ.
        """
        values, _ = per_sample(values, sample_weight, jnp.sum, self.dtype)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> jax.Array:
        """The sum so far."""
        return self.total.value


class Mean(Metric):
    """Weighted mean of all values seen since the last reset; 0 before any.

    Exact however the samples are batched: keeps a sum and a weight, never a mean of means.

    Args:
        name: Key of the result in the logs.
        dtype: As in `Metric`.

    Example:
        >>> metric = Mean()
        >>> metric.update_state([1.0, 3.0])
        >>> float(metric([8.0], sample_weight=[2.0]))
        5.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_variable(dtype=self.dtype, name="total")
        self.count = self.add_variable(dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, and a weight for each or each sample.

        Args:
            values: Array or number.
            sample_weight: A weight per sample or value, if they differ.
        """
        values, weight = per_sample(values, sample_weight, jnp.mean, self.dtype)
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(count(values) if weight is None else jnp.sum(weight))

    def result(self) -> jax.Array:
        """The mean so far."""
        return divide_no_nan(self.total.value, self.count.value)


class MeanMetricWrapper(Mean):
    """Weighted mean of `fn(y_true, y_pred, **kwargs)` over every sample since the last reset.

    Predictions in 16 bits are compared in the metric's own dtype.

    Args:
        fn: Function giving one value per sample, or a `Loss`.
        name: Key of the result in the logs.
        dtype: As in `Metric`.
        **kwargs: Given to `fn` at each call.

    Example:
        >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred), name="error")
        >>> float(metric(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
        1.0
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name, dtype)
        if not callable(fn):
            raise bad_argument(self, "fn", "a function of (y_true, y_pred)", fn)
        self.fn = fn
        self.kwargs = kwargs
        if self._direction is None and (isinstance(fn, Loss) or _is_loss(fn)):
            self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch: targets, predictions, and a weight per sample or value.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: A weight per sample or value, if they differ.
        """
        sample_weight = apply_mask(sample_weight, get_mask(y_pred), self.dtype, "sum")
        if isinstance(self.fn, Loss) and self.fn.reduction in _MEANS:
            # One value per sample: a mean of the batches' means would depend on their sizes.
            with needs_values(self.fn, y_true, y_pred):
                values = self.fn.call(*(as_arrays(y, self.fn.dtype) for y in (y_true, y_pred)))
        else:
            with needs_values(self.fn, y_true, y_pred):
                values = self.fn(y_true, self._widen(y_pred), **self.kwargs)
        super().update_state(values, sample_weight)

    def _widen(self, y_pred):
        def widen(x):
            x = dtypes.to_array(x)
            return x.astype(self.dtype) if x.dtype in ("bfloat16", "float16") else x

        return jax.tree.map(widen, y_pred, is_leaf=is_variable) if _holds_arrays(y_pred) else y_pred

    def get_config(self) -> dict:
        """The function, by name, beside the arguments."""
        config = super().get_config()
        if "fn" not in config:  # a subclass that knows its function
            return config
        written = {"fn": self.fn, **self.kwargs}
        return {**config, **serialize_keras_object(written)}


def _is_loss(fn):
    return any(fn is known for known in published("keras.losses").values())


def _holds_arrays(arrays):
    return all(hasattr(leaf, "dtype") for leaf in jax.tree.leaves(arrays))
