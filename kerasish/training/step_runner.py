"""Running a compiled step over the chunks of a source: how many steps a call, chosen by time."""

import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import jax

from kerasish.core import processes
from kerasish.training.chunk import Chunk
from kerasish.training.chunk_sources import ChunkSource
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.step_timing import CHUNK_SECONDS


class Ran(NamedTuple):
    """What a call of the device did.

    Attributes:
        done: Steps done so far in this run.
        logs: Results after the last of them, on the device; `None` of a step that collects.
        outputs: Outputs of the call's steps, of a step that collects them; else `None`.
        chunk: The batches of the call.
    """

    done: int
    logs: Any
    outputs: Any
    chunk: Chunk


def run_steps(
    step: CompiledStep,
    source: ChunkSource,
    limit: int | None = None,
    max_batches: int | None = None,
    check: Callable[[Chunk], None] | None = None,
    on_compile: Callable[[bool], None] | None = None,
    resumes: bool = False,
) -> Generator[Ran]:
    """Run a step over batches, yielding after each call of the device.

    Args:
        step: The step; it keeps what was measured for later runs.
        source: Where batches come from.
        limit: Number of steps after which to stop, `None` for one pass over the data.
        max_batches: Steps in one call, as far as a stack and the data go; `None` to choose by time.
        check: Called with each chunk before it runs.
        on_compile: Called with `True` when tracing or compiling begins, with `False` when it ends.
        resumes: Whether steps of the epoch were done before.
    """
    step.max_batches = max_batches
    with step.observed(on_compile):
        yield from _run(step, source, limit, max_batches, check, resumes)


def _run(step, source, limit, max_batches, check, resumes):
    done, measured, waiting = 0, 0, deque()
    size = 1 if step.seconds is None else max(1, int(CHUNK_SECONDS / step.seconds))
    mark, times = time.perf_counter(), step.times
    times.start()
    while limit is None or done < limit:
        wanted = max_batches or size
        before = step.compile_seconds
        room = step.stack_room(source.batch_spec()) if source.can_stack() else 0
        chunk = source.next_chunk(wanted if limit is None else min(wanted, limit - done), room)
        times.lap("input" if step.compile_seconds == before else "compiling")
        if chunk is None:
            # A pass that ends inside an epoch ends the epoch; the next one starts a new pass.
            if limit is None or done or resumes or not source.restart():
                break
            continue
        if check is not None:
            check(chunk)
        traces = step.traces
        logs, outputs = step.execute(chunk)
        done += chunk.count
        began = times.called(chunk.count, compiled=step.traces != traces)
        waiting.append((chunk.count, began, (logs, outputs)))
        if len(waiting) > 1 or measured < 2:
            count, began, ready = waiting.popleft()
            jax.block_until_ready(ready)
            now = times.ended(count, began)
            measured += 1
            if step.traces == traces and measured > 1:
                step.seconds = _agreed(max((now - mark) / count, 1e-7), measured, step.seconds)
                size = max(1, min(int(CHUNK_SECONDS / step.seconds), 8 * chunk.count))
            mark = now
        yield Ran(done, logs, outputs, chunk)
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
