"""Weights of samples by their classes: what `class_weight` of `fit` means."""

import math
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core import processes, settings
from kerasish.core.dtypes import is_float
from kerasish.core.errors import bad_argument
from kerasish.distribution import distribution

BALANCED = "balanced"


def balanced_class_weight(y: Any) -> dict[int, float]:
    """Weights that give each class an equal part in the loss: `n / (classes * count)`.

    Args:
        y: All labels: class numbers, or one-hot rows.

    Returns:
        Class number to weight, for the classes that occur.

    Raises:
        ValueError: If `y` are no labels of one output.

    Shapes:
        `(batch,)`, `(batch, 1)` or `(batch, classes)`, with further axes between.

    References:
        King and Zeng, 2001, "Logistic Regression in Rare Events Data".

    Example:
        >>> balanced_class_weight([0, 0, 0, 1])
        {0: 0.6666666666666666, 1: 2.0}
    """
    labels, given = _class_numbers(y), np.asarray(y)
    if given.ndim > 1 and given.shape[-1] > 1:
        are_labels = bool((given >= 0).all()) and np.allclose(given.sum(-1), 1, atol=1e-3)
    else:
        are_labels = bool((given.reshape(labels.shape) == labels).all())
    if not are_labels:
        wanted = "a dict where `y` holds neither class numbers nor rows that add up to 1"
        raise bad_argument("fit", "class_weight", wanted, BALANCED)
    classes, counts = np.unique(labels, return_counts=True)
    weights = labels.size / (len(classes) * counts)
    return dict(zip(classes.tolist(), weights.tolist(), strict=True))


def weigh_classes(y: Any, class_weight: Mapping | np.ndarray | str) -> np.ndarray:
    """The weight of each sample's class; 1 for classes that are not named.

    Args:
        y: Labels: class numbers, or one-hot rows.
        class_weight: Class number to weight, an array of the classes' weights, or `"balanced"`
            where `y` are all labels.

    Shapes:
        `(batch,)`, `(batch, 1)` or `(batch, classes)` -> `(batch,)`; further axes between the
        first and the last are kept: one weight for each pixel.
    """
    if is_balanced(class_weight):
        _check_all_here()
        class_weight = balanced_class_weight(y)
    if isinstance(class_weight, np.ndarray) and class_weight.ndim == 1:
        class_weight = dict(enumerate(class_weight.tolist()))
    if not isinstance(class_weight, Mapping):
        wanted = "a dict of class number to weight, or 'balanced'"
        raise bad_argument("fit", "class_weight", wanted, class_weight)
    for number, weight in class_weight.items():
        is_class = isinstance(number, int | np.integer)
        if not is_class or not isinstance(weight, numbers.Real) or not math.isfinite(weight):
            wanted = "a dict of class number to weight"
            is_text = isinstance(number, str) and number.lstrip("-").isdigit()
            hint = "JSON makes strings of numbers: turn the keys into `int`s." if is_text else ""
            raise bad_argument("fit", "class_weight", wanted, {number: weight}, hint)
    labels = _class_numbers(y)
    classes = np.array(sorted(class_weight), dtype="int64")
    if not len(classes):
        return np.ones(labels.shape, settings.floatx())
    weights = np.array([class_weight[c] for c in classes.tolist()], settings.floatx())
    nearest = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    return np.where(classes[nearest] == labels, weights[nearest], weights.dtype.type(1))


def check_sample_weight(sample_weight: Any) -> None:
    """Raise unless all weights of samples are finite numbers.

    Args:
        sample_weight: Arrays of weights, or `None`.

    Raises:
        ValueError: If one is NaN or infinite; it says where.
    """
    for weights in jax.tree.leaves(sample_weight):
        if isinstance(weights, jax.Array) and is_float(weights.dtype):
            if not weights.is_fully_addressable or bool(jax.numpy.isfinite(weights).all()):
                continue
            weights = np.asarray(weights, "float64")
        if not isinstance(weights, np.ndarray) or weights.dtype.kind != "f":
            continue
        good = np.isfinite(weights)
        if not good.all():
            at = np.unravel_index(np.argmin(good), weights.shape)
            where = ", ".join(str(int(i)) for i in at)
            hint = f"Found at index ({where}). Leave samples out with a weight of 0."
            found = weights[at].item()
            raise bad_argument("data", "sample_weight", "finite numbers", found, hint)


def refuse_balanced(class_weight: Any, source: str) -> None:
    """Raise if class weights are to be counted where only a part of the labels is known.

    Args:
        class_weight: What was given.
        source: What gives the labels: "a generator".

    Raises:
        ValueError: If it is `"balanced"`.
    """
    inside = list(class_weight.values()) if isinstance(class_weight, Mapping) else class_weight
    inside = inside if isinstance(inside, list | tuple) else []  # weights for each output
    if any(map(is_balanced, [class_weight, *inside])):
        hint = "`keras.utils.balanced_class_weight(labels)` counts all labels and gives the dict."
        wanted = f"a dict of class number to weight where labels come from {source}"
        raise bad_argument("fit", "class_weight", wanted, class_weight, hint)


def is_balanced(class_weight: Any) -> bool:
    """Whether the weights are to be counted from the labels.

    Args:
        class_weight: What was given.
    """
    return isinstance(class_weight, str) and class_weight == BALANCED


def _check_all_here():
    current = distribution()
    if processes.count() > 1 and current is not None and not current.auto_shard_dataset:
        refuse_balanced(BALANCED, "several processes that have a part each")


def _class_numbers(y):
    if y is None:
        raise bad_argument("fit", "class_weight", "used with labels", "y=None")
    outputs = isinstance(y, list | tuple) and any(getattr(one, "ndim", 0) for one in y)
    if outputs or isinstance(y, Mapping):
        hint = "Pass one array of `sample_weight` for each output instead."
        raise bad_argument("fit", "class_weight", "used with a single output", type(y), hint)
    labels = np.asarray(y)
    if labels.dtype.kind not in "iubf" or not np.isfinite(labels).all():
        wanted = "used with labels that are numbers"
        raise bad_argument("fit", "class_weight", wanted, f"labels of dtype {labels.dtype}")
    if labels.ndim > 1:
        labels = labels[..., 0] if labels.shape[-1] == 1 else labels.argmax(-1)
    return np.round(labels).astype("int64")


__all__ = [
    "balanced_class_weight",
    "check_sample_weight",
    "is_balanced",
    "refuse_balanced",
    "weigh_classes",
]
