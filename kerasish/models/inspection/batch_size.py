"""The largest batch that fits: tried out, step by step, and undone."""

import contextlib
import math
import os
import pathlib
import time
from typing import Any, NamedTuple

import jax

from kerasish.core.errors import bad_argument
from kerasish.core.text_tables import as_html, as_text, readable_bytes, readable_seconds
from kerasish.data import make_batches
from kerasish.data.array_conversion import holds_arrays
from kerasish.models.inspection.batch_specs import trial_step
from kerasish.training.chunk import batch_spec, single_batch_chunk
from kerasish.training.learning_rate_finder import kept_random_state, kept_values

_RUNS = 3  # of a step, of which the quickest counts
_GRAIN = 8  # of a largest size, the distance from what does not fit: an eighth


class Trial(NamedTuple):
    """A step of training, tried with batches of one size.

    Attributes:
        batch_size: Rows of the batch.
        bytes: Memory on the device, of weights, state, data and all that is in between.
        seconds: Seconds of a step; `None` if it did not fit.
    """

    batch_size: int
    bytes: int
    seconds: float | None


class BatchSizes:
    """The sizes of batches that were tried; made by `model.find_batch_size`.

    Attributes:
        trials: A `Trial` for each size, in order of size.
        room: Bytes that there were on the device.
        largest: The largest size that fits.
        fastest: The size that trained most samples a second.
        note: What kept it from being larger.
    """

    def __init__(self, trials: list[Trial], room: int | None, note: str):
        self.trials, self.room, self.note = sorted(trials), room, note
        fitting = [trial for trial in self.trials if trial.seconds is not None]
        self.largest = fitting[-1].batch_size
        self.fastest = max(fitting, key=lambda t: t.batch_size / (t.seconds or 1)).batch_size

    def _table(self):
        rows = []
        for trial in self.trials:
            shown = ["does not fit", "-"]
            if trial.seconds is not None:
                rate = trial.batch_size / trial.seconds
                shown = [readable_seconds(trial.seconds), f"{rate:,.0f}"]
            rows.append([str(trial.batch_size), readable_bytes(trial.bytes), *shown])
        title = f"Largest batch that fits: {self.largest} ({self.note})"
        return title, list(_COLUMNS), rows

    def __repr__(self):
        return as_text(*self._table(), width=72, right=_COLUMNS)

    def _repr_html_(self):
        return as_html(*self._table(), right=_COLUMNS)


_COLUMNS = ("Batch", "Memory", "A step", "Samples a second")


def find_batch_size(
    model: Any, x: Any, y: Any, sample_weight: Any, start: int, most: int | None
) -> BatchSizes:
    """See `Model.find_batch_size`.

    Args:
        model: The model, compiled.
        x: Inputs.
        y: Targets.
        sample_weight: Weight of each sample, or `None`.
        start: First size to try.
        most: Largest size to try; `None`: all samples.
    """
    who = "find_batch_size"
    model._require_compiled(who)
    if model.run_eagerly:
        raise ValueError(
            f"{who}: compile the model without `run_eagerly`: it goes by what XLA plans."
        )
    for name, value in (("start", start), ("most", most)):
        is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if not is_count and (name == "start" or value is not None):
            raise bad_argument(who, name, "a positive number of samples", value)
    rows, batches = _rows(who, x, y, sample_weight)
    top = rows if most is None else min(most, rows)
    trials: dict[int, Trial] = {}
    with contextlib.ExitStack() as undo:
        undo.enter_context(kept_random_state())
        trial_step(model, batch_spec(_first(batches, min(start, top))))
        undo.enter_context(kept_values(model))
        room = _room()

        def fits(size):
            if size not in trials:
                trials[size] = _try(model, _first(batches, size), size, room)
            return trials[size].seconds is not None

        size = min(start, top)
        while not fits(size):
            if size == 1:
                raise ValueError(
                    f"{who}: not even one sample fits: a step takes "
                    f"{readable_bytes(trials[1].bytes)}, and there are {readable_bytes(room or 0)}."
                )
            size //= 2
        too_large = next((s for s in sorted(trials) if s > size), None)
        while too_large is None and size < top:
            larger = min(2 * size, top)
            if fits(larger):
                size = larger
            else:
                too_large = larger
        while too_large is not None and too_large - size > max(size // _GRAIN, 1):
            between = (size + too_large) // 2
            if fits(between):
                size = between
            else:
                too_large = between
    why = f"{rows} samples were given" if top == rows else f"`most` is {top}"
    note = why if too_large is None else f"{too_large} do not fit"
    return BatchSizes(list(trials.values()), room, note)


def _rows(who, x, y, sample_weight) -> tuple[Any, Any]:
    if not holds_arrays(x):
        wanted = "arrays: batches of any size must be made of it"
        raise bad_argument(who, "x", wanted, type(x))
    batches = make_batches(x, y, sample_weight, batch_size=2**31 - 1)
    return batches.num_samples, next(iter(batches.epoch(0)))


def _first(batch, rows):
    return jax.tree.map(lambda a: a[:rows], batch)


def _try(model, batch, size, room):
    spec = batch_spec(batch)
    step = model._make_step("train")
    step.prepare(spec)
    planned = step.trace(spec, one=True).lower().compile().memory_analysis()
    needed = planned.argument_size_in_bytes + planned.temp_size_in_bytes
    needed += max(planned.output_size_in_bytes - planned.alias_size_in_bytes, 0)
    held = sum(v.size * v.read().dtype.itemsize for v in model.variables)  # is there already
    if room is not None and needed - min(held, needed) > room:
        return Trial(size, needed, None)
    try:
        return Trial(size, needed, min(_seconds(step, batch) for _ in range(_RUNS + 1)))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return Trial(size, needed, None)


def _seconds(step, batch):
    began = time.perf_counter()
    jax.block_until_ready(step.execute(single_batch_chunk(batch)))
    return time.perf_counter() - began


def _room():
    """Bytes that are free on the device; `None` where nothing says so."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    return host_memory()


def host_memory(proc: str = "/proc/meminfo", group: str = "/sys/fs/cgroup") -> int | None:
    """Bytes of this machine's memory that are free for this process; `None` where unknown.

    Args:
        proc: Where Linux says what is available.
        group: Where it says what a container may take.
    """
    found = []
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path(proc).read_text().splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        limit, used = (
            int(pathlib.Path(group, f"memory.{name}").read_text()) for name in ("max", "current")
        )
        found.append(limit - used)
    if not found:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    return max(math.floor(min(found)), 0) if found else None
