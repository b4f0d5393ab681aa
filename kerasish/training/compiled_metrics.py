"""The metrics that `compile` was given, matched to the model's outputs."""

from typing import Any

import jax.numpy as jnp

from kerasish import metrics as metrics_module
from kerasish.core import dtypes
from kerasish.core.masking import get_mask
from kerasish.core.names import snake_case
from kerasish.training.compiled_loss import CompiledLoss
from kerasish.training.output_matching import Outputs, distinct


class CompiledMetrics:
    """The metrics of all outputs, by name, made once the outputs' shapes are known.

    Args:
        metrics: List for one output; for several a pytree of lists like that of the outputs: dicts
            by name, lists in order.
        weighted_metrics: The same, for metrics that are given the sample weights.
        output_names: Names of the model's outputs, when it has any.
        loss: The compiled loss, if any: targets may be given for its outputs only.
    """

    def __init__(
        self,
        metrics: Any,
        weighted_metrics: Any = None,
        output_names: list | None = None,
        loss: CompiledLoss | None = None,
    ):
        self.spec = metrics
        self.weighted_spec = weighted_metrics
        self.output_names = output_names
        self._loss = loss
        for one in _flat(metrics) + _flat(weighted_metrics):
            if isinstance(one, str) and _choice_by_shape(one) is None:
                metrics_module.get(one)
        self._rows: list | None = None

    @property
    def made(self) -> bool:
        """Whether all metrics there are to be are made."""
        return self._rows is not None or not (self.spec or self.weighted_spec)

    @property
    def metrics(self) -> list:
        """The metrics made so far."""
        return [metric for _, metric, _, _ in self._rows or []]

    def _build(self, outputs, truths):
        self._rows = []
        named = outputs.own_names if len(outputs) > 1 else None
        prefixes = [f"{name}_" for name in named] if named else [""] * len(outputs)
        for spec, weighted in ((self.spec, False), (self.weighted_spec, True)):
            if spec is None:
                continue
            for i, chosen in enumerate(_metric_lists(spec, outputs)):
                for one in chosen:
                    metric = _make_metric(one, truths[i], outputs.leaves[i])
                    name = f"{prefixes[i]}{metric.name}"
                    taken = {other for other, *_ in self._rows}
                    if weighted and name in taken:
                        name = f"{prefixes[i]}weighted_{metric.name}"
                    self._rows.append((distinct(name, taken), metric, i, weighted))

    def _matched(self, y_true, y_pred):
        """The outputs, and the targets of each."""
        outputs = Outputs(y_pred, self.output_names)
        needed = None if self._loss is None else self._loss.outputs_with_loss(outputs)
        return outputs, outputs.match_data(y_true, "y", needed)

    def expect(self, y_true: Any, y_pred: Any) -> None:
        """Make the metrics for targets and predictions of these shapes.

        Args:
            y_true: Targets, or their specs.
            y_pred: Predictions, or their specs.
        """
        if not self.made:
            self._build(*self._matched(y_true, y_pred))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: Weights of the samples.
        """
        if not self.spec and not self.weighted_spec:
            self._rows = []
            return
        outputs, truths = self._matched(y_true, y_pred)
        weights = outputs.match_weights(sample_weight)
        if self._rows is None:
            self._build(outputs, truths)
        for _, metric, i, weighted in self._rows or ():
            if truths[i] is None:
                continue
            mask = get_mask(outputs.leaves[i])
            weight = weights[i] if weighted else None
            if mask is not None:
                weight = mask if weight is None else _masked(weight, mask)
            metric.update_state(truths[i], outputs.leaves[i], sample_weight=weight)

    def result(self) -> dict:
        """Results by name."""
        results = {}
        for name, metric, _, _ in self._rows or []:
            results.update(metric._results(name))
        return results


def _masked(weight, mask):
    """Weights, with 0 where the mask is false: even for a weight that is NaN there."""
    weight, mask = dtypes.to_array(weight), dtypes.to_array(mask).astype(bool)
    return jnp.where(mask, weight, jnp.zeros((), weight.dtype))


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


def _metric_lists(spec, outputs):
    if not isinstance(spec, dict):
        spec = _as_list(spec)
        if len(outputs) == 1:
            return [_flat(spec)]
    return [_flat(one) for one in outputs.match(spec, "metrics")]


def _as_list(x):
    return [] if x is None else list(x) if isinstance(x, list | tuple) else [x]


def _flat(spec):
    if isinstance(spec, dict):
        spec = list(spec.values())
    if not isinstance(spec, list | tuple):
        return [] if spec is None else [spec]
    return [leaf for one in spec for leaf in _flat(one)]
