"""The metrics that `compile` was given, matched to the model's outputs."""

from typing import Any

import jax.numpy as jnp

from kerasish import metrics as metrics_module
from kerasish.core import dtypes
from kerasish.core.masking import get_mask
from kerasish.core.names import snake_case
from kerasish.training.output_matching import (
    distinct,
    have_names,
    match_data,
    match_spec,
    match_weights,
    name_outputs,
)


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
        self._rows: list | None = None

    @property
    def made(self) -> bool:
        """Whether all metrics there are to be are made."""
        return self._rows is not None or not (self.spec or self.weighted_spec)

    @property
    def metrics(self) -> list:
        """The metrics made so far."""
        return [metric for _, metric, _, _ in self._rows or []]

    def _build(self, names, truths, predictions, are_named):
        self._rows = []
        prefixes = [f"{name}_" if are_named and len(names) > 1 else "" for name in names]
        for spec, weighted in ((self.spec, False), (self.weighted_spec, True)):
            if spec is None:
                continue
            for i, chosen in enumerate(_metric_lists(spec, names)):
                for one in chosen:
                    metric = _make_metric(one, truths[i], predictions[i])
                    name = f"{prefixes[i]}{metric.name}"
                    taken = {other for other, *_ in self._rows}
                    if weighted and name in taken:
                        name = f"weighted_{name}"
                    self._rows.append((distinct(name, taken), metric, i, weighted))

    def expect(self, y_true: Any, y_pred: Any) -> None:
        """Make the metrics for targets and predictions of these shapes.

        Args:
            y_true: Targets, or their specs.
            y_pred: Predictions, or their specs.
        """
        names, predictions = name_outputs(y_pred, self.output_names)
        if not self.made:
            truths = match_data(y_true, names, "y")
            self._build(names, truths, predictions, have_names(y_pred, self.output_names))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch.

        Args:
            y_true: Targets.
            y_pred: Predictions.
            sample_weight: Weights of the samples.
        """
        names, predictions = name_outputs(y_pred, self.output_names)
        if not self.spec and not self.weighted_spec:
            self._rows = []
            return
        truths = match_data(y_true, names, "y")
        weights = match_weights(sample_weight, names)
        if self._rows is None:
            self._build(names, truths, predictions, have_names(y_pred, self.output_names))
        for _, metric, i, weighted in self._rows or ():
            if truths[i] is None:
                continue
            mask = get_mask(predictions[i])
            weight = weights[i] if weighted else None
            if mask is not None:
                weight = mask if weight is None else _masked(weight, mask)
            metric.update_state(truths[i], predictions[i], sample_weight=weight)

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


def _metric_lists(spec, names):
    if isinstance(spec, dict):
        return [_as_list(one) for one in match_spec(spec, names, "metrics")]
    spec = _as_list(spec)
    if len(names) == 1:
        return [_flat(spec)]
    if not any(isinstance(one, list | tuple) for one in spec) and len(spec) != len(names):
        raise ValueError(
            f"compile: `metrics` must have one entry for each of the {len(names)} outputs "
            f"{names}: a list of {len(names)} (lists of) metrics, or a dict by name; "
            f"got {len(spec)} metric(s)."
        )
    return [_as_list(one) for one in match_spec(spec, names, "metrics")]


def _as_list(x):
    return [] if x is None else list(x) if isinstance(x, list | tuple) else [x]


def _flat(spec):
    if isinstance(spec, dict):
        spec = list(spec.values())
    if not isinstance(spec, list | tuple):
        return [] if spec is None else [spec]
    return [leaf for one in spec for leaf in _flat(one)]
