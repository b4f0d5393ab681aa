"""What may stand in a graph: operations, and functions made to take symbolic tensors."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.sparse import SparseInput, compute_sparse, rules
from kerasish.core.symbolic.graph import record
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import KerasTensor, any_symbolic
from kerasish.core.tracebacks import short_tracebacks, shorten


class Operation(Configurable):
    """A computation that takes symbolic tensors too, and then stands in a model's graph.

    Subclass it with `call`. A layer is one that may hold weights.

    Args:
        name: Name; made from the class's name if not given.

    Example:
        >>> class Scale(Operation):
        ...     def __init__(self, factor, name=None):
        ...         super().__init__(name=name)
        ...         self.factor = factor
        ...
        ...     def call(self, x):
        ...         return x * self.factor
        >>> Scale(3)(2), Scale(3)(keras.KerasTensor((None, 5))).shape
        (6, (None, 5))
    """

    _not_parts = ("_inbound_nodes",)
    _not_saved = ("_inbound_nodes",)

    def __init__(self, name: str | None = None):
        self.name = auto_name(type(self).__name__) if name is None else name
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument(type(self), "name", "a string without '/'", name)

    @short_tracebacks
    def __call__(self, *args, **kwargs):
        if any_symbolic(args, kwargs):
            return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute. Overridden by every operation.

        Args:
            *args: What is computed from: arrays, mostly.
            **kwargs: Further arguments by name.
        """
        kind = type(self).__name__
        raise NotImplementedError(
            f"{kind} has no `call`: define `call(self, inputs)` with its computation."
        )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output as symbolic tensors, for inputs that are.

        Args:
            *args: Arguments of `call`, symbolic tensors for arrays.
            **kwargs: Arguments of `call` by name.
        """
        return infer(self.call, *args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Same as `compute_output_spec`, the call being noted in the graph.

        Args:
            *args: Arguments of `call`, symbolic tensors for arrays.
            **kwargs: Arguments of `call` by name.
        """
        return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    @property
    def input(self) -> Any:
        """The symbolic input of the first call, or the list of them."""
        node = self._first_node("input")
        args = node.args if not node.kwargs else (*node.args, *node.kwargs.values())
        tensors = [a for a in args if any_symbolic(a)]
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self) -> Any:
        """The symbolic output of the first call, or the pytree of them."""
        return self._first_node("output").structure

    def _first_node(self, what):
        nodes = self.__dict__.get("_inbound_nodes")
        if not nodes:
            raise AttributeError(
                f"{type(self).__name__} {self.name!r} has never been called on a symbolic tensor, "
                f"so it has no `{what}`."
            )
        return nodes[0]


class Op:
    """A function called on symbolic tensors: what stands in a graph where a layer might."""

    def __init__(self, function: Callable, name: str | None = None):
        self.function = function
        self.name = name or auto_name(function.__name__)

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    def __repr__(self):
        return f"<Op {self.function.__name__}, name={self.name}>"


def _mark_sparse(name, outputs, args, kwargs):
    """Say of the output of symbolic tensors whether it would be sparse."""
    tensors = [x for x in jax.tree.leaves((args, kwargs)) if isinstance(x, KerasTensor)]
    given = [tensor.sparse for tensor in tensors]
    if any(given) and name in rules and isinstance(outputs, KerasTensor):
        # What is no symbolic tensor is an array, unless the rule asks about all of one argument.
        arrays = [x for x in jax.tree.leaves((args, kwargs)) if isinstance(x, jax.Array)]
        outputs.sparse = rules[name].is_sparse([*given, *(False for _ in arrays)])


def symbolic(function: Callable, name: str | None = None) -> Callable:
    """Make a function of arrays take symbolic tensors too, recording the call.

    Arguments that are arrays, Variables or numbers pass straight through.

    Args:
        function: Function of arrays.
        name: What the op is called; the function's own name unless given.

    Example:
        >>> double = symbolic(lambda x: x * 2, "double")
        >>> double(keras.KerasTensor((None, 3))).shape, double(4)
        ((None, 3), 8)
    """

    @functools.wraps(function)
    def run(*args, **kwargs):
        try:
            if not any_symbolic(args, kwargs):
                try:
                    return function(*args, **kwargs)
                except SparseInput:
                    return compute_sparse(run.__name__, function, args, kwargs)
            outputs = infer(function, *args, **kwargs)
            _mark_sparse(run.__name__, outputs, args, kwargs)
        except Exception as error:
            shorten(error)
            raise
        return record(Op(run, auto_name(name or function.__name__)), args, kwargs, outputs)

    run.__name__ = run.__qualname__ = name or function.__name__
    return run
