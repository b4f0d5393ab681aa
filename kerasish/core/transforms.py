"""JAX's transformations over functions that read and write Variables."""

import functools
import inspect
import itertools
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import did_you_mean, hints
from kerasish.core.trace_log import TraceLog, describe_leaves, describe_program
from kerasish.core.variable import (
    Scope,
    Unlisted,
    capture,
    current_scope,
    is_variable,
    one_at_a_time,
    store,
)

# -- compiling


class Compiled:
    """A function over Variables and arrays, compiled by JAX: what `keras.jit` returns.

    The Variables that the function touches are found by tracing it. Written ones are donated, so
    their memory is reused, unless someone else still holds the array. Calls from several threads
    that write Variables come one after the other.

    Attributes:
        traces: How often the function has been traced for a program.
        why_traced: A sentence for each trace: which argument (or what else) was new.
    """

    def __init__(self, fn: Callable, static_argnums=(), static_argnames=(), donate: bool = True):
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.donate = donate
        self._static = _static_places(fn, _as_tuple(static_argnums), _as_tuple(static_argnames))
        self._program: Program | None = None
        self._log = TraceLog(getattr(fn, "__name__", repr(fn)))

    def __call__(self, *args, **kwargs):
        def act(program, leaves, key):
            return program(leaves, static=(key,))

        return self._with_program(act, *self._split(args, kwargs))

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
            except Unlisted as miss:
                if miss.maker is not program:
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
        leaves, tree = jax.tree.flatten((tuple(args), kwargs))
        static = tuple(None if _is_traceable(leaf) else _Static(leaf) for leaf in leaves)
        return [leaf for leaf, s in zip(leaves, static, strict=True) if s is None], (tree, static)

    def _learn(self, outdated, leaves, key):
        """Find the Variables that this call touches, and make a program that lists them all."""
        with one_at_a_time:
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
            return self.fn(*args, **kwargs)

    def _fill(self, leaves, key):
        """The arguments again, with the traced leaves in their places."""
        tree, static = key
        rest = iter(leaves)
        filled = [next(rest) if s is None else s.value for s in static]
        args, kwargs = jax.tree.unflatten(tree, filled)
        args = [a.value if isinstance(a, _Static) else a for a in args]
        return args, {k: a.value if isinstance(a, _Static) else a for k, a in kwargs.items()}

    def lower(self, *args, **kwargs):
        """JAX's `Lowered` program for these arguments: `as_text()`, `compile().cost_analysis()`.

        Arguments may be `jax.ShapeDtypeStruct`s.
        """

        def act(program, leaves, key):
            return program.jitted(key).lower(*program.read(), leaves)

        return self._with_program(act, *self._split(args, kwargs))

    def jaxpr(self, *args, **kwargs):
        """The traced program for these arguments, in JAX's own language."""

        def act(program, leaves, key):
            return program.jitted(key).trace(*program.read(), leaves).jaxpr

        return self._with_program(act, *self._split(args, kwargs))


class Program:
    """One compiled function and the Variables it stands on.

    Args:
        fn: Function that reads and writes Variables.
        written: Variables it may write. They are donated, and hold their new values afterwards.
        reads: Variables it only reads.
        donate: Whether the memory of written Variables may be reused.

    Raises:
        Unlisted: From a call that traces `fn` and meets a Variable in neither list.
    """

    def __init__(self, fn: Callable, written: list, reads: list, donate: bool = True):
        self.written, self.reads, self.donate = written, reads, donate
        listed = set(written)

        def pure(values, constants, *args):
            inside = [*zip(written, values, strict=True), *zip(reads, constants, strict=True)]
            with Scope(inside, sealed=self) as scope:
                result = fn(*args)
            for v in scope.written:
                if v not in listed:
                    raise Unlisted(self, v)
            return result, [scope.values[v] for v in written]

        self.pure = pure
        self._jitted: dict[tuple, Callable] = {}

    def jitted(self, *static) -> Callable:
        """The compiled form of `pure`, with these as the last arguments."""
        found = self._jitted.get(static)
        if found is None:

            def run(values, constants, *args):
                return self.pure(values, constants, *args, *static)

            found = jax.jit(run, donate_argnums=0 if self.donate else ())
            # JAX looks up static arguments by itself, but takes several times as long.
            found = self._jitted.setdefault(static, found)
        return found

    def read(self) -> tuple[list, list]:
        """Values of the Variables as they are now: the written ones', the read ones'."""
        if current_scope() is None:
            return [v._value for v in self.written], [v._value for v in self.reads]
        return [v.read() for v in self.written], [v.read() for v in self.reads]

    def __call__(self, *args, static: tuple = ()):
        """Call; `static` arguments come last and are part of the program."""
        jitted = self.jitted(*static)
        if current_scope() is not None:
            return call_and_store(jitted, self.written, *self.read(), *args)
        if not self.written:
            try:
                return call_and_store(jitted, self.written, *self.read(), *args)
            except (RuntimeError, ValueError) as error:
                if "deleted" not in str(error) and "donated" not in str(error):
                    raise
                # Between reading and calling, another thread may have donated what was read.
        with one_at_a_time:
            values, constants = self.read()
            if self.donate:
                keep_held(values)
            return call_and_store(jitted, self.written, values, constants, *args)


def call_and_store(compiled, written, values, *args):
    """Call `compiled(values, *args) -> (result, new)`, and let each Variable hold its new value.

    The old values are donated, so an interrupt between the call's end and the assignments would
    leave Variables with deleted arrays. `extend` takes the result in C: Python sees an interrupt
    only when the result is already in `box`, and then stores it (again).
    """
    box = []
    try:
        box.extend(itertools.starmap(compiled, [(values, *args)]))
        store(written, box[0][1])
    except BaseException as error:
        if box:
            store(written, box[0][1])
        elif any(v.is_deleted() for v in values if not isinstance(v, jax.core.Tracer)):
            error.add_note(
                "The Variables that the function writes were donated to it, so their values are "
                "lost. Load them again; `keras.jit(donate=False)` keeps them, for twice the memory."
            )
        raise
    return box[0][0]


def keep_held(values):
    """Replace, in a list about to be donated, the arrays that someone else holds by copies."""
    for i in range(len(values)):
        if sys.getrefcount(values[i]) > _UNHELD:
            values[i] = jnp.copy(values[i])


def _references_of_an_unheld_value():
    slot = types.SimpleNamespace(_value=object())  # stands for a Variable, which needs a device
    values, counts = [slot._value], []
    for i in range(len(values)):
        counts.append(sys.getrefcount(values[i]))
    return counts[0]


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
    if isinstance(leaf, bool | str | bytes | _Static):
        return False
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind not in "OSUMm"
    return isinstance(leaf, jax.Array | int | float | complex | jax.ShapeDtypeStruct) or hasattr(
        leaf, "__jax_array__"
    )


def _static_places(fn, argnums, argnames):
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
    places = [
        p.name
        for p in parameters.values()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    numbers = {n + len(places) if n < 0 else n for n in argnums}
    return {
        *numbers,
        *argnames,
        *(places[n] for n in numbers if n < len(places)),
        *(places.index(name) for name in argnames if name in places),
    }


def _as_tuple(x):
    return tuple(x) if isinstance(x, list | tuple) else (x,)


def jit(fn=None, *, static_argnums=(), static_argnames=(), donate=True):
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


# -- running a function inside another trace


def isolate(fn: Callable) -> tuple[Callable, Callable]:
    """Split a function in two: one without side effects, and one that plays them afterwards.

    Returns:
        `(run, replay)`. `run(*args) -> (result, effects)` reads Variables as they are but writes
        only into `effects`, arrays that may leave a JAX trace. `replay(effects)` then writes them
        where it is called.
    """
    seen: list = [[], None]

    def run(*args, **kwargs):
        with Scope() as scope:
            result = fn(*args, **kwargs)
        notes, seen[1] = jax.tree.flatten(list(scope.notes.values()))
        seen[0] = [list(scope.written), list(scope.notes)]
        return result, ([scope.values[v] for v in scope.written], notes)

    def replay(effects):
        values, notes = effects
        for variable, value in zip(seen[0][0], values, strict=True):
            variable.assign(value)
        for key, items in zip(seen[0][1], jax.tree.unflatten(seen[1], notes), strict=True):
            key.replay(items)

    return run, replay


def value_and_grad(
    fn: Callable, variables: Any = None, has_aux: bool = False, argnums=0
) -> Callable:
    """Make a function that returns `fn`'s value and its gradients.

    Args:
        fn: Function of any arguments that returns a scalar, or `(scalar, anything)` with
            `has_aux`. It may read and write Variables.
        variables: Variables to differentiate by, in any nest of lists, tuples and dicts; the
            gradients come in the same nest. `None` differentiates by arguments, as JAX does.
        has_aux: Whether `fn` returns something besides the scalar.
        argnums: Position or positions of the arguments to differentiate by, without `variables`.

    Example:
        >>> w = keras.Variable([1.0, 2.0])
        >>> value_and_grad(lambda: (w * w).sum(), w)()
        (Array(5., dtype=float32), Array([2., 4.], dtype=float32))
    """

    def run(*args, **kwargs):
        given, tree = jax.tree.flatten(variables, is_leaf=is_variable)
        for target in given:
            if not is_variable(target):
                raise TypeError(f"value_and_grad: `variables` must hold Variables; got {target!r}.")
            if not dtypes.is_inexact(target.read().dtype):
                raise TypeError(
                    f"value_and_grad: Variable {target.path!r} is {target.dtype}; only floats have "
                    "gradients. Give `model.trainable_variables`, say."
                )
        targets = list(dict.fromkeys(given))

        def inner(values, *args):
            with Scope(zip(targets, values, strict=True)):
                (result, effects) = isolated(*args, **kwargs)
            loss, aux = result if has_aux else (result, None)
            return loss, (aux, effects)

        isolated, replay = isolate(fn)
        by = 0 if variables is not None else jax.tree.map(lambda n: n + (n >= 0), argnums)
        values = [v.read() for v in targets]
        transformed = jax.value_and_grad(inner, argnums=by, has_aux=True)
        (loss, (aux, effects)), grads = transformed(values, *args)
        replay(effects)
        if variables is not None:
            of = dict(zip(targets, grads, strict=True))
            grads = jax.tree.unflatten(tree, [of[v] for v in given])
        return ((loss, aux) if has_aux else loss), grads

    return functools.wraps(fn)(run) if hasattr(fn, "__name__") else run


def grad(fn: Callable, variables: Any = None, has_aux: bool = False, argnums=0) -> Callable:
    """As `value_and_grad`, returning the gradients alone (and the auxiliary value, if any).

    Example:
        >>> float(grad(lambda x: x**3)(2.0))
        12.0
    """
    both = value_and_grad(fn, variables, has_aux, argnums)

    def run(*args, **kwargs):
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return run


def vmap(fn: Callable, in_axes: Any = 0, out_axes: Any = 0, **options) -> Callable:
    """Map a function over an axis of its arguments; Variables are shared by all.

    A value assigned to a Variable inside must not depend on the mapped arguments: it would be one
    value per entry for one slot.

    Example:
        >>> scale = keras.Variable(2.0)
        >>> vmap(lambda x: x * scale)(np.arange(3.0))
        Array([0., 2., 4.], dtype=float32)
    """

    def run(*args, **kwargs):
        isolated, replay = isolate(fn)
        try:
            mapped = jax.vmap(isolated, in_axes, (out_axes, None), **options)
            result, effects = mapped(*args, **kwargs)
        except ValueError as error:
            if "out_axes" in str(error) and "None" in str(error):
                raise ValueError(
                    "vmap: a Variable was assigned a value that differs along the mapped axis. "
                    "Return it from the function and assign what you need of it outside."
                ) from error
            raise
        replay(effects)
        return result

    return run


def scan(f: Callable, init: Any, xs: Any = None, length=None, reverse=False, unroll=1):
    """`jax.lax.scan` over a function that may read and write Variables.

    Args:
        f: Function `(carry, x) -> (carry, y)`.
        init: First carry.
        xs: Arrays to run over, along their first axis, or `None` with `length`.
        length: Number of steps, when `xs` does not say it.
        reverse: Whether to run from the end.
        unroll: Steps laid out in each turn of the compiled loop.

    Returns:
        `(last carry, stacked ys)`.

    Example:
        >>> total = keras.Variable(0.0)
        >>> _ = scan(lambda carry, x: (carry, total.assign_add(x)), None, np.arange(4.0))
        >>> float(total)
        6.0
    """
    xs = jax.tree.map(jnp.asarray, xs)
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)

    def run(written):
        def step(carry, x):
            (inner, y), values = carrying(f, written)(carry[1], carry[0], x)
            return (inner, values), y

        start = (init, [v.read() for v in written])
        (last, values), ys = jax.lax.scan(step, start, xs, length, reverse, unroll)
        return (last, ys), values

    return loop(run, capture(f, init, first).written)


def fori_loop(lower, upper, body: Callable, init: Any, variables: list | None = None) -> Any:
    """`jax.lax.fori_loop` over a function that may read and write Variables.

    Args:
        lower, upper: First index and the one after the last; they may be traced.
        body: Function `(index, carry) -> carry`.
        init: First carry.
        variables: The Variables that `body` may write, if known; found by tracing otherwise.

    Example:
        >>> total = keras.Variable(0)
        >>> _ = fori_loop(0, 4, lambda i, carry: total.assign_add(i), 0)
        >>> int(total)
        6
    """
    index = jnp.asarray(lower, "int32")

    def run(written):
        def step(i, carry):
            return carrying(body, written)(carry[1], i, carry[0])

        start = (init, [v.read() for v in written])
        return jax.lax.fori_loop(index, jnp.asarray(upper, "int32"), step, start)

    return loop(run, capture(body, index, init).written if variables is None else variables)


def carrying(fn: Callable, variables: list) -> Callable:
    """`fn(*args)` as `run(values, *args) -> (result, new values)`, in order of `variables`.

    Raises:
        Unlisted: With `variables` as its maker, when `fn` writes a Variable that is not among them.
    """

    def run(values, *args):
        with Scope(zip(variables, values, strict=True)) as scope:
            result = fn(*args)
        listed = set(variables)
        for v in scope.written:
            if v not in listed:
                raise Unlisted(variables, v)
        return result, [scope.values[v] for v in variables]

    return run


def loop(run: Callable, written: list) -> Any:
    """Assign what `run(written) -> (result, new values)` gives, and return the result.

    A function may write a Variable only from its second trace on: then again, with that one too.
    """
    written = list(written)
    while True:
        try:
            result, values = run(written)
            break
        except Unlisted as miss:
            if miss.maker is not written:
                raise
            written.append(miss.variable)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return result


def remat(fn: Callable, policy: Callable | None = None, prevent_cse: bool = True) -> Callable:
    """Forget what `fn` computes on the way forward and compute it again for the gradient.

    Trades time for memory. `policy` says which values to keep: one of `jax.checkpoint_policies`.
    Arguments that are not arrays stay as they are.
    """

    def run(*args, **kwargs):
        leaves, tree = jax.tree.flatten((args, kwargs))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]

        def of_arrays(*arrays):
            filled = dict(enumerate(leaves)) | dict(zip(places, arrays, strict=True))
            args, kwargs = jax.tree.unflatten(tree, list(filled.values()))
            return fn(*args, **kwargs)

        isolated, replay = isolate(of_arrays)
        light = jax.checkpoint(isolated, policy=policy, prevent_cse=prevent_cse)
        result, effects = light(*(leaves[i] for i in places))
        replay(effects)
        return result

    return functools.wraps(fn)(run) if hasattr(fn, "__name__") else run


def custom_gradient(fn: Callable) -> Callable:
    """Give a function a gradient of your own.

    Args:
        fn: Function of arrays that returns `(result, grad_fn)`. `grad_fn(upstream)` takes the
            gradient with respect to the result, nested as the result is (or `grad_fn(*upstream)`,
            or `grad_fn(upstream=upstream)`, as its signature asks) and returns one for each
            positional argument. Variables that `fn` reads count as constants.

    Example:
        >>> @custom_gradient
        ... def log1pexp(x):
        ...     e = jnp.exp(x)
        ...     return jnp.log1p(e), lambda upstream: upstream * (1 - 1 / (1 + e))
        >>> float(grad(log1pexp)(100.0))
        1.0
    """

    @functools.wraps(fn)
    def run(*args, **kwargs):
        seen = capture(lambda *args: fn(*args, **kwargs)[0], *args)
        touched = [*seen.reads, *seen.written]

        @jax.custom_gradient
        def inner(values, *args):
            with Scope(zip(touched, values, strict=True)) as scope:
                result, grad_fn = fn(*args, **kwargs)

            def backward(upstream):
                grads = _call_grad(grad_fn, upstream[0])
                each = isinstance(grads, tuple | list) and len(grads) == len(args)
                return (None, *(grads if each else (grads,)))

            return (result, [scope.values[v] for v in seen.written]), backward

        outputs: Any = inner([jax.lax.stop_gradient(v.read()) for v in touched], *args)
        result, values = outputs
        store(seen.written, values)
        return result

    return run


def _call_grad(grad_fn, upstream):
    bind = inspect.signature(grad_fn).bind
    ways = [((upstream,), {}), ((), {"upstream": upstream})]
    if isinstance(upstream, tuple | list):
        ways.insert(1, (tuple(upstream), {}))
    for args, kwargs in ways:
        try:
            bind(*args, **kwargs)
        except TypeError:
            continue
        return grad_fn(*args, **kwargs)
    raise TypeError(
        f"custom_gradient: the gradient function must take the upstream gradient; "
        f"its arguments are {inspect.signature(grad_fn)}."
    )


_UNHELD = _references_of_an_unheld_value()
