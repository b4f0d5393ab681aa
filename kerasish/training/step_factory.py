"""Making a model's compiled steps, from the methods that it has or overrides."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

from kerasish.core.dict_order import order_of
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.data import unpack_x_y_sample_weight
from kerasish.layers.base.fingerprint import structure
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.steps import OverridableSteps, as_logs

_ON_BATCH = " on batch"  # steps that start by resetting the metrics, which costs least in there
TRAINING_KINDS = ("train", f"train{_ON_BATCH}")


def current_step(model: Any, kind: str) -> CompiledStep:
    """The model's compiled step of a kind, made anew when what it depends on has changed.

    Args:
        model: The model, which keeps its steps.
        kind: `"train"`, `"test"`, `"predict"`, `"train on batch"` or `"test on batch"`.
    """
    step = model._compiled_steps.get(kind)
    if step is not None:
        step.follow_changes()
    if kind in TRAINING_KINDS and step is not None and step.trained is not None:
        trained, before = model.trainable_variables, step.trained
        if list(map(id, trained)) != list(map(id, before)):  # layers were frozen or unfrozen
            model.optimizer.follow(trained, before)
            step = None
        elif step.frozen != _frozen_layers(model):  # normalizations without weights, say
            step = None
    if step is None:
        step = model._compiled_steps[kind] = make_step(model, kind)
    return step


def make_step(model: Any, kind: str) -> CompiledStep:
    """A new compiled step of a kind that `current_step` knows.

    Args:
        model: The model.
        kind: The kind.
    """
    resets, kind = kind.endswith(_ON_BATCH), kind.removesuffix(_ON_BATCH)
    if kind == "predict":
        body = stateful(model, model.predict_step, (0, 1))

        def known(batch):
            return [] if _graph_output(model) is None else model.variables

        def ordered(batch):
            outputs = body(batch)
            step.output_order = order_of(outputs)
            return outputs

        options = (True, model.run_eagerly, known, lambda: structure(model))
        step = CompiledStep(ordered, lambda carried: None, *options)
        return step
    own = {
        "train": (OverridableSteps.train_step, model._train_on),
        "test": (OverridableSteps.test_step, model._test_on),
    }
    overridable, builtin = own[kind]
    is_builtin = getattr(type(model), f"{kind}_step") is overridable
    if is_builtin:
        # Results are computed once a chunk, not once a step.
        body, finish = builtin, model._results
    else:
        kinds = (0, 1, 2, 3) if kind == "train" else (0, 1, 3)
        body, finish = stateful(model, getattr(model, f"{kind}_step"), kinds), as_logs

    def run(batch):
        if resets:
            model.reset_metrics()
        result = body(batch)
        step.trained, step.frozen = model.trainable_variables, _frozen_layers(model)
        return result

    def expected(batch):
        return _expected_variables(model, kind, batch) if is_builtin else []

    step = CompiledStep(run, finish, False, model.run_eagerly, expected, lambda: structure(model))
    return step


def _expected_variables(model, kind, batch) -> list[Variable]:
    """The Variables that a step touches, where they are known before it is traced."""
    outputs = _graph_output(model)
    if not isinstance(outputs, KerasTensor) or model._compiled_loss is None:
        return []
    model._compiled_metrics.expect(unpack_x_y_sample_weight(batch)[1], outputs)
    if kind == "test":
        return [*model.variables, *model.metrics_variables]
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return list(dict.fromkeys(variables))


def _graph_output(model):
    """The symbolic output; `None` of a model without a graph, which builds when called."""
    return model.output if getattr(model, "_function", None) else None


def _frozen_layers(model):
    return [layer.name for layer in model._flatten_layers() if not layer.trainable]


# -- steps that users write


def stateful(model: Any, step: Callable, kinds: tuple) -> Callable:
    """A user's step as stateful code, whichever of the two signatures it has.

    Args:
        model: The model.
        step: `step(data)` or `step(state, data)`.
        kinds: Which of the model's four lists of Variables (trainable, non-trainable, optimizer,
            metrics) the state consists of.
    """
    if not _takes_state(step):

        def act(data):
            data = _unwrap(data)
            _finish_building(model, data)
            return step(data)

        return act

    def run(data):
        data = _unwrap(data)
        _build_for(model, data)
        lists = [model._state_variables()[i] for i in kinds]
        state = tuple([v.read() for v in vs] for vs in lists)
        result, new = step(state, data)
        new = (state[0], new) if len(kinds) == 2 else new
        for variables, values in zip(lists, new, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return result

    return run


def _finish_building(model, data):
    """Build what is left of a model that is built in part, so that a step sees all its weights.

    A step that reads `trainable_variables` before it calls the model would miss some. A model that
    cannot be called on the inputs alone, as its step knows how to call it, is left to the step,
    with a warning: weights that it makes later are not among those that it has read.
    """
    layers = list(model._flatten_layers(include_self=False))
    if not any(layer.built for layer in layers) or all(layer.built for layer in layers):
        return
    try:
        with Scope():
            model(unpack_x_y_sample_weight(data)[0], training=False)
    except Exception as error:
        lacking = [layer.name for layer in layers if not layer.built]
        if lacking:
            warnings.warn(
                f"{model.name}: the layers {lacking} have no weights yet, and calling the model on "
                f"the inputs to make them failed: {error} Weights that the step makes itself are "
                "not trained in this step if it read `trainable_variables` before. Build all "
                "layers before training, by a call on data, say.",
                stacklevel=2,
            )


def _build_for(model, data):
    """Make everything that a stateless step expects to find made."""
    x, y, sample_weight = unpack_x_y_sample_weight(data)
    lacking = not all(layer.built for layer in model._flatten_layers())
    if model.compiled:
        lacking = lacking or not model._compiled_metrics.made
        lacking = lacking or (model._compiled_loss is not None and not model._compiled_loss.made)
    if lacking:
        with Scope():
            y_pred = model(x, training=False)
            if model.compiled and y is not None:
                if model._compiled_loss is not None:
                    model._compiled_loss(y, y_pred, sample_weight)
                model._update_metrics(y, y_pred, sample_weight)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _unwrap(data):
    """Inputs without targets as they are, not in a tuple of one: so Keras gives them to steps."""
    is_single = isinstance(data, tuple) and len(data) == 1
    return data[0] if is_single and not isinstance(data[0], list | tuple) else data


def _takes_state(step):
    every = inspect.signature(step).parameters.values()
    needed = [
        p
        for p in every
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    # What passes anything on gets what Keras passes, `(state, data)`: our own steps take both.
    passes_on = not needed and any(p.kind == p.VAR_POSITIONAL for p in every)
    return len(needed) == 2 or passes_on
