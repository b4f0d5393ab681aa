"""Cross-entropies over classes: one-hot labels, class numbers, focal, and bearing wrong labels."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask, set_mask
from kerasish.losses.labels import check_known_labels, smooth
from kerasish.losses.loss import Loss, align_exactly
from kerasish.ops.nn.losses import class_probabilities, log_probabilities, times_log

_FOR_NUMBERS = "Class numbers go with `sparse_categorical_crossentropy`."
_FOR_ONE_HOT = "One-hot labels go with `categorical_crossentropy`."


def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Minus the sum of `y_true * log(y_pred)` over the classes.

    Args:
        y_true: One-hot labels, or a distribution over the classes.
        y_pred: Probabilities (scaled to sum to 1), or logits if `from_logits`.
        from_logits: What `y_pred` is.
        label_smoothing: How far labels are drawn to the uniform distribution, between 0 and 1.
        axis: The axis of the classes.

    Shapes:
        Two of `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.categorical_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])
        >>> print(np.array(values).round(4))
        [0.1054]
    """
    y_true, y_pred = _one_hot_pair(y_true, y_pred, axis, "categorical_crossentropy")
    y_true = smooth(y_true, label_smoothing, y_pred.shape[axis])
    return -jnp.sum(times_log(y_true, log_probabilities(y_pred, from_logits, axis)), axis=axis)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Categorical cross-entropy times `alpha (1 - p) ** gamma`, p the probability of each class.

    Args:
        y_true: One-hot labels.
        y_pred: Probabilities (scaled to sum to 1), or logits if `from_logits`.
        alpha: Weight, a number or one per class.
        gamma: How much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: What `y_pred` is.
        label_smoothing: How far labels are drawn to the uniform distribution, between 0 and 1.
        axis: The axis of the classes.

    Shapes:
        Two of `(batch, ..., classes)` -> `(batch, ...)`.

    References:
        Lin et al., 2017, "Focal Loss for Dense Object Detection".

    Example:
        >>> values = keras.losses.categorical_focal_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])
        >>> print(np.array(values).round(4))
        [0.0003]
    """
    y_true, y_pred = _one_hot_pair(y_true, y_pred, axis, "categorical_focal_crossentropy")
    y_true = smooth(y_true, label_smoothing, y_pred.shape[axis])
    if from_logits:
        y_pred = jax.nn.softmax(y_pred, axis=axis)
    p = class_probabilities(y_pred, axis)
    weight = jnp.power(1.0 - p, gamma) * dtypes.to_array(alpha, p.dtype)
    return -jnp.sum(weight * y_true * jnp.log(p), axis=axis)


_SPARSE = "sparse_categorical_crossentropy"


def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> jax.Array:
    """Minus the log-probability of the class whose number is `y_true`.

    Args:
        y_true: Class numbers, from 0. Others are an error where values are known; in compiled
            functions they have no loss.
        y_pred: Probabilities (scaled to sum to 1), or logits if `from_logits`.
        from_logits: What `y_pred` is.
        ignore_class: Number whose samples have no loss and do not count in a mean.
        axis: The axis of the classes.

    Shapes:
        `(batch, ...)` or `(batch, ..., 1)`, and `(batch, ..., classes)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.sparse_categorical_crossentropy([1], [[0.1, 0.9]])
        >>> print(np.array(values).round(4))
        [0.1054]
    """
    check_known_labels(y_true, np.shape(y_pred)[axis], _SPARSE, ignore_class)
    return unchecked_sparse_crossentropy(y_true, y_pred, from_logits, ignore_class, axis)


def unchecked_sparse_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: Any = None, axis: int = -1
) -> jax.Array:
    """`sparse_categorical_crossentropy` for labels that may be anything where weights are 0.

    Args:
        y_true: As for `sparse_categorical_crossentropy`.
        y_pred: As for `sparse_categorical_crossentropy`.
        from_logits: As for `sparse_categorical_crossentropy`.
        ignore_class: As for `sparse_categorical_crossentropy`.
        axis: As for `sparse_categorical_crossentropy`.
    """
    y_true, y_pred = dtypes.to_array(y_true), dtypes.to_array(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        y_true = jnp.squeeze(y_true, axis)
    without = list(y_pred.shape)
    del without[axis]
    if y_true.shape != tuple(without):
        wanted = f"class numbers of the shape of `y_pred` without its classes, {tuple(without)}"
        hint = _FOR_ONE_HOT if y_true.shape == y_pred.shape else ""
        raise bad_argument(_SPARSE, "y_true", wanted, y_true.shape, hint, "E06")
    label = y_true.astype("int32")
    valid = None if ignore_class is None else label != ignore_class
    if valid is not None:
        label = jnp.where(valid, label, 0)
        y_pred = jnp.where(jnp.expand_dims(valid, axis), y_pred, 0)
    here = jax.nn.one_hot(label, y_pred.shape[axis], axis=axis, dtype=bool)
    logs = log_probabilities(y_pred, from_logits, axis)
    # Chosen, not multiplied: a class of probability 0 elsewhere must not make it NaN.
    loss = -jnp.sum(jnp.where(here, logs, 0), axis=axis)
    if valid is not None:
        loss = jnp.where(valid, loss, 0.0)
        set_mask(loss, valid)
    return loss


def categorical_generalized_cross_entropy(
    y_true: ArrayLike, y_pred: ArrayLike, q: float
) -> jax.Array:
    """`(1 - p ** q) / q`, p the probability of the right class: bears wrong labels.

    Args:
        y_true: Class numbers, from 0.
        y_pred: Probabilities.
        q: Between 0 (the cross-entropy) and 1 (the absolute error, most tolerant).

    Shapes:
        `(batch, ...)` or `(batch, ..., 1)`, and `(batch, ..., classes)` -> `(batch, ...)`.

    References:
        Zhang and Sabuncu, 2018, "Generalized Cross Entropy Loss for Training Deep Neural
        Networks with Noisy Labels".

    Example:
        >>> values = keras.losses.categorical_generalized_cross_entropy([1], [[0.25, 0.75]], 0.5)
        >>> print(np.array(values).round(4))
        [0.2679]
    """
    y_pred = dtypes.to_array(y_pred)
    label = dtypes.to_array(y_true, "int32")
    if label.ndim == y_pred.ndim and label.shape[-1] == 1:
        label = jnp.squeeze(label, -1)
    if label.shape != y_pred.shape[:-1]:
        wanted = f"class numbers of shape {y_pred.shape[:-1]}"
        raise bad_argument("categorical_generalized_cross_entropy", "y_true", wanted, label.shape)
    here = jax.nn.one_hot(label, y_pred.shape[-1], dtype=y_pred.dtype)
    p = jnp.sum(here * y_pred, axis=-1)
    return (1 - jnp.power(p, q)) / q


def _one_hot_pair(y_true, y_pred, axis, who):
    if isinstance(axis, bool):
        raise bad_argument(who, "axis", "an integer", axis)
    y_true, y_pred = align_exactly(y_true, y_pred, who, _FOR_NUMBERS)
    if y_pred.shape[axis] == 1:
        warnings.warn(
            f"{who}: `y_pred` has one class only, so the loss is always 0 (shape {y_pred.shape}). "
            "Two classes on one output go with `binary_crossentropy`.",
            SyntaxWarning,
            stacklevel=3,
        )
    return y_true, y_pred


class CategoricalCrossentropy(Loss):
    """`categorical_crossentropy` reduced over the batch: for one-hot labels.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to the uniform distribution, between 0 and 1.
        axis: The axis of the classes.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return categorical_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class CategoricalFocalCrossentropy(Loss):
    """`categorical_focal_crossentropy` reduced over the batch.

    Args:
        alpha: Weight, a number or one per class.
        gamma: How much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to the uniform distribution, between 0 and 1.
        axis: The axis of the classes.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.0433
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return categorical_focal_crossentropy(
            y_true,
            y_pred,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )


class SparseCategoricalCrossentropy(Loss):
    """`sparse_categorical_crossentropy` reduced over the batch: for class numbers.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        ignore_class: Number whose samples have no loss and do not count in a mean.
        reduction: As in `Loss`.
        axis: The axis of the classes.
        name, dtype: As in `Loss`.

    Example:
        >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array:
        """The reduced loss; labels of weight 0, or where a mask is, may be anything."""
        if get_mask(y_pred) is None:
            classes = np.shape(y_pred)[self.axis]
            check_known_labels(y_true, classes, self.name, self.ignore_class, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return unchecked_sparse_crossentropy(
            y_true, y_pred, self.from_logits, self.ignore_class, self.axis
        )


class CategoricalGeneralizedCrossEntropy(Loss):
    """`categorical_generalized_cross_entropy` reduced over the batch: bears wrong labels.

    Args:
        q: Strictly between 0 (the cross-entropy) and 1 (the absolute error, most tolerant).
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
        1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        if not 0 < q < 1:
            raise bad_argument(self, "q", "strictly between 0 and 1", q)
        self.q = q

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return categorical_generalized_cross_entropy(y_true, y_pred, self.q)
