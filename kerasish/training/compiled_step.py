"""The engine of `fit`, `evaluate` and `predict`: steps compiled once, and fused on the device.

A step is compiled inside a loop with a free number of turns, so one program runs 1, 2, 8 or a
whole epoch of steps, and the number never changes a result. Steps that XLA runs badly inside loops
(see `slow_in_loops`) are compiled plainly and called one by one.
"""

import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import processes, settings
from kerasish.core.errors import hints
from kerasish.core.lowering import assume_local_devices
from kerasish.core.state.functional import capture
from kerasish.core.state.loops import fori_loop
from kerasish.core.state.program import Program
from kerasish.core.state.scope import UncapturedVariable
from kerasish.core.state.trace_list import nan_flags
from kerasish.core.state.trace_log import TraceLog, describe_leaves, describe_program
from kerasish.core.state.variable import values_of
from kerasish.distribution import batch_sharding as spread
from kerasish.kernels.loop_support import slow_in_loops
from kerasish.training.chunk import Chunk, batch_spec, fetch, placed, sample_of, spec_key
from kerasish.training.chunk_sources import Source
from kerasish.training.step_timing import CHUNK_SECONDS, Times

# What the batches of one call, and the outputs kept of them, may take.
STACK_BYTES = 4 * 2**20
MAX_STACK = 1024


class Step:
    """One kind of step of a model (train, test or predict), compiled, and run over batches.

    Args:
        body: Stateful function of a batch; what it returns is carried to the next step.
        finish: Stateful function of what the last step carried, giving the logs.
        collect: Whether `body` returns outputs to keep from every step, instead of carrying.
        eager: Whether to run uncompiled.
        likely: Function of a batch's shapes that lists the Variables which `body` is likely to
            touch, or none while it may still build something. If it touches no others, its Python
            runs only once.
    """

    def __init__(
        self,
        body: Callable,
        finish: Callable,
        collect: bool = False,
        eager: bool = False,
        expected_variables: Callable = lambda batch: [],
    ):
        self.body, self.finish, self.expected_variables = body, finish, expected_variables
        self._inner: Program | None = None  # the body, to lie in programs
        self.collect, self.eager = collect, eager
        self.written: list = []
        self.reads: list = []
        self.trained: list | None = None  # weights that it changed when last traced
        self.frozen: list[str] = []  # layers that were not trainable then
        self.slow_op: str | None = None
        self.seconds: float | None = None  # of one step, as last measured
        self.most: int | None = None  # steps in a call, where someone watches them
        self.room: int | None = None  # steps that a stack holds, as last seen
        self.compile_seconds = 0.0
        self.times = Times()
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

    def _note(self, how, batch):
        self._log.note({"run": how, **describe_program(self), **describe_leaves("batch", batch)})

    def _learn(self, batch):
        """Trace one step abstractly: which Variables it touches, what it carries, what it holds."""

        def whole(batch):
            carried = self._within(batch)
            flags = nan_flags.items()
            return carried, flags, self.finish(carried)

        expected_variables = [] if self._inner else self.expected_variables(batch)
        if expected_variables:
            self._inner = Program(self.body, expected_variables, [], donate=False)
        with hints(), assume_local_devices():
            seen = capture(whole, batch_spec(batch))
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
        """Learn about a batch of this form, building what is built lazily."""
        if not self.eager and spec_key(batch) not in self._carried:
            start = time.perf_counter()
            self._learn(batch)
            self.compile_seconds += time.perf_counter() - start

    def stack_size(self, batch: Any) -> int:
        """How many batches of this form a stack has room for; 0 for one by one, without a stack.

        Where a single step is all that is wanted it runs in a stack too: the same loop, so that the
        number of steps in a call does not change a bit of the result.
        """
        self.prepare(batch)
        if self.eager or self.slow_op:
            return 0
        nest = (batch, self._carried[spec_key(batch)] if self.collect else None)
        size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(nest))
        self.room = max(1, min(MAX_STACK, STACK_BYTES // max(size, 1)))
        return min(self.most or self.room, self.room) if self.room > 1 else 0

    def forget(self) -> None:
        """Compile anew at the next call, for a change that the compiled step does not see."""
        self._inner = None
        self._programs.clear()
        self._carried.clear()

    def _program(self, key, make):
        if key not in self._programs:
            self._programs[key] = Program(make(), self.written, self.reads, tuned=True)
        return self._programs[key]

    def forms(self) -> list:
        """Shapes and dtypes of the batches it has met."""
        return [
            jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
            for tree, leaves in self._carried
        ]

    def trace(self, batch: Any, one: bool = False) -> Any:
        """JAX's `Traced` program that runs batches of this form, to look at what it costs.

        Args:
            batch: Shapes and dtypes of a batch.
            one: Whether to trace one step alone, instead of as many as run in a call.
        """
        rows = jax.tree.leaves(batch)[0].shape[0]
        while True:
            size = 0 if one else self.stack_size(batch)
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
            self._note("many steps a call", sample_of(Chunk(kind, data, 0, 0, rows)))

            def turn(i, state):
                before, bad, kept = state
                batch = spread.constrain_batch(fetch(kind, data, start + i, rows))
                result, bad = self._checked(batch, bad)
                if not self.collect:
                    return result, bad, kept
                kept = jax.tree.map(lambda k, x: k.at[i].set(x), kept, result)
                return before, bad, kept

            zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), carried)
            kept = jax.tree.map(lambda s: jnp.zeros((size, *s.shape), s.dtype), carried)
            kept = spread.constrain_batch(kept, stacked=True) if self.collect else None
            state = (None if self.collect else zeros, jnp.int32(-1), kept)
            last, bad, kept = fori_loop(0, count, turn, state, variables=self.written)
            return self._ended(last), bad, self._kept(kept, stacked=True)

        return run

    def _ended(self, carried):
        """The logs, whole on every device, as the host reads them."""
        return None if self.collect else spread.constrain_whole(self.finish(carried))

    def _kept(self, outputs, stacked=False):
        return spread.constrain_outputs(outputs, stacked) if self.collect else None

    def _checked(self, batch, bad):
        """A step; with NaN checks on, one that changes nothing from the first NaN on."""
        if not settings.nan_checks_enabled():
            return jax.tree.map(jnp.asarray, self._within(batch)), bad
        before = [v.read() for v in self.written]
        carried = jax.tree.map(jnp.asarray, self.body(batch))
        flags = nan_flags.items()
        self._flag_names = [name for flag in flags for name in flag]
        found = jnp.stack([f for flag in flags for f in flag.values()] or [jnp.array(False)])
        bad = jnp.where((bad < 0) & found.any(), jnp.argmax(found).astype("int32"), bad)
        for variable, old in zip(self.written, before, strict=True):
            variable.assign(jnp.where(bad >= 0, old, variable.read()))
        return carried, bad

    # -- running

    def execute(self, chunk: Chunk) -> tuple[Any, Any]:
        """Run a chunk; returns the logs and, when collecting, the outputs of its steps."""
        if self.eager:
            carried = jax.tree.map(jnp.asarray, self.body(placed(chunk, eager=True)))
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
            self.compile_seconds += time.perf_counter() - start
        if settings.nan_checks_enabled() and int(bad) >= 0:
            where = self._flag_names[int(bad)] if self._flag_names else "the loss"
            raise RuntimeError(
                f"NaN first seen in the output of {where!r}. The weights are as they were before "
                "that step. Look at the data, the learning rate, and divisions or logarithms there."
            )
        return logs, outputs

    def _choose(self, chunk):
        checks = settings.nan_checks_enabled()
        if chunk.kind == "batch":
            key = ("batch", checks)
            if key not in self._programs:
                self.prepare(batch_spec(chunk.data))
            return self._program(key, self._plain), (placed(chunk),)
        sample = sample_of(chunk)
        self.prepare(sample)
        carried = self._carried[spec_key(sample)]
        key = (chunk.kind, chunk.rows, chunk.size, checks, spec_key(sample))
        make = lambda: self._loop(chunk.kind, chunk.rows, carried, chunk.size)  # noqa: E731
        program = self._program(key, make)
        return program, (placed(chunk), np.int32(chunk.start), np.int32(chunk.count))

    def run(self, source: Source, limit: int | None = None, most: int | None = None) -> Iterator:
        """Run over batches, yielding `(steps done, logs, outputs, chunk)` after each call.

        Args:
            source: Where batches come from.
            limit: Number of steps after which to stop, `None` for one pass over the data.
            most: Steps in one call, as far as a stack and the data go; `None` to choose by time.
        """
        self.most = most
        done, measured, waiting = 0, 0, deque()
        size = 1 if self.seconds is None else max(1, int(CHUNK_SECONDS / self.seconds))
        mark, times = time.perf_counter(), self.times
        times.start()
        while limit is None or done < limit:
            wanted = most or size
            before = self.compile_seconds
            chunk = source.take(wanted if limit is None else min(wanted, limit - done), self)
            times.lap("input" if self.compile_seconds == before else "compiling")
            if chunk is None:
                if limit is None or not source.restart():
                    break
                continue
            traces = self.traces
            logs, outputs = self.execute(chunk)
            done += chunk.count
            began = times.called(chunk.count, compiled=self.traces != traces)
            waiting.append((chunk.count, began, (logs, outputs)))
            if len(waiting) > 1 or measured < 2:
                count, began, ready = waiting.popleft()
                jax.block_until_ready(ready)
                now = times.ended(count, began)
                measured += 1
                if self.traces == traces and measured > 1:
                    self.seconds = _agreed(max((now - mark) / count, 1e-7), measured, self.seconds)
                    size = max(1, min(int(CHUNK_SECONDS / self.seconds), 8 * chunk.count))
                mark = now
            yield done, logs, outputs, chunk
            times.lap("outside")
        for count, began, ready in waiting:
            jax.block_until_ready(ready)
            times.ended(count, began)


def _agreed(seconds, measured, before):
    """Seconds of a step that all processes go by: those of the slowest, asked now and then."""
    if processes.count() == 1:
        return seconds
    if before is not None and measured & (measured - 1):  # not at a power of two
        return before
    return max(float(s) for s in processes.exchange("steps in a call", repr(seconds)))


def _compare(name, jaxpr):
    """Make sure that all processes are about to run the same program."""
    text = re.sub("0x[0-9a-f]+", "", str(jaxpr))
    processes.compare(f"compiling {name}", {"program": f"{zlib.crc32(text.encode()):08x}"})


def _resized(nest, shapes):
    leaves, tree = jax.tree.flatten(nest)
    pairs = zip(leaves, shapes, strict=True)
    return jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(s, a.dtype) for a, s in pairs])
