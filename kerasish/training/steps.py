"""What a model does with one batch: loss, gradients, update, metrics; stateful and stateless."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import metrics as metrics_module
from kerasish.core import settings
from kerasish.core.state.scope import Scope
from kerasish.core.state.tracking import parts
from kerasish.core.state.transforms import value_and_grad
from kerasish.core.state.variable import Variable, values_of
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.data import unpack_x_y_sample_weight
from kerasish.training.compiled_step import Step

_ON_BATCH = " on batch"  # steps that start by resetting the metrics, which costs least in there
_TRAINING = ("train", f"train{_ON_BATCH}")


class Steps:
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
            if isinstance(layer, Steps) and layer is not self:
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

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict:
        """Take a batch into the metrics and return all results. Override to change them."""
        self._update_metrics(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _update_metrics(self, y, y_pred, sample_weight):
        self._compiled_metrics.update_state(y, y_pred, sample_weight)

    # -- losses and steps

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
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

    def train_step(self, state_or_data, data=None):
        """One step of training: loss, gradients, update, metrics.

        Override it as `train_step(self, data)` in plain stateful code, or as
        `train_step(self, state, data)`, which takes and returns the four lists of values
        (trainable, non-trainable, optimizer, metrics).

        Returns:
            A dict of results; with `state`, `(results, state)`.
        """
        if data is not None:
            return self._stateless(
                lambda data: self._results(self._train_on(data)), state_or_data, data
            )
        return self._results(self._train_on(state_or_data))

    def test_step(self, state_or_data, data=None):
        """One step of evaluation: loss and metrics. Override it as `train_step`."""
        if data is not None:
            trained, others, metrics = state_or_data
            step = lambda data: self._results(self._test_on(data))  # noqa: E731
            logs, state = self._stateless(step, (trained, others, [], metrics), data)
            return logs, (trained, state[1], state[3])
        return self._results(self._test_on(state_or_data))

    def predict_step(self, state_or_data, data=None):
        """One step of prediction: the outputs. Override it as `train_step`."""
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
        variables = self.trainable_variables

        def loss_and_outputs():
            y_pred = self._call_for_training(x)
            loss = self._loss(x, y, y_pred, sample_weight, training=True)
            return self.optimizer.scale_loss(loss), (loss, y_pred)

        if not self.built or not variables:
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
        if type(self).compute_metrics is not Steps.compute_metrics:
            return _as_logs(self.compute_metrics(x, y, y_pred, sample_weight))
        return self._update_metrics(y, y_pred, sample_weight)

    def _call_for_training(self, x):
        return self(x, training=True)

    def _loss(self, x, y, y_pred, sample_weight, training):
        takes_training = "training" in inspect.signature(self.compute_loss).parameters
        extra = {"training": training} if takes_training else {}
        return self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, **extra)

    def compute_loss_and_updates(
        self,
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x,
        y,
        sample_weight,
        training=False,
        optimizer_variables=None,
    ):
        """The loss of a stateless call, for `jax.value_and_grad(..., has_aux=True)`.

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
        trainable_variables,
        non_trainable_variables,
        metrics_variables,
        x=None,
        y=None,
        y_pred=None,
        sample_weight=None,
        training=True,
    ):
        """`compute_loss` with values given from outside, changing nothing.

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

    def _stateful(self, step: Callable, kinds: tuple) -> Callable:
        """A user's step as stateful code, whichever of the two forms it has."""
        if not _takes_state(step):
            return lambda data: step(_alone(data))

        def run(data):
            data = _alone(data)
            self._build_for(data)
            lists = [self._state_variables()[i] for i in kinds]
            state = tuple([v.read() for v in vs] for vs in lists)
            result, new = step(state, data)
            new = (state[0], new) if len(kinds) == 2 else new
            for variables, values in zip(lists, new, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            return result

        return run

    def _build_for(self, data):
        """Make everything that a stateless step expects to find made."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        lacking = not all(layer.built for layer in self._flatten_layers())
        if self.compiled:
            lacking = lacking or not self._compiled_metrics.made
            lacking = lacking or (self._compiled_loss is not None and not self._compiled_loss.made)
        if lacking:
            with Scope():
                y_pred = self(x, training=False)
                if self.compiled and y is not None:
                    if self._compiled_loss is not None:
                        self._compiled_loss(y, y_pred, sample_weight)
                    self._update_metrics(y, y_pred, sample_weight)
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    # -- compiled steps

    def _step(self, kind: str) -> Step:
        """The compiled step of a kind, made anew when what it depends on has changed.

        Kinds are `"train"`, `"test"`, `"predict"`, and `"train on batch"`, `"test on batch"`.
        """
        steps = self.__dict__.setdefault("_steps", {})
        step = steps.get(kind)
        if kind in _TRAINING and step is not None and step.trained is not None:
            trained, before = self.trainable_variables, step.trained
            if list(map(id, trained)) != list(map(id, before)):  # layers were frozen or unfrozen
                self.optimizer.follow(trained, before)
                step = None
            elif step.frozen != self._frozen_layers():  # normalizations without weights, say
                step = None
        if step is None:
            step = steps[kind] = self._make_step(kind)
        return step

    def _frozen_layers(self):
        return [layer.name for layer in self._flatten_layers() if not layer.trainable]

    def make_train_function(self, force=False) -> None:
        """Compile the training step anew, after a change that it does not see by itself.

        It sees by itself when layers are frozen or unfrozen, and it never needs to for values: a
        new learning rate or new weights are read at each step.

        Args:
            force: Whether to do it if the step is compiled already.
        """
        self._require_compiled("make_train_function")
        if force:
            for kind in _TRAINING:
                if kind in self._steps:
                    self._steps[kind].forget()

    def _make_step(self, kind):
        eager = self.run_eagerly
        afresh, kind = kind.endswith(_ON_BATCH), kind.removesuffix(_ON_BATCH)
        if kind == "predict":
            body = self._stateful(self.predict_step, (0, 1))

            def known(batch):
                return [] if self._graph_output() is None else self.variables

            return Step(lambda batch: body(batch), lambda carried: None, True, eager, known)
        own = {
            "train": (Steps.train_step, self._train_on),
            "test": (Steps.test_step, self._test_on),
        }
        overridable, builtin = own[kind]
        ours = getattr(type(self), f"{kind}_step") is overridable
        if ours:
            # Results are computed once a chunk, not once a step.
            body, finish = builtin, self._results
        else:
            kinds = (0, 1, 2, 3) if kind == "train" else (0, 1, 3)
            body, finish = self._stateful(getattr(self, f"{kind}_step"), kinds), _as_logs

        def run(batch):
            if afresh:
                self.reset_metrics()
            result = body(batch)
            step.trained, step.frozen = self.trainable_variables, self._frozen_layers()
            return result

        expected_variables = lambda batch: self._likely(kind, batch) if ours else []  # noqa: E731
        step = Step(run, finish, eager=eager, expected_variables=expected_variables)
        return step

    def _likely(self, kind, batch):
        """The Variables that a step touches, where they are known before it is traced."""
        outputs = self._graph_output()
        if not isinstance(outputs, KerasTensor) or self._compiled_loss is None:
            return []
        self._compiled_metrics.expect(unpack_x_y_sample_weight(batch)[1], outputs)
        if kind == "test":
            return [*self.variables, *self.metrics_variables]
        self.optimizer.build(self.trainable_variables)
        variables = [*self.variables, *self.optimizer.variables, *self.metrics_variables]
        return list(dict.fromkeys(variables))

    def _graph_output(self):
        """The symbolic output; `None` of a model without a graph, which builds when called."""
        return self.output if getattr(self, "_function", None) else None

    def _results(self, found):
        return self.get_metrics_result() if found is None else found


def _alone(data):
    """Inputs without targets as they are, not in a tuple of one: so Keras gives them to steps."""
    alone = isinstance(data, tuple) and len(data) == 1 and not isinstance(data[0], list | tuple)
    return data[0] if alone else data


def _takes_state(step):
    parameters = [
        p
        for p in inspect.signature(step).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    return len(parameters) == 2


def _as_logs(logs):
    if not isinstance(logs, dict):
        raise TypeError(f"A step must return a dict of results; got {type(logs).__name__}.")
    flat = {}
    for name, value in logs.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    return flat
