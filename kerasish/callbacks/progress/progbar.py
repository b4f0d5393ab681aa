"""The progress bar."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.callbacks.base import displays
from kerasish.callbacks.base.displays import BOLD, DONE, LEFT, PLAIN
from kerasish.core.errors import bad_argument


class Progbar:
    """Shows how far something is, how long it will take, and what comes of it.

    In a terminal and in a notebook it is a bar that moves; elsewhere, one line at the end. Values
    may be arrays on the device: they are read only when the bar is redrawn.

    Args:
        target: Number of steps to come; `None` if unknown.
        width: Characters of the bar.
        verbose: 0 for nothing, 1 for a bar, 2 for a line at the end.
        interval: Least time between two redraws, in seconds.
        stateful_metrics: Names of the values to show as they come; others are averaged over steps.
        stateless_metrics: Names of the values to average over steps; others are shown as they come.
        unit_name: What a step is called.
        screen: Where to show it; `None`: what stdout is.
        skip_first: Whether the time of a step leaves out the first update, which compiles, as Keras
            has it. Who tells of compiling by `pause` needs no such guess.

    Example:
        >>> bar = Progbar(10, verbose=2)
        >>> bar.update(10, [("loss", 0.5)])
        10/10 - 0s - ...s/step - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int | str = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
        *,
        screen: Any = None,
        skip_first: bool = True,
    ):
        if stateful_metrics is not None and stateless_metrics is not None:
            hint = "One of the two tells which values are averaged."
            raise bad_argument(
                self, "stateless_metrics", "`None` with `stateful_metrics`", stateless_metrics, hint
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = stateful_metrics
        self.stateless_metrics = stateless_metrics
        self.screen = screen or displays.choose(verbose)
        self._own_screen = screen is None
        self._seen = 0
        self._sums = {}  # name -> (sum over steps, steps)
        self._latest = {}
        self._start = self._pause_began = time.monotonic()
        self._skip_first = skip_first
        self._first = None  # steps, and seconds they took, of the first update
        self._pauses = {}  # what the steps wait for, in words, since when
        self._paused = 0.0  # seconds of pauses that are over

    def update(
        self,
        current: int,
        values: Iterable | Mapping | Callable | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Note how far it is, and redraw if the last redraw is long enough ago.

        Args:
            current: Steps done in all; may jump.
            values: Pairs of a name and the value of the last step; or a mapping of names to values
                to show as they are, or a function that returns one, looked at only for a redraw.
            finalize: Whether this is the end. `None`: if `current` has reached the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if not self.verbose:
            self._seen = current
            return
        self._take(values, current, finalize)
        self._seen = current
        due = self.screen.moves and time.monotonic() - self.screen.drawn >= self.interval
        if due or finalize:
            shown = self._read()
            if finalize:
                self._finish(current, shown)
            else:
                self.screen.draw(self._moving_line(current, shown))
        if self._skip_first and self._first is None and current > 0:
            self._first = (current, self._seconds())

    def pause(self, why: str) -> None:
        """Show that steps wait, and leave the time until `resume` out of the time of a step.

        Args:
            why: What for: "compiling…".

        Example:
            >>> bar = Progbar(10, verbose=0)
            >>> bar.pause("compiling…")
            >>> bar.resume("compiling…")
        """
        if not self._pauses:
            self._pause_began = time.monotonic()
        self._pauses[why] = True
        self._draw_pause()

    def resume(self, why: str) -> None:
        """End a pause.

        Args:
            why: As `pause` was told.
        """
        if self._pauses.pop(why, None) is None:
            return
        if self._pauses:
            self._draw_pause()
        else:
            self._paused += time.monotonic() - self._pause_began

    def _draw_pause(self):
        if self.verbose and self.screen.moves:
            self.screen.draw([*self._bar(self._seen), (list(self._pauses)[-1], PLAIN)])

    def add(self, n: int, values: Any = None) -> None:
        """Note that `n` more steps are done.

        Args:
            n: Number of steps.
            values: As for `update`.
        """
        self.update(self._seen + n, values)

    def _take(self, values, current, finalize):
        if callable(values) or isinstance(values, Mapping):
            self._latest = values
            return
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            if finalize or not self._is_averaged(name):
                self._sums[name] = (value, 1)
            else:
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + value * steps, count + steps)

    def _is_averaged(self, name):
        if self.stateless_metrics is not None:
            return name in self.stateless_metrics
        return name not in (self.stateful_metrics or ())

    def _read(self):
        latest: Any = self._latest() if callable(self._latest) else self._latest
        totals = jax.device_get([total for total, _ in self._sums.values()])
        means = {}
        for (name, (_, count)), total in zip(self._sums.items(), totals, strict=True):
            means[name] = total if isinstance(total, str) else np.mean(total) / count
        return {**means, **latest}

    # -- lines

    def _moving_line(self, current, shown):
        spent = time.monotonic() - self._start
        each = self._seconds_each(current)
        if self.target:
            spent = each * max(self.target - current, 0)  # what is left
        return [
            *self._bar(current),
            (_clock(spent), BOLD),
            (f" {_per(each, self.unit_name)}{_values(shown)}", PLAIN),
        ]

    def _finish(self, current, shown):
        spent = f"{time.monotonic() - self._start:.0f}s"
        each = _per(self._seconds_each(current), self.unit_name)
        if self.screen.moves:
            line = [*self._bar(current), (spent, BOLD), (f" {each}{_values(shown)}", PLAIN)]
        else:
            line = [(f"{self._count(current)} - {spent} - {each}{_values(shown)}", PLAIN)]
        self.screen.finish(line)
        if self._own_screen:
            self.screen.close()

    def _bar(self, current):
        if not self.target:
            return [(f"{current:>7}/Unknown ", PLAIN)]
        done = min(int(self.width * current / self.target), self.width)
        return [
            (self._count(current), BOLD),
            (" ", PLAIN),
            ("━" * done, DONE),
            ("━" * (self.width - done), LEFT),
            (" ", PLAIN),
        ]

    def _count(self, current):
        if not self.target:
            return str(current)
        return f"{current:>{len(str(self.target))}}/{self.target}"

    def _seconds_each(self, current):
        steps, seconds = self._first or (0, 0.0)
        if current > steps:
            return (self._seconds() - seconds) / (current - steps)
        return self._seconds() / current if current else 0.0

    def _seconds(self):
        """Seconds since the start, without pauses."""
        now = self._pause_began if self._pauses else time.monotonic()
        return now - self._start - self._paused


def _clock(seconds):
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minute:02d}:{second:02d}"
    return f"{minutes}:{second:02d}" if minutes else f"{second}s"


def _per(seconds, unit):
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def _values(shown):
    return "".join(f" - {name}: {_number(value)}" for name, value in shown.items())


def _number(value):
    if isinstance(value, str) or value is None:
        return str(value)
    value = float(np.mean(value))
    return f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}"
