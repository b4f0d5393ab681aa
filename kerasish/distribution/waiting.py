"""Who waits for whom: what is said when a process stands still, and the end of waiting."""

import sys
import time
from collections.abc import Callable

from kerasish.core import processes

_NOTICE_SECONDS = 10  # of standing still before it is said
_SILENT_SECONDS = 5  # without a pulse: the process is stopped, or its machine hangs


class Waiting:
    """Tells who is waited for, from the pulses that all processes give.

    A process that computes its own things (a data pipeline, a callback) is busy; one that is inside
    JAX or kerasish waits. Where one waits and another is busy, or gives no pulse, it is named.

    Args:
        patience: Seconds of waiting after which this process ends; `None`: it waits on.
        end: Called with the reason to end.
    """

    def __init__(self, patience: float | None, end: Callable[[str], None]):
        self.patience, self.end = patience, end
        self.beats, self.began = 0, time.monotonic()
        self.heard: dict[int, tuple[str, float]] = {}  # each pulse, and when it came
        self.next_notice = self._first_notice()

    def _first_notice(self):
        return min(_NOTICE_SECONDS, self.patience or _NOTICE_SECONDS)

    def look(self, still: float) -> None:
        """Give a pulse, and say for whom this process has waited, if for long.

        Args:
            still: Seconds for which this process has been waiting; 0 if it is busy.
        """
        self.beats += 1
        state = "waits" if still else "busy"
        pulses = processes.exchange_pulse(f"{self.beats}\t{state}\t{processes.position()}")
        now = time.monotonic()
        for process, text in pulses.items():
            if self.heard.get(process, ("", 0.0))[0] != text:
                self.heard[process] = text, now
        if still < self.next_notice:
            if not still:
                self.next_notice = self._first_notice()
            return
        reasons = self._reasons(now)
        if not reasons:
            return  # all wait: for a device, or for a file system
        said = f"{processes.name_of(processes.index())} has waited {still:.0f} s for {reasons}"
        position = processes.position()
        said += f" at {position}." if position else "."
        print(said, file=sys.stderr, flush=True)
        self.next_notice = 2 * still
        if self.patience is not None:
            self.next_notice = min(self.next_notice, max(self.patience, still + 1))
            if still >= self.patience:
                self.end(said)

    def _reasons(self, now):
        found = []
        for process in range(processes.count()):
            if process == processes.index():
                continue
            # One that stopped at once has given no pulse at all.
            text, since = self.heard.get(process, ("0\twaits\t", self.began))
            _, state, position = text.split("\t")
            where = f", which is at {position}" if position != processes.position() != "" else ""
            if processes.is_stopped(process):
                found.append(f"{processes.name_of(process)}, which is stopped (`kill -CONT` it)")
            elif now - since > _SILENT_SECONDS:
                found.append(f"{processes.name_of(process)}, which gives no sign of life")
            elif state == "busy":
                found.append(processes.name_of(process) + where)
        return " and ".join(found)
