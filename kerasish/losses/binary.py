"""Cross-entropies of yes-or-no labels, plain and focal."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.losses.labels import smooth
from kerasish.losses.loss import Loss, align_exactly
from kerasish.ops.nn.losses import clip_probabilities, times_log


def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Mean of `-y_true log(y_pred) - (1 - y_true) log(1 - y_pred)` over `axis`.

    Args:
        y_true: Labels, between 0 and 1.
        y_pred: Probabilities, or logits if `from_logits`, which is exact for any size of logit.
        from_logits: What `y_pred` is.
        label_smoothing: How far labels are drawn to 0.5, between 0 and 1.
        axis: The axis to average over.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    Example:
        >>> values = keras.losses.binary_crossentropy([[1.0, 0.0]], [[0.9, 0.5]])
        >>> print(np.array(values).round(4))
        [0.3993]
    """
    y_true, y_pred = align_exactly(y_true, y_pred, "binary_crossentropy")
    y_true = smooth(y_true, label_smoothing, 2)
    if from_logits:
        right, wrong = jax.nn.log_sigmoid(y_pred), jax.nn.log_sigmoid(-y_pred)
    else:
        right, wrong = _binary_logs(y_pred)
    loss = -times_log(y_true, right) - times_log(1.0 - y_true, wrong)
    return jnp.mean(loss, axis=axis)


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """Binary cross-entropy times `(1 - p) ** gamma`, p the probability of what is right.

    Args:
        y_true: Labels, between 0 and 1.
        y_pred: Probabilities, or logits if `from_logits`.
        apply_class_balancing: Whether to weigh class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha: That weight, between 0 and 1.
        gamma: How much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: What `y_pred` is.
        label_smoothing: How far labels are drawn to 0.5, between 0 and 1.
        axis: The axis to average over.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`.

    References:
        Lin et al., 2017, "Focal Loss for Dense Object Detection".

    Example:
        >>> values = keras.losses.binary_focal_crossentropy([[1.0, 0.0]], [[0.9, 0.5]])
        >>> print(np.array(values).round(4))
        [0.0872]
    """
    y_true, y_pred = align_exactly(y_true, y_pred, "binary_focal_crossentropy")
    y_true = smooth(y_true, label_smoothing, 2)
    if from_logits:
        y_pred = jax.nn.sigmoid(y_pred)
    right, wrong = _binary_logs(y_pred)
    loss = -y_true * right - (1.0 - y_true) * wrong
    missing = 1.0 - (y_true * y_pred + (1 - y_true) * (1 - y_pred))
    loss = jnp.power(missing, gamma) * loss
    if apply_class_balancing:
        loss = (y_true * alpha + (1 - y_true) * (1 - alpha)) * loss
    return jnp.mean(loss, axis=axis)


def _binary_logs(p):
    p = clip_probabilities(p)
    return jnp.log(p), jnp.log(1.0 - p)


class BinaryCrossentropy(Loss):
    """`binary_crossentropy` reduced over the batch.

    Args:
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to 0.5, between 0 and 1.
        axis: The axis to average over.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return binary_crossentropy(
            y_true, y_pred, self.from_logits, self.label_smoothing, self.axis
        )


class BinaryFocalCrossentropy(Loss):
    """`binary_focal_crossentropy` reduced over the batch.

    Args:
        apply_class_balancing: Whether to weigh class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha: That weight, between 0 and 1.
        gamma: How much easy samples are discounted; 0 is the plain cross-entropy.
        from_logits: Whether predictions are logits rather than probabilities.
        label_smoothing: How far labels are drawn to 0.5, between 0 and 1.
        axis: The axis to average over.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> round(float(BinaryFocalCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
        0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return binary_focal_crossentropy(
            y_true,
            y_pred,
            self.apply_class_balancing,
            self.alpha,
            self.gamma,
            self.from_logits,
            self.label_smoothing,
            self.axis,
        )
