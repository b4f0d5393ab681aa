"""What all losses share: conversion, alignment of shapes, masks, weights and the reduction."""

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import NEEDS_A_VALUE, bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.state.variable import is_variable

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss(Configurable):
    """A number to make small: `call` gives one value per sample, the reduction makes them one.

    Subclasses implement `call(y_true, y_pred)`. It receives arrays of the loss's dtype (or pytrees
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
    # Whether the value of a sample depends on no other sample.
    _samples_are_independent = True

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        self.name = name or auto_name(type(self).__name__)
        if reduction not in REDUCTIONS:
            raise bad_argument(self, "reduction", f"one of {REDUCTIONS}", reduction)
        self.reduction = reduction
        self._dtype = dtypes.get_policy(dtype or settings.floatx()).compute_dtype

    @property
    def dtype(self) -> str:
        """What it computes in: fixed when it is made."""
        return self._dtype

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        """One value per sample; what subclasses implement.

        Args:
            y_true: Targets.
            y_pred: Predictions.
        """
        raise NotImplementedError(f"{type(self).__name__}: implement `call(y_true, y_pred)`.")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array:
        """The reduced loss.

        Args:
            y_true: Targets, an array or a pytree of arrays.
            y_pred: Predictions. A mask that travels with them leaves elements out.
            sample_weight: A weight per sample `(batch,)`, or per value of `call`.
        """
        mask = get_mask(y_pred)
        y_true, y_pred = as_arrays(y_true, self.dtype), as_arrays(y_pred, self.dtype)
        kept = self._without_ignored(y_true, y_pred, sample_weight, mask)
        values = self.call(*kept)
        if kept[1] is not y_pred and not np.ndim(values):  # one value for all samples together
            values = self.call(y_true, y_pred)
        self._check_values(values, sample_weight)
        masks = [each for each in (mask, get_mask(values)) if each is not None]
        mask = jnp.logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        values = dtypes.to_array(values, self.dtype)
        return reduce_weighted(values, sample_weight, mask, self.reduction)

    def _without_ignored(self, y_true, y_pred, sample_weight, mask):
        """Targets and predictions whose elements of weight 0 have no gradient and are finite."""
        if sample_weight is None and mask is None:
            return y_true, y_pred
        axis = getattr(self, "axis", None)
        axis = getattr(self, "kwargs", {}).get("axis", axis)
        ignored = ignored_elements(sample_weight, mask)
        leave_out = functools.partial(
            without_ignored, ignored=ignored, axis=axis, independent=self._samples_are_independent
        )
        return jax.tree.map(leave_out, y_true), jax.tree.map(leave_out, y_pred)

    def _check_values(self, values, sample_weight):
        """Raise on what is no array, and on values that weights per sample do not fit."""
        advice = (
            "Return one value per sample, shape (batch, ...): reduce over the last axis only "
            "(`axis=-1`). The reduction and sample weights do the rest."
        )
        if values is None or isinstance(values, str | dict | tuple):
            raise TypeError(f"Loss {self.name!r} returned {type(values).__name__}. {advice}")
        weights, shape = np.shape(sample_weight), np.shape(values)
        inner = zip(weights[1:], shape[1:], strict=False)
        fits = all(w in (1, n) for w, n in inner) and all(n == 1 for n in weights[len(shape) :])
        if shape and not fits:
            wanted = f"of a shape that fits the loss's values, {shape}, or of its first axes"
            raise bad_argument(self, "sample_weight", wanted, weights)
        rows, found = weights[:1], shape[:1]
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
        self,
        fn: Callable,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if not callable(fn):
            raise bad_argument(self, "fn", "a function of (y_true, y_pred)", fn)
        self.fn = fn
        self.kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> jax.Array:
        # The structure is kept; only arrays that stand opposite each other are aligned.
        truths, tree = jax.tree.flatten(y_true)
        guesses, other_tree = jax.tree.flatten(y_pred)
        if tree == other_tree:
            pairs = map(squeeze_or_expand_to_same_rank, truths, guesses)
            y_true, y_pred = (tree.unflatten(side) for side in zip(*pairs, strict=True))
        with needs_values(self.fn, y_true, y_pred):
            return self.fn(y_true, y_pred, **self.kwargs)

    def get_config(self) -> dict:
        """The function, by name, beside the arguments."""
        written = {"fn": self.fn, **self.kwargs}
        return {**super().get_config(), **serialize_keras_object(written)}


@contextlib.contextmanager
def needs_values(fn: Callable, *arrays: Any) -> Iterator[None]:
    """Say what to do where a function of NumPy or scikit-learn gets arrays without values.

    Compiled code gives it tracers. What such a function then raises seldom says so.

    Args:
        fn: The function.
        *arrays: What it is called on.
    """
    try:
        yield
    except Exception as error:
        traced = any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(arrays))
        outside = (getattr(fn, "__module__", None) or "").partition(".")[0] in _EAGER_LIBRARIES
        if not traced or not (outside or isinstance(error, NEEDS_A_VALUE)):
            raise
        name = getattr(fn, "__name__", type(fn).__name__)
        raise TypeError(
            f"{name}: a function of NumPy or scikit-learn needs the values of its arrays, which "
            "compiled code does not have. Pass `run_eagerly=True` to `compile`, or write it with "
            "`keras.ops`."
        ) from error


_EAGER_LIBRARIES = ("numpy", "scipy", "sklearn")


def as_arrays(arrays: Any, dtype: str) -> Any:
    """A pytree of arrays in one dtype. A list of numbers, however deep, is one array.

    Args:
        arrays: Arrays, Variables and numbers, in any pytree.
        dtype: Name of the type.
    """
    if isinstance(arrays, list | tuple) and all(map(np.isscalar, jax.tree.leaves(arrays))):
        return dtypes.to_array(arrays, dtype)
    return jax.tree.map(lambda x: dtypes.to_array(x, dtype), arrays, is_leaf=is_variable)


def align(
    y_true: Any, y_pred: Any, who: str = "loss", hint: str = ""
) -> tuple[jax.Array, jax.Array]:
    """Both as arrays, in the dtype of `y_pred` and of one rank if a last axis of size 1 differs.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        who: Whom the error or warning names.
        hint: What to do, added to the error.
    """
    y_true, y_pred = _of_one_rank(y_true, y_pred)
    check_shapes(y_true, y_pred, who, hint)
    return y_true, y_pred


def _of_one_rank(y_true, y_pred):
    y_pred = dtypes.to_array(y_pred)
    return squeeze_or_expand_to_same_rank(dtypes.to_array(y_true, y_pred.dtype), y_pred)


_warned: set[tuple] = set()


def check_shapes(y_true: Any, y_pred: Any, who: str, hint: str = "") -> None:
    """Raise where targets and predictions do not fit; warn once where they only broadcast.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        who: Whom the error or warning names.
        hint: What to do, added to the error.
    """
    if y_true.shape == y_pred.shape:
        return
    try:
        jnp.broadcast_shapes(y_true.shape, y_pred.shape)
    except ValueError:
        raise wrong_shape(who, y_true, y_pred, hint) from None
    key = who, y_true.shape[1:], y_pred.shape[1:]
    if y_true.ndim and y_pred.ndim and key not in _warned:
        _warned.add(key)
        warnings.warn(
            f"{who}: `y_true` of shape {y_true.shape} is broadcast against `y_pred` of shape "
            f"{y_pred.shape}: each target is compared with several predictions, or each "
            "prediction with several targets. Give both the same shape if that is not meant.",
            stacklevel=4,
        )


def align_exactly(
    y_true: Any, y_pred: Any, who: str, hint: str = ""
) -> tuple[jax.Array, jax.Array]:
    """As `align`, where a target that broadcasts would be a mistake.

    Args:
        y_true: Targets.
        y_pred: Predictions.
        who: Whom the error or warning names.
        hint: What to do, added to the error.
    """
    y_true, y_pred = _of_one_rank(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise wrong_shape(who, y_true, y_pred, hint)
    return y_true, y_pred


def wrong_shape(who: str, y_true: Any, y_pred: Any, hint: str = "") -> ValueError:
    """The error for targets that do not fit the predictions.

    Args:
        who: Whom the error or warning names.
        y_true: Targets.
        y_pred: Predictions.
        hint: What to do, added to the error.
    """
    return bad_argument(
        who, "y_true", f"of the shape of `y_pred`, {y_pred.shape}", y_true.shape, hint, "E06"
    )


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple:
    """Give two arrays one rank where they differ by one last axis of size 1.

    Args:
        x1: One array.
        x2: The other.
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


def divide_no_nan(x: Any, y: Any) -> jax.Array:
    """`x / y`, and 0 where `y` is 0; its gradient is finite there too.

    Args:
        x: Dividend.
        y: Divisor.
    """
    nothing = y == 0
    return jnp.where(nothing, 0, x / jnp.where(nothing, 1, y))


def count(x: Any) -> jax.Array | np.ndarray:
    """The number of elements, in the array's dtype.

    Args:
        x: Array.
    """
    if isinstance(x.size, int):
        return np.asarray(x.size, x.dtype)
    return jnp.sum(jnp.ones_like(x))  # a size that is known only at run time


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """Merge a mask into the weights; `None` if there are neither.

    Under a mean, valid elements weigh `elements / valid elements`: the mean is over the valid ones.

    Args:
        sample_weight: Weights, or `None`.
        mask: Which elements count, or `None`.
        dtype: Name of the type of the weights.
        reduction: As in `Loss`.
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
    sample_weight = spread(sample_weight, weight.shape)
    return jnp.where(weight == 0, 0, sample_weight) * weight


def spread(weights: Any, shape: tuple) -> jax.Array:
    """A weight per sample as one per value; weights of the values' rank stay as they are.

    Args:
        weights: Weights per sample or per value.
        shape: Sizes of the values.
    """
    missing = len(shape) - weights.ndim
    if missing and weights.ndim and weights.shape == shape[: weights.ndim]:
        weights = jnp.broadcast_to(weights.reshape(*weights.shape, *[1] * missing), shape)
    return weights


def weigh(values: Any, weight: Any) -> jax.Array:
    """`values * weight`, and 0 where the weight is 0: there NaN and infinity do not count.

    Args:
        values: Numbers.
        weight: A weight for each.
    """
    return jnp.where(weight == 0, 0, values * weight)


def ignored_elements(sample_weight: Any, mask: Any) -> Any:
    """Where the weight of a sample or value is 0, or the mask is false.

    Args:
        sample_weight: Weights, or `None`.
        mask: Which elements count, or `None`.

    Shapes:
        `(batch,)` or more axes, as weights and mask have them.
    """
    ignored = None if mask is None else ~dtypes.to_array(mask).astype(bool)
    if sample_weight is None:
        return ignored
    unweighted = dtypes.to_array(sample_weight) == 0
    if ignored is None:
        return unweighted
    unweighted, ignored = squeeze_or_expand_to_same_rank(unweighted, ignored)
    if unweighted.ndim < ignored.ndim:
        return spread(unweighted, ignored.shape) | ignored
    return unweighted | spread(ignored, unweighted.shape)


def without_ignored(
    y: Any, ignored: Any, axis: int | None = None, independent: bool = True
) -> jax.Array:
    """`y` with ignored elements cut off from the gradient, and finite.

    Their values stay as they are where they are finite, since losses may look at a whole batch.

    Args:
        y: Targets or predictions.
        ignored: Which samples or values have weight 0.
        axis: The axis that the loss reduces, where it is known; else the last.
        independent: Whether no other sample's value depends on an ignored one, so that its
            gradient may be cut.
    """
    ignored = _opposite(y, ignored, axis)
    if ignored is None or not dtypes.is_float(y.dtype):
        return y
    finite = jnp.where(jnp.isfinite(y), y, 0)
    return jnp.where(ignored, jax.lax.stop_gradient(finite) if independent else finite, y)


def _opposite(y, ignored, axis):
    """`ignored` in the rank of `y`, each element opposite to what it ignores; `None` if unclear."""
    while ignored.ndim > y.ndim and ignored.shape[-1] == 1:
        ignored = jnp.squeeze(ignored, -1)
    if ignored.ndim > y.ndim:
        return None
    if 1 < ignored.ndim < y.ndim:
        if axis is None and len(set(y.shape[1:])) < y.ndim - 1:
            # Sizes do not tell which axis the loss reduces: leave out samples that all weigh 0.
            ignored = jnp.all(ignored, axis=tuple(range(1, ignored.ndim)))
        elif isinstance(axis, int) and ignored.ndim == y.ndim - 1:
            ignored = jnp.expand_dims(ignored, axis)
    ignored = ignored.reshape(*ignored.shape, *[1] * (y.ndim - ignored.ndim))
    fits = all(n in (1, size) for n, size in zip(ignored.shape, y.shape, strict=True))
    return ignored if fits else None


def reduce_weighted(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
) -> Any:
    """Weigh and mask the values and reduce them as `reduction` says.

    Args:
        values: One value for each sample, or more.
        sample_weight: Weights, or `None`.
        mask: Which values count, or `None`.
        reduction: As in `Loss`.
    """
    weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if weight is not None:
        weight = dtypes.to_array(weight, values.dtype)
        values, weight = squeeze_or_expand_to_same_rank(values, weight)
        weight = spread(weight, values.shape)
        values = weigh(values, weight)
    if reduction in (None, "none") or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if weight is not None and reduction == "mean_with_sample_weight":
        return divide_no_nan(total, jnp.sum(weight))
    return divide_no_nan(total, count(values))
