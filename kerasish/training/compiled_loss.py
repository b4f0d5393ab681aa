"""The losses that `compile` was given, one for each output, added up."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import losses as losses_module
from kerasish import metrics as metrics_module
from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.training.output_matching import (
    distinct,
    have_names,
    match_data,
    match_spec,
    match_weights,
    name_outputs,
)


class CompiledLoss:
    """The losses of all outputs, weighted and added up; keeps a mean of each for the logs.

    Args:
        loss: A loss, a name or a function; or a list of them, or a dict by output name. `None`
            elements leave an output without a loss.
        loss_weights: Numbers in the same structure, or one for all.
        output_names: Names of the model's outputs, when it has any.
    """

    def __init__(self, loss: Any, loss_weights: Any = None, output_names: list | None = None):
        self.loss = loss
        self.loss_weights = loss_weights
        self.output_names = output_names
        for one in jax.tree.leaves(loss, is_leaf=lambda x: not isinstance(x, dict | list | tuple)):
            if one not in ("crossentropy", "ce"):
                losses_module.get(one)  # a misspelt name fails in `compile`, not in `fit`
        self._parts: list[tuple] = []
        self.metrics: list = []
        self._rules: list[LabelRule | None] = []  # of the outputs

    @property
    def made(self) -> bool:
        """Whether the losses of all outputs are made."""
        return bool(self._parts)

    def _build(self, names, truths, predictions, are_named):
        chosen = match_spec(self.loss, names, "loss", for_all=True)
        found = [_make_loss(*row) for row in zip(chosen, truths, predictions, strict=True)]
        weights = match_spec(self.loss_weights, names, "loss_weights", for_all=True)
        self._parts = list(zip(names, found, weights, strict=True))
        lossy = [
            name if are_named else one if isinstance(one, str) else fn.name
            for one, (name, fn, _) in zip(chosen, self._parts, strict=True)
            if fn is not None
        ]
        shown: list[str] = []
        for name in lossy if len(lossy) > 1 else ():
            shown.append(distinct(f"{name}_loss", shown))
        self.metrics = [metrics_module.Mean(name=name) for name in shown]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array | None:
        """The total, or `None` when no output has a loss."""
        names, predictions = name_outputs(y_pred, self.output_names)
        truths = match_data(y_true, names, "y")
        weights = match_weights(sample_weight, names)
        if not self._parts:
            self._build(names, truths, predictions, have_names(y_pred, self.output_names))
        totals, trackers = [], iter(self.metrics)
        self._rules = [None] * len(names)
        rows = zip(self._parts, truths, predictions, weights, strict=True)
        for i, ((name, fn, factor), truth, prediction, weight) in enumerate(rows):
            if fn is None:
                continue
            if truth is None:
                raise ValueError(_lacks_targets(name, len(names), y_true))
            self._rules[i] = rule = _label_rule(fn, prediction)
            if rule is not None and _is_concrete(truth) and _is_concrete(weight):  # uncompiled
                rule.check(np.asarray(truth), weight, _name_for_errors(fn, name, names))
            value = dtypes.to_array(fn(truth, prediction, sample_weight=weight))
            if value.ndim:
                value = jnp.mean(value)
            if self.metrics:
                rows_seen = jax.tree.leaves(prediction)[0].shape[0]
                next(trackers).update_state(value, sample_weight=rows_seen)
            totals.append(value if factor is None else _weighted(value, factor))
        return sum(totals[1:], totals[0]) if totals else None

    @property
    def has_label_rules(self) -> bool:
        """Whether there is a loss, traced before, that not all labels make sense to."""
        return any(self._rules)

    def check_labels(self, y: Any, sample_weight: Any = None) -> None:
        """Raise if labels on the host are outside of what their loss takes.

        Labels of weight 0 may be anything: they have no part in the loss.

        Args:
            y: Labels as the loss gets them, of one batch or more.
            sample_weight: Their weights.

        Raises:
            ValueError: There are such labels; it says where the first is.
        """
        if y is None or not self.has_label_rules:
            return
        only = self._rules[0] if len(self._rules) == 1 else None
        if only is not None and isinstance(y, np.ndarray) and only.are_good(y):
            return
        names = [name for name, *_ in self._parts]
        weights = match_weights(sample_weight, names)
        rows = zip(self._parts, match_data(y, names, "y"), weights, self._rules, strict=True)
        for (name, fn, _), labels, weight, rule in rows:
            if rule is not None and labels is not None:
                rule.check(np.asarray(labels), weight, _name_for_errors(fn, name, names))


def _name_for_errors(loss, output, outputs):
    return loss.name if len(outputs) == 1 else f"{loss.name} of output {output!r}"


def _is_concrete(array):
    return not isinstance(array, jax.core.Tracer | jax.ShapeDtypeStruct | KerasTensor)


def _weighted(value, factor):
    """A loss times its weight; of weight 0, even a loss that is NaN has no part in the sum."""
    if isinstance(factor, int | float):
        return value * factor if factor else jnp.zeros_like(value)
    factor = dtypes.to_array(factor)
    kept = jnp.where(factor == 0, jax.lax.stop_gradient(jnp.zeros_like(value)), value)
    return kept * factor


class LabelRule(NamedTuple):
    """Which labels a loss makes sense of.

    Attributes:
        classes: Number of classes, of losses that take class numbers; `None`: labels are
            probabilities, from 0 to 1.
        ignored: A class number allowed besides.
    """

    classes: int | None
    ignored: int | None = None

    def check(self, labels: np.ndarray, weight: Any, who: str) -> None:
        """Raise a `ValueError` unless all labels whose weight is not 0 are as they must be.

        Args:
            labels: The labels.
            weight: Their weights, or `None`.
            who: Whom the error names.
        """
        if self.are_good(labels):
            return
        if weight is not None:
            weight = np.asarray(weight)
            weight = weight.reshape(weight.shape + (1,) * (labels.ndim - weight.ndim))
            if weight.ndim == labels.ndim:
                labels = np.where(weight == 0, labels.dtype.type(0), labels)
        if self.classes is not None:
            losses_module.check_sparse_labels(labels, self.classes, who, self.ignored)
        elif not self.are_good(labels):
            good = (labels >= 0) & (labels <= 1)
            at = np.unravel_index(np.argmin(good), labels.shape)
            where = ", ".join(str(int(i)) for i in at)
            raise bad_argument(
                who,
                "y",
                "targets from 0 to 1",
                labels[at].item(),
                f"Found at index ({where}). Map two classes to 0 and 1, scale images to 0 to 1, or "
                "take another loss.",
            )

    def are_good(self, labels: np.ndarray) -> bool:
        """Whether a quick look shows that all labels are as they must be.

        Args:
            labels: The labels.
        """
        if not labels.size:
            return True
        least, most = np.minimum.reduce, np.maximum.reduce  # quicker than methods on few labels
        if self.classes is None:
            return bool(least(labels, None) >= 0) and bool(most(labels, None) <= 1)
        if labels.dtype.kind not in "iub":
            return False
        return bool(least(labels, None) >= 0) and bool(most(labels, None) < self.classes)


def _label_rule(loss, prediction):
    """The rule for a loss's labels; none where a mask may leave some of them out."""
    if get_mask(prediction) is not None:
        return None
    function = getattr(loss, "fn", None)
    sparse = losses_module.sparse_categorical_crossentropy
    if isinstance(loss, losses_module.SparseCategoricalCrossentropy) or function is sparse:
        return LabelRule(
            prediction.shape[getattr(loss, "axis", -1)], getattr(loss, "ignore_class", None)
        )
    binary = (losses_module.BinaryCrossentropy, losses_module.BinaryFocalCrossentropy)
    functions = (losses_module.binary_crossentropy, losses_module.binary_focal_crossentropy)
    is_binary = isinstance(loss, binary) or any(function is one for one in functions)
    return LabelRule(None) if is_binary else None


def _lacks_targets(name, outputs, y_true):
    what = "the loss" if outputs == 1 else f"the loss of output {name!r}"
    if y_true is not None:
        return f"data: `y` must have targets for output {name!r}: {what} needs them."
    return (
        f"data: `y` must be given: {what} compares the outputs with targets. Pass `y` beside `x`; "
        "batches of a generator or a PyDataset must be `(x, y)`."
    )


def _make_loss(one, truth, prediction):
    if one in ("crossentropy", "ce"):
        metric = metrics_module.crossentropy_for(truth.shape, prediction.shape)
        one = type(metric).__name__
    loss = losses_module.get(one)
    if loss is None or isinstance(loss, losses_module.Loss):
        return loss
    return losses_module.LossFunctionWrapper(loss, name=getattr(loss, "__name__", None))
