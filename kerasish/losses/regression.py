"""Losses for real-valued targets."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import settings
from kerasish.losses.loss import Loss, align


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `(y_true - y_pred) ** 2` over the last axis.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.mean_squared_error([[1.0, 2.0]], [[1.0, 4.0]])).round(4))
        [2.]
    """
    y_true, y_pred = align(y_true, y_pred, "mean_squared_error")
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `|y_true - y_pred|` over the last axis.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.mean_absolute_error([[1.0, 2.0]], [[1.0, 4.0]])
        >>> print(np.array(values).round(4))
        [1.]
    """
    y_true, y_pred = align(y_true, y_pred, "mean_absolute_error")
    return jnp.mean(jnp.abs(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `100 |y_true - y_pred| / |y_true|` over the last axis, in percent.

    Targets nearer to 0 than `epsilon()` count as that.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.mean_absolute_percentage_error([[1.0, 2.0]], [[1.0, 4.0]])
        >>> print(np.array(values).round(4))
        [50.]
    """
    y_true, y_pred = align(y_true, y_pred, "mean_absolute_percentage_error")
    scale = jnp.maximum(jnp.abs(y_true), settings.epsilon())
    return 100.0 * jnp.mean(jnp.abs((y_true - y_pred) / scale), axis=-1)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `(log(1 + y_true) - log(1 + y_pred)) ** 2` over the last axis.

    Values below `epsilon()`, negative ones too, count as that.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.mean_squared_logarithmic_error([[1.0, 2.0]], [[1.0, 4.0]])
        >>> print(np.array(values).round(4))
        [0.1305]
    """
    y_true, y_pred = align(y_true, y_pred, "mean_squared_logarithmic_error")
    logs = [jnp.log(jnp.maximum(y, settings.epsilon()) + 1.0) for y in (y_true, y_pred)]
    return jnp.mean(jnp.square(logs[1] - logs[0]), axis=-1)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> jax.Array:
    """Half the squared error up to `delta`, growing linearly beyond; mean over the last axis.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        delta: The error from which on the loss is linear, positive.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    References:
        Huber, 1964, "Robust Estimation of a Location Parameter".

    Example:
        >>> print(np.array(keras.losses.huber([[1.0, 2.0]], [[1.0, 4.0]])).round(4))
        [0.75]
    """
    y_true, y_pred = align(y_true, y_pred, "huber")
    error = jnp.abs(y_pred - y_true)
    near, far = 0.5 * jnp.square(error), delta * error - 0.5 * delta**2
    return jnp.mean(jnp.where(error <= delta, near, far), axis=-1)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Mean of `log(cosh(y_pred - y_true))` over the last axis.

    Near half the squared error for small errors, the absolute error less log 2 for large ones.

    Args:
        y_true: Targets.
        y_pred: Predictions.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> print(np.array(keras.losses.log_cosh([[1.0, 2.0]], [[1.0, 4.0]])).round(4))
        [0.6625]
    """
    y_true, y_pred = align(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    log_2 = jnp.asarray(0.6931471805599453, error.dtype)
    return jnp.mean(error + jax.nn.softplus(-2.0 * error) - log_2, axis=-1)


class MeanSquaredError(Loss):
    """`mean_squared_error` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]))
        0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return mean_squared_error(y_true, y_pred)


class MeanAbsoluteError(Loss):
    """`mean_absolute_error` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 1.0]]))
        0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return mean_absolute_error(y_true, y_pred)


class MeanAbsolutePercentageError(Loss):
    """`mean_absolute_percentage_error` reduced over the batch, in percent.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[1.0, 1.0]]))
        25.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return mean_absolute_percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(Loss):
    """`mean_squared_logarithmic_error` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
        0.2402
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return mean_squared_logarithmic_error(y_true, y_pred)


class Huber(Loss):
    """`huber` reduced over the batch.

    Args:
        delta: The error from which on the loss is linear, positive.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(Huber()([[0.0, 1.0]], [[3.0, 1.0]]))
        1.25
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.delta = delta

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return huber(y_true, y_pred, self.delta)


class LogCosh(Loss):
    """`log_cosh` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(LogCosh()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
        0.2169
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return log_cosh(y_true, y_pred)
