"""Requests that come within moments of each other, computed as one batch."""

import asyncio
import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasish.serve.errors import RequestError, unavailable

log = logging.getLogger("kerasish.serve")


class Closed(RuntimeError):
    """The batcher takes no more: another version of the model has taken over."""


@dataclasses.dataclass(slots=True)
class _Waiting:
    """A request, or a part of a large one, on its way to be computed."""

    arrays: Mapping[str, np.ndarray]
    rows: int
    shapes: tuple
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future
    came: float


class Batcher:
    """Joins what waits to batches, and computes them one after the other in a thread of its own.

    The event loop never waits for the computation: it is told when results are there. Batches hold
    rows of equal shapes, and are filled up to one of few sizes by repeating a row, so that few
    programs are compiled.

    Args:
        run: Function from arrays by name to results by name, one row for each row.
        sizes: The sizes of batches that may be run, in order; the last is the largest.
        max_wait: Seconds that a request waits for others, at most.
        max_queue: Rows that may wait; more are told to come again.
        observe: Called with the rows and the seconds of each batch.
    """

    def __init__(
        self,
        run: Callable,
        sizes: list[int],
        max_wait: float,
        max_queue: int,
        observe: Callable[[int, float], None] = lambda rows, seconds: None,
    ):
        self._run, self._sizes, self._observe = run, sizes, observe
        self.max_batch, self.max_wait, self.max_queue = sizes[-1], max_wait, max_queue
        self._changed = threading.Condition()
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._rows, self._closed = 0, False
        self._thread = threading.Thread(target=self._work, daemon=True, name="kerasish-batches")
        self._thread.start()

    @property
    def queued(self) -> int:
        """Rows that wait."""
        return self._rows

    async def __call__(self, arrays: Mapping[str, np.ndarray], rows: int) -> dict[str, np.ndarray]:
        """The results for a request's arrays.

        Raises:
            RequestError: Too much waits already, or the model failed.
            Closed: `close` was called before.
        """
        if rows <= self.max_batch:
            return await self._put([(arrays, rows)])[0]
        parts = [
            (
                {k: v[i : i + self.max_batch] for k, v in arrays.items()},
                min(self.max_batch, rows - i),
            )
            for i in range(0, rows, self.max_batch)
        ]
        futures = self._put(parts)
        await asyncio.wait(futures)
        errors = [error for error in [future.exception() for future in futures] if error]
        if errors:
            raise errors[0]
        done = [future.result() for future in futures]
        return {name: np.concatenate([part[name] for part in done]) for name in done[0]}

    def _put(self, parts):
        loop, now = asyncio.get_running_loop(), time.monotonic()
        items = [
            _Waiting(a, n, tuple(x.shape[1:] for x in a.values()), loop, loop.create_future(), now)
            for a, n in parts
        ]
        rows = sum(item.rows for item in items)
        with self._changed:
            if self._closed:
                raise Closed
            if self._rows and self._rows + rows > self.max_queue:
                raise unavailable(
                    f"{self._rows} rows wait already, and {self.max_queue} may: try again later."
                )
            was_empty = not self._waiting
            self._waiting.extend(items)
            self._rows += rows
            if was_empty or self._rows >= self.max_batch:
                self._changed.notify()
        return [item.future for item in items]

    def close(self) -> None:
        """Take no more, compute what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- in the thread

    def _work(self):
        while batch := self._next_batch():
            self._compute(batch)

    def _next_batch(self):
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if not self._waiting:
                return None
            deadline = self._waiting[0].came + self.max_wait
            while self._rows < self.max_batch and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._take()

    def _take(self):
        """The first request, and those of like shapes that fit into a batch with it."""
        first = self._waiting.popleft()
        batch, rows, others = [first], first.rows, []
        while self._waiting and rows < self.max_batch:
            item = self._waiting.popleft()
            if item.shapes == first.shapes and rows + item.rows <= self.max_batch:
                batch.append(item)
                rows += item.rows
            else:
                others.append(item)
        self._waiting.extendleft(reversed(others))
        self._rows -= rows
        return batch

    def _compute(self, batch):
        began = time.perf_counter()
        batch = [item for item in batch if not item.future.cancelled()]
        if not batch:
            return
        try:
            results: list[Any] = self._results(batch)
        except Exception as error:
            if len(batch) > 1:  # one of them may be at fault: the others shall not suffer
                for item in batch:
                    self._compute([item])
                return
            log.exception("The model failed on a batch.")
            first_line = (str(error).splitlines() or [""])[0]
            results = [RequestError(500, f"The model failed: {type(error).__name__}: {first_line}")]
        self._observe(sum(item.rows for item in batch), time.perf_counter() - began)
        _give(batch, results)

    def _results(self, batch):
        rows = sum(item.rows for item in batch)
        size = next(size for size in self._sizes if size >= rows)
        arrays = {
            name: _filled([item.arrays[name] for item in batch], size - rows)
            for name in batch[0].arrays
        }
        outputs = {name: np.asarray(value) for name, value in self._run(arrays).items()}
        for name, value in outputs.items():
            if value.shape[:1] != (size,):
                raise ValueError(f"output {name!r} has shape {value.shape} for {size} rows")
        results, start = [], 0
        for item in batch:
            rows = slice(start, start + item.rows)
            results.append({name: value[rows] for name, value in outputs.items()})
            start += item.rows
        return results


def _filled(arrays, missing):
    """Arrays as one, with its first row repeated at the end."""
    if missing:
        arrays = [*arrays, np.broadcast_to(arrays[0][:1], (missing, *arrays[0].shape[1:]))]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _give(batch, results):
    """Hand results to the loops that wait for them: one wake-up for each loop."""
    by_loop = collections.defaultdict(list)
    for item, result in zip(batch, results, strict=True):
        by_loop[item.loop].append((item.future, result))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:  # the loop has ended, and whoever waited with it
            log.warning("%d results came after their event loop had ended.", len(pairs))


def _resolve(pairs):
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
