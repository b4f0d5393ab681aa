"""Losses on directions and embeddings."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import dtypes, settings
from kerasish.core.masking import set_mask
from kerasish.losses.loss import Loss, align


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> jax.Array:
    """Minus the cosine of the angle between targets and predictions: -1 is the best.

    A zero vector has cosine 0 with everything, and no gradient.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        axis: The axis of the vectors.

    Shapes:
        Two of `(batch, ..., d)` -> `(batch, ...)`, without `axis`.

    Example:
        >>> print(np.array(keras.losses.cosine_similarity([[3.0, 4.0]], [[4.0, 3.0]])).round(4))
        [-0.96]
    """
    y_true, y_pred = align(y_true, y_pred, "cosine_similarity")
    return -jnp.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x, axis):
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    # Twice, as the gradient of what is not chosen must be finite too.
    long = square > settings.epsilon() ** 2
    inverse = jax.lax.rsqrt(jnp.where(long, square, 1))
    near = jax.lax.stop_gradient(x) / settings.epsilon()  # no direction, so no gradient
    return jnp.where(long, x * inverse, near)


def circle(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> jax.Array:
    """Pulls embeddings of one class together and pushes others away, each pair at its own pace.

    Samples without loss are masked, so that a mean is over the others.

    Args:
        y_true: Class numbers.
        y_pred: Embeddings of length 1.
        ref_labels: Labels of what to compare with; the batch itself if not given.
        ref_embeddings: Its embeddings.
        remove_diagonal: Whether to leave out the comparison of each sample with itself.
        gamma: Scale, positive.
        margin: Relaxation, between 0 and 1.

    Shapes:
        `(batch,)` and `(batch, d)` -> `(batch,)`.

    References:
        Sun et al., 2020, "Circle Loss: A Unified Perspective of Pair Similarity Optimization".

    Example:
        >>> values = keras.losses.circle([0, 0, 1], [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], gamma=1.0)
        >>> print(np.array(values).round(4))
        [0.6163 0.9617 0.    ]
    """
    y_pred = dtypes.to_array(y_pred)
    y_true = dtypes.to_array(y_true, "int32")
    references = y_pred if ref_embeddings is None else dtypes.to_array(ref_embeddings)
    ref_labels = y_true if ref_labels is None else dtypes.to_array(ref_labels, "int32")
    distance = jnp.maximum(1 - y_pred @ references.T, 0.0)
    same = y_true.reshape(-1, 1) == ref_labels.reshape(1, -1)
    other = ~same
    if remove_diagonal:
        same = same & ~jnp.eye(*same.shape, dtype=bool)
    pull = gamma * (margin + distance) * (distance - margin)
    push = gamma * jnp.maximum(1 + margin - distance, 0.0) * (1 - margin - distance)
    loss = jax.nn.softplus(_log_sum(pull, same) + _log_sum(push, other))
    set_mask(loss, loss > 0)
    return loss


def _log_sum(x, where):
    return jax.nn.logsumexp(jnp.where(where, x, -jnp.inf), axis=1)


class CosineSimilarity(Loss):
    """`cosine_similarity` (with a minus sign) reduced over the batch.

    Args:
        axis: The axis of the vectors.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> float(CosineSimilarity()([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [3.0, 0.0]]))
        -0.5
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return cosine_similarity(y_true, y_pred, self.axis)


class Circle(Loss):
    """`circle` reduced over the samples of the batch that have a loss.

    Args:
        gamma: Scale, positive.
        margin: Relaxation, between 0 and 1.
        remove_diagonal: Whether to leave out the comparison of each sample with itself.
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> loss = Circle(gamma=1.0)([0, 0, 1], [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> round(float(loss), 3)
        0.789
    """

    _samples_are_independent = False

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ):
        super().__init__(name, reduction, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return circle(
            y_true,
            y_pred,
            remove_diagonal=self.remove_diagonal,
            gamma=self.gamma,
            margin=self.margin,
        )
