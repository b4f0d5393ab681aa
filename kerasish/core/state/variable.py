"""`Variable`: an array that is mutable to write, and pure to compile inside a `Scope`.

Outside a scope, a Variable's value is its own. Inside one, reads and writes go to the scope's
table, so any function over Variables can be run as a pure one: values in, (result, values) out.
Everything that compiles, differentiates or maps goes through this.
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, partitioning, processes
from kerasish.core.dict_order import map_in_order
from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name, current_owner, current_path, next_serial, snake_case
from kerasish.core.serialization.registry import published
from kerasish.core.serialization.serialize import resolve
from kerasish.core.state.changes import changes
from kerasish.core.state.scope import innermost, state_lock, store


class _Budget(threading.local):
    left: int | None = None  # bytes that new Variables may still take; `None` is no limit


_budget = _Budget()
_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")


@contextlib.contextmanager
def limit_new_variables(limit: int) -> Iterator[None]:
    """Inside, Variables of more than `limit` bytes in all are refused before any memory is taken.

    For what makes layers as a file says, which may claim anything.

    Args:
        limit: Bytes.
    """
    before, _budget.left = _budget.left, limit
    try:
        yield
    finally:
        _budget.left = before


def _take_allowance(variable, size):
    if _budget.left is None:
        return
    if size > _budget.left:
        raise ValueError(
            f"Variable {variable.path!r} would take {size} bytes, far more than the file holds for "
            "the model: refused."
        )
    _budget.left -= size


class Variable:
    """A named slot that holds one array: read as `value`, replaced by `assign`.

    Works wherever an array does: in `jnp`, `jax.nn`, `optax` and NumPy functions, with operators
    and indexing. (Raw `jax.lax` primitives need `.value`.)

    Args:
        initializer: The initial value, or a function `(shape, dtype) -> array` that makes it, or an
            initializer's name.
        shape: Shape of the value; needed when `initializer` is a function.
        dtype: Name of the value's type. `None`: the value's own, or the global float type.
        trainable: Whether optimizers change it.
        autocast: Whether a layer that computes in 16 bits reads it in 16 bits.
        aggregation: Kept for Keras' sake: `"none"`, `"mean"`, `"sum"`, `"only_first_replica"`.
        name: Its name; its `path` is this after the open name scopes.
        layout: How it is spread over devices: a `keras.distribution.TensorLayout`, JAX's sharding,
            or another Variable, to be laid out as it. `None`: as the current distribution says.
        synchronization: Accepted for Keras' sake; without effect.

    Attributes:
        kinds: Names of the classes of the layer that made it.

    Example:
        >>> v = Variable([1.0, 2.0], name="v")
        >>> v.assign_add([1.0, 1.0])
        Array([2., 3.], dtype=float32)
        >>> float(v[0])
        2.0
    """

    __array_priority__ = 100  # so that `numpy_array @ variable` asks the Variable

    def __init__(
        self,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str = "auto",
        name: str | None = None,
        layout: Any = None,
    ):
        self.name = name or auto_name(type(self).__name__)
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument("Variable", "name", "a string without '/'", name)
        self.path = "/".join(part for part in (current_path(), self.name) if part)
        self.trainable = self._made_trainable = bool(trainable)
        self._serial = next_serial()
        self._autocast = bool(autocast)
        self.aggregation = aggregation or "none"
        if self.aggregation not in _AGGREGATIONS:
            raise bad_argument(self, "aggregation", f"one of {_AGGREGATIONS}", aggregation)
        self.synchronization = synchronization or "none"
        self.regularizer = None
        self.constraint = None
        self.overwrite_with_gradient = False
        self._layout = layout
        owner = current_owner()
        self.kinds = () if owner is None else tuple(c.__name__ for c in type(owner).__mro__)
        # An array under a trace too. `ensure_compile_time_eval` would also write into programs
        # what the initializers count up to, as constants.
        with jax.core.eval_context():
            self._value: Any = self._initial_value(initializer, shape, dtype)

    def _initial_value(self, initializer, shape, dtype):
        if isinstance(initializer, str):
            known = {snake_case(name): cls for name, cls in published("keras.initializers").items()}
            initializer = resolve(snake_case(initializer), known, "initializer")
        if callable(initializer) and not hasattr(initializer, "shape"):
            if shape is None:
                raise bad_argument(self, "shape", "given when the initializer is a function", shape)
            dtype = dtypes.standardize_dtype(dtype)
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            if not all(isinstance(n, int | np.integer) for n in shape):
                raise bad_argument(self, "shape", "all integers", shape)
            self._value = jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(dtype))
            _take_allowance(self, math.prod(shape) * self._value.dtype.itemsize)
            with partitioning.drawing(self._wanted_sharding()):
                initializer = initializer(shape, dtype=dtype)
        elif dtype is not None:
            dtype = dtypes.standardize_dtype(dtype)
        if isinstance(initializer, Variable):
            initializer = initializer.read()
        if isinstance(initializer, jax.core.Tracer):
            raise ValueError(
                f"Variable {self.path!r} cannot start from a traced value. Make Variables from "
                "concrete arrays, or outside the compiled function."
            )
        given = isinstance(initializer, jax.Array | np.ndarray)
        value = initializer if given else _own_array(initializer, dtype)
        if shape is not None and value.shape != tuple(np.atleast_1d(shape)):
            raise bad_argument(self, "initializer", f"of shape {shape}", value.shape)
        self._value = value
        sharding = self._wanted_sharding()
        return _own_array(value, dtype, sharding) if given or sharding is not None else value

    def _wanted_sharding(self):
        """The sharding of the value, if it is said: by the layout given, or the distribution."""
        layout, current = self._layout, partitioning.state.distribution
        if layout is None:
            return None if current is None else current.sharding_of(self)
        if not isinstance(layout, Variable):
            return layout.sharding_of(self) if hasattr(layout, "sharding_of") else layout
        wanted = layout._wanted_sharding()
        return layout._value.sharding if wanted is None and layout._value.committed else wanted

    def settle(self) -> None:
        """Move the value to where the current distribution wants it."""
        wanted = self._wanted_sharding()
        if wanted is not None:
            self._value = partitioning.put(self._value, wanted)

    # -- reading and writing

    @property
    def value(self) -> jax.Array:
        """The array held now, seen through the open scopes and autocasting."""
        value = self.read()
        dtype = dtypes.autocast_dtype()
        if dtype and self._autocast and value.dtype != dtype and dtypes.is_float(value.dtype):
            value = value.astype(dtype)
        return partitioning.in_use(self, value)

    def read(self) -> jax.Array:
        """The array held now in its own dtype, whatever autocasting says."""
        scope = innermost.scope
        if scope is not None:
            return scope.read(self)
        if self._value.is_deleted():  # donated by another thread's call, which brings the next one
            with state_lock:
                return self._value
        return self._value

    def assign(self, value: Any) -> jax.Array:
        """Replace the value by one of the same shape, cast to the Variable's dtype; return it.

        Args:
            value: Array or number of the same shape.
        """
        if isinstance(value, Variable):
            value = value.read()
        self._check_numbers(value)
        shape = tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
        if shape != self._value.shape:
            raise ValueError(
                f"Variable {self.path!r} has shape {self._value.shape}; "
                f"cannot assign shape {shape}."
            )
        value = _own_array(value, self._value.dtype, partitioning.spread(self._value))
        store([self], [value])
        return value

    def _check_numbers(self, value):
        """Raise on what is no number or array of them, and on complex ones for a real Variable."""
        if isinstance(value, int | float | jax.Array) and not _is_complex(value):
            return
        if getattr(value, "is_symbolic", False):
            raise TypeError(
                f"Variable {self.path!r} cannot be assigned a symbolic tensor, which has no value. "
                "Assign in a layer's `call`."
            )
        leaves = [value] if hasattr(value, "dtype") else jax.tree.leaves(value) or [value]
        for leaf in leaves:
            dtype = getattr(leaf, "dtype", None) or np.asarray(leaf).dtype
            if dtype.kind in "OSUM" or (_is_complex(leaf) and not _is_complex(self._value)):
                raise TypeError(
                    f"Variable {self.path!r} holds {self._value.dtype}; cannot assign "
                    f"{dtype if hasattr(leaf, 'dtype') else repr(leaf)}. Give numbers, or an array "
                    "of them."
                )

    def assign_add(self, value: Any) -> jax.Array:
        """Add to the value; return the sum.

        Args:
            value: What is added.
        """
        return self.assign(self.read() + self._operand(value))

    def assign_sub(self, value: Any) -> jax.Array:
        """Subtract from the value; return the difference.

        Args:
            value: What is subtracted.
        """
        return self.assign(self.read() - self._operand(value))

    def _operand(self, value):
        """The value as something to add, if it spreads over the Variable's shape."""
        if isinstance(value, Variable):
            value = value.read()
        self._check_numbers(value)
        if isinstance(value, list | tuple):
            value = dtypes.to_array(value)
        shape = getattr(value, "shape", ())
        if shape not in ((), self._value.shape):
            try:
                jnp.broadcast_shapes(self._value.shape, shape)
            except ValueError:
                raise ValueError(
                    f"Variable {self.path!r} has shape {self.shape}; cannot add shape {shape}."
                ) from None
        return value

    def numpy(self) -> np.ndarray:
        """A NumPy copy of the value. Safe while another thread trains the Variable."""
        try:
            return np.array(processes.gather_to_host(self.value))
        except RuntimeError:  # deleted: a compiled call donated it just then
            with state_lock:
                return np.array(processes.gather_to_host(self.value))

    @property
    def autocast(self) -> bool:
        """Whether a layer that computes in 16 bits reads it in 16 bits."""
        return self._autocast

    @autocast.setter
    def autocast(self, value: Any) -> None:
        self._autocast = bool(value)
        changes.count += 1
        changes.structure += 1

    @property
    def shape(self) -> tuple:
        """The value's shape; it never changes."""
        return self._value.shape

    @property
    def dtype(self) -> str:
        """The name of the type the value is read in (the autocast one inside such a layer)."""
        own = self._value.dtype.name
        cast = dtypes.autocast_dtype()
        return cast if cast and self._autocast and dtypes.is_float(own) else own

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._value.size

    @property
    def handle(self) -> "Variable":
        """The Variable itself (Keras' name for what a backend holds)."""
        return self

    def __deepcopy__(self, memo):
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(self.__dict__)
        twin._value = _own_array(
            processes.gather_to_host(self._value), None, partitioning.spread(self._value)
        )
        return twin

    def __getstate__(self):
        layout = self._layout if isinstance(self._layout, Variable) else None  # meshes stay here
        return {**self.__dict__, "_layout": layout, "_value": processes.gather_to_host(self._value)}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._value = state["_value"]
        self._value = _own_array(state["_value"], None, self._wanted_sharding())

    # -- behaving as an array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numpy(), dtype=dtype)

    def __jax_array__(self):
        return self.value

    def __getitem__(self, index):
        return self.value[index]

    def __setitem__(self, index, value):
        raise TypeError(
            f"Variable {self.path!r} has no item assignment, as its array never changes. Replace "
            "it: `v.assign(v.at[index].set(value))`."
        )

    def __len__(self):
        return len(self._value)

    def __iter__(self):
        return iter(self.value)

    def __bool__(self):
        return bool(self.value)

    def __float__(self):
        return float(self.value)

    def __int__(self):
        return int(self.value)

    def __index__(self):
        return self.value.__index__()

    def __format__(self, spec):
        return format(self.value, spec) if spec else repr(self)

    __hash__ = object.__hash__

    def __getattr__(self, name):
        # `at`, `T`, `sum`, `astype`, ...: what an array can do, its Variable can.
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return getattr(self.value, name)
        except AttributeError:
            raise AttributeError(f"Variable {self.path!r} has no attribute {name!r}") from None

    def __repr__(self):
        value = self.read()
        is_seen = not isinstance(value, jax.core.Tracer) and processes.is_readable_here(value)
        shown = f", value={np.asarray(value)}" if is_seen else ""
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self._value.dtype}{shown}>"


def _forward(name):
    def operator(self, *others):
        if any(getattr(o, "is_symbolic", False) for o in others):
            return NotImplemented
        others = [o.value if isinstance(o, Variable) else o for o in others]
        return getattr(self.value, name)(*others)

    operator.__name__ = name
    return operator


def _logical(function, is_reflected):
    """`&`, `|` and `^`, which are logical, as Keras has them, also for numbers."""

    def operator(self, other):
        if getattr(other, "is_symbolic", False):
            return NotImplemented
        other = other.value if isinstance(other, Variable) else dtypes.to_array(other)
        return function(other, self.value) if is_reflected else function(self.value, other)

    return operator


_BINARY = "add sub mul truediv floordiv mod pow matmul lshift rshift divmod".split()
_OTHERS = "neg pos abs invert round eq ne lt le gt ge complex".split()
for _name in [*_BINARY, *(f"r{n}" for n in _BINARY), *_OTHERS]:
    setattr(Variable, f"__{_name}__", _forward(f"__{_name}__"))
for _name in ("and", "or", "xor"):
    _function = getattr(jnp, f"logical_{_name}")
    setattr(Variable, f"__{_name}__", _logical(_function, is_reflected=False))
    setattr(Variable, f"__r{_name}__", _logical(_function, is_reflected=True))


# Flattened to its value and rebuilt as a bare array: so jnp, jax.nn, optax, jax.grad, jax.vmap and
# jax.jit take a Variable where they take an array.
def _as_bare_array(_: None, leaves: Any) -> Any:
    return leaves[0]


jax.tree_util.register_pytree_node(Variable, lambda v: ((v.value,), None), _as_bare_array)


def is_variable(x: Any) -> bool:
    """Whether `x` is a Variable: a leaf test for `jax.tree` functions.

    Args:
        x: Any object.
    """
    return isinstance(x, Variable)


def values_of(tree: Any) -> Any:
    """A pytree with its Variables replaced by the values that they have here and now.

    What a function returns goes through it before its scope is left: outside, a Variable reads as
    what it was before.

    Args:
        tree: The pytree.
    """
    if not any(map(is_variable, jax.tree.leaves(tree, is_leaf=is_variable))):
        return tree
    return map_in_order(lambda x: x.value if is_variable(x) else x, tree, is_leaf=is_variable)


def _is_complex(value):
    dtype = getattr(value, "dtype", None)
    return isinstance(value, complex) or getattr(dtype, "kind", "") == "c"


def _own_array(value, dtype, sharding=None):
    """A JAX array that shares no memory with a NumPy array someone else may change."""
    if not isinstance(value, jax.Array | Variable | list | tuple):
        value = np.array(value)
    if sharding is None:
        return dtypes.to_array(value, dtype)
    if isinstance(value, np.ndarray):
        value = value.astype(jax.dtypes.canonicalize_dtype(dtype or value.dtype), copy=False)
    else:
        value = dtypes.to_array(value, dtype)
    return value if isinstance(value, jax.core.Tracer) else partitioning.put(value, sharding)
