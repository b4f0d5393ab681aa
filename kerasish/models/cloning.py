"""Copies of models with new layers and weights."""

import warnings
from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.dict_order import map_in_order
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.live_objects import copy_by_config, live_objects
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.layer import Layer
from kerasish.layers.core.input_layer import Input, InputLayer
from kerasish.models.functional import Functional
from kerasish.models.graph.graph import Function
from kerasish.models.model import Model
from kerasish.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
) -> Model:
    """A model of the same class and architecture, with newly made weights.

    Functions and classes are taken over as they are: lambdas, local functions and layers that are
    not registered are copied too.

    Args:
        model: A `Sequential`, a functional model, or a subclassed one that has a config.
        input_tensors: Symbolic tensors to start from, instead of new inputs.
        clone_function: Function `layer -> layer` that makes each new layer; by default from its
            config.
        call_function: Function `(layer, *args, **kwargs)` that calls the new layers.
        recursive: Whether `clone_function` is given the layers of models inside too.

    Returns:
        The new model, compiled as a `Sequential` or functional model is, with a new optimizer.

    Raises:
        ValueError: If layers are to be replaced in a subclassed model, or an argument of a layer's
            is a Variable, which the copy would share.

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
            with live_objects():  # it may copy by the layer's config
                return clone_function(layer)
        return copy_by_config(layer)

    as_it_is = clone_function is None and input_tensors is None and call_function is None
    if as_it_is and type(model) not in (Functional, Sequential):
        return _disjoint(copy_by_config(model), model)
    if isinstance(model, Sequential):
        made = _clone_sequential(model, input_tensors, clone)
    elif model._function is not None:
        made = _clone_functional(model, input_tensors, clone, call_function)
    else:
        raise ValueError(
            f"clone_model: {type(model).__name__} is a subclassed model, so its layers cannot be "
            "replaced from outside; clone it without `clone_function`, `call_function` and "
            "`input_tensors`."
        )
    if model.compiled:
        made.compile_from_config(model.get_compile_config())
    return _disjoint(made, model) if as_it_is else made


def _disjoint(copy, model):
    """The copy, unless it holds Variables of the model's."""
    own = {id(v) for v in model.variables}
    shared = [v.path for v in copy.variables if id(v) in own]
    if shared:
        raise ValueError(
            f"clone_model: the copy of {model.name!r} would share {shared} with it: arguments "
            "of layers hold Variables. Make them in `build`, or copy with `copy.deepcopy(model)`."
        )
    return copy


def _clone_sequential(model, input_tensors, clone):
    copies = {layer: clone(layer) for layer in dict.fromkeys(model.layers)}
    layers = [copies[layer] for layer in model.layers]
    start = jax.tree.leaves(input_tensors)
    if start:
        first = [start[0]]
    elif isinstance(model._stack[0], InputLayer) if model._stack else False:
        first = [copy_by_config(model._stack[0])]
    else:
        first = []
    made = model._with_layers([*first, *layers])
    if made is None:
        _warn_of_class(model, "Sequential")
        made = Sequential([*first, *layers], name=model.name)
    if not model.trainable:
        made.trainable = False
    if not made.built and model._function is not None:
        made.build(model.input_shape)
    return made


def _clone_functional(model, input_tensors, clone, call_function):
    function: Function = model._function
    if input_tensors is None:
        start = [Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in function.inputs]
    else:
        start = jax.tree.leaves(input_tensors)
        forms = [jax.tree.structure(x) for x in (function._inputs_struct, input_tensors)]
        if forms[0] != forms[1] and not (len(start) == len(function.inputs) == 1):
            wanted = f"of the structure of the model's inputs, {forms[0]}"
            raise bad_argument("clone_model", "input_tensors", wanted, forms[1])
    copies: dict[int, Any] = {}

    def call(operation, args, kwargs):
        if not isinstance(operation, Layer):
            return operation.function(*args, **kwargs)
        if id(operation) not in copies:
            copies[id(operation)] = clone(operation)
        layer = copies[id(operation)]
        return call_function(layer, *args, **kwargs) if call_function else layer(*args, **kwargs)

    outputs = function.run(start, call)
    new = {id(t): x for t, x in zip(function.inputs, start, strict=True)}
    inputs = map_in_order(lambda t: new[id(t)], function._inputs_struct)
    assert all(isinstance(t, KerasTensor) for t in jax.tree.leaves(outputs))
    made = model._with_graph(inputs, outputs)
    if made is None:
        _warn_of_class(model, "Functional")
        made = Functional(inputs, outputs, name=model.name)
    if not model.trainable:
        made.trainable = False
    return made


def _warn_of_class(model, plain):
    warnings.warn(
        f"clone_model: {type(model).__name__} makes its layers in `__init__`, so the copy with "
        f"other ones is a plain {plain}, without its methods. Take the layers as arguments.",
        stacklevel=4,
    )
