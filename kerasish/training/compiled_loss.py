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
from kerasish.training.output_matching import Outputs, distinct


class _Part(NamedTuple):
    """One loss of one output.

    Attributes:
        output: Number of the output.
        name: What the output is called.
        loss: The loss.
        factor: Its weight in the sum; `None` for 1.
    """

    output: int
    name: str
    loss: Any
    factor: Any


class CompiledLoss:
    """The losses of all outputs, weighted and added up; keeps a mean of each for the logs.

    Args:
        loss: A loss, a name or a function; or a pytree of them like that of the outputs: dicts by
            name, lists in order. `None` leaves an output without a loss, a list adds up several.
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
        self._parts: list[_Part] = []
        self.metrics: list = []
        self._rules: list[LabelRule | None] = []  # of the parts
        self._outputs = Outputs(None, output_names)  # as last seen

    @property
    def made(self) -> bool:
        """Whether the losses of all outputs are made."""
        return bool(self._parts)

    def outputs_with_loss(self, outputs: Outputs) -> list[bool]:
        """Whether each output has a loss.

        Args:
            outputs: The model's outputs.
        """
        return list(map(_has_loss, outputs.match(self.loss, "loss", for_all=True)))

    def _build(self, outputs, truths):
        chosen = [_as_list(one) for one in outputs.match(self.loss, "loss", for_all=True)]
        weights = self._weights(outputs, chosen)
        shown: list[str] = []
        for i, (losses, factors) in enumerate(zip(chosen, weights, strict=True)):
            for one, factor in zip(losses, factors, strict=True):
                if one is None:
                    continue
                loss = _make_loss(one, truths[i], outputs.leaves[i])
                self._parts.append(_Part(i, outputs.names[i], loss, factor))
                name = outputs.log_name(i, one if isinstance(one, str) else loss.name)
                shown.append(distinct(f"{name}_loss", shown))
        self.metrics = [metrics_module.Mean(name=name) for name in shown if len(shown) > 1]

    def _weights(self, outputs, chosen):
        """For each output the weights of its losses."""
        given, used = self.loss_weights, [i for i, one in enumerate(chosen) if _has_loss(one)]
        if isinstance(given, list | tuple) and len(given) == len(used) < len(outputs):
            by_output: list = [None] * len(outputs)
            for i, weight in zip(used, given, strict=True):
                by_output[i] = weight
        else:
            by_output = outputs.match(given, "loss_weights", for_all=True)
        found = []
        for name, losses, weight in zip(outputs.names, chosen, by_output, strict=True):
            is_list = isinstance(weight, list | tuple)
            weight = list(weight) if is_list else [weight] * len(losses)
            if len(weight) != len(losses):
                raise ValueError(
                    f"compile: `loss_weights` must have one entry for the output {[name]}; "
                    f"got {len(weight)}."
                )
            found.append(weight)
        return found

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array | None:
        """The total, or `None` when no output has a loss."""
        outputs = Outputs(y_pred, self.output_names)
        truths = outputs.match_data(y_true, "y", self.outputs_with_loss(outputs))
        weights = outputs.match_weights(sample_weight)
        if not self._parts:
            self._build(outputs, truths)
        totals, trackers = [], iter(self.metrics)
        self._rules = []
        for i, name, fn, factor in self._parts:
            truth, prediction, weight = truths[i], outputs.leaves[i], weights[i]
            if truth is None:
                raise ValueError(_lacks_targets(name, len(outputs), y_true))
            rule = _label_rule(fn, prediction)
            self._rules.append(rule)
            if rule is not None and _is_concrete(truth) and _is_concrete(weight):  # uncompiled
                rule.check(np.asarray(truth), weight, _name_for_errors(fn, name, len(outputs)))
            value = dtypes.to_array(fn(truth, prediction, sample_weight=weight))
            if value.ndim:
                value = jnp.mean(value)
            if self.metrics:
                rows_seen = jax.tree.leaves(prediction)[0].shape[0]
                next(trackers).update_state(value, sample_weight=rows_seen)
            totals.append(value if factor is None else _weighted(value, factor))
        self._outputs = outputs.without_values()
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
        outputs = self._outputs
        weights = outputs.match_weights(sample_weight)
        labels = outputs.match_data(y, "y", self.outputs_with_loss(outputs))
        for (i, name, fn, _), rule in zip(self._parts, self._rules, strict=True):
            if rule is not None and labels[i] is not None:
                who = _name_for_errors(fn, name, len(outputs))
                rule.check(np.asarray(labels[i]), weights[i], who)


def _has_loss(given):
    return any(one is not None for one in _as_list(given))


def _as_list(one):
    return list(one) if isinstance(one, list | tuple) else [one]


def _name_for_errors(loss, output, outputs):
    return loss.name if outputs == 1 else f"{loss.name} of output {output!r}"


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
