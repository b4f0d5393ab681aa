"""What `compile` is told about losses and metrics, matched to the model's outputs."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import losses as losses_module
from kerasish import metrics as metrics_module
from kerasish.core import dtypes
from kerasish.core.errors import did_you_mean
from kerasish.core.masking import get_mask
from kerasish.core.names import snake_case


def name_outputs(y_pred: Any, names: list | None) -> tuple[list[str], list]:
    """The outputs in order, with their names: the model's own, the dict's keys, or numbers."""
    if isinstance(y_pred, dict):
        keys = list(y_pred)
        return [str(k) for k in keys], [y_pred[k] for k in keys]
    if isinstance(y_pred, list | tuple):
        if names is None or len(names) != len(y_pred):
            names = [f"output_{i + 1}" for i in range(len(y_pred))]
        return list(names), list(y_pred)
    return list(names)[:1] if names else ["output"], [y_pred]


def _are_named(y_pred, names):
    """Whether several outputs have names of their own, for those of their results to begin with."""
    return not isinstance(y_pred, list | tuple) or bool(names and len(names) == len(y_pred))


def _distinct(name, taken):
    """The name, with a number behind it if it is taken."""
    numbered = (f"{name}_{i}" if i else name for i in itertools.count())
    return next(one for one in numbered if one not in taken)


def align(spec: Any, names: list[str], what: str, spread: bool = False) -> list:
    """One entry per output, from a dict by name, a list in order, or one thing for all.

    Args:
        spec: What the user gave.
        names: Names of the outputs, in order.
        what: What it is, for the error: "loss".
        spread: Whether one thing stands for every output.
    """
    if isinstance(spec, dict):
        unknown = [key for key in spec if key not in names]
        if unknown:
            hint = did_you_mean(unknown[0], names)
            raise ValueError(
                f"compile: `{what}` names output {unknown[0]!r}; the model's outputs are "
                f"{names}. {hint}".rstrip()
            )
        return [spec.get(name) for name in names]
    if isinstance(spec, list | tuple):
        if len(spec) == len(names):
            return list(spec)
        got = len(spec)
    elif spread or len(names) == 1:
        return [spec] * len(names)
    else:
        got = f"one {type(spec).__name__}"
    count = "the output" if len(names) == 1 else f"each of the {len(names)} outputs"
    raise ValueError(f"compile: `{what}` must have one entry for {count} {names}; got {got}.")


class CompiledLoss:
    """The losses of all outputs, weighted and added up; keeps a mean of each for the logs.

    Args:
        loss: A loss, a name or a function; or a list of them, or a dict by output name. `None`
            entries leave an output without a loss.
        loss_weights: Numbers in the same form, or one for all.
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
        self.classes: list = []

    @property
    def made(self) -> bool:
        """Whether the losses of all outputs are made."""
        return bool(self._parts)

    def _build(self, names, truths, predictions, are_named):
        chosen = align(self.loss, names, "loss", spread=True)
        found = [_make_loss(*row) for row in zip(chosen, truths, predictions, strict=True)]
        weights = align(self.loss_weights, names, "loss_weights", spread=True)
        self._parts = list(zip(names, found, weights, strict=True))
        lossy = [
            name if are_named else one if isinstance(one, str) else fn.name
            for one, (name, fn, _) in zip(chosen, self._parts, strict=True)
            if fn is not None
        ]
        shown: list[str] = []
        for name in lossy if len(lossy) > 1 else ():
            shown.append(_distinct(f"{name}_loss", shown))
        self.metrics = [metrics_module.Mean(name=name) for name in shown]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> jax.Array | None:
        """The total, or `None` when no output has a loss."""
        names, predictions = name_outputs(y_pred, self.output_names)
        truths = _align_data(y_true, names, "y")
        weights = _align_weights(sample_weight, names)
        if not self._parts:
            self._build(names, truths, predictions, _are_named(y_pred, self.output_names))
        totals, trackers = [], iter(self.metrics)
        self.classes = [None] * len(names)
        rows = zip(self._parts, truths, predictions, weights, strict=True)
        for i, ((name, fn, factor), truth, prediction, weight) in enumerate(rows):
            if fn is None:
                continue
            if truth is None:
                raise ValueError(
                    f"The loss of output {name!r} needs targets, but `y` has none for it."
                )
            if _takes_class_numbers(fn):
                self.classes[i] = prediction.shape[-1]
            value = dtypes.to_array(fn(truth, prediction, sample_weight=weight))
            if value.ndim:
                value = jnp.mean(value)
            if self.metrics:
                rows_seen = jax.tree.leaves(prediction)[0].shape[0]
                next(trackers).update_state(value, sample_weight=rows_seen)
            totals.append(value if factor is None else value * factor)
        return sum(totals[1:], totals[0]) if totals else None

    def check_labels(self, y: Any) -> None:
        """Raise if in-memory labels of a sparse loss are outside the classes."""
        if y is None or not any(self.classes):
            return
        names = [name for name, *_ in self._parts]
        for (name, fn, _), labels, classes in zip(
            self._parts, _align_data(y, names, "y"), self.classes, strict=True
        ):
            ignored = getattr(fn, "ignore_class", None)
            if classes and labels is not None and ignored is None:
                who = fn.name if len(names) == 1 else f"{fn.name} of output {name!r}"
                losses_module.check_sparse_labels(labels, classes, who)


def _takes_class_numbers(loss):
    sparse = losses_module.sparse_categorical_crossentropy
    by_class = isinstance(loss, losses_module.SparseCategoricalCrossentropy)
    return by_class or getattr(loss, "fn", None) is sparse


def _make_loss(one, truth, prediction):
    if one in ("crossentropy", "ce"):
        metric = metrics_module.crossentropy_for(truth.shape, prediction.shape)
        one = type(metric).__name__
    loss = losses_module.get(one)
    if loss is None or isinstance(loss, losses_module.Loss):
        return loss
    return losses_module.LossFunctionWrapper(loss, name=getattr(loss, "__name__", None))


class CompiledMetrics:
    """The metrics of all outputs, by name, made once the outputs' shapes are known.

    Args:
        metrics: List for one output; list of lists, or dict by output name, for several.
        weighted_metrics: The same, for metrics that are given the sample weights.
        output_names: Names of the model's outputs, when it has any.
    """

    def __init__(
        self, metrics: Any, weighted_metrics: Any = None, output_names: list | None = None
    ):
        self.spec = metrics
        self.weighted_spec = weighted_metrics
        self.output_names = output_names
        for one in _flat(metrics) + _flat(weighted_metrics):
            if isinstance(one, str) and _choice_by_shape(one) is None:
                metrics_module.get(one)
        self._entries: list | None = None

    @property
    def made(self) -> bool:
        """Whether all metrics there are to be are made."""
        return self._entries is not None or not (self.spec or self.weighted_spec)

    @property
    def metrics(self) -> list:
        """The metrics made so far."""
        return [metric for _, metric, _, _ in self._entries or []]

    def _build(self, names, truths, predictions, are_named):
        self._entries = []
        prefixes = [f"{name}_" if are_named and len(names) > 1 else "" for name in names]
        for spec, weighted in ((self.spec, False), (self.weighted_spec, True)):
            if spec is None:
                continue
            for i, chosen in enumerate(_metric_lists(spec, names)):
                for one in chosen:
                    metric = _make_metric(one, truths[i], predictions[i])
                    name = f"{prefixes[i]}{metric.name}"
                    taken = {other for other, *_ in self._entries}
                    if weighted and name in taken:
                        name = f"weighted_{name}"
                    self._entries.append((_distinct(name, taken), metric, i, weighted))

    def expect(self, y_true: Any, y_pred: Any) -> None:
        """Make the metrics for targets and predictions of these shapes."""
        names, predictions = name_outputs(y_pred, self.output_names)
        if not self.made:
            truths = _align_data(y_true, names, "y")
            self._build(names, truths, predictions, _are_named(y_pred, self.output_names))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        names, predictions = name_outputs(y_pred, self.output_names)
        if not self.spec and not self.weighted_spec:
            self._entries = []
            return
        truths = _align_data(y_true, names, "y")
        weights = _align_weights(sample_weight, names)
        if self._entries is None:
            self._build(names, truths, predictions, _are_named(y_pred, self.output_names))
        for _, metric, i, weighted in self._entries or ():
            if truths[i] is None:
                continue
            mask = get_mask(predictions[i])
            weight = weights[i] if weighted else None
            if mask is not None:
                weight = mask if weight is None else weight * dtypes.to_array(mask, weight.dtype)
            metric.update_state(truths[i], predictions[i], sample_weight=weight)

    def result(self) -> dict:
        """Results by name."""
        results = {}
        for name, metric, _, _ in self._entries or []:
            results.update(metric._results(name))
        return results


_CHOSEN_BY_SHAPE = {
    "accuracy": metrics_module.accuracy_for,
    "acc": metrics_module.accuracy_for,
    "crossentropy": metrics_module.crossentropy_for,
    "ce": metrics_module.crossentropy_for,
}


def _choice_by_shape(one):
    """What chooses a metric by its outputs' shape, if that is what is named, in any case."""
    return _CHOSEN_BY_SHAPE.get(one.lower()) if isinstance(one, str) else None


def _make_metric(one, truth, prediction):
    choose = _choice_by_shape(one)
    if choose is not None:
        return choose(truth.shape, prediction.shape, name=one)
    metric = metrics_module.get(one)
    if not isinstance(metric, metrics_module.Metric):
        metric = metrics_module.MeanMetricWrapper(metric, name=_name_of(metric))
    if isinstance(one, str):
        metric.name = one
    return metric


def _name_of(function):
    """Its own name, or that of its definition or class as Keras writes them."""
    defined = getattr(function, "__name__", None) or type(function).__name__
    return getattr(function, "name", None) or snake_case(defined)


def _metric_lists(spec, names):
    if isinstance(spec, dict):
        return [_as_list(one) for one in align(spec, names, "metrics")]
    spec = _as_list(spec)
    if len(names) == 1:
        return [_flat(spec)]
    if not any(isinstance(one, list | tuple) for one in spec) and len(spec) != len(names):
        raise ValueError(
            f"compile: `metrics` must have one entry for each of the {len(names)} outputs "
            f"{names}: a list of {len(names)} (lists of) metrics, or a dict by name; "
            f"got {len(spec)} metric(s)."
        )
    return [_as_list(one) for one in align(spec, names, "metrics")]


def _as_list(x):
    return [] if x is None else list(x) if isinstance(x, list | tuple) else [x]


def _flat(spec):
    if isinstance(spec, dict):
        spec = list(spec.values())
    if not isinstance(spec, list | tuple):
        return [] if spec is None else [spec]
    return [leaf for one in spec for leaf in _flat(one)]


def _align_data(y, names, what):
    if isinstance(y, dict) and len(names) == 1 and names[0] not in y:
        return [next(iter(y.values()))] if len(y) == 1 else [y]
    if isinstance(y, dict):
        return [y.get(name) for name in names]
    if isinstance(y, list | tuple):
        if len(y) == len(names):
            return list(y)
        if len(names) == 1:
            return [y]
        raise ValueError(
            f"`{what}` must hold one array for each of the outputs {names}; got {len(y)}."
        )
    if y is None or len(names) == 1:
        return [y] * len(names)
    raise ValueError(
        f"`{what}` must hold one array for each of the outputs {names}; got a single one."
    )


def _align_weights(weights, names):
    if isinstance(weights, list | tuple | dict):
        return _align_data(weights, names, "sample_weight")
    return [weights] * len(names)
