"""The engine of `fit`, `evaluate` and `predict`: steps compiled once, and fused on the device.

A step is compiled inside a loop with a free number of turns, so one program runs 1, 2, 8 or a
whole epoch of steps, and the number never changes a result. Steps that XLA runs badly inside loops
(see `loop_hostile`) are compiled plainly and called one by one.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import hints
from kerasish.core.trace_log import TraceLog, describe_leaves, describe_program
from kerasish.core.tracking import nan_flags
from kerasish.core.transforms import Program, Unlisted, fori_loop
from kerasish.core.variable import capture
from kerasish.training.chunks import Chunk, Source, as_arrays, fetch, form_of, sample_of, shapes_of

# Long enough that the host's share vanishes, short enough for a lively bar and a quick Ctrl-C.
CHUNK_SECONDS = 0.05
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
    """

    def __init__(
        self, body: Callable, finish: Callable, collect: bool = False, eager: bool = False
    ):
        self.body, self.finish = body, finish
        self.collect, self.eager = collect, eager
        self.written: list = []
        self.reads: list = []
        self.trained: list | None = None  # weights that it changed when last traced
        self.frozen: list[str] = []  # layers that were not trainable then
        self.hostile: str | None = None
        self.seconds: float | None = None  # of one step, as last measured
        self.most: int | None = None  # steps in a call, where someone watches them
        self.compile_seconds = 0.0
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
            carried = self.body(batch)
            flags = nan_flags.items()
            return carried, flags, self.finish(carried)

        with hints():
            seen = capture(whole, shapes_of(batch))
        written = dict.fromkeys([*self.written, *seen.written])
        reads = dict.fromkeys(v for v in (*self.reads, *seen.reads) if v not in written)
        if list(written) != self.written or list(reads) != self.reads:
            self._programs.clear()
        self.written, self.reads = list(written), list(reads)
        self.hostile = loop_hostile(seen.jaxpr) if jax.default_backend() == "cpu" else None
        self._carried[form_of(batch)] = seen.result[0]

    def prepare(self, batch: Any) -> None:
        """Learn about a batch of this form, building what is built lazily."""
        if not self.eager and form_of(batch) not in self._carried:
            start = time.perf_counter()
            self._learn(batch)
            self.compile_seconds += time.perf_counter() - start

    def stack_size(self, batch: Any) -> int:
        """How many batches of this form to run in one call at most; 1 for one by one."""
        self.prepare(batch)
        if self.eager or self.hostile:
            return 1
        nest = (batch, self._carried[form_of(batch)] if self.collect else None)
        size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(nest))
        return max(1, min(self.most or MAX_STACK, STACK_BYTES // max(size, 1)))

    def forget(self) -> None:
        """Compile anew at the next call, for a change that the compiled step does not see."""
        self._programs.clear()
        self._carried.clear()

    def _program(self, key, make):
        if key not in self._programs:
            self._programs[key] = Program(make(), self.written, self.reads)
        return self._programs[key]

    def _plain(self):
        def run(batch):
            self._note("one step a call", batch)
            carried, bad = self._checked(batch, jnp.int32(-1))
            return (None if self.collect else self.finish(carried)), bad, carried

        return run

    def _loop(self, kind, rows, carried, size):
        def run(data, start, count):
            self._note("many steps a call", sample_of(Chunk(kind, data, 0, 0, rows)))

            def turn(i, state):
                before, bad, kept = state
                result, bad = self._checked(fetch(kind, data, start + i, rows), bad)
                if not self.collect:
                    return result, bad, kept
                kept = jax.tree.map(lambda k, x: k.at[i].set(x), kept, result)
                return before, bad, kept

            zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), carried)
            kept = jax.tree.map(lambda s: jnp.zeros((size, *s.shape), s.dtype), carried)
            state = (None if self.collect else zeros, jnp.int32(-1), kept if self.collect else None)
            last, bad, kept = fori_loop(0, count, turn, state, variables=self.written)
            return (None if self.collect else self.finish(last)), bad, kept

        return run

    def _checked(self, batch, bad):
        """A step; with NaN checks on, one that changes nothing from the first NaN on."""
        if not settings.nan_checks_enabled():
            return jax.tree.map(jnp.asarray, self.body(batch)), bad
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
            carried = jax.tree.map(jnp.asarray, self.body(as_arrays(chunk.data)))
            return (None, carried) if self.collect else (self.finish(carried), None)
        sample = sample_of(chunk)
        for _ in range(4):
            self.prepare(sample)
            before, start = self.traces, time.perf_counter()
            program, args = self._choose(chunk, sample)
            try:
                logs, bad, outputs = program(*args)
                break
            except Unlisted as miss:
                if miss.maker is not program:
                    raise
                self._carried.clear()
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

    def _choose(self, chunk, sample):
        checks = settings.nan_checks_enabled()
        if chunk.kind == "batch":
            return self._program(("batch", checks), self._plain), (as_arrays(chunk.data),)
        carried = self._carried[form_of(sample)]
        key = (chunk.kind, chunk.rows, chunk.size, checks, form_of(sample))
        make = lambda: self._loop(chunk.kind, chunk.rows, carried, chunk.size)  # noqa: E731
        program = self._program(key, make)
        return program, (chunk.data, np.int32(chunk.start), np.int32(chunk.count))

    def run(self, source: Source, limit: int | None = None, most: int | None = None) -> Iterator:
        """Run over batches, yielding `(steps done, logs, outputs, chunk)` after each call.

        Args:
            source: Where batches come from.
            limit: Number of steps after which to stop, `None` for one pass over the data.
            most: Most steps in one call, `None` to choose by time.
        """
        self.most = most
        done, measured, waiting = 0, 0, deque()
        size = 1 if self.seconds is None else max(1, int(CHUNK_SECONDS / self.seconds))
        mark = time.perf_counter()
        while limit is None or done < limit:
            wanted = min(size, most or size)
            chunk = source.take(wanted if limit is None else min(wanted, limit - done), self)
            if chunk is None:
                if limit is None or not source.restart():
                    break
                continue
            traces = self.traces
            logs, outputs = self.execute(chunk)
            done += chunk.count
            waiting.append((chunk.count, (logs, outputs)))
            if len(waiting) > 1 or measured < 2:
                count, ready = waiting.popleft()
                jax.block_until_ready(ready)
                now = time.perf_counter()
                measured += 1
                if self.traces == traces and measured > 1:
                    self.seconds = max((now - mark) / count, 1e-7)
                    size = max(1, min(int(CHUNK_SECONDS / self.seconds), 8 * chunk.count))
                mark = now
            yield done, logs, outputs, chunk
        for _, ready in waiting:
            jax.block_until_ready(ready)


def loop_hostile(jaxpr: Any) -> str | None:
    """The operation for which XLA's CPU backend has only a naive path inside loops, if any.

    Those are gradients of `lax` convolutions and of pooling windows.
    """
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = eqn.primitive.name
        if name == "conv_general_dilated" and not _is_forward(eqn.params):
            return "gradient of a convolution"
        if name.startswith("select_and_"):
            return "gradient of a pooling window"
        inner = [
            x for x in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_jaxpr) if _is_jaxpr(x)
        ]
        found = [loop_hostile(x) for x in inner]
        # Of the branches for several kinds of device, one that is good on the CPU is enough.
        if any(found) and not (name == "cond" and None in found):
            return next(filter(None, found))
    return None


def _is_jaxpr(x):
    return hasattr(x, "eqns") or hasattr(x, "jaxpr")


def _is_forward(params):
    numbers = params["dimension_numbers"]
    rank = len(numbers.lhs_spec)
    forward_kernel = numbers.rhs_spec[:2] == (rank - 1, rank - 2)
    return (
        forward_kernel
        and numbers.lhs_spec[0] == 0 == numbers.out_spec[0]
        and set(params["lhs_dilation"]) <= {1}
    )
