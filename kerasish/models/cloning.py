"""Copies of models with new layers and weights."""

from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.layer import Layer
from kerasish.layers.core.input_layer import Input, InputLayer
from kerasish.models.functional import Functional
from kerasish.models.graph.graph import Function, map_structure
from kerasish.models.model import Model
from kerasish.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
) -> Model:
    """A model with the same architecture and newly made weights; custom code is not copied.

    Args:
        model: A `Sequential`, a functional model, or a subclassed one that has a config.
        input_tensors: Symbolic tensors to start from, instead of new inputs.
        clone_function: Function `layer -> layer` that makes each new layer; by default from its
            config.
        call_function: Function `(layer, *args, **kwargs)` that calls the new layers.
        recursive: Whether `clone_function` is given the layers of models inside too.

    Example:
        >>> from kerasish.layers import Dense
        >>> model = Sequential([Input((3,)), Dense(2)])
        >>> clone_model(model).output_shape
        (None, 2)
    """

    def clone(layer):
        if recursive and isinstance(layer, Model) and layer._function is not None:
            return clone_model(layer, None, clone_function, call_function, True)
        if clone_function is not None and not (
            isinstance(layer, Model) and layer._function is not None
        ):
            return clone_function(layer)
        return type(layer).from_config(layer.get_config())

    if isinstance(model, Sequential):
        return _clone_sequential(model, input_tensors, clone)
    if model._function is not None:
        return _clone_functional(model, input_tensors, clone, call_function)
    if clone_function is not None or input_tensors is not None:
        raise ValueError(
            f"clone_model: {type(model).__name__} is a subclassed model, so its layers cannot be "
            "replaced from outside; clone it without `clone_function` and `input_tensors`."
        )
    return type(model).from_config(model.get_config())


def _clone_sequential(model, input_tensors, clone):
    copies = {layer: clone(layer) for layer in dict.fromkeys(model.layers)}
    layers = [copies[layer] for layer in model.layers]
    start = jax.tree.leaves(input_tensors)
    if start:
        first = [start[0]]
    elif isinstance(model._stack[0], InputLayer) if model._stack else False:
        first = [InputLayer.from_config(model._stack[0].get_config())]
    else:
        first = []
    made = Sequential([*first, *layers], name=model.name, trainable=model.trainable)
    if not made.built and model._function is not None:
        made.build(model.input_shape)
    return made


def _clone_functional(model, input_tensors, clone, call_function):
    function: Function = model._function
    if input_tensors is None:
        start = [Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in function.inputs]
    else:
        start = jax.tree.leaves(input_tensors)
    made: dict[int, Any] = {}

    def call(operation, args, kwargs):
        if not isinstance(operation, Layer):
            return operation.function(*args, **kwargs)
        if id(operation) not in made:
            made[id(operation)] = clone(operation)
        layer = made[id(operation)]
        return call_function(layer, *args, **kwargs) if call_function else layer(*args, **kwargs)

    outputs = function.run(start, call)
    new = {id(t): x for t, x in zip(function.inputs, start, strict=True)}
    inputs = map_structure(lambda t: new[id(t)], function._inputs_struct)
    assert all(isinstance(t, KerasTensor) for t in jax.tree.leaves(outputs))
    return Functional(inputs, outputs, name=model.name)
