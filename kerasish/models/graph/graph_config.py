"""A graph of layers as plain data, in Keras' form, and the graph made from it again."""

import copy
import inspect
from collections.abc import Iterator
from typing import Any

import jax

from kerasish.core.dict_order import map_in_order
from kerasish.core.serialization.live_objects import LiveObject
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.graph import node_of
from kerasish.core.symbolic.keras_tensor import History, KerasTensor
from kerasish.core.symbolic.operation import Op
from kerasish.layers.core.input_layer import InputLayer
from kerasish.models.graph.graph import Function
from kerasish.models.graph.op_config import is_op, read_op, write_op


def graph_config(function: Function) -> dict:
    """The layers, how they were called, and which tensors go in and out.

    Args:
        function: The functional model.
    """
    calls: dict[Any, list] = {operation: [] for operation in function.operations}
    for node in sorted(function.nodes, key=lambda node: node.index):
        calls[node.operation].append(node)
    number = {id(node): i for nodes in calls.values() for i, node in enumerate(nodes)}

    def renumbered(leaf):
        """A tensor as the graph knows it: its layer may have been called elsewhere too."""
        if not isinstance(leaf, KerasTensor):
            return leaf
        twin = copy.copy(leaf)
        operation, _, output = leaf._keras_history
        twin._keras_history = History(operation, number[id(node_of(leaf))], output)
        return twin

    def position(tensor):
        operation, index, output = renumbered(tensor)._keras_history
        return [operation.name, index + _own_node(operation), output]

    layers = []
    for operation, nodes in calls.items():
        called = [jax.tree.map(renumbered, (n.args, n.kwargs), is_leaf=is_variable) for n in nodes]
        if isinstance(operation, Op):
            layers += [write_op(operation, *arguments) for arguments in called]
            continue
        element = serialize_keras_object(operation)
        element["name"] = operation.name
        element["inbound_nodes"] = [
            {"args": serialize_keras_object(list(args)), "kwargs": serialize_keras_object(kwargs)}
            for args, kwargs in called
            if not isinstance(operation, InputLayer)
        ]
        layers.append(element)
    return {
        "layers": layers,
        "input_layers": map_in_order(position, function._inputs_struct),
        "output_layers": map_in_order(position, function._outputs_struct),
    }


def _own_node(operation):
    """1 for functional models: Keras counts the call that made them, in inputs and outputs."""
    return int(hasattr(operation, "_graph_layers"))


def rebuild_graph(config: dict) -> tuple[Any, Any]:
    """The symbolic inputs and outputs that a functional config describes.

    Args:
        config: What `graph_config` gave.
    """
    made: dict[str, Any] = {}
    outputs: dict[tuple, list] = {}
    waiting = []
    for element in config["layers"]:
        own = {key: value for key, value in element.items() if key != "inbound_nodes"}
        operation = read_op(own) if is_op(own) else deserialize_keras_object(own)
        name = element["name"]
        made[name] = operation
        if isinstance(operation, InputLayer):
            outputs[name, 0] = [operation.output]
        waiting += [(name, i, node) for i, node in enumerate(element.get("inbound_nodes", []))]
    while waiting:
        later = []
        for name, i, node in waiting:
            args, kwargs = _node_arguments(node)
            needed = [tuple(history[:2]) for history in _histories_in((args, kwargs))]
            if (i and (name, i - 1) not in outputs) or any(n not in outputs for n in needed):
                later.append((name, i, node))
                continue
            if not needed:
                raise ValueError(
                    f"The config's graph calls {name!r} on no tensor, so that making the model "
                    "would compute: refused."
                )
            args, kwargs = _fill((args, kwargs), outputs)
            _drop_default_training(made[name], kwargs)
            outputs[name, i] = jax.tree.leaves(made[name](*args, **kwargs))
        if len(later) == len(waiting):
            names = [name for name, _, _ in later]
            raise ValueError(
                f"The config's graph cannot be built: {names} need tensors nothing makes."
            )
        waiting = later

    def tensor(history):
        name, index, output = history
        return outputs[name, index - _own_node(made[name])][output]

    return _map_histories(tensor, config["input_layers"]), _map_histories(
        tensor, config["output_layers"]
    )


def _node_arguments(node):
    if isinstance(node, dict):
        return list(node["args"]), dict(node["kwargs"])
    # Keras 2: a list of [layer, node, tensor, kwargs] for each input.
    tensors = [_history(*element[:3]) for element in node]
    kwargs = node[0][3] if node and len(node[0]) > 3 else {}
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _history(layer, node, tensor):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, node, tensor]}}


def _drop_default_training(operation, kwargs):
    """Keras writes the default of `training` as if it had been given; only other values were."""
    parameter = inspect.signature(getattr(operation, "call", operation)).parameters.get("training")
    if parameter is not None and kwargs.get("training") == parameter.default:
        kwargs.pop("training", None)


def _is_tensor_config(x):
    return isinstance(x, dict) and x.get("class_name") == "__keras_tensor__"


def _histories_in(tree) -> Iterator[list]:
    if _is_tensor_config(tree):
        yield tree["config"]["keras_history"]
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _histories_in(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _histories_in(value)


def _fill(tree, outputs):
    if isinstance(tree, LiveObject):
        return tree.value
    if _is_tensor_config(tree):
        layer, node, tensor = tree["config"]["keras_history"]
        return outputs[layer, node][tensor]
    if isinstance(tree, dict):
        if "class_name" in tree and "config" in tree:
            return deserialize_keras_object(tree)
        return {key: _fill(value, outputs) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_fill(value, outputs) for value in tree)
    return tree


def _map_histories(fn, tree):
    if isinstance(tree, dict):
        return {key: _map_histories(fn, item) for key, item in tree.items()}
    if len(tree) == 3 and isinstance(tree[0], str) and not isinstance(tree[1], str | list):
        return fn(tree)
    items = [_map_histories(fn, item) for item in tree]
    return tuple(items) if isinstance(tree, tuple) else items
