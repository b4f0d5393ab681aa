"""Symbolic tensors: calls are recorded as nodes, and JAX infers their shapes.

A `KerasTensor` is a shape with `None`s, a dtype and the node that made it. Output shapes come from
tracing with symbolic dimensions, so no operation or layer states its own.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.export import SymbolicScope, symbolic_shape

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument, hints
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.state.variable import Scope, is_variable


class History(NamedTuple):
    """Where a symbolic tensor comes from: the layer or op, which of its calls, which output."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor without values: what building a functional model computes with.

    Args:
        shape: Sizes, `None` where unknown until run time.
        dtype: Name of the type.
        name: Name; made up if not given.
        sparse: Whether real inputs may be sparse matrices.
    """

    __array_priority__ = 100  # so that `numpy_array + tensor` asks the tensor
    is_symbolic = True  # so that `variable + tensor` does too

    def __init__(
        self, shape, dtype="float32", sparse=False, ragged=False, record_history=True, name=None
    ):
        self.shape = standardize_shape(shape)
        self.dtype = dtypes.standardize_dtype(dtype)
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.name = name or auto_name("keras_tensor")
        self._keras_history: History | None = None
        self._keras_mask = None
        self._mask_origin: MaskOrigin | None = None
        self._truth: bool | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    rank = ndim

    def reshape(self, *shape):
        """The same entries in another shape."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
        return reshape(self, shape)

    def squeeze(self, axis=None):
        """Without axes of size 1."""
        return squeeze(self, axis)

    @property
    def T(self):  # noqa: N802
        """With axes in reverse."""
        return transpose(self)

    def astype(self, dtype):
        """Cast to another type."""
        return cast(self, dtype)

    def symbolic_config(self) -> dict:
        """How a config names this tensor: by where it comes from."""
        where = self._keras_history
        history = (
            None if where is None else [where.operation.name, where.node_index, where.tensor_index]
        )
        config = {"shape": self.shape, "dtype": self.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    def __getitem__(self, key):
        return getitem(self, key)

    def __len__(self):
        raise TypeError(_no_values(self, "has no length; use `.shape`"))

    def __iter__(self):
        if not self.shape or self.shape[0] is None:
            raise TypeError(_no_values(self, "cannot be iterated over its unknown first axis"))
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self):
        if self._truth is not None:
            return self._truth
        raise TypeError(
            _no_values(self, "has no truth value; use `keras.ops.where` or `keras.ops.cond`")
        )

    def __array__(self, *args, **kwargs):
        raise ValueError(
            _no_values(self, "cannot become a NumPy array; use `keras.ops`, or a `Lambda` layer")
        )

    def __float__(self):
        raise ValueError(_no_values(self, "has no value"))

    __int__ = __float__

    def __repr__(self):
        fields = ("shape", "dtype", "sparse", "ragged", "name")
        shown = ", ".join(f"{field}={getattr(self, field)}" for field in fields)
        return f"<KerasTensor {shown}>"


class MaskOrigin(NamedTuple):
    """How Keras' graph computes a mask: its operations count for the order of a model's layers.

    Attributes:
        ndim: Number of the mask's axes.
        sources: The tensors that it is computed from, each with the number of operations between.
    """

    ndim: int
    sources: tuple[tuple[KerasTensor, int], ...]

    def further(self, operations: int) -> "MaskOrigin":
        """The same with more operations between."""
        return MaskOrigin(self.ndim, tuple((t, n + operations) for t, n in self.sources))


def _no_values(tensor, what):
    return f"A symbolic tensor {what}. It stands for values that come later: {tensor!r}"


def standardize_shape(shape) -> tuple:
    """A tuple of integers and `None`s."""
    if isinstance(shape, int) or shape is None or not hasattr(shape, "__iter__"):
        raise bad_argument("KerasTensor", "shape", "a tuple of integers and None", shape)
    shape = tuple(None if n is None else int(n) for n in shape)
    if any(n is not None and n < 0 for n in shape):
        raise bad_argument("KerasTensor", "shape", "without negative sizes", shape)
    return shape


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor."""
    return isinstance(x, KerasTensor)


def any_symbolic(*trees: Any) -> bool:
    """Whether a symbolic tensor is anywhere in these nests of arguments."""
    return any(isinstance(leaf, KerasTensor) for leaf in jax.tree.leaves(trees))


# -- shape inference

# One symbol per axis position: the same unknown axis of two inputs is taken to be the same size.
_scope = SymbolicScope()


@functools.cache
def _symbol(axis):
    return symbolic_shape("b" if axis == 0 else f"d{axis}", scope=_scope)[0]


# Two sizes no window reaches and nothing else has: what differs between them is unknown.
_TRIAL_SIZES = (83, 89)


def infer(call: Callable, *args, **kwargs) -> Any:
    """Shapes and dtypes of `call(*args, **kwargs)`, as a nest of new symbolic tensors.

    Nothing is computed, and whatever `call` assigns to Variables is forgotten.
    """
    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_variable)
    tensors = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]

    def run(sizes):
        def fresh(*values):
            rest = iter(values)
            filled = [next(rest) if isinstance(leaf, KerasTensor) else leaf for leaf in leaves]
            inner_args, inner_kwargs = jax.tree.unflatten(tree, filled)
            with Scope():
                return call(*inner_args, **inner_kwargs)

        return jax.eval_shape(fresh, *(_shape_struct(t, sizes) for t in tensors))

    if all(None not in t.shape for t in tensors):
        with hints():
            return jax.tree.map(_as_tensor, run(None))
    try:
        return jax.tree.map(_as_tensor, run(_symbol))
    except Exception:  # a comparison that symbols cannot decide, or a real mistake: the trial tells
        with hints():
            first, second = _two_trials(run, tensors)
    return jax.tree.map(_as_tensor, first, second)


def _two_trials(run, tensors):
    try:
        return [run(lambda axis, size=size: size) for size in _TRIAL_SIZES]
    except Exception as error:
        shapes = ", ".join(str(t.shape) for t in tensors)
        error.add_note(f"Called on symbolic tensors of shape {shapes}; above, 83 stands for None.")
        raise


def _shape_struct(tensor, sizes):
    shape = tuple(sizes(i) if n is None else n for i, n in enumerate(tensor.shape))
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(tensor.dtype))


def _as_tensor(found, other=None):
    other = found if other is None else other
    same = zip(found.shape, other.shape, strict=True)
    shape = tuple(n if isinstance(n, int) and n == m else None for n, m in same)
    return KerasTensor(shape, found.dtype.name)


# -- recording


class Node:
    """One call of a layer or op on symbolic tensors.

    Attributes:
        operation: What was called.
        args, kwargs: With what; symbolic tensors among it, in any nest.
        inputs: The symbolic tensors among the arguments.
        outputs: The symbolic tensors that came out.
        index: Which of the operation's calls this is.
        masks: Origins of the masks that the call gets.
    """

    def __init__(self, operation, args, kwargs, outputs):
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
        """The arguments with each symbolic tensor replaced by its value (keyed by `id`)."""

        def swap(leaf):
            return values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf

        return jax.tree.map(swap, (self.args, self.kwargs), is_leaf=is_variable)

    def __repr__(self):
        return f"<Node {self.operation.name}[{self.index}]>"


def node_of(tensor: KerasTensor) -> Node:
    """The node that made a symbolic tensor."""
    where = tensor._keras_history
    if where is None:
        raise ValueError(
            f"{tensor!r} was made by no layer or op, so a model cannot start or end there."
        )
    return where.operation._inbound_nodes[where.node_index]


def record(operation: Any, args: tuple, kwargs: dict, outputs: Any) -> Any:
    """Note that `operation(*args, **kwargs)` gave these symbolic tensors, and return them."""
    Node(operation, args, kwargs, outputs)
    return outputs


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
        >>> Scale(3)(2), Scale(3)(KerasTensor((None, 5))).shape
        (6, (None, 5))
    """

    def __init__(self, name: str | None = None):
        self.name = auto_name(type(self).__name__) if name is None else name
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument(type(self), "name", "a string without '/'", name)

    def __call__(self, *args, **kwargs):
        if any_symbolic(args, kwargs):
            return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))
        return self.call(*args, **kwargs)

    def call(self, *args, **kwargs):
        """Compute. Overridden by every operation."""
        kind = type(self).__name__
        raise NotImplementedError(
            f"{kind} has no `call`: define `call(self, inputs)` with its computation."
        )

    def compute_output_spec(self, *args, **kwargs) -> Any:
        """The output as symbolic tensors, for inputs that are."""
        return infer(self.call, *args, **kwargs)

    def symbolic_call(self, *args, **kwargs) -> Any:
        """Same as `compute_output_spec`, the call being noted in the graph."""
        return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    @property
    def input(self):
        """The symbolic input of the first call, or the list of them."""
        node = self._first_node("input")
        args = node.args if not node.kwargs else (*node.args, *node.kwargs.values())
        tensors = [a for a in args if any_symbolic(a)]
        return tensors[0] if len(tensors) == 1 else tensors

    @property
    def output(self):
        """The symbolic output of the first call, or the nest of them."""
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


def symbolic(function: Callable, name: str | None = None) -> Callable:
    """Make a function of arrays take symbolic tensors too, recording the call.

    Arguments that are arrays, Variables or numbers pass straight through.

    Example:
        >>> double = symbolic(lambda x: x * 2, "double")
        >>> double(KerasTensor((None, 3))).shape, double(4)
        ((None, 3), 8)
    """

    @functools.wraps(function)
    def run(*args, **kwargs):
        if not any_symbolic(args, kwargs):
            return function(*args, **kwargs)
        outputs = infer(function, *args, **kwargs)
        return record(Op(run, auto_name(name or function.__name__)), args, kwargs, outputs)

    run.__name__ = run.__qualname__ = name or function.__name__
    return run


def _getitem(x, key):
    return x[jax.tree.map(lambda part: part, key)]  # Variables in the key become arrays


getitem = symbolic(_getitem, "get_item")
reshape = symbolic(jnp.reshape, "reshape")
squeeze = symbolic(jnp.squeeze, "squeeze")
transpose = symbolic(jnp.transpose, "transpose")
cast = symbolic(lambda x, dtype: dtypes.to_array(x, dtype), "cast")

OPERATORS = {
    "add": symbolic(jnp.add, "add"),
    "sub": symbolic(jnp.subtract, "subtract"),
    "mul": symbolic(jnp.multiply, "multiply"),
    "truediv": symbolic(jnp.true_divide, "true_divide"),
    "floordiv": symbolic(jnp.floor_divide, "floor_divide"),
    "mod": symbolic(jnp.mod, "mod"),
    "pow": symbolic(jnp.power, "power"),
    "matmul": symbolic(jnp.matmul, "matmul"),
    "and": symbolic(jnp.logical_and, "logical_and"),
    "or": symbolic(jnp.logical_or, "logical_or"),
    "xor": symbolic(jnp.logical_xor, "logical_xor"),
    "neg": symbolic(jnp.negative, "negative"),
    "abs": symbolic(jnp.abs, "absolute"),
    "round": symbolic(jnp.round, "round"),
    "invert": symbolic(jnp.logical_not, "logical_not"),
    "eq": symbolic(jnp.equal, "equal"),
    "ne": symbolic(jnp.not_equal, "not_equal"),
    "lt": symbolic(jnp.less, "less"),
    "le": symbolic(jnp.less_equal, "less_equal"),
    "gt": symbolic(jnp.greater, "greater"),
    "ge": symbolic(jnp.greater_equal, "greater_equal"),
}
_SIDED = "add sub mul truediv floordiv mod pow matmul and or xor".split()
for _name, _operator in OPERATORS.items():
    setattr(KerasTensor, f"__{_name}__", lambda self, *other, _op=_operator: _op(self, *other))
for _name in _SIDED:
    setattr(
        KerasTensor, f"__r{_name}__", lambda self, other, _op=OPERATORS[_name]: _op(other, self)
    )


def _comparison(name, same):
    """`==` or `!=`: as a truth value, which `in` and `list.index` ask for, of identity."""

    def compare(self, other):
        try:
            result = OPERATORS[name](self, other)
        except (TypeError, ValueError):  # shapes or types that do not mix
            return NotImplemented
        if isinstance(other, KerasTensor):
            result._truth = (self is other) == same
        return result

    return compare


KerasTensor.__eq__, KerasTensor.__ne__ = _comparison("eq", True), _comparison("ne", False)
KerasTensor.__hash__ = object.__hash__
