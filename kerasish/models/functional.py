"""Models made from symbolic tensors, and their config."""

from typing import Any

import jax
import numpy as np

from kerasish.core import config as configs
from kerasish.core import dtypes
from kerasish.core.config import deserialize_keras_object, serialize_keras_object
from kerasish.core.symbolic import Op
from kerasish.core.variable import Variable
from kerasish.layers.input_layer import InputLayer
from kerasish.models.model import Model
from kerasish.models.op_nodes import is_op, read_op, write_op


class Functional(Model):
    """What `Model(inputs, outputs)` makes: a graph of layers.

    Args:
        inputs: Symbolic tensors, from `keras.Input`, in any nest.
        outputs: Symbolic tensors computed from them, in any nest.
        name: Name; made up if not given.
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)

    def _convert(self, x):
        # Each input is cast to its own dtype when it is matched.
        def convert(leaf):
            if isinstance(leaf, np.ndarray | np.generic | Variable):
                return dtypes.to_array(leaf.value if isinstance(leaf, Variable) else leaf)
            return leaf

        return jax.tree.map(convert, x, is_leaf=lambda leaf: isinstance(leaf, Variable))

    def get_config(self) -> dict:
        """Keras' form: the layers, how they were called, and which tensors go in and out."""
        function = self._require_graph("config")
        if type(self).__init__ is not Functional.__init__:
            return super().get_config()
        nodes = {id(node) for node in function.nodes}
        layers = []
        for operation in function.operations:
            calls = [n for n in operation._inbound_nodes if id(n) in nodes]
            if isinstance(operation, Op):
                layers.append(write_op(operation, *calls))
                continue
            entry = serialize_keras_object(operation)
            entry["name"] = operation.name
            entry["inbound_nodes"] = [
                {"args": [_plain(a) for a in n.args], "kwargs": {k: _plain(a) for k, a in n.kwargs.items()}}
                for n in calls
                if not isinstance(operation, InputLayer)
            ]
            layers.append(entry)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": layers,
            "input_layers": self._places(function._inputs_nest, nodes),
            "output_layers": self._places(function._outputs_nest, nodes),
        }

    def _places(self, nest, nodes):
        def place(tensor):
            operation, index, output = tensor._keras_history
            calls = [n.index for n in operation._inbound_nodes if id(n) in nodes]
            return _Place([operation.name, calls.index(index) if index in calls else 0, output])

        places = jax.tree.map(place, nest)
        return _unwrap(places)

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> Any:
        """Make the model again, with new weights."""
        if "layers" not in config:
            return super().from_config(config)
        with configs.custom_object_scope(custom_objects or {}):
            inputs, outputs = rebuild_graph(config)
        made = cls(inputs, outputs, name=config.get("name"))
        if not config.get("trainable", True):
            made.trainable = False
        return made


Model._graph_class = Functional


class _Place(list):
    """A `[layer, node, tensor]` triple, kept apart from lists of them."""


def _unwrap(places):
    if isinstance(places, _Place):
        return list(places)
    if isinstance(places, dict):
        return {k: _unwrap(v) for k, v in places.items()}
    return [_unwrap(p) for p in places]


jax.tree_util.register_pytree_node(_Place, lambda p: ((), tuple(p)), lambda aux, _: _Place(aux))


def _plain(value):
    return serialize_keras_object(value)


def rebuild_graph(config: dict) -> tuple[Any, Any]:
    """The symbolic inputs and outputs that a functional config describes."""
    made: dict[str, Any] = {}
    outputs: dict[tuple, list] = {}
    waiting = []
    for entry in config["layers"]:
        own = {k: v for k, v in entry.items() if k != "inbound_nodes"}
        operation = read_op(own) if is_op(own) else deserialize_keras_object(own)
        name = entry["name"]
        made[name] = operation
        if isinstance(operation, InputLayer):
            outputs[name, 0] = [operation.output]
        waiting += [(name, i, node) for i, node in enumerate(entry.get("inbound_nodes", []))]
    while waiting:
        later = []
        for name, i, node in waiting:
            args, kwargs = _node_arguments(node)
            needed = [p for p in _places_in((args, kwargs))]
            if (i and (name, i - 1) not in outputs) or any(tuple(p[:2]) not in outputs for p in needed):
                later.append((name, i, node))
                continue
            args, kwargs = _fill((args, kwargs), outputs)
            outputs[name, i] = jax.tree.leaves(made[name](*args, **kwargs))
        if len(later) == len(waiting):
            names = [name for name, _, _ in later]
            raise ValueError(f"The config's graph cannot be built: {names} need tensors nothing makes.")
        waiting = later
    return _tensors(config["input_layers"], outputs), _tensors(config["output_layers"], outputs)


def _node_arguments(node):
    if isinstance(node, dict):
        return list(node["args"]), dict(node["kwargs"])
    # Keras 2: a list of [layer, node, tensor, kwargs] for each input.
    tensors = [_history(*entry[:3]) for entry in node]
    kwargs = node[0][3] if node and len(node[0]) > 3 else {}
    return [tensors[0] if len(tensors) == 1 else tensors], kwargs


def _history(layer, node, tensor):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, node, tensor]}}


def _is_tensor_config(x):
    return isinstance(x, dict) and x.get("class_name") == "__keras_tensor__"


def _places_in(nest):
    if _is_tensor_config(nest):
        yield nest["config"]["keras_history"]
    elif isinstance(nest, dict):
        for value in nest.values():
            yield from _places_in(value)
    elif isinstance(nest, list | tuple):
        for value in nest:
            yield from _places_in(value)


def _fill(nest, outputs):
    if _is_tensor_config(nest):
        layer, node, tensor = nest["config"]["keras_history"]
        return outputs[layer, node][tensor]
    if isinstance(nest, dict):
        if "class_name" in nest and "config" in nest:
            return deserialize_keras_object(nest)
        return {k: _fill(v, outputs) for k, v in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest)(_fill(v, outputs) for v in nest)
    return nest


def _tensors(places, outputs):
    if isinstance(places, dict):
        return {k: _tensors(v, outputs) for k, v in places.items()}
    is_place = len(places) == 3 and isinstance(places[0], str) and not isinstance(places[1], str | list)
    if is_place:
        return outputs[places[0], places[1]][places[2]]
    return [_tensors(p, outputs) for p in places]


