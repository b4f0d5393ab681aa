"""Losses on sequences."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.losses.loss import Loss

BLANK = 0  # both the class "nothing new" and the padding of labels


def ctc(y_true: ArrayLike, y_pred: ArrayLike) -> jax.Array:
    """Minus the log-probability of a label sequence, over all its alignments to the time steps.

    Args:
        y_true: Class numbers from 1, padded with 0 at the end.
        y_pred: Logits for each time step; class 0 is the blank.

    Shapes:
        `(batch, labels)` and `(batch, time, classes)` -> `(batch,)`.

    References:
        Graves et al., 2006, "Connectionist Temporal Classification: Labelling Unsegmented
        Sequence Data with Recurrent Neural Networks".

    Example:
        >>> print(np.array(keras.losses.ctc([[1]], np.zeros((1, 2, 3)))).round(4))
        [1.0986]
    """
    y_true, y_pred = dtypes.to_array(y_true, "int32"), dtypes.to_array(y_pred)
    if y_true.ndim != 2:
        raise bad_argument("ctc", "y_true", "of shape (batch, labels)", y_true.shape)
    if y_pred.ndim != 3:
        raise bad_argument("ctc", "y_pred", "of shape (batch, time, classes)", y_pred.shape)
    y_pred = y_pred.astype(jnp.promote_types(y_pred.dtype, "float32"))
    length = jnp.sum(y_true != BLANK, axis=1, keepdims=True)
    padding = jnp.arange(y_true.shape[1]) >= length
    no_padding = jnp.zeros(y_pred.shape[:2], y_pred.dtype)
    # Here, because importing it takes as long as half of kerasish.
    import optax  # noqa: PLC0415

    return optax.ctc_loss(y_pred, no_padding, y_true, padding.astype(y_pred.dtype), blank_id=BLANK)


class CTC(Loss):
    """`ctc` reduced over the batch.

    Args:
        reduction, name, dtype: As in `Loss`.

    Example:
        >>> import numpy as np
        >>> round(float(CTC()(np.array([[1]]), np.zeros((1, 1, 4)))), 4)  # log 4
        1.3863
    """

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str = "ctc", dtype: Any = None
    ):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        return ctc(y_true, y_pred)
