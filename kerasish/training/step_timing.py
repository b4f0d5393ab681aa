"""Where the time of a run goes: to the data, to the host, to the device; and the report of it."""

import time
from collections import defaultdict
from typing import Any

from kerasish.core.text_tables import as_html, as_text, readable_seconds

# What steps in one call may take: long enough that the host's share vanishes, short enough for a
# lively bar and a quick Ctrl-C.
CHUNK_SECONDS = 0.05


class Times:
    """Seconds of a step's runs, by what the host did in them.

    Attributes:
        seconds: `"input"`: waiting for data; `"calling"`: handing calls to the device, and what the
            device computes before it gives the host back; `"compiling"`: calls that were compiled
            first; `"waiting"`: for the device; `"outside"`: callbacks and progress; `"device"`:
            from the later of a call and the end of the one before to the call's end, which is
            beside the others, not among them.
        steps: Number of steps.
        calls: Number of calls that ran them.
        largest: Most steps in one call.
    """

    def __init__(self):
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.steps = self.calls = self.largest = 0
        self.waited_steps = 0  # those whose end was seen
        self._mark = self._ended = self._compiled = 0.0

    def start(self) -> None:
        """Begin a run."""
        self._mark = self._ended = time.perf_counter()

    def lap(self, what: str) -> float:
        """Add the time since the last lap to `what`; returns the time now.

        Args:
            what: A key of `seconds`.
        """
        now = time.perf_counter()
        self.seconds[what] += now - self._mark
        self._mark = now
        return now

    def called(self, count: int, compiled: bool) -> float | None:
        """Note a call of `count` steps; returns when it began, `None` if it was compiled first.

        Args:
            count: Number of steps.
            compiled: Whether the call was compiled first.
        """
        began = self._mark
        now = self.lap("compiling" if compiled else "calling")
        self._compiled = now if compiled else self._compiled
        self.steps, self.calls = self.steps + count, self.calls + 1
        self.largest = max(self.largest, count)
        return None if compiled else began

    def ended(self, count: int, began: float | None) -> float:
        """Note that the results of a call are there; returns the time now.

        Args:
            count: Number of steps of the call.
            began: What `called` returned.
        """
        now = self.lap("waiting")
        if began is not None and began >= self._compiled:  # not while the next was compiled
            self.seconds["device"] += now - max(began, self._ended)
            self.waited_steps += count
        self._ended = now
        return now

    def shares(self) -> dict[str, float]:
        """Seconds of all runs, as a report names them."""
        seen = self.seconds
        per_step = seen["device"] / max(self.waited_steps, 1)
        return {
            "input_seconds": seen["input"],
            "host_seconds": seen["calling"] + seen["outside"],
            "waiting_seconds": seen["waiting"],
            "device_seconds": per_step * self.steps,
        }


_MEANINGS = {
    "steps": "how steps run",
    "chunk": "steps in a call",
    "why_chunk": "why so many",
    "steps_done": "steps done",
    "calls": "calls of the device",
    "seconds_per_step": "a step, as last measured",
    "compile_seconds": "compiling (and tracing)",
    "device_seconds": "device at work, at most",
    "host_seconds": "host at work: calls, callbacks, bar",
    "input_seconds": "waiting for data",
    "waiting_seconds": "waiting for the device",
    "traces": "traces",
    "why_traced": "why traced",
}


class FitReport(dict):
    """How steps ran: a dict by kind of step (`"train"`, `"test"`, `"predict"`) of dicts.

    Each holds:
        steps: How they run: fused on the device, one by one and why, or uncompiled.
        chunk, why_chunk: Most steps that ran in one call, and what set that number.
        steps_done, calls: Numbers of steps and of calls of the device.
        seconds_per_step: Wall time of a step as last measured.
        compile_seconds: Tracing and compiling.
        device_seconds: Time in which the device had work, at most: from a call, or the end of the
            one before, until the host sees its end. It runs beside the three that follow.
        host_seconds: Python's own share: making calls, callbacks, progress.
        input_seconds: How long the loop waited for data.
        waiting_seconds: How long the host waited for the device.
        traces, why_traced: How often the step was traced, and a sentence for each time.
    """

    def _rows(self):
        kinds = list(self)
        for key, meaning in _MEANINGS.items():
            yield [meaning, *(_cell(key, self[kind][key]) for kind in kinds)]

    def __repr__(self):
        return as_text("How steps ran", ["", *self], list(self._rows()), width=100)

    def _repr_html_(self):
        return as_html("How steps ran", ["", *self], list(self._rows()))


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "not measured"
    if "seconds" in key:
        return readable_seconds(value)
    if isinstance(value, list):
        return "\n".join(f"{i + 1}. {reason}" for i, reason in enumerate(value)) or "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def explain(step: Any) -> dict[str, Any]:
    """How the steps of a kind ran so far: a row of `FitReport`.

    Args:
        step: The compiled step.
    """
    how = "uncompiled" if step.eager else "fused on the device"
    if step.slow_op:
        how = f"one by one: XLA on the CPU has no fast {step.slow_op} inside a loop"
    return {
        "steps": how,
        "chunk": step.times.largest,
        "why_chunk": _why_chunk(step),
        "steps_done": step.times.steps,
        "calls": step.times.calls,
        "seconds_per_step": step.seconds,
        "compile_seconds": step.compile_seconds,
        **step.times.shares(),
        "traces": step.traces,
        "why_traced": step.why_traced,
    }


def _why_chunk(step):
    largest = step.times.largest
    if step.eager or step.slow_op:
        return "steps of this kind run one by one"
    if step.max_batches is not None and largest >= step.max_batches:
        return "`steps_per_execution`, or callbacks that watch batches, allow no more"
    if step.room is not None and largest >= step.room:
        return "a stack holds no more"
    if step.seconds is not None and largest >= int(CHUNK_SECONDS / step.seconds):
        return f"as many as run in about {CHUNK_SECONDS * 1e3:g} ms"
    return "a pass over the data had no more, or was over before the number had grown"
