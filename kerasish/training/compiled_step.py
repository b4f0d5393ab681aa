"""Compiled steps: what `fit`, `evaluate` and `predict` run, fused on the device.

A step is compiled inside a loop with a free number of iterations, so one program runs 1, 2, 8 or a
whole epoch of steps, and the number never changes a result. Steps that XLA runs badly inside loops
(see `slow_in_loops`) are compiled plainly and called one by one.
"""

import contextlib
import re
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import processes, settings
from kerasish.core.errors import hints
from kerasish.core.lowering import assume_local_devices
from kerasish.core.state.changes import changes
from kerasish.core.state.functional import capture
from kerasish.core.state.loops import fori_loop
from kerasish.core.state.program import Program
from kerasish.core.state.scope import UncapturedVariable
from kerasish.core.state.trace_list import nan_flags
from kerasish.core.state.trace_log import TraceLog, describe_leaves, describe_program
from kerasish.core.state.variable import values_of
from kerasish.distribution import batch_sharding
from kerasish.kernels.loop_support import slow_in_loops
from kerasish.layers.base.fingerprint import Fingerprint
from kerasish.training.chunk import (
    Chunk,
    batch_spec,
    fetch,
    put_on_devices,
    spec_key,
    spec_of_one,
)
from kerasish.training.host_inputs import restoring
from kerasish.training.nan_guard import raise_if_bad, run_guarded
from kerasish.training.step_timing import Times

# What the batches of one call, and the outputs kept of them, may take.
STACK_BYTES = 4 * 2**20
MAX_STACK = 1024


class CompiledStep:
    """One kind of step of a model (train, test or predict), compiled.

    Args:
        body: Stateful function of a batch; what it returns is carried to the next step.
        finish: Stateful function of what the last step carried, giving the logs.
        collect: Whether `body` returns outputs to keep from every step, instead of carrying.
        eager: Whether to run uncompiled.
        expected_variables: Function of a batch's spec that lists the Variables which `body` is
            expected to read or write, or none while it may still build something. If it touches no
            others, its Python runs only once.
        look: Makes the fingerprint of what the step depends on besides Variables and batches.
    """

    def __init__(
        self,
        body: Callable,
        finish: Callable,
        collect: bool = False,
        eager: bool = False,
        expected_variables: Callable = lambda batch: [],
        look: Callable[[], Fingerprint] | None = None,
    ):
        self.body, self.finish = restoring(body), finish
        self.expected_variables = expected_variables
        self._inner: Program | None = None  # the body, called from other programs
        self.collect, self.eager = collect, eager
        self.written: list = []
        self.reads: list = []
        self.trained: list | None = None  # weights that it changed when last traced
        self.frozen: list[str] = []  # layers that were not trainable then
        self.slow_op: str | None = None
        self.output_order: Any = None  # of the keys of dicts that it collects, as last traced
        self.seconds: float | None = None  # of one step, as last measured
        self.max_batches: int | None = None  # steps in a call, where someone watches them
        self.room: int | None = None  # steps that a stack holds, as last seen
        self.compile_seconds = 0.0
        self.times = Times()
        self._on_compile: Callable[[bool], None] | None = None
        self._look = look
        self._fingerprint: Fingerprint | None = None  # as it was when last traced
        self._version = 0
        self._log = TraceLog(getattr(body, "__name__", "step"))
        self._programs: dict = {}
        self._carried: dict = {}
        self._flag_names: list[str] = []

    # -- compiling

    @property
    def traces(self) -> int:
        """How often it has been traced."""
        return len(self._log)

    @property
    def why_traced(self) -> list[str]:
        """A sentence for each trace: what was new."""
        return list(self._log.reasons)

    @contextlib.contextmanager
    def observed(self, on_compile: Callable[[bool], None] | None) -> Iterator[None]:
        """Inside, tell a function when tracing or compiling begins (`True`) and ends (`False`).

        Args:
            on_compile: The function, if any.
        """
        self._on_compile = on_compile
        try:
            yield
        finally:
            self._on_compile = None

    def _say_compiling(self, begins):
        if self._on_compile is not None:
            self._on_compile(begins)

    def _note(self, how, batch):
        self._say_compiling(True)
        self._log.note({"run": how, **describe_program(self), **describe_leaves("batch", batch)})

    def _learn(self, batch):
        """Trace one step abstractly: which Variables it touches, what it carries, what it holds."""

        def step_and_logs(batch):
            carried = self._within(batch)
            flags = nan_flags.items()
            return carried, flags, self.finish(carried)

        expected_variables = [] if self._inner else self.expected_variables(batch)
        if expected_variables:
            self._inner = Program(self.body, expected_variables, [], donate=False)
        with hints(), assume_local_devices():
            seen = capture(step_and_logs, batch_spec(batch))
        written = dict.fromkeys([*self.written, *seen.written])
        reads = dict.fromkeys(v for v in (*self.reads, *seen.reads) if v not in written)
        if list(written) != self.written or list(reads) != self.reads:
            self._programs.clear()
        self.written, self.reads = list(written), list(reads)
        self.slow_op = slow_in_loops(seen.jaxpr) if jax.default_backend() == "cpu" else None
        self._carried[spec_key(batch)] = seen.result[0]
        if processes.count() > 1:
            _compare(self._log.name, seen.jaxpr)
        if self._inner is None:
            self._inner = Program(self.body, self.written, self.reads, donate=False)
        if self._look is not None:
            self._fingerprint, self._version = self._look(), changes.structure

    def _within(self, batch):
        """The body inside a trace: as a program of its own, so that its Python runs but once."""
        inner = self._inner
        if inner is None or settings.nan_checks_enabled():  # what layers note stays in their trace
            return self.body(batch)
        try:
            return inner(batch)
        except UncapturedVariable as miss:
            if miss.owner is not inner:
                raise
            self._inner = None
            return self.body(batch)

    def prepare(self, batch: Any) -> None:
        """Trace a step on batches of this spec, unless it was; builds what is built lazily.

        Args:
            batch: A batch, or its spec.
        """
        if not self.eager and spec_key(batch) not in self._carried:
            start = time.perf_counter()
            self._say_compiling(True)
            self._learn(batch)
            self._say_compiling(False)
            self.compile_seconds += time.perf_counter() - start

    def stack_room(self, batch: Any) -> int:
        """How many batches of this spec a stack has room for; 0 for one by one, without a stack.

        Where a single step is all that is wanted it runs in a stack too: the same loop, so that the
        number of steps in a call does not change a bit of the result.

        Args:
            batch: Spec of a batch; `None` where there is no batch.
        """
        if batch is None:
            return 0
        self.prepare(batch)
        if self.eager or self.slow_op:
            return 0
        pytree = (batch, self._carried[spec_key(batch)] if self.collect else None)
        size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(pytree))
        self.room = max(1, min(MAX_STACK, STACK_BYTES // max(size, 1)))
        return min(self.max_batches or self.room, self.room) if self.room > 1 else 0

    def follow_changes(self) -> None:
        """Compile anew at the next call if layers have changed since it was last traced."""
        if self._fingerprint is not None and self._version != changes.structure:
            self._version = changes.structure
            if not self._fingerprint.still_holds():
                self.forget()

    def forget(self) -> None:
        """Compile anew at the next call, for a change that the compiled step does not see."""
        self._fingerprint = None
        self._inner = None
        self._programs.clear()
        self._carried.clear()

    def _program(self, key, make):
        if key not in self._programs:
            self._programs[key] = Program(make(), self.written, self.reads, tuned=True)
        return self._programs[key]

    def single_batch_program(self) -> Program | None:
        """The program of single batches, if it is compiled and checks nothing."""
        return None if self.eager else self._programs.get(("batch", False))

    def forms(self) -> list:
        """Specs of the batches it was traced for."""
        return [
            jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
            for tree, leaves in self._carried
        ]

    def trace(self, batch: Any, one: bool = False) -> Any:
        """JAX's `Traced` program that runs batches of this spec, to look at what it costs.

        Args:
            batch: Shapes and dtypes of a batch.
            one: Whether to trace a single step, instead of as many as run in a call.
        """
        rows = jax.tree.leaves(batch)[0].shape[0]
        while True:
            size = 0 if one else self.stack_room(batch)
            chunk = Chunk("batch", batch, 0, 1, rows)
            if size:
                stack = [(size, *s.shape) for s in jax.tree.leaves(batch)]
                chunk = Chunk("stack", _resized(batch, stack), 0, size, rows, size)
            program, args = self._choose(chunk)
            try:
                with assume_local_devices():
                    return program.jitted().trace(*program.read(), *args)
            except UncapturedVariable as miss:
                if miss.owner is not program:
                    raise
                self.forget()

    def _plain(self):
        def run(batch):
            self._note("one step a call", batch)
            carried, bad = self._checked(batch, jnp.int32(-1))
            return self._ended(carried), bad, self._kept(carried)

        return run

    def _loop(self, kind, rows, carried, size):
        def run(data, start, count):
            self._note("many steps a call", spec_of_one(Chunk(kind, data, 0, 0, rows)))

            def iteration(i, state):
                before, bad, kept = state
                batch = batch_sharding.constrain_batch(fetch(kind, data, start + i, rows))
                result, bad = self._checked(batch, bad)
                if not self.collect:
                    return result, bad, kept
                kept = jax.tree.map(lambda k, x: k.at[i].set(x), kept, result)
                return before, bad, kept

            initial = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), carried)
            kept = jax.tree.map(lambda s: jnp.zeros((size, *s.shape), s.dtype), carried)
            kept = batch_sharding.constrain_batch(kept, stacked=True) if self.collect else None
            state = (None if self.collect else initial, jnp.int32(-1), kept)
            last, bad, kept = fori_loop(0, count, iteration, state, variables=self.written)
            return self._ended(last), bad, self._kept(kept, stacked=True)

        return run

    def _ended(self, carried):
        """The logs, complete on every device, as the host reads them."""
        return None if self.collect else batch_sharding.constrain_whole(self.finish(carried))

    def _kept(self, outputs, stacked=False):
        return batch_sharding.constrain_outputs(outputs, stacked) if self.collect else None

    def _checked(self, batch, bad):
        """A step; with NaN checks on, one that changes nothing from the first NaN on."""
        if not settings.nan_checks_enabled():
            return jax.tree.map(jnp.asarray, self._within(batch)), bad
        carried, bad, self._flag_names = run_guarded(self.body, self.written, batch, bad)
        return carried, bad

    # -- running

    def execute(self, chunk: Chunk) -> tuple[Any, Any]:
        """Run a chunk; returns the logs and, when collecting, the outputs of its steps.

        Args:
            chunk: The batches.

        Raises:
            RuntimeError: NaN was seen, with NaN checks on.
        """
        if self.eager:
            carried = jax.tree.map(jnp.asarray, self.body(put_on_devices(chunk, eager=True)))
            return (None, carried) if self.collect else (values_of(self.finish(carried)), None)
        for _ in range(4):
            program, args = self._choose(chunk)
            before, start = self.traces, time.perf_counter()
            try:
                with assume_local_devices():
                    logs, bad, outputs = program(*args)
                break
            except UncapturedVariable as miss:
                if miss.owner is not program:
                    raise
                self.forget()
        else:
            raise RuntimeError(
                "The step makes new Variables each time it is traced. Make them once, in "
                "`__init__` or `build`."
            )
        if self.traces != before:
            self._say_compiling(False)
            self.compile_seconds += time.perf_counter() - start
        if settings.nan_checks_enabled():
            raise_if_bad(int(bad), self._flag_names)
        return logs, outputs

    def _choose(self, chunk):
        checks = settings.nan_checks_enabled()
        if chunk.kind == "batch":
            key = ("batch", checks)
            if key not in self._programs:
                self.prepare(batch_spec(chunk.data))
            return self._program(key, self._plain), (put_on_devices(chunk),)
        sample = spec_of_one(chunk)
        self.prepare(sample)
        carried = self._carried[spec_key(sample)]
        key = (chunk.kind, chunk.rows, chunk.size, checks, spec_key(sample))
        make = lambda: self._loop(chunk.kind, chunk.rows, carried, chunk.size)  # noqa: E731
        program = self._program(key, make)
        return program, (put_on_devices(chunk), np.int32(chunk.start), np.int32(chunk.count))


def _compare(name, jaxpr):
    """Make sure that all processes are about to run the same program."""
    text = re.sub("0x[0-9a-f]+", "", str(jaxpr))
    processes.compare(f"compiling {name}", {"program": f"{zlib.crc32(text.encode()):08x}"})


def _resized(batch, shapes):
    leaves, tree = jax.tree.flatten(batch)
    pairs = zip(leaves, shapes, strict=True)
    return jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(s, a.dtype) for a, s in pairs])
