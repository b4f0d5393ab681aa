"""`jit`: compiled functions of arrays, numbers and static arguments that find their Variables."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core import partitioning
from kerasish.core.dict_order import in_order, order_of, reordered
from kerasish.core.errors import did_you_mean, hints
from kerasish.core.state.functional import capture
from kerasish.core.state.program import Program
from kerasish.core.state.scope import UncapturedVariable, state_lock
from kerasish.core.state.trace_log import TraceLog, describe_leaves, describe_program
from kerasish.core.state.variable import values_of
from kerasish.core.tracebacks import shorten


class Compiled:
    """A function over Variables and arrays, compiled by JAX: what `keras.jit` returns.

    The Variables that the function touches are found by tracing it. Written ones are donated, so
    their memory is reused, unless someone else still holds the array. Calls from several threads
    that write Variables come one after the other.

    Attributes:
        traces: How often the function has been traced for a program.
        why_traced: A sentence for each trace: which argument (or what else) was new.
    """

    def __init__(
        self, fn: Callable, static_argnums: Any = (), static_argnames: Any = (), donate: bool = True
    ):
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.donate = donate
        self._static = _static_positions(fn, _as_tuple(static_argnums), _as_tuple(static_argnames))
        self._program: Program | None = None
        self._orders: dict = {}  # of keys in the dicts it returns, by structure, where not sorted
        self._log = TraceLog(getattr(fn, "__name__", repr(fn)))

    def __call__(self, *args, **kwargs):
        try:
            leaves, key = self._split(args, kwargs)
            result = self._with_program(_call, leaves, key)
        except Exception as error:
            shorten(error)
            raise
        if not self._orders:
            return result
        return reordered(result, self._orders.get(jax.tree.structure(result)))

    @property
    def traces(self) -> int:
        """How often the function has been traced."""
        return len(self._log)

    @property
    def why_traced(self) -> list[str]:
        """A sentence for each trace: which argument (or what else) was new."""
        return list(self._log.reasons)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def _with_program(self, act, leaves, key):
        program = self._program or self._learn(None, leaves, key)
        for _ in range(4):
            try:
                return act(program, leaves, key)
            except UncapturedVariable as miss:
                if miss.owner is not program:
                    raise
                program = self._learn(program, leaves, key)
        raise RuntimeError(
            f"{getattr(self.fn, '__name__', self.fn)}: makes new Variables each time it is traced. "
            "Make them once, outside the function or on its first call only."
        )

    def _split(self, args, kwargs):
        """Arrays and numbers are traced; strings, booleans, functions and other objects are not."""
        if self._static:
            args = [_Static(a) if i in self._static else a for i, a in enumerate(args)]
            kwargs = {k: _Static(a) if k in self._static else a for k, a in kwargs.items()}
        if kwargs:
            kwargs = {key: in_order(value) for key, value in kwargs.items()}
        leaves, tree = jax.tree.flatten((in_order(tuple(args)), kwargs))
        static = tuple(None if _is_traceable(leaf) else _Static(leaf) for leaf in leaves)
        return [leaf for leaf, s in zip(leaves, static, strict=True) if s is None], (tree, static)

    def _learn(self, outdated, leaves, key):
        """Find the Variables that this call touches, and make a program that lists them all."""
        with state_lock:
            before = self._program
            if before is not outdated:  # another thread was faster
                return before
            seen = capture(lambda leaves: self._apply(leaves, key), leaves)
            before = self._program  # a function that calls itself has learned meanwhile
            written = dict.fromkeys([*(before.written if before else ()), *seen.written])
            reads = dict.fromkeys([*(before.reads if before else ()), *seen.reads])
            reads = [v for v in reads if v not in written]
            self._program = Program(self._trace, list(written), reads, self.donate)
            return self._program

    def _trace(self, leaves, key):
        args, kwargs = self._fill(leaves, key)
        self._log.note({**self._describe(args, kwargs), **describe_program(self._program)})
        return self._apply(leaves, key)

    def _describe(self, args, kwargs):
        try:
            given = inspect.signature(self.fn).bind(*args, **kwargs).arguments
        except (TypeError, ValueError):  # arguments that do not fit, or functions written in C
            given = {"args": args, **kwargs}
        found = {}
        for name, value in given.items():
            found |= describe_leaves(f"argument `{name}`", value)
        return found

    def _apply(self, leaves, key):
        args, kwargs = self._fill(leaves, key)
        with hints():
            result = values_of(self.fn(*args, **kwargs))  # Variables it only returns are read too
        # JAX gives dicts back with their keys sorted, and builds them by the types it has seen.
        order = order_of(result)
        if order is not None or self._orders:
            self._orders[jax.tree.structure(result)] = order
        return result

    def _fill(self, leaves, key):
        """The arguments again, filled with the traced leaves."""
        tree, static = key
        rest = iter(leaves)
        filled = [next(rest) if s is None else s.value for s in static]
        args, kwargs = jax.tree.unflatten(tree, filled)
        args = [a.value if isinstance(a, _Static) else a for a in args]
        return args, {k: a.value if isinstance(a, _Static) else a for k, a in kwargs.items()}

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """JAX's `Lowered` program for these arguments: `as_text()`, `compile().cost_analysis()`.

        Arguments may be `jax.ShapeDtypeStruct`s.

        Args:
            *args: Arguments of the function.
            **kwargs: Arguments of the function by name.
        """

        def act(program, leaves, key):
            return program.jitted(key).lower(*program.read(), leaves)

        return self._with_program(act, *self._split(args, kwargs))

    def jaxpr(self, *args: Any, **kwargs: Any) -> Any:
        """The traced program for these arguments, in JAX's own language.

        Args:
            *args: Arguments of the function.
            **kwargs: Arguments of the function by name.
        """

        def act(program, leaves, key):
            return program.jitted(key).trace(*program.read(), leaves).jaxpr

        return self._with_program(act, *self._split(args, kwargs))


def _call(program, leaves, key):
    result = program(leaves, static=(key,))
    if partitioning.state.distribution is not None and jax.default_backend() == "cpu":
        # Virtual devices share few threads: calls that pile up on them wait for one another.
        jax.block_until_ready((result, [v.read() for v in program.written]))
    return result


class _Static:
    """A leaf that is part of the program, compared by its content at this time where possible."""

    __slots__ = ("content", "value")

    def __init__(self, value):
        self.value, self.content = value, _content(value)

    def __hash__(self):
        return hash(self.content)

    def __eq__(self, other):
        try:
            return bool(self.content == other.content)
        except Exception:  # an `==` that gives an array or refuses: other objects are not the same
            return False


def _content(value):
    """Something hashable that is equal for equal values, and stays as it is when they change."""
    if isinstance(value, dict):
        return dict, tuple((key, _content(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_content, value))
    if isinstance(value, set):
        return set, frozenset(value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype, value.tobytes()
    try:
        hash(value)
    except TypeError:
        return type(value), id(value)
    return type(value), value


def _is_traceable(leaf):
    found = _traces_all(type(leaf))
    return leaf.dtype.kind not in "OSUMm" if found is None else found


@functools.cache  # asking for abstract classes takes as long as a small call
def _traces_all(kind):
    """Whether all leaves of a type are traced; `None` if it depends on their dtype."""
    if issubclass(kind, bool | str | bytes | _Static):
        return False
    if issubclass(kind, np.ndarray | np.generic):
        return None
    numbers = jax.Array | int | float | complex | jax.ShapeDtypeStruct
    return issubclass(kind, numbers) or hasattr(kind, "__jax_array__")


def _static_positions(fn, argnums, argnames):
    """Positions and names of the static arguments, each both ways where it can be given so."""
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):  # some functions written in C do not tell
        return {*argnums, *argnames}
    kinds = {p.kind for p in parameters.values()}
    unknown = set(argnames) - set(parameters)
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        name = sorted(unknown)[0]
        raise ValueError(
            f"keras.jit: `static_argnames` holds {name!r}, which is no argument of "
            f"{getattr(fn, '__name__', fn)}. {did_you_mean(name, parameters)}".rstrip()
        )
    positional = [
        p.name
        for p in parameters.values()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    numbers = {n + len(positional) if n < 0 else n for n in argnums}
    return {
        *numbers,
        *argnames,
        *(positional[n] for n in numbers if n < len(positional)),
        *(positional.index(name) for name in argnames if name in positional),
    }


def _as_tuple(x):
    return tuple(x) if isinstance(x, list | tuple) else (x,)


def jit(
    fn: Callable | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    donate: bool = True,
) -> Any:
    """Compile a function that may read and write Variables.

    Arrays and numbers among the arguments are traced; strings, booleans, functions and other
    objects are part of the program, which is compiled anew for each of their values.

    Args:
        fn: The function. Without it, a decorator is returned.
        static_argnums: Positions of further arguments that are part of the program.
        static_argnames: Names of such keyword arguments.
        donate: Whether the memory of Variables that are written may be reused for their new
            values.

    Example:
        >>> count = keras.Variable(0)
        >>> @jit
        ... def add(x):
        ...     count.assign_add(1)
        ...     return x + count
        >>> float(add(1.0)), float(add(1.0)), int(count)
        (2.0, 3.0, 2)
    """
    if fn is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate=donate
        )
    return Compiled(fn, static_argnums, static_argnames, donate)
