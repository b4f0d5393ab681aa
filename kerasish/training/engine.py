"""The engine of `fit`, `evaluate` and `predict`: steps compiled once, and fused on the device.

A step is compiled inside a loop with a free number of turns, so one program runs 1, 2, 8 or a
whole epoch of steps, and the number never changes a result. In-memory data is put on the device
once and gathered there by a shuffled index; streams come in stacks. Steps that XLA runs badly
inside loops (see `loop_hostile`) are compiled plainly and called one by one.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.tracking import nan_flags
from kerasish.core.transforms import Program, Unlisted, fori_loop
from kerasish.core.variable import capture
from kerasish.data import ArrayBatches, Batches, prefetch

# Long enough that the host's share vanishes, short enough for a lively bar and a quick Ctrl-C.
CHUNK_SECONDS = 0.05
# Streams are copied into a stack before they reach the device; more would not be faster.
STACK_BYTES = 4 * 2**20
MAX_STACK = 64


class Chunk(NamedTuple):
    """Some batches to run in one call: rows of resident arrays, a stack, or one batch."""

    kind: str  # "order": rows by index; "rows": rows in order; "stack"; "batch"
    data: Any
    start: int
    count: int
    rows: int


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
        self.hostile: str | None = None
        self.seconds: float | None = None  # of one step, as last measured
        self.compile_seconds = 0.0
        self.traces = 0
        self._programs: dict = {}
        self._carried: dict = {}
        self._flag_names: list[str] = []

    # -- compiling

    def _learn(self, batch):
        """Trace one step abstractly: which Variables it touches, what it carries, what it holds."""

        def whole(batch):
            carried = self.body(batch)
            flags = nan_flags.items()
            return carried, flags, self.finish(carried)

        seen = capture(whole, _shapes(batch))
        written = dict.fromkeys([*self.written, *seen.written])
        reads = dict.fromkeys(v for v in (*self.reads, *seen.reads) if v not in written)
        if list(written) != self.written or list(reads) != self.reads:
            self._programs.clear()
        self.written, self.reads = list(written), list(reads)
        self.hostile = loop_hostile(seen.jaxpr) if jax.default_backend() == "cpu" else None
        self._carried[_signature(batch)] = seen.result[0]
        return seen

    def prepare(self, batch: Any) -> None:
        """Learn about a batch of this form, building what is built lazily."""
        if not self.eager and _signature(batch) not in self._carried:
            start = time.perf_counter()
            self._learn(batch)
            self.compile_seconds += time.perf_counter() - start

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
            self.traces += 1
            carried, bad = self._checked(batch, jnp.int32(-1))
            return (None if self.collect else self.finish(carried)), bad, carried

        return run

    def _loop(self, kind, rows, carried, size):
        def run(data, start, count):
            self.traces += 1

            def turn(i, state):
                before, bad, kept = state
                result, bad = self._checked(_fetch(kind, data, start + i, rows), bad)
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
            carried = jax.tree.map(jnp.asarray, self.body(_as_arrays(chunk.data)))
            return (None, carried) if self.collect else (self.finish(carried), None)
        sample = _sample(chunk)
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
                "The step makes new Variables each time it is traced. Make them once, in `__init__` or `build`."
            )
        if self.traces != before:
            self.compile_seconds += time.perf_counter() - start
        if settings.nan_checks_enabled() and int(bad) >= 0:
            where = self._flag_names[int(bad)] if self._flag_names else "the loss"
            raise RuntimeError(
                f"NaN first seen in the output of {where!r}. The weights are as they were before that "
                "step. Look at the data, the learning rate, and divisions or logarithms there."
            )
        return logs, outputs

    def _choose(self, chunk, sample):
        checks = settings.nan_checks_enabled()
        if chunk.kind == "batch":
            return self._program(("batch", checks), self._plain), (_as_arrays(chunk.data),)
        carried = self._carried[_signature(sample)]
        size = MAX_STACK if self.collect else 0
        key = (chunk.kind, chunk.rows, checks, _signature(sample))
        program = self._program(key, lambda: self._loop(chunk.kind, chunk.rows, carried, size))
        return program, (chunk.data, np.int32(chunk.start), np.int32(chunk.count))

    def run(self, source: "Source", limit: int | None = None, most: int | None = None) -> Iterator:
        """Run over batches, yielding `(steps done, logs, outputs, chunk)` after each call.

        Args:
            source: Where batches come from.
            limit: Number of steps after which to stop, `None` for one pass over the data.
            most: Most steps in one call, `None` to choose by time.
        """
        done, measured, waiting = 0, 0, deque()
        size = 1 if self.seconds is None else max(1, int(CHUNK_SECONDS / self.seconds))
        mark = time.perf_counter()
        while limit is None or done < limit:
            wanted = min(size, most or size, MAX_STACK if self.collect else size)
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


class Source:
    """Batches as chunks; knows where it stands, so that an epoch may end in mid-pass."""

    def __init__(self, batches: Batches, epoch: int = 0):
        self.batches = batches
        self.passes = epoch
        self.begin()

    def begin(self) -> None:
        """Start a pass over the data."""

    def restart(self) -> bool:
        """Start the next pass; false if the data can be read only once or is at its end."""
        self.passes += 1
        self.begin()
        return True

    def take(self, most: int, step: Step) -> Chunk | None:
        """The next batches, at most `most`; `None` at the end of the pass."""
        raise NotImplementedError


class ResidentSource(Source):
    """Arrays in memory, put on the device once."""

    def __init__(self, batches: ArrayBatches, epoch: int = 0):
        self.arrays = jax.tree.map(_on_device, batches.arrays)
        super().__init__(batches, epoch)

    def begin(self):
        rows = self.batches.batch_size
        self.rows = min(rows, self.batches.num_samples)
        self.full, self.rest = divmod(self.batches.num_samples, self.rows)
        self.order = self.batches.order(self.passes)
        self.device_order = None if self.order is None else jax.device_put(self.order)
        self.position = 0

    def take(self, most, step):
        if self.position >= self.full + bool(self.rest):
            return None
        start, self.position = self.position, self.position + 1
        if start < self.full and not step.eager:
            single = self.full == 1 or step.hostile
            step.prepare(self._rows(start, self.rows, shapes_only=True))
            if not (single or step.hostile):
                count = min(most, self.full - start)
                self.position = start + count
                if self.order is None:
                    return Chunk("rows", self.arrays, start, count, self.rows)
                return Chunk("order", (self.arrays, self.device_order), start, count, self.rows)
        count = self.rows if start < self.full else self.rest
        return Chunk("batch", self._rows(start, count), start, 1, count)

    def _rows(self, start, count, shapes_only=False):
        if shapes_only:
            return jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((count, *a.shape[1:]), a.dtype), self.arrays
            )
        first = start * self.rows
        index = (
            slice(first, first + count) if self.order is None else self.order[first : first + count]
        )
        return jax.tree.map(lambda a: np.asarray(a)[index], self.batches.arrays)


class StreamSource(Source):
    """Batches from an iterable, read ahead by a thread and stacked."""

    def __init__(self, batches: Batches, epoch: int = 0):
        self.iterator = None
        self.held: Any = None
        super().__init__(batches, epoch)

    def begin(self):
        self.close()
        self.iterator = prefetch(self.batches.epoch(self.passes))
        self.seen = 0

    def restart(self):
        if not self.seen:
            return False
        return super().restart()

    def close(self):
        """Stop the reading thread."""
        if self.iterator is not None:
            self.iterator.close()
        self.iterator = None

    def _next(self):
        held, self.held = self.held, None
        if held is None:
            held = next(self.iterator, None)
            self.seen += held is not None
        return held

    def take(self, most, step):
        first = self._next()
        if first is None:
            return None
        rows = len(jax.tree.leaves(first)[0])
        one = Chunk("batch", first, 0, 1, rows)
        if step.eager:
            return one
        step.prepare(_sample(one))
        size = self._stack_size(first)
        if step.hostile or size == 1:
            return one
        batches, begun, form = [first], time.perf_counter(), _signature(first)
        while len(batches) < min(most, size) and time.perf_counter() - begun < CHUNK_SECONDS:
            batch = self._next()
            if batch is None:
                break
            if _signature(batch) != form:
                self.held = batch
                break
            batches.append(batch)
        return Chunk("stack", _stack(batches, size), 0, len(batches), rows)

    def _stack_size(self, batch):
        size = sum(a.nbytes for a in jax.tree.leaves(batch))
        return max(1, min(MAX_STACK, STACK_BYTES // max(size, 1)))


def make_source(batches: Batches, epoch: int = 0) -> Source:
    """Resident arrays where they fit on the device, a stream otherwise."""
    if isinstance(batches, ArrayBatches) and _fits(batches.arrays):
        return ResidentSource(batches, epoch)
    return StreamSource(batches, epoch)


def _fits(arrays):
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if not stats or "bytes_limit" not in stats:
        return True  # the CPU shares the host's memory, where the arrays already are
    return sum(a.nbytes for a in jax.tree.leaves(arrays)) < stats["bytes_limit"] / 4


def _on_device(array):
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    return jax.device_put(array if array.dtype == dtype else array.astype(dtype))


def _as_arrays(batch):
    return jax.tree.map(_on_device, batch)


def _stack(batches, size):
    def stack(*arrays):
        first = np.asarray(arrays[0])
        out = np.zeros((size, *first.shape), jax.dtypes.canonicalize_dtype(first.dtype))
        for i, array in enumerate(arrays):
            out[i] = array
        return out

    return jax.tree.map(stack, *batches)


def _fetch(kind, data, i, rows):
    if kind == "order":
        arrays, order = data
        index = jax.lax.dynamic_slice_in_dim(order, i * rows, rows)
        return jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds"), arrays)
    if kind == "rows":
        return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, i * rows, rows), data)
    return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), data)


def _sample(chunk):
    """Shapes of one batch of a chunk."""
    if chunk.kind == "batch":
        return _shapes(chunk.data)
    data = chunk.data[0] if chunk.kind == "order" else chunk.data
    lead = () if chunk.kind == "stack" else (chunk.rows,)
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((*lead, *a.shape[1:]), a.dtype), data)


def _shapes(batch):
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, jax.dtypes.canonicalize_dtype(a.dtype)), batch
    )


def _signature(batch):
    leaves, tree = jax.tree.flatten(batch)
    return tree, tuple((a.shape, jax.dtypes.canonicalize_dtype(a.dtype)) for a in leaves)


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
