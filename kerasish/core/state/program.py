"""One compiled function and the Variables it stands on: what runs every compiled call."""

import itertools
import operator
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import lowering, partitioning
from kerasish.core.malloc import retain_freed_memory
from kerasish.core.state.scope import Scope, UncapturedVariable, current_scope, state_lock, store
from kerasish.core.state.variable import Variable, values_of

_held = operator.attrgetter("_value")


class Program:
    """One compiled function and the Variables it stands on.

    Args:
        fn: Function that reads and writes Variables.
        written: Variables it may write. They are donated, and hold their new values afterwards.
        reads: Variables it only reads.
        donate: Whether the memory of written Variables may be reused.
        tuned: Whether to compile by `lowering.tuned_jit`: such a program is called in no other.

    Raises:
        UncapturedVariable: From a call that traces `fn` and touches a Variable in neither list.
    """

    def __init__(
        self, fn: Callable, written: list, reads: list, donate: bool = True, tuned: bool = False
    ):
        self.written, self.reads, self.donate, self.tuned = written, reads, donate, tuned
        listed = set(written)

        def pure(values, constants, *args):
            inside = [*zip(written, values, strict=True), *zip(reads, constants, strict=True)]
            with Scope(inside, sealed=self) as scope:
                result = values_of(fn(*args))
            for v in scope.written:
                if v not in listed:
                    raise UncapturedVariable(self, v)
            self._assigned.update(scope.written)
            return result, [scope.values[v] for v in written]

        self.pure = pure
        self._assigned: dict = {}  # Variables that it did write when it was traced
        self._jitted: dict[tuple, Callable] = {}
        self._settled: Any = None  # the distribution that the Variables are laid out by
        self._by_distribution: dict[Any, dict] = {None: self._jitted}

    def jitted(self, *static: Any) -> Callable:
        """The compiled form of `pure`, with these as the last arguments.

        Args:
            *static: Values of the static arguments.
        """
        if self._settled is not partitioning.state.distribution and current_scope() is None:
            self._settle()
        form = static, lowering.lowering_for_cpu()
        found = self._jitted.get(form)
        if found is None:

            def run(values, constants, *args):
                return self.pure(values, constants, *args, *static)

            retain_freed_memory()
            compile_for = lowering.tuned_jit if self.tuned else jax.jit
            found = compile_for(run, donate_argnums=0 if self.donate else ())
            # JAX looks up static arguments by itself, but takes several times as long.
            found = self._jitted.setdefault(form, found)
        return found

    def _settle(self):
        """Lay out every Variable as the current distribution wants it."""
        with state_lock:
            self._settled = partitioning.state.distribution
            self._jitted = self._by_distribution.setdefault(self._settled, {})
            for v in sorted((*self.written, *self.reads), key=lambda v: v._serial):
                v.settle()

    def read(self) -> tuple[list, list]:
        """Values of the Variables as they are now: the written ones', the read ones'."""
        if current_scope() is None:
            return list(map(_held, self.written)), list(map(_held, self.reads))
        return [v.read() for v in self.written], [v.read() for v in self.reads]

    def __call__(self, *args, static: tuple = ()):
        """Call; `static` arguments come last and are part of the program."""
        return self.run(self.jitted(*static), args)

    def run(self, jitted: Callable, args: tuple) -> Any:
        """Call what `jitted` gave, for those who call the same again and again.

        Args:
            jitted: The compiled form.
            args: Arguments without the static ones.
        """
        if self.written:
            return self._call_and_store(jitted, args)
        try:
            return jitted(*self.read(), *args)[0]
        except (RuntimeError, ValueError) as error:
            if "deleted" not in str(error) and "donated" not in str(error):
                raise
            # Between reading and calling, another thread may have donated what was read.
            with state_lock:
                return jitted(*self.read(), *args)[0]

    def _call_and_store(self, jitted, args):
        if current_scope() is not None:
            values, constants = self.read()
            result, new = jitted(values, constants, *args)
            for variable, value in zip(self.written, new, strict=True):
                if variable in self._assigned:
                    store([variable], [value])
            return result
        with state_lock:
            values, constants = self.read()
            if self.donate:
                keep_held(values)
            return call_and_store(jitted, self.written, values, constants, *args)


def call_and_store(
    compiled: Callable, written: Sequence[Variable], values: list, *args: Any
) -> Any:
    """Call `compiled(values, *args) -> (result, new)`, and let each Variable hold its new value.

    The old values are donated, so an interrupt between the call's end and the assignments would
    leave Variables with deleted arrays. `extend` takes the result in C: Python sees an interrupt
    only when the result is already in `box`, and then stores it (again).

    Args:
        compiled: The compiled function.
        written: The Variables that it writes.
        values: Their values.
        *args: The other arguments.
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


def keep_held(values: list) -> None:
    """Replace, in a list about to be donated, the arrays that someone else holds by copies.

    Args:
        values: The list.
    """
    for i in range(len(values)):
        if sys.getrefcount(values[i]) > _UNHELD:
            values[i] = jnp.copy(values[i])


def _references_of_an_unheld_value():
    slot = types.SimpleNamespace(_value=object())  # stands for a Variable, which needs a device
    values, counts = [slot._value], []
    for i in range(len(values)):
        counts.append(sys.getrefcount(values[i]))
    return counts[0]


_UNHELD = _references_of_an_unheld_value()
