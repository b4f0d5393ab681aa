"""The graph of a functional model: from symbolic outputs back to the inputs, and run forward."""

from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.names import auto_name
from kerasish.core.symbolic import KerasTensor, Node, any_symbolic, infer, node_of, record
from kerasish.layers.input_layer import InputLayer


def nodes_between(inputs: list, outputs: list) -> list[Node]:
    """Nodes that lead from the inputs to the outputs, each after those it needs.

    Raises a `ValueError` naming the layer where an input that was not given is met.
    """
    given = {id(t) for t in inputs}
    found, done = [], set()
    # Depth first with a stack of our own: deep models would exhaust Python's.
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        node = node_of(tensor)
        if id(node) in done:
            continue
        is_input = isinstance(node.operation, InputLayer)
        if ready or is_input:
            if is_input and id(tensor) not in given:
                raise ValueError(
                    f"The outputs depend on input {node.operation.name!r}, which is not among the "
                    "model's `inputs`. Add it, or check which tensors the layers were called on."
                )
            done.add(id(node))
            found.append(node)
        elif id(tensor) not in given:
            stack.append((tensor, True))
            stack.extend((t, False) for t in reversed(node.inputs))
    unused = [node_of(t) for t in inputs if isinstance(node_of(t).operation, InputLayer)]
    return found + [n for n in unused if id(n) not in done]


def by_depth(nodes: list[Node]) -> list:
    """The operations of nodes, those farthest from the outputs first: Keras' order of layers."""
    made_by = {id(t): node for node in nodes for t in node.outputs}
    node_depth, depth = {}, {}
    for node in nodes[::-1]:
        own = max(node_depth.get(id(node), 0), depth.get(id(node.operation), 0))
        node_depth[id(node)] = depth[id(node.operation)] = own
        for tensor in node.inputs:
            parent = made_by.get(id(tensor))
            if parent is not None:
                node_depth[id(parent)] = max(own + 1, node_depth.get(id(parent), 0))
    operations = {id(n.operation): n.operation for n in _preorder(nodes, made_by)}.values()
    return sorted(operations, key=lambda operation: -depth[id(operation)])


def _preorder(nodes, made_by):
    """Nodes in the order in which a walk from the outputs first meets them."""
    needed = {id(t) for node in nodes for t in node.inputs}
    roots = [n for n in nodes if not any(id(t) in needed for t in n.outputs)]
    order, seen, stack = [], set(), roots[::-1]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        order.append(node)
        stack.extend(made_by[id(t)] for t in reversed(node.inputs) if id(t) in made_by)
    return order + [n for n in nodes if id(n) not in seen]


class Function:
    """A graph of recorded calls, run on real arrays or on other symbolic tensors.

    Args:
        inputs: Symbolic tensors in any nest of lists, tuples and dicts.
        outputs: Symbolic tensors computed from them, in any nest.
        name: Name; made up if not given.

    Example:
        >>> from kerasish.layers import Input
        >>> x = Input((3,))
        >>> float(Function(x, (x * 2).reshape((-1,)) + 1)(jax.numpy.ones((1, 3)))[0])
        3.0
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        self.name = name or auto_name("function")
        for kind, nest in (("inputs", inputs), ("outputs", outputs)):
            strange = [t for t in jax.tree.leaves(nest) if not isinstance(t, KerasTensor)]
            if strange or not jax.tree.leaves(nest):
                what = f"{strange[0]!r}" if strange else "nothing"
                raise ValueError(
                    f"A model's `{kind}` must be symbolic tensors, made by `keras.Input` and layers "
                    f"called on them; got {what}."
                )
        self._inputs_nest, self._outputs_nest = inputs, outputs
        self.inputs, self.outputs = jax.tree.leaves(inputs), jax.tree.leaves(outputs)
        self.nodes = nodes_between(self.inputs, self.outputs)

    @property
    def operations(self) -> list:
        """The layers and ops in it, each once, those nearest to the inputs first."""
        return by_depth(self.nodes)

    def run(self, inputs: list, call: Callable | None = None) -> Any:
        """Outputs for values of `self.inputs`, in order; `call(operation, args, kwargs)` may act."""
        values = {id(t): x for t, x in zip(self.inputs, inputs, strict=True)}
        for node in self.nodes:
            if all(id(t) in values for t in node.outputs):
                continue
            args, kwargs = node.fill(values)
            operation = node.operation
            result = call(operation, args, kwargs) if call else operation(*args, **kwargs)
            for tensor, value in zip(node.outputs, _leaves(result, node), strict=True):
                values[id(tensor)] = value
        return jax.tree.map(lambda t: values[id(t)], self._outputs_nest)

    def __call__(self, inputs):
        leaves = jax.tree.leaves(inputs)
        if any_symbolic(inputs):
            return record(self, (inputs,), {}, infer(lambda x: self.run(jax.tree.leaves(x)), inputs))
        return self.run(leaves)

    def compute_output_shape(self, input_shape):
        """Shapes of the outputs for given input shapes."""
        shapes = [input_shape] if len(self.inputs) == 1 else jax.tree.leaves(
            input_shape, is_leaf=lambda s: isinstance(s, tuple) and not any(isinstance(n, tuple) for n in s)
        )
        tensors = [KerasTensor(s, t.dtype) for s, t in zip(shapes, self.inputs, strict=True)]
        return jax.tree.map(lambda t: t.shape, infer(lambda *x: self.run(list(x)), *tensors))


def _leaves(result, node):
    """Outputs in order; `None` in one output counts, as long as the number is right."""
    leaves = jax.tree.leaves(result)
    return leaves if len(leaves) == len(node.outputs) else [result]
