"""The graph of a functional model: from symbolic outputs back to the inputs, and run forward."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.dict_order import map_in_order
from kerasish.core.errors import see
from kerasish.core.names import auto_name
from kerasish.core.symbolic.graph import Node, node_of, record
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import KerasTensor, any_symbolic
from kerasish.layers.core.input_layer import Input, InputLayer


def map_graph(inputs: list, outputs: list) -> tuple[list[Node], list]:
    """Nodes that lead from the inputs to the outputs, and the operations in Keras' order.

    Each node comes after those it needs. Operations farthest from the outputs come first; those
    equally far in the order in which a search from the outputs reaches them.

    Args:
        inputs: Symbolic inputs.
        outputs: Symbolic outputs.
    """
    given = {id(t) for t in inputs}
    nodes, entered, met = [], set(), {}
    # Depth first with a stack of our own: deep models would exhaust Python's.
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, leaving = stack.pop()
        node = node_of(tensor)
        if leaving:
            nodes.append(node)
            continue
        is_input = isinstance(node.operation, InputLayer)
        if is_input and id(tensor) not in given:
            raise ValueError(
                f"Graph disconnected: the outputs depend on input {node.operation.name!r}, which "
                "is not among the model's `inputs`. Add it, or check which tensors the layers were "
                f"called on. {see('E15')}"
            )
        if id(node) in entered or (id(tensor) in given and not is_input):
            continue
        entered.add(id(node))
        met.setdefault(node.operation, len(met))
        stack.append((tensor, True))
        stack.extend((t, False) for t in reversed(node.inputs))
    depth = _depths(nodes)
    unused = [n for n in map(node_of, inputs) if isinstance(n.operation, InputLayer)]
    for node in unused:
        if id(node) not in entered:
            nodes.append(node)
            met[node.operation], depth[node.operation] = -1, 0
    return nodes, sorted(met, key=lambda operation: (-depth[operation], met[operation]))


def _depths(nodes):
    """How far each operation is from the outputs, in nodes, the longest way."""
    made_by = {id(t): node for node in nodes for t in node.outputs}
    of_node: dict[int, int] = {}
    depth: dict[Any, int] = {}
    for node in reversed(nodes):
        own = max(of_node.get(id(node), 0), depth.get(node.operation, 0))
        depth[node.operation] = own
        of_masks = itertools.chain(*(mask.sources for mask in node.masks))
        for tensor, between in [*((t, 0) for t in node.inputs), *of_masks]:
            if parent := made_by.get(id(tensor)):
                of_node[id(parent)] = max(own + 1 + between, of_node.get(id(parent), 0))
    return depth


def starting_at_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The same graph from new `Input`s, where it starts at tensors that layers made.

    Args:
        inputs: Symbolic inputs.
        outputs: Symbolic outputs.
    """
    tensors = jax.tree.leaves((inputs, outputs))
    made_by_layers = [t for t in jax.tree.leaves(inputs) if not _is_input(t)]
    if not made_by_layers or not all(isinstance(t, KerasTensor) for t in tensors):
        return inputs, outputs
    starts = jax.tree.map(
        lambda t: t if _is_input(t) else Input(batch_shape=t.shape, dtype=t.dtype, name=t.name),
        inputs,
    )
    return starts, Function(inputs, outputs).run(jax.tree.leaves(starts))


def get_source_inputs(tensor: KerasTensor) -> list[KerasTensor]:
    """The inputs that a symbolic tensor depends on, in the order in which a search reaches them.

    Args:
        tensor: The symbolic tensor.

    Example:
        >>> x = keras.Input((2,), name="x")
        >>> [tensor.name for tensor in get_source_inputs(2 * x + 1)]
        ['x']
    """
    found, seen, stack = {}, set(), [tensor]
    while stack:
        tensor = stack.pop()
        if tensor._keras_history is None:
            found[id(tensor)] = tensor
            continue
        node = node_of(tensor)
        if not node.inputs:
            found[id(tensor)] = tensor
        if id(node) not in seen:
            seen.add(id(node))
            stack.extend(reversed(node.inputs))
    return list(found.values())


def _is_input(tensor):
    where = getattr(tensor, "_keras_history", None)
    return where is not None and isinstance(where.operation, InputLayer)


def _check_names(operations):
    counts = Counter(operation.name for operation in operations)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f"The name {repeated[0]!r} is used {counts[repeated[0]]} times in the model; each "
            "layer needs a name of its own. Give them different `name`s."
        )


class Function:
    """A graph of recorded calls, run on real arrays or on other symbolic tensors.

    Args:
        inputs: Symbolic tensors in any pytree of lists, tuples and dicts.
        outputs: Symbolic tensors computed from them, in any pytree.
        name: Name; generated if not given.

    Attributes:
        nodes: The calls in the graph, each after those it needs.
        operations: The layers and ops called, each once, in Keras' order.

    Example:
        >>> from kerasish.layers import Input
        >>> x = Input((3,))
        >>> float(Function(x, (x * 2).reshape((-1,)) + 1)(jax.numpy.ones((1, 3)))[0])
        3.0
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None):
        self.name = name or auto_name("function")
        for kind, struct in (("inputs", inputs), ("outputs", outputs)):
            strange = [t for t in jax.tree.leaves(struct) if not isinstance(t, KerasTensor)]
            if strange or not jax.tree.leaves(struct):
                what = f"{strange[0]!r}" if strange else "nothing"
                raise ValueError(
                    f"A model's `{kind}` must be symbolic tensors, made by `keras.Input` and "
                    f"layers called on them; got {what}."
                )
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self.inputs, self.outputs = jax.tree.leaves(inputs), jax.tree.leaves(outputs)
        for tensor in self.inputs:
            if tensor._keras_history is None:  # made by itself: an input from now on
                InputLayer(input_tensor=tensor)
        self.nodes, self.operations = map_graph(self.inputs, self.outputs)
        _check_names(self.operations)

    def run(self, inputs: list, call: Callable | None = None) -> Any:
        """Outputs for values of `self.inputs`, each node by `call(operation, args, kwargs)`.

        Args:
            inputs: Values in the order of `self.inputs`.
            call: Function that runs one node.
        """
        values = {id(t): x for t, x in zip(self.inputs, inputs, strict=True)}
        for node in self.nodes:
            if all(id(t) in values for t in node.outputs):
                continue
            args, kwargs = node.fill(values)
            operation = node.operation
            result = call(operation, args, kwargs) if call else operation(*args, **kwargs)
            for tensor, value in zip(node.outputs, _leaves(result, node), strict=True):
                values[id(tensor)] = value
        return map_in_order(lambda t: values[id(t)], self._outputs_struct)

    def __call__(self, inputs):
        leaves = jax.tree.leaves(inputs)
        if any_symbolic(inputs):
            return record(
                self, (inputs,), {}, infer(lambda x: self.run(jax.tree.leaves(x)), inputs)
            )
        return self.run(leaves)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of the outputs for given input shapes.

        Args:
            input_shape: Shape of the input, or pytree of shapes.
        """
        one = len(self.inputs) == 1
        shapes = [input_shape] if one else jax.tree.leaves(input_shape, is_leaf=_is_shape)
        tensors = [KerasTensor(s, t.dtype) for s, t in zip(shapes, self.inputs, strict=True)]
        return jax.tree.map(lambda t: t.shape, infer(lambda *x: self.run(list(x)), *tensors))


def _is_shape(x):
    return isinstance(x, list | tuple) and all(n is None or isinstance(n, int) for n in x)


def _leaves(result, node):
    """Outputs in order; `None` in one output counts, as long as the number is right."""
    leaves = jax.tree.leaves(result)
    return leaves if len(leaves) == len(node.outputs) else [result]
