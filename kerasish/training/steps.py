"""What a model does with one batch: loss, gradients, update, metrics; stateful and stateless."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import metrics as metrics_module
from kerasish.core import settings
from kerasish.core.dict_order import map_in_order
from kerasish.core.state.scope import Scope
from kerasish.core.state.tracking import parts
from kerasish.core.state.transforms import value_and_grad
from kerasish.core.state.variable import Variable, values_of
from kerasish.data import unpack_x_y_sample_weight


class OverridableSteps:
    """The steps of a model, its losses and its metrics: what subclasses override.

    `train_step`, `test_step` and `predict_step` may be plain stateful code (`train_step(self,
    data)`) or in the stateless form that Keras has on JAX (`train_step(self, state, data)`); both
    are compiled, and fused on the device.
    """

    optimizer: Any = None
    loss: Any = None
    compiled = False
    _compiled_loss: Any = None
    run_eagerly = False

    # -- metrics

    @property
    def metrics(self) -> list:
        """All metrics: the mean of the loss, those given to `compile`, its own and its layers'.

        A model within it may be compiled for itself; its metrics are those of its own training.
        """
        found = [self._loss_tracker, *self._compiled_metrics.metrics] if self.compiled else []
        if self._compiled_loss is not None:
            found += self._compiled_loss.metrics
        for layer in self._flatten_layers():
            if isinstance(layer, OverridableSteps) and layer is not self:
                continue
            found += [m for m in parts(layer, metrics_module.Metric) if m not in found]
        return found

    @property
    def metrics_names(self) -> list[str]:
        """Names of the results in the order in which `evaluate` lists them."""
        with Scope():
            return self._in_order(self.get_metrics_result())

    def _in_order(self, results):
        """Names of results: those of metrics in their order, then, by alphabet, the others."""
        names = dict.fromkeys(metric.name for metric in self.metrics if metric.name in results)
        return [*names, *sorted(name for name in results if name not in names)]

    @property
    def metrics_variables(self) -> list[Variable]:
        """Variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    def reset_metrics(self) -> None:
        """Start all metrics from zero."""
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict:
        """Results of all metrics by name."""
        results = {}
        compiled = set(map(id, self._compiled_metrics.metrics)) if self.compiled else set()
        for metric in self.metrics:
            if id(metric) in compiled:
                continue
            results.update(metric._results(metric.name))
        if self.compiled:
            results.update(self._compiled_metrics.result())
        return results

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict:
        """Take a batch into the metrics and return all results. Override to change them.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: The model's outputs.
            sample_weight: Weights of the samples.
        """
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y, y_pred, sample_weight):
        self._compiled_metrics.update_state(y, y_pred, sample_weight)

    # -- losses and steps

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The scalar to minimise: the compiled loss plus the model's own losses.

        Args:
            x: Inputs.
            y: Targets.
            y_pred: The model's outputs.
            sample_weight: Weights of the samples.
            training: Whether it is for a training step.
        """
        losses = []
        if self._compiled_loss is not None:
            loss = self._compiled_loss(y, y_pred, sample_weight)
            if loss is not None:
                losses.append(loss)
        losses += [jnp.sum(loss).astype(settings.floatx()) for loss in self.losses]
        if not losses:
            if training:
                raise ValueError(
                    f"Model {self.name!r} has no loss to minimise: give `compile` a `loss`, call "
                    "`add_loss` in a layer, or override `compute_loss`."
                )
            return jnp.zeros(())
        return sum(losses[1:], losses[0])

    def train_step(self, state_or_data: Any, data: Any = None) -> Any:
        """One step of training: loss, gradients, update, metrics.

        Override it as `train_step(self, data)` in plain stateful code, or as
        `train_step(self, state, data)`, which takes and returns the four lists of values
        (trainable, non-trainable, optimizer, metrics).

        Args:
            state_or_data: The batch, `(x,)`, `(x, y)` or `(x, y, sample_weight)`; or the state.
            data: The batch, after a state.

        Returns:
            A dict of results; with `state`, `(results, state)`.
        """
        if data is not None:
            return self._stateless(
                lambda data: self._results(self._train_on(data)), state_or_data, data
            )
        return self._results(self._train_on(state_or_data))

    def test_step(self, state_or_data: Any, data: Any = None) -> Any:
        """One step of evaluation: loss and metrics. Override it as `train_step`.

        Args:
            state_or_data: The batch, or the state: trainable, non-trainable and metrics values.
            data: The batch, after a state.
        """
        if data is not None:
            trained, others, metrics = state_or_data
            step = lambda data: self._results(self._test_on(data))  # noqa: E731
            logs, state = self._stateless(step, (trained, others, [], metrics), data)
            return logs, (trained, state[1], state[3])
        return self._results(self._test_on(state_or_data))

    def predict_step(self, state_or_data: Any, data: Any = None) -> Any:
        """One step of prediction: the outputs. Override it as `train_step`.

        Args:
            state_or_data: The batch, or the state: trainable and non-trainable values.
            data: The batch, after a state.
        """
        if data is not None:
            trained, others = state_or_data
            outputs, state = self._stateless(self._predict_on, (trained, others, [], []), data)
            return outputs, state[1]
        return self._predict_on(state_or_data)

    def _predict_on(self, data):
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _train_on(self, data):
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        x = _finite_where_unweighted(x, sample_weight)
        variables = self.trainable_variables

        def loss_and_outputs():
            y_pred = self._call_for_training(x)
            loss = self._loss(x, y, y_pred, sample_weight, training=True)
            return self.optimizer.scale_loss(loss), (loss, y_pred)

        if not self.built or not variables:
            with Scope():  # a trial call: the state that it changes is as before
                self._call_for_training(x)
            variables = self.trainable_variables
        run = value_and_grad(loss_and_outputs, variables, has_aux=True)
        (_, (loss, y_pred)), grads = run()
        if variables:
            self.optimizer.apply(grads, variables)
        else:
            warnings.warn("The model has no trainable weights.", stacklevel=2)
        return self._track(loss, x, y, y_pred, sample_weight)

    def _test_on(self, data):
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        loss = self._loss(x, y, y_pred, sample_weight, training=False)
        return self._track(loss, x, y, y_pred, sample_weight)

    def _track(self, loss, x, y, y_pred, sample_weight):
        """Take a batch into the metrics; results only if `compute_metrics` is overridden."""
        rows = next(a.shape[0] for a in jax.tree.leaves(x))
        self._loss_tracker.update_state(loss, sample_weight=rows)
        if type(self).compute_metrics is not OverridableSteps.compute_metrics:
            return as_logs(self.compute_metrics(x, y, y_pred, sample_weight))
        return self._update_metrics(y, y_pred, sample_weight)

    def _call_for_training(self, x):
        return self(x, training=True)

    def _loss(self, x, y, y_pred, sample_weight, training):
        takes_training = "training" in inspect.signature(self.compute_loss).parameters
        extra = {"training": training} if takes_training else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **extra)

    def compute_loss_and_updates(
        self,
        trainable_variables: Sequence,
        non_trainable_variables: Sequence,
        metrics_variables: Sequence,
        x: Any,
        y: Any,
        sample_weight: Any,
        training: bool = False,
        optimizer_variables: Sequence | None = None,
    ) -> Any:
        """The loss of a stateless call, for `jax.value_and_grad(..., has_aux=True)`.

        Args:
            trainable_variables: Values of the trainable weights.
            non_trainable_variables: Values of the others.
            metrics_variables: Values of the metrics' Variables.
            x: Inputs.
            y: Targets.
            sample_weight: Weights of the samples.
            training: Whether it is for a training step.
            optimizer_variables: Kept for Keras' sake: the loss does not depend on them.

        Returns:
            `(loss, (unscaled loss, outputs, non-trainable values, metrics values))`.
        """
        trained, others, metrics = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.metrics_variables,
        )
        values = [*trainable_variables, *non_trainable_variables, *metrics_variables]
        with Scope(zip([*trained, *others, *metrics], values, strict=True)) as scope:
            y_pred = self(x, training=training)
            loss = self._loss(x, y, y_pred, sample_weight, training)
            scaled = self.optimizer.scale_loss(loss) if training and self.optimizer else loss
        new = ([scope.values[v] for v in others], [scope.values[v] for v in metrics])
        return scaled, (loss, y_pred, *new)

    def stateless_compute_loss(
        self,
        trainable_variables: Sequence,
        non_trainable_variables: Sequence,
        metrics_variables: Sequence,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """`compute_loss` with values given from outside, changing nothing.

        Args:
            trainable_variables: Values of the trainable weights.
            non_trainable_variables: Values of the others.
            metrics_variables: Values of the metrics' Variables.
            x: Inputs.
            y: Targets.
            y_pred: The model's outputs.
            sample_weight: Weights of the samples.
            training: Whether it is for a training step.

        Returns:
            `(loss, (trainable values, non-trainable values, metrics values))`.
        """
        state = (trainable_variables, non_trainable_variables, [], metrics_variables)
        loss, (trained, others, _, metrics) = self._stateless(
            lambda data: self._loss(*data, sample_weight, training), state, (x, y, y_pred)
        )
        return loss, (trained, others, metrics)

    def _state_variables(self):
        optimizer = self.optimizer.variables if self.optimizer is not None else []
        return (
            self.trainable_variables,
            self.non_trainable_variables,
            optimizer,
            self.metrics_variables,
        )

    def _stateless(self, step, state, data):
        """Run a stateful step on values given from outside; returns its result and new values."""
        lists = [
            vs if len(xs) else [] for vs, xs in zip(self._state_variables(), state, strict=True)
        ]
        pairs = [p for vs, xs in zip(lists, state, strict=True) for p in zip(vs, xs, strict=True)]
        with Scope(pairs) as scope:
            result = values_of(step(data))
        return result, tuple([scope.values[v] for v in vs] for vs in lists)

    def _results(self, found):
        return self.get_metrics_result() if found is None else found


def _finite_where_unweighted(x, sample_weight):
    """Inputs with zeros for what is not finite in samples of weight 0, which count nowhere.

    The gradients of what comes of such samples are zeros, but a weight's gradient is their product
    with the inputs, and 0 times NaN is NaN.
    """
    weights = jax.tree.leaves(sample_weight, is_leaf=lambda one: one is None)
    if not all(isinstance(w, jax.Array) and w.ndim for w in weights) or not weights:
        return x
    unweighted = [jnp.all(w.reshape(len(w), -1) == 0, axis=1) for w in weights]
    left_out = jnp.all(jnp.stack(unweighted), axis=0)

    def one(leaf):
        is_float = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jnp.floating)
        if not is_float or leaf.shape[:1] != left_out.shape:
            return leaf
        rows = left_out.reshape(-1, *[1] * (leaf.ndim - 1))
        return jnp.where(rows & ~jnp.isfinite(leaf), 0, leaf)

    return map_in_order(one, x)


def as_logs(logs: Any) -> dict:
    """The results of a step, with the dicts among them spread out.

    Args:
        logs: What the step returned.

    Raises:
        TypeError: It is no dict.
    """
    if not isinstance(logs, dict):
        raise TypeError(f"A step must return a dict of results; got {type(logs).__name__}.")
    flat = {}
    for name, value in logs.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat
