"""Labels and probabilities: what the cross-entropies share, and checks of labels."""

from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.keras_tensor import KerasTensor


def smooth(y_true: Any, amount: float, classes: int) -> jax.Array:
    """Draw labels to the uniform distribution: by nothing (0) up to all the way (1).

    Args:
        y_true: Labels.
        amount: How far, from 0 to 1.
        classes: Number of classes.
    """
    return y_true * (1.0 - amount) + amount / classes if amount else y_true


def label_kind(y_true_shape: tuple, y_pred_shape: tuple) -> str:
    """What the labels are by the shapes: `"binary"`, `"sparse"` or `"categorical"`.

    Args:
        y_true_shape: Shape of the targets.
        y_pred_shape: Shape of the predictions.

    Example:
        >>> from kerasish.losses import label_kind
        >>> label_kind((None,), (None, 10))
        'sparse'
    """
    if y_pred_shape[-1] == 1:
        return "binary"
    fewer = len(y_true_shape) < len(y_pred_shape)
    return "sparse" if fewer or y_true_shape[-1] == 1 else "categorical"


def check_known_labels(
    y: Any, classes: int, who: str, ignore_class: int | None = None, weight: Any = None
) -> None:
    """`check_sparse_labels`, where neither labels nor weights are traced: compiled code is silent.

    Args:
        y: Labels, of any shape.
        classes: Number of classes.
        who: Whom the error names.
        ignore_class: A number allowed besides.
        weight: Weights of the labels; those of weight 0 may be anything.
    """
    if any(isinstance(a, jax.core.Tracer | KerasTensor) for a in jax.tree.leaves((y, weight))):
        return
    labels = np.asarray(y)  # not of `jax.numpy`, whose arrays are traced where others are
    if weight is not None:
        weight = np.asarray(weight)
        weight = weight.reshape(weight.shape + (1,) * (labels.ndim - weight.ndim))
        if weight.ndim == labels.ndim:
            labels = np.where(weight == 0, labels.dtype.type(0), labels)
    check_sparse_labels(labels, classes, who, ignore_class)


def check_sparse_labels(y: Any, classes: int, who: str, ignore_class: int | None = None) -> None:
    """Raise a `ValueError` unless all labels are class numbers from 0 to `classes - 1`.

    Compiled code cannot complain, so this is for arrays in memory, before training.

    Args:
        y: Labels, of any shape.
        classes: Number of classes.
        who: Whom the error names.
        ignore_class: A number allowed besides.

    Example:
        >>> check_sparse_labels([0, 5], 3, "the loss")
        Traceback (most recent call last):
            ...
        ValueError: ...
    """
    y = np.asarray(y)
    good = (y >= 0) & (y < classes) & (y == np.floor(y))
    if ignore_class is not None:
        good |= y == ignore_class
    if good.all():
        return
    at = np.unravel_index(np.argmin(good), y.shape)
    where = ", ".join(str(int(i)) for i in at)
    wanted = f"whole class numbers from 0 to {classes - 1}"
    hint = f"Found at index ({where}); the output has {classes} classes."
    raise bad_argument(who, "y", wanted, y[at].item(), hint, "E03")
