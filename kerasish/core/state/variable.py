"""State that is mutable to write and pure to compile: `Variable`, `Scope`, `pure`, `capture`.

Outside a scope, a Variable's value is its own. Inside one, reads and writes go to the scope's
table, so any function over Variables can be run as a pure one: values in, (result, values) out.
Everything that compiles, differentiates or maps goes through this.
"""

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, partitioning, processes
from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name, current_owner, current_path, next_serial, snake_case
from kerasish.core.serialization.configurable import published, resolve


class _Local(threading.local):
    scope: "Scope | None" = None
    allowance: int | None = None  # bytes that new Variables may still take


_local = _Local()
_AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")

# Held by whoever finds out what a function touches, or donates the arrays of Variables. Reentrant,
# since tracing one function may call another.
state_lock = threading.RLock()


class UncapturedVariable(BaseException):
    """A sealed scope met a Variable it was not told of; the scope's maker catches this.

    Not an `Exception`, so that a user's `except Exception` in a traced function lets it through.
    """

    def __init__(self, maker: Any, variable: "Variable"):
        super().__init__(f"{variable.path} was not listed")
        self.maker, self.variable = maker, variable


class Scope:
    """A table that stands in for the Variables' own values in this thread, while it is entered.

    Args:
        values: Pairs of a Variable and the value to read it as.
        sealed: Who must be told (by `UncapturedVariable`) when a Variable is met that is not in
            the table. `None`: it is looked up in the scope outside, or in the Variable itself.

    Attributes:
        values: What each Variable reads as inside.
        written: The Variables assigned inside, in order of their first assignment.
        reads: The Variables read from outside the scope, in order of their first read.
        notes: Python values that belong to this trace alone (added losses, say), by key.
    """

    def __init__(self, values: Iterable[tuple["Variable", Any]] = (), sealed: Any = None):
        self.values: dict[Variable, Any] = dict(values)
        self.sealed = sealed
        self.written: dict[Variable, None] = {}
        self.reads: dict[Variable, None] = {}
        self.notes: dict[Any, Any] = {}
        self.outer: Scope | None = None

    def __enter__(self) -> "Scope":
        self.outer = _local.scope
        _local.scope = self
        return self

    def __exit__(self, *error) -> None:
        _local.scope = self.outer

    def read(self, variable: "Variable") -> Any:
        """The value of a Variable as seen from inside."""
        if variable in self.values:
            return self.values[variable]
        if self.sealed is not None:
            raise UncapturedVariable(self.sealed, variable)
        self.reads[variable] = None
        return self.outer.read(variable) if self.outer else variable._value

    def write(self, variable: "Variable", value: Any) -> None:
        """Assign inside only."""
        if self.sealed is not None and variable not in self.values:
            raise UncapturedVariable(self.sealed, variable)
        if isinstance(value, jax.core.Tracer):
            value = partitioning.constrain(value, partitioning.spread(variable._value))
        self.values[variable] = value
        self.written[variable] = None


class StatelessScope(Scope):
    """A `Scope` as Keras 3 spells it: values in a list of pairs, new ones asked for by Variable.

    Args:
        state_mapping: Pairs of a Variable and the value to read it as.
        collect_losses, initialize_variables: Kept for Keras' sake; both always happen.

    Example:
        >>> v = Variable(1.0)
        >>> with StatelessScope(state_mapping=[(v, 5.0)]) as scope:
        ...     _ = v.assign_add(1.0)
        >>> float(scope.get_current_value(v)), float(v)
        (6.0, 1.0)
    """

    def __init__(self, state_mapping=None, collect_losses=False, initialize_variables=True):
        super().__init__((v, dtypes.to_array(x)) for v, x in state_mapping or ())

    def get_current_value(self, variable: "Variable") -> Any:
        """The value of a Variable inside, `None` if it was neither given nor assigned."""
        return self.values.get(variable)


def current_scope() -> Scope | None:
    """The innermost scope this thread is in."""
    return _local.scope


@contextlib.contextmanager
def limit_new_variables(limit: int) -> Iterator[None]:
    """Inside, Variables of more than `limit` bytes in all are refused before any memory is taken.

    For what makes layers as a file says, which may claim anything.
    """
    before, _local.allowance = _local.allowance, limit
    try:
        yield
    finally:
        _local.allowance = before


def _take_allowance(variable, size):
    if _local.allowance is None:
        return
    if size > _local.allowance:
        raise ValueError(
            f"Variable {variable.path!r} would take {size} bytes, far more than the file holds for "
            "the whole model: refused."
        )
    _local.allowance -= size


class Variable:
    """A named slot that holds one array: read as `value`, replaced by `assign`.

    Works wherever an array does: in `jnp`, `jax.nn`, `optax` and NumPy functions, with operators
    and indexing. (Raw `jax.lax` primitives need `.value`.)

    Args:
        initializer: The first value, or a function `(shape, dtype) -> array` that makes it, or an
            initializer's name.
        shape: Shape of the value; needed when `initializer` is a function.
        dtype: Name of the value's type. `None`: the value's own, or the global float type.
        trainable: Whether optimizers change it.
        autocast: Whether a layer that computes in 16 bits reads it in 16 bits.
        aggregation: Kept for Keras' sake: `"none"`, `"mean"`, `"sum"`, `"only_first_replica"`.
        name: Its name; its `path` is this after the open name scopes.
        layout: How it is spread over devices: a `keras.distribution.TensorLayout`, JAX's sharding,
            or another Variable, to lie as that one does. `None`: as the current distribution says.

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
        initializer,
        shape=None,
        dtype=None,
        trainable=True,
        autocast=True,
        aggregation="none",
        synchronization="auto",
        name=None,
        layout=None,
    ):
        self.name = name or auto_name(type(self).__name__)
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument("Variable", "name", "a string without '/'", name)
        self.path = "/".join(part for part in (current_path(), self.name) if part)
        self.trainable = self._made_trainable = bool(trainable)
        self._serial = next_serial()
        self.autocast = bool(autocast)
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
        # Under a trace too the first value is an array, never a tracer. `ensure_compile_time_eval`
        # would also write what the programs of initializers count up to as constants into them.
        with jax.core.eval_context():
            self._value: Any = self._first_value(initializer, shape, dtype)

    def _first_value(self, initializer, shape, dtype):
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
        """Where the value is to lie, if it is said: by the layout given, or the distribution."""
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
        if dtype and self.autocast and value.dtype != dtype and dtypes.is_float(value.dtype):
            value = value.astype(dtype)
        return partitioning.in_use(self, value)

    def read(self) -> jax.Array:
        """The array held now in its own dtype, whatever autocasting says."""
        scope = _local.scope
        if scope is not None:
            return scope.read(self)
        if self._value.is_deleted():  # donated by another thread's call, which brings the next one
            with state_lock:
                return self._value
        return self._value

    def assign(self, value: Any) -> jax.Array:
        """Replace the value by one of the same shape, cast to the Variable's dtype; return it."""
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
        """Add to the value in place."""
        return self.assign(self.read() + self._operand(value))

    def assign_sub(self, value: Any) -> jax.Array:
        """Subtract from the value in place."""
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
    def shape(self) -> tuple:
        """The value's shape; it never changes."""
        return self._value.shape

    @property
    def dtype(self) -> str:
        """The name of the type the value is read in (the autocast one inside such a layer)."""
        own = self._value.dtype.name
        cast = dtypes.autocast_dtype()
        return cast if cast and self.autocast and dtypes.is_float(own) else own

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """Number of entries."""
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


_BINARY = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift divmod".split()
_OTHERS = "neg pos abs invert round eq ne lt le gt ge complex".split()
for _name in [*_BINARY, *(f"r{n}" for n in _BINARY), *_OTHERS]:
    setattr(Variable, f"__{_name}__", _forward(f"__{_name}__"))


# Flattened to its value and rebuilt as a bare array: so jnp, jax.nn, optax, jax.grad, jax.vmap and
# jax.jit take a Variable where they take an array.
def _as_bare_array(_: None, leaves: Any) -> Any:
    return leaves[0]


jax.tree_util.register_pytree_node(Variable, lambda v: ((v.value,), None), _as_bare_array)


def is_variable(x: Any) -> bool:
    """Whether `x` is a Variable: a leaf test for `jax.tree` functions."""
    return isinstance(x, Variable)


def values_of(nest: Any) -> Any:
    """A nest with the values that its Variables have here and now in their places.

    What a function returns goes through it before its scope is left: outside, a Variable reads as
    what it was before.
    """
    if not any(map(is_variable, jax.tree.leaves(nest, is_leaf=is_variable))):
        return nest  # as it is, with dicts in their order
    return jax.tree.map(lambda x: x.value if is_variable(x) else x, nest, is_leaf=is_variable)


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


def store(variables: Sequence[Variable], values: Sequence[jax.Array]) -> None:
    """Let Variables hold values that already have the right shape and dtype."""
    scope = _local.scope
    if scope is not None:
        for variable, value in zip(variables, values, strict=True):
            scope.write(variable, value)
        return
    for variable, value in zip(variables, values, strict=True):
        if isinstance(value, jax.core.Tracer):
            raise RuntimeError(
                f"Variable {variable.path!r} was assigned a traced value inside a function that "
                "JAX transforms by itself. Use `keras.jit`, `keras.grad`, `keras.value_and_grad`, "
                "`keras.vmap`, `keras.scan` or `keras.remat`, which carry Variables through."
            )
        variable._value = value


class Captured(NamedTuple):
    """What `capture` saw: the Variables a function only read, those it wrote, its result's shapes,
    the traced program, and the notes of its scope."""

    reads: list
    written: list
    result: Any
    jaxpr: Any
    notes: dict


def capture(fn: Callable, *args, **kwargs) -> Captured:
    """Run `fn` abstractly, to see which Variables it reads and writes and what it returns.

    Nothing is computed and no Variable changes, but Variables that `fn` builds lazily exist
    afterwards. Arguments must be arrays or shapes; close over anything else.
    """
    scope = Scope()

    def fresh(*args, **kwargs):  # JAX remembers traces by function, so each needs its own
        with scope:
            return fn(*args, **kwargs)

    jaxpr, result = jax.make_jaxpr(fresh, return_shape=True)(*args, **kwargs)
    reads = [v for v in scope.reads if v not in scope.written]
    return Captured(reads, list(scope.written), result, jaxpr, scope.notes)


def pure(fn: Callable, variables: Sequence[Variable]) -> Callable:
    """Make `fn` pure: `run(values, *args) -> (result, new_values)`, values in order of `variables`.

    A Variable not listed is read as it is now; writing to one is an error.
    """
    variables = list(variables)

    def run(values, *args, **kwargs):
        with Scope(zip(variables, values_of(list(values)), strict=True)) as scope:
            result = values_of(fn(*args, **kwargs))
        strays = [v.path for v in scope.written if v not in variables_set]
        if strays:
            raise RuntimeError(f"`pure`: the function wrote {strays}, which `variables` must list.")
        return result, [scope.values[v] for v in variables]

    variables_set = set(variables)
    return run
