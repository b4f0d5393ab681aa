"""What all losses share: conversion, alignment of shapes, masks, weights and the reduction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.state.variable import is_variable

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """A number to make small: `call` gives one value per sample, the reduction makes them one.

    Subclasses implement `call(y_true, y_pred)`. It receives arrays of the loss's dtype (or nests
    of them, for a model with several outputs) and returns values with the batch axis first.

    Args:
        name: Its name in logs and errors.
        reduction: `"sum_over_batch_size"` or `"mean"`: the sum over the number of values;
            `"sum"`; `"mean_with_sample_weight"`: the sum over the sum of the weights;
            `"none"` or `None`: the values as they are.
        dtype: What to compute in, a dtype or a policy. `None` is the global float type, so
            16-bit predictions are compared in float32.

    Example:
        >>> class Worst(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return abs(y_true - y_pred).max(axis=-1)
        >>> float(Worst()([[0.0, 1.0], [2.0, 2.0]], [[0.0, 4.0], [2.0, 1.0]]))
        2.0
    """

    _set_by_init = "reduction"

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype=None
    ):
        self.name = name or auto_name(type(self).__name__)
        if reduction not in REDUCTIONS:
            raise bad_argument(self, "reduction", f"one of {REDUCTIONS}", reduction)
        self.reduction = reduction
        self.dtype = dtypes.get_policy(dtype or settings.floatx()).compute_dtype

    def call(self, y_true, y_pred):
        """One value per sample; what subclasses implement."""
        raise NotImplementedError(f"{type(self).__name__}: implement `call(y_true, y_pred)`.")

    def __call__(self, y_true, y_pred, sample_weight=None) -> jax.Array:
        """The reduced loss.

        Args:
            y_true: Targets, an array or a nest of arrays.
            y_pred: Predictions. A mask that travels with them leaves entries out.
            sample_weight: A weight per sample `(batch,)`, or per value of `call`.
        """
        masks = [get_mask(y_pred)]
        values = self.call(as_arrays(y_true, self.dtype), as_arrays(y_pred, self.dtype))
        self._check_values(values, sample_weight)
        masks = [mask for mask in (*masks, get_mask(values)) if mask is not None]
        mask = jnp.logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        values = dtypes.to_array(values, self.dtype)
        return reduce_weighted(values, sample_weight, mask, self.reduction)

    def _check_values(self, values, sample_weight):
        """Raise on what is no array, and on values that weights per sample do not fit."""
        advice = (
            "Return one value per sample, shape (batch, ...): reduce over the last axis only "
            "(`axis=-1`). The reduction and sample weights do the rest."
        )
        if values is None or isinstance(values, str | dict | tuple):
            raise TypeError(f"Loss {self.name!r} returned {type(values).__name__}. {advice}")
        rows, found = np.shape(sample_weight)[:1], np.shape(values)[:1]
        maker = getattr(self, "fn", type(self))
        if rows in ((), (1,), found) or maker.__module__.startswith("kerasish."):
            return
        raise ValueError(
            f"Loss {self.name!r} returned shape {np.shape(values)}, with a weight for each of "
            f"{rows[0]} samples. {advice}"
        )

    def get_config(self) -> dict:
        """The arguments that make this loss again; the dtype where it is not the global one."""
        config = super().get_config()
        if self.dtype == settings.floatx():
            config.pop("dtype", None)
        return config

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


class LossFunctionWrapper(Loss):
    """A plain function `fn(y_true, y_pred, **kwargs)` of one value per sample, as a `Loss`.

    Args:
        fn: The function.
        reduction: As in `Loss`.
        name: Its name in logs and errors.
        dtype: As in `Loss`.
        **kwargs: Given to `fn` at each call.

    Example:
        >>> loss = LossFunctionWrapper(lambda y_true, y_pred: abs(y_true - y_pred))
        >>> float(loss([1.0, 2.0], [1.0, 4.0]))
        1.0
    """

    def __init__(
        self, fn: Callable, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not callable(fn):
            raise bad_argument(self, "fn", "a function of (y_true, y_pred)", fn)
        self.fn = fn
        self.kwargs = kwargs

    def call(self, y_true, y_pred):
        # The structure is kept; only arrays that stand opposite each other are aligned.
        truths, tree = jax.tree.flatten(y_true)
        guesses, other_tree = jax.tree.flatten(y_pred)
        if tree == other_tree:
            pairs = map(squeeze_or_expand_to_same_rank, truths, guesses)
            y_true, y_pred = (tree.unflatten(side) for side in zip(*pairs, strict=True))
        return self.fn(y_true, y_pred, **self.kwargs)

    def get_config(self) -> dict:
        """The function, by name, beside the arguments."""
        written = {"fn": self.fn, **self.kwargs}
        return {**super().get_config(), **serialize_keras_object(written)}


def as_arrays(nest: Any, dtype: str) -> Any:
    """A nest of arrays in one dtype. A list of numbers, however deep, is one array."""
    if isinstance(nest, list | tuple) and all(map(np.isscalar, jax.tree.leaves(nest))):
        return dtypes.to_array(nest, dtype)
    return jax.tree.map(lambda x: dtypes.to_array(x, dtype), nest, is_leaf=is_variable)


def align(y_true, y_pred, who: str = "loss", hint: str = "") -> tuple[jax.Array, jax.Array]:
    """Both as arrays, in the dtype of `y_pred` and of one rank if a last axis of size 1 differs."""
    y_pred = dtypes.to_array(y_pred)
    y_true = dtypes.to_array(y_true, y_pred.dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    try:
        jnp.broadcast_shapes(y_true.shape, y_pred.shape)
    except ValueError:
        raise wrong_shape(who, y_true, y_pred, hint) from None
    return y_true, y_pred


def align_exactly(y_true, y_pred, who: str, hint: str = "") -> tuple[jax.Array, jax.Array]:
    """As `align`, where a target that broadcasts would be a mistake."""
    y_true, y_pred = align(y_true, y_pred, who, hint)
    if y_true.shape != y_pred.shape:
        raise wrong_shape(who, y_true, y_pred, hint)
    return y_true, y_pred


def wrong_shape(who: str, y_true, y_pred, hint: str = "") -> ValueError:
    """The error for targets that do not fit the predictions."""
    return bad_argument(
        who, "y_true", f"of the shape of `y_pred`, {y_pred.shape}", y_true.shape, hint
    )


def squeeze_or_expand_to_same_rank(x1, x2, expand_rank_1: bool = True) -> tuple:
    """Give two arrays one rank where they differ by one last axis of size 1.

    Args:
        x1, x2: The arrays.
        expand_rank_1: Whether a vector opposite a matrix gains the axis, rather than the matrix
            losing it.
    """
    if x1.ndim + 1 == x2.ndim:
        x2, x1 = squeeze_or_expand_to_same_rank(x2, x1, expand_rank_1)
    elif x1.ndim == x2.ndim + 1 and x1.shape[-1] == 1:
        if x2.ndim == 1 and expand_rank_1:
            x2 = x2[:, None]
        else:
            x1 = jnp.squeeze(x1, -1)
    return x1, x2


def divide_no_nan(x, y) -> jax.Array:
    """`x / y`, and 0 where `y` is 0; its gradient is finite there too."""
    nothing = y == 0
    return jnp.where(nothing, 0, x / jnp.where(nothing, 1, y))


def count(x) -> jax.Array | np.ndarray:
    """The number of entries, in the array's dtype."""
    if isinstance(x.size, int):
        return np.asarray(x.size, x.dtype)
    return jnp.sum(jnp.ones_like(x))  # a size that is known only at run time


def apply_mask(sample_weight, mask, dtype: str, reduction: str | None):
    """Merge a mask into the weights; `None` if there are neither.

    Under a mean, valid entries weigh `entries / valid entries`: the mean is over the valid ones.
    """
    if mask is None:
        return sample_weight
    weight = dtypes.to_array(mask).astype(bool).astype(dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        weight = weight * divide_no_nan(count(weight), jnp.sum(weight))
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(
        weight, dtypes.to_array(sample_weight, dtype)
    )
    return spread(sample_weight, weight.shape) * weight


def spread(weights, shape: tuple) -> jax.Array:
    """A weight per sample as one per value; weights of the values' rank stay as they are."""
    missing = len(shape) - weights.ndim
    if missing and weights.ndim and weights.shape == shape[: weights.ndim]:
        weights = jnp.broadcast_to(weights.reshape(*weights.shape, *[1] * missing), shape)
    return weights


def reduce_weighted(values, sample_weight=None, mask=None, reduction="sum_over_batch_size"):
    """Weigh and mask the values and reduce them as `reduction` says."""
    weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if weight is not None:
        weight = dtypes.to_array(weight, values.dtype)
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        weight = spread(weight, values.shape)
        values = values * weight
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    by_weight = reduction == "mean_with_sample_weight" and weight is not None
    return divide_no_nan(total, jnp.sum(weight) if by_weight else count(values))
