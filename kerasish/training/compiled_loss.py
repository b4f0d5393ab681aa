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
from kerasish.training.loss_matching import is_nested, losses_in, match_losses
from kerasish.training.output_matching import Outputs, distinct, walk


class _Part(NamedTuple):
    """One loss of one output, or of a pytree of outputs.

    Attributes:
        path: Keys that lead to it.
        name: What it is called in errors.
        loss: The loss.
        factor: Its weight in the sum; `None` for 1.
        tracker: Number of the mean in the logs that it is part of.
    """

    path: tuple
    name: str
    loss: Any
    factor: Any
    tracker: int


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
        for one in losses_in(loss):
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
        if not is_nested(self.loss):
            return [True] * len(outputs)
        starts = [one.path for one in match_losses(outputs, self.loss)]
        return [any(path[: len(s)] == s for s in starts) for path in outputs.paths]

    def _build(self, outputs, truths):
        shown: list[str] = []
        trackers: dict[tuple, int] = {}
        for path, one, factor in match_losses(outputs, self.loss, self.loss_weights):
            truth, prediction = _at(truths, path), _at(outputs.pytree, path)
            loss: Any = _make_loss(one, truth, prediction)
            if isinstance(prediction, dict | list | tuple) and _takes_one_output(loss):
                raise ValueError(outputs.misfit("loss", self.loss))
            name = outputs.part_name(path, one if isinstance(one, str) else loss.name)
            if path not in trackers or outputs.own_names is None:
                trackers[path] = len(shown)
                shown.append(distinct(f"{name}_loss", shown))
            error_name = outputs.part_name(path)
            self._parts.append(_Part(path, error_name, loss, factor, trackers[path]))
        several = len(self._parts) > 1
        self.metrics = [metrics_module.Mean(name=name) for name in shown if several]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array | None:
        """The total, or `None` when no output has a loss."""
        outputs = Outputs(y_pred, self.output_names)
        truths = outputs.pack(outputs.match_data(y_true, "y", self.outputs_with_loss(outputs)))
        weights = outputs.pack(outputs.match_weights(sample_weight))
        if not self._parts:
            self._build(outputs, truths)
        totals: list = []
        shown: list = [0] * len(self.metrics)
        self._rules = []
        for path, name, fn, factor, tracker in self._parts:
            truth, prediction, weight = (_at(x, path) for x in (truths, outputs.pytree, weights))
            if all(one is None for _, one in walk(truth)):
                raise ValueError(_lacks_targets(name, len(outputs), y_true))
            rule = _label_rule(fn, prediction)
            self._rules.append(rule)
            weight = _one_weight(weight, name)
            if rule is not None and _is_concrete(truth) and _is_concrete(weight):  # uncompiled
                rule.check(np.asarray(truth), weight, _name_for_errors(fn, name, len(outputs)))
            value = dtypes.to_array(fn(truth, prediction, sample_weight=weight))
            if value.ndim:
                value = jnp.mean(value)
            if self.metrics:
                shown[tracker] = shown[tracker] + value
            totals.append(value if factor is None else _weighted(value, factor))
        for metric, value in zip(self.metrics, shown, strict=True):
            metric.update_state(value, sample_weight=jax.tree.leaves(y_pred)[0].shape[0])
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
        all_weights = outputs.pack(outputs.match_weights(sample_weight))
        all_labels = outputs.pack(outputs.match_data(y, "y", self.outputs_with_loss(outputs)))
        for (path, name, fn, *_), rule in zip(self._parts, self._rules, strict=True):
            labels, weights = _at(all_labels, path), _at(all_weights, path)
            if rule is not None and labels is not None:
                who = _name_for_errors(fn, name, len(outputs))
                rule.check(np.asarray(labels), weights, who)


def _at(pytree, path):
    for key in path:
        pytree = pytree[key]
    return pytree


def _takes_one_output(loss):
    """Whether it is a loss of kerasish's; one of a user's own may take a pytree of outputs."""
    maths = getattr(loss, "fn", type(loss))
    return str(getattr(maths, "__module__", "")).startswith("kerasish.")


def _one_weight(weights, name):
    """The weights of the samples for a loss that takes several outputs as one."""
    found = [weight for _, weight in walk(weights)]
    if any(weight is not found[0] for weight in found):
        raise ValueError(
            f"data: `sample_weight` must be one array for the outputs {name!r}, of which one loss "
            f"makes one value; got {len(found)}."
        )
    return found[0]


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
    if isinstance(prediction, dict | list | tuple) or get_mask(prediction) is not None:
        return None
    function = getattr(loss, "fn", None)
    sparse = losses_module.sparse_categorical_crossentropy
    if isinstance(loss, losses_module.SparseCategoricalCrossentropy) or function is sparse:
        return LabelRule(
            prediction.shape[getattr(loss, "axis", -1)], getattr(loss, "ignore_class", None)
        )
    if isinstance(loss, losses_module.CTC) or function is losses_module.ctc:
        return LabelRule(prediction.shape[-1])
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
