"""JAX's transformations over functions that read and write Variables."""

import functools
import itertools
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.variable import (
    Scope,
    Unlisted,
    Variable,
    capture,
    current_scope,
    is_variable,
)

# -- compiling


class Compiled:
    """A function over Variables and arrays, compiled by JAX: what `keras.jit` returns.

    The Variables that the function touches are found by tracing it. Written ones are donated, so
    their memory is reused, unless someone else still holds the array.
    """

    def __init__(self, fn: Callable, static_argnums=(), static_argnames=(), donate: bool = True):
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.donate = donate
        self._static_argnums = _as_tuple(static_argnums)
        self._static_argnames = _as_tuple(static_argnames)
        self._lock = threading.RLock()
        self._program: Program | None = None
        self.traces = 0

    def __call__(self, *args, **kwargs):
        leaves, key = self._split(args, kwargs)
        program = self._program or self._learn(leaves, key)
        for _ in range(4):
            try:
                return program(leaves, key)
            except Unlisted as miss:
                if miss.maker is not program:
                    raise
                program = self._learn(leaves, key)
        raise RuntimeError(
            f"{getattr(self.fn, '__name__', self.fn)}: makes new Variables each time it is traced. "
            "Make them once, outside the function or on its first call only."
        )

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def _split(self, args, kwargs):
        """Arrays and numbers are traced; strings, booleans, functions and other objects are not."""
        if self._static_argnums or self._static_argnames:
            args = [_Static(a) if i in self._static_argnums else a for i, a in enumerate(args)]
            kwargs = {k: _Static(a) if k in self._static_argnames else a for k, a in kwargs.items()}
        leaves, tree = jax.tree.flatten((tuple(args), kwargs))
        static = tuple(None if _is_traceable(leaf) else _Static(leaf) for leaf in leaves)
        return [leaf for leaf, s in zip(leaves, static, strict=True) if s is None], (tree, static)

    def _learn(self, leaves, key):
        """Find the Variables that this call touches, and make a program that lists them all."""
        seen = capture(lambda leaves: self._apply(leaves, key), leaves)
        with self._lock:
            before = self._program
            written = dict.fromkeys([*(before.written if before else ()), *seen.written])
            reads = dict.fromkeys([*(before.reads if before else ()), *seen.reads])
            reads = [v for v in reads if v not in written]
            self._program = Program(self._trace, list(written), reads, self.donate, (1,))
            return self._program

    def _trace(self, leaves, key):
        self.traces += 1
        return self._apply(leaves, key)

    def _apply(self, leaves, key):
        tree, static = key
        rest = iter(leaves)
        filled = [next(rest) if s is None else s.value for s in static]
        args, kwargs = jax.tree.unflatten(tree, filled)
        args = [a.value if isinstance(a, _Static) else a for a in args]
        kwargs = {k: a.value if isinstance(a, _Static) else a for k, a in kwargs.items()}
        return self.fn(*args, **kwargs)

    def lower(self, *args, **kwargs):
        """JAX's `Lowered` program for these arguments: `as_text()`, `compile().cost_analysis()`."""
        leaves, key = self._split(args, kwargs)
        program = self._learn(leaves, key)
        return program.jitted.lower(*program.read(), leaves, key)

    def jaxpr(self, *args, **kwargs):
        """The traced program for these arguments, in JAX's own language."""
        leaves, key = self._split(args, kwargs)
        program = self._learn(leaves, key)
        values, constants = program.read()
        return jax.make_jaxpr(program.pure, static_argnums=3)(values, constants, leaves, key)


class Program:
    """One compiled function and the Variables it stands on.

    Args:
        fn: Function that reads and writes Variables.
        written: Variables it may write. They are donated, and hold their new values afterwards.
        reads: Variables it only reads.
        donate: Whether the memory of written Variables may be reused.
        static_argnums: Positions of arguments that are part of the program.

    Raises:
        Unlisted: From a call that traces `fn` and meets a Variable in neither list.
    """

    def __init__(self, fn: Callable, written: list, reads: list, donate=True, static_argnums=()):
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
        static = tuple(n + 2 for n in static_argnums)
        self.jitted = jax.jit(pure, static_argnums=static, donate_argnums=0 if donate else ())

    def read(self) -> tuple[list, list]:
        """Values of the Variables as they are now: the written ones', the read ones'."""
        return [v.read() for v in self.written], [v.read() for v in self.reads]

    def __call__(self, *args):
        return self.run(*self.read(), *args)

    def run(self, values, constants, *args):
        """Call on values that `read` gave; the written Variables hold their new ones after it."""
        if self.donate and current_scope() is None:
            keep_held(values)
        return call_and_store(self.jitted, self.written, values, constants, *args)


def call_and_store(compiled, written, values, *args):
    """Call `compiled(values, *args) -> (result, new)`, and let each Variable hold its new value.

    The old values are donated, so an interrupt between the call's end and the assignments would
    leave Variables with deleted arrays. `extend` takes the result in C: Python sees an interrupt
    only when the result is already in `box`.
    """
    box = []
    try:
        box.extend(itertools.starmap(compiled, [(values, *args)]))
    finally:
        if box:
            store(written, box[0][1])
    return box[0][0]


def store(variables, values):
    """Let Variables hold values that already have the right shape and dtype."""
    scope = current_scope()
    if scope is None:
        for v, value in zip(variables, values, strict=True):
            v._value = value
    else:
        for v, value in zip(variables, values, strict=True):
            scope.write(v, value)


def keep_held(values):
    """Replace, in a list about to be donated, the arrays that someone else holds by copies."""
    for i in range(len(values)):
        if sys.getrefcount(values[i]) > _UNHELD:
            values[i] = jnp.copy(values[i])


def _references_of_an_unheld_value():
    slot = types.SimpleNamespace(_value=object())  # stands for a Variable, which needs a device
    values = [slot._value]
    for i in range(len(values)):
        return sys.getrefcount(values[i])


class _Static:
    """A leaf that is part of the program, compared by value where that is possible."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __hash__(self):
        try:
            return hash((type(self.value), self.value))
        except TypeError:
            return id(self.value)

    def __eq__(self, other):
        if self.value is other.value:
            return True
        try:
            return type(self.value) is type(other.value) and bool(self.value == other.value)
        except Exception:  # an `==` that gives an array or refuses: other objects are not the same
            return False


def _is_traceable(leaf):
    if isinstance(leaf, bool | str | bytes | _Static):
        return False
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.dtype.kind not in "OSUM"
    return isinstance(leaf, jax.Array | int | float | complex) or hasattr(leaf, "__jax_array__")


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
        >>> count = Variable(0)
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


def value_and_grad(fn: Callable, variables: Any = None, has_aux: bool = False, argnums=0) -> Callable:
    """Make a function that returns `fn`'s value and its gradients.

    Args:
        fn: Function of any arguments that returns a scalar, or `(scalar, anything)` with
            `has_aux`. It may read and write Variables.
        variables: Variables to differentiate by, in any nest of lists, tuples and dicts; the
            gradients come in the same nest. `None` differentiates by arguments, as JAX does.
        has_aux: Whether `fn` returns something besides the scalar.
        argnums: Position or positions of the arguments to differentiate by, without `variables`.

    Example:
        >>> w = Variable([1.0, 2.0])
        >>> value_and_grad(lambda: (w * w).sum(), w)()
        (Array(5., dtype=float32), Array([2., 4.], dtype=float32))
    """

    def run(*args, **kwargs):
        targets, tree = jax.tree.flatten(variables, is_leaf=is_variable)
        strange = [t for t in targets if not is_variable(t)]
        if strange:
            raise TypeError(f"value_and_grad: `variables` must hold Variables; got {strange[0]!r}.")

        def inner(values, *args):
            with Scope(zip(targets, values, strict=True)):
                (result, effects) = isolated(*args, **kwargs)
            loss, aux = result if has_aux else (result, None)
            return loss, (aux, effects)

        isolated, replay = isolate(fn)
        by = 0 if variables is not None else jax.tree.map(lambda n: n + 1, argnums)
        values = [v.read() for v in targets]
        transformed = jax.value_and_grad(inner, argnums=by, has_aux=True)
        (loss, (aux, effects)), grads = transformed(values, *args)
        replay(effects)
        if variables is not None:
            grads = jax.tree.unflatten(tree, grads)
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
        >>> scale = Variable(2.0)
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
        >>> total = Variable(0.0)
        >>> _ = scan(lambda carry, x: (carry, total.assign_add(x)), None, np.arange(4.0))
        >>> float(total)
        6.0
    """
    xs = jax.tree.map(jnp.asarray, xs)
    first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
    written = capture(f, init, first).written

    def step(carry, x):
        inner, values = carry
        with Scope(zip(written, values, strict=True)) as scope:
            inner, y = f(inner, x)
        return (inner, [scope.values[v] for v in written]), y

    start = (init, [v.read() for v in written])
    (last, values), ys = jax.lax.scan(step, start, xs, length, reverse, unroll)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return last, ys


def fori_loop(lower, upper, body: Callable, init: Any, variables: list | None = None) -> Any:
    """`jax.lax.fori_loop` over a function that may read and write Variables.

    Args:
        lower, upper: First index and the one after the last; they may be traced.
        body: Function `(index, carry) -> carry`.
        init: First carry.
        variables: The Variables that `body` may write, if known; found by tracing otherwise.

    Example:
        >>> total = Variable(0)
        >>> _ = fori_loop(0, 4, lambda i, carry: total.assign_add(i), 0)
        >>> int(total)
        6
    """
    index = jnp.asarray(lower, "int32")
    written = capture(body, index, init).written if variables is None else variables
    listed = set(written)

    def step(i, carry):
        inner, values = carry
        with Scope(zip(written, values, strict=True)) as scope:
            inner = body(i, inner)
        for v in scope.written:
            if v not in listed:
                raise Unlisted(_sealer(), v)
        return inner, [scope.values[v] for v in written]

    start = (init, [v.read() for v in written])
    last, values = jax.lax.fori_loop(index, jnp.asarray(upper, "int32"), step, start)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return last


def _sealer():
    scope = current_scope()
    while scope is not None and scope.sealed is None:
        scope = scope.outer
    return scope and scope.sealed


def remat(fn: Callable, policy: Callable | None = None, prevent_cse: bool = True) -> Callable:
    """Forget what `fn` computes on the way forward and compute it again for the gradient.

    Trades time for memory. `policy` says which values to keep: one of `jax.checkpoint_policies`.
    """

    def run(*args, **kwargs):
        isolated, replay = isolate(lambda *args: fn(*args, **kwargs))
        result, effects = jax.checkpoint(isolated, policy=policy, prevent_cse=prevent_cse)(*args)
        replay(effects)
        return result

    return functools.wraps(fn)(run) if hasattr(fn, "__name__") else run


def custom_gradient(fn: Callable) -> Callable:
    """Give a function a gradient of your own.

    Args:
        fn: Function of arrays that returns `(result, grad_fn)`; `grad_fn(*upstream)` takes the
            gradient with respect to the result and returns one for each argument. Variables that
            `fn` reads count as constants.

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
        reads = capture(lambda *args: fn(*args, **kwargs)[0], *args).reads

        @jax.custom_gradient
        def inner(values, *args):
            with Scope(zip(reads, values, strict=True)):
                result, grad_fn = fn(*args, **kwargs)
            zeros = jax.tree.map(jnp.zeros_like, values)

            def backward(upstream):
                many = isinstance(upstream, tuple | list)
                grads = grad_fn(*upstream) if many else _call_grad(grad_fn, upstream)
                grads = tuple(grads) if isinstance(grads, tuple | list) else (grads,)
                return (zeros, *grads)

            return result, backward

        return inner([jax.lax.stop_gradient(v.read()) for v in reads], *args)

    return run


def _call_grad(grad_fn, upstream):
    try:
        return grad_fn(upstream)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        return grad_fn(upstream=upstream)


_UNHELD = _references_of_an_unheld_value()
