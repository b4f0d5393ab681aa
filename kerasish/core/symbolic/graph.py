"""The graph of a functional model: each call on symbolic tensors is a node."""

from typing import Any

import jax

from kerasish.core.dict_order import map_in_order
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.keras_tensor import History, KerasTensor, MaskOrigin

# -- recording


class Node:
    """One call of a layer or op on symbolic tensors.

    Attributes:
        operation: What was called.
        args, kwargs: With what; symbolic tensors among it, in any pytree.
        inputs: The symbolic tensors among the arguments.
        outputs: The symbolic tensors that came out.
        index: Which of the operation's calls this is.
        masks: Origins of the masks that the call gets.
    """

    def __init__(self, operation: Any, args: Any, kwargs: Any, outputs: Any):
        self.operation = operation
        self.args, self.kwargs = args, kwargs
        leaves = jax.tree.leaves((args, kwargs))
        self.inputs = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]
        self.structure = outputs
        self.outputs = jax.tree.leaves(outputs)
        nodes = operation.__dict__.setdefault("_inbound_nodes", [])
        self.index = len(nodes)
        self.masks: list[MaskOrigin] = []
        nodes.append(self)
        for i, tensor in enumerate(self.outputs):
            tensor._keras_history = History(operation, self.index, i)

    def fill(self, values: dict) -> tuple[tuple, dict]:
        """The arguments with each symbolic tensor replaced by its value (keyed by `id`).

        Args:
            values: Values of symbolic tensors by their `id`.
        """

        def swap(leaf):
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        return map_in_order(swap, (self.args, self.kwargs), is_leaf=is_variable)

    def __repr__(self):
        return f"<Node {self.operation.name}[{self.index}]>"


def node_of(tensor: KerasTensor) -> Node:
    """The node that made a symbolic tensor.

    Args:
        tensor: The symbolic tensor.
    """
    where = tensor._keras_history
    if where is None:
        raise ValueError(
            f"{tensor!r} was made by no layer or op, so a model cannot start or end there."
        )
    return where.operation._inbound_nodes[where.node_index]


def record(operation: Any, args: tuple, kwargs: dict, outputs: Any) -> Any:
    """Note that `operation(*args, **kwargs)` gave these symbolic tensors, and return them.

    Args:
        operation: What was called.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        outputs: Pytree of the symbolic tensors that came out.
    """
    Node(operation, args, kwargs, outputs)
    return outputs
