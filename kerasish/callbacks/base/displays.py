"""Where progress is shown: a terminal, a notebook, or a plain file.

A line is a list of `(text, style)` pairs. `draw` shows a line that is to be replaced, `finish` its
last form, `say` a line that stays as it is.
"""

import html
import os
import shutil
import sys
import time
from typing import Any

from kerasish.core import processes, settings

BOLD, DONE, LEFT, PLAIN = "bold", "done", "left", "plain"
_ANSI = {BOLD: "\x1b[1m", DONE: "\x1b[32m", LEFT: "\x1b[37m"}
_CSS = {BOLD: "font-weight:bold", DONE: "color:#3a3", LEFT: "color:#bbb"}


def choose(verbose: int | str) -> Any:
    """The screen for a verbosity of 1 (a bar, where it can move) or 2 (a line when it is done).

    Of several processes the first one shows.

    Args:
        verbose: 1 or 2.
    """
    if not processes.is_first():
        return NullDisplay()
    if verbose == 2 or not settings.is_interactive_logging_enabled():
        return StreamDisplay()
    if _in_notebook():
        return Notebook()
    if sys.stdout.isatty() or "PYCHARM_HOSTED" in os.environ:
        return Terminal()
    return StreamDisplay()


def announce(text: str, blank: bool = False) -> None:
    """Print what a callback has to say, below a bar that may be moving; once for all processes.

    Args:
        text: What to print.
        blank: Whether to leave a line empty before it.
    """
    if not processes.is_first():
        return
    print(("\n" if blank or sys.stdout.isatty() else "") + text, flush=True)


def _in_notebook():
    # A kernel has loaded IPython long since, and a redirected stdout is no longer the kernel's.
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    own = type(sys.stdout).__module__.startswith("ipykernel")
    return own and getattr(shell, "kernel", None) is not None


def text_of(line: list) -> str:
    """The line without its styles.

    Args:
        line: Pairs `(text, style)`.
    """
    return "".join(text for text, _ in line)


class StreamDisplay:
    """A file or a pipe: lines appear when they are finished, without a bar."""

    moves = False
    drawn = 0.0

    def begin(self, title: str) -> None:
        """Show what the next line is about, above it.

        Args:
            title: "Epoch 1/3".
        """
        self.say(title)

    def draw(self, line: list) -> None:
        """Nothing: the line is not finished.

        Args:
            line: Pairs `(text, style)`.
        """

    def finish(self, line: list) -> None:
        """Write the line.

        Args:
            line: Pairs `(text, style)`.
        """
        self.say(text_of(line))

    def say(self, text: str) -> None:
        """Write the text.

        Args:
            text: The text.
        """
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class NullDisplay(StreamDisplay):
    """What processes other than the first one have: nothing is shown."""

    def say(self, text: str) -> None:
        """Nothing.

        Args:
            text: The text.
        """


class Terminal(StreamDisplay):
    """A terminal: the last line is written over in place."""

    moves = True

    def __init__(self):
        self._length = 0

    def draw(self, line: list) -> None:
        """Write over the line drawn last.

        Args:
            line: The line.
        """
        # A line that wraps could not be written over.
        line = _cut(line, shutil.get_terminal_size().columns - 1)
        self._write(line)
        self._length = len(text_of(line))
        self.drawn = time.monotonic()

    def finish(self, line: list) -> None:
        """Write over the line drawn last, and go to the next one.

        Args:
            line: The line.
        """
        self._write(line)
        self._length = 0
        self.say("")

    def _write(self, line):
        encoding = sys.stdout.encoding or "utf-8"
        text = "".join(f"{_ANSI[s]}{t}\x1b[0m" if s in _ANSI else t for t, s in line if t)
        rest = " " * (self._length - len(text_of(line)))
        sys.stdout.write("\r" + text.encode(encoding, "replace").decode(encoding) + rest)
        sys.stdout.flush()


class Notebook(StreamDisplay):
    """A notebook: one output, updated in place, that holds all lines."""

    moves = True
    # A long output costs the browser time: seconds between two updates for each character.
    _PAUSE = 1e-5

    def __init__(self):
        self._finished = []
        self._live = []
        self._handle = None
        self._due = 0.0
        self._title = ""

    def begin(self, title: Any) -> None:
        """Let the next line begin with this, so that an epoch takes one row.

        Args:
            title: What the line begins with.
        """
        self._title = title

    def draw(self, line: list) -> None:
        """Show the line below the finished ones.

        Args:
            line: The line.
        """
        self._live = self._titled(line)
        self._update()

    def finish(self, line: list) -> None:
        """Show the line and keep it.

        Args:
            line: The line.
        """
        self._finished.append(self._titled(line))
        self._live, self._title = [], ""
        self._update()

    def say(self, text: str) -> None:
        """Show the text and keep it.

        Args:
            text: The text.
        """
        self.finish([(text, PLAIN)])

    def _titled(self, line):
        return [(f"{self._title} ", PLAIN), *line] if self._title else line

    def close(self) -> None:
        """Show what is not yet shown."""
        if self._finished or self._live:
            self._due = 0.0
            self._update()

    def _update(self):
        from IPython.display import display

        self.drawn = now = time.monotonic()
        if now < self._due:
            return
        lines = [*self._finished, self._live] if self._live else self._finished
        body = "\n".join("".join(_html(*span) for span in line) for line in lines)
        # A row too long for the page can be scrolled: it never breaks, least of all in a word.
        # Small enough for a loss and a metric, with validation, beside each other in JupyterLab.
        style = (
            "white-space:pre;overflow-x:auto;word-break:normal;line-height:1.3;margin:0;"
            "font-size:.8em"
        )
        shown = {
            "text/plain": "\n".join(map(text_of, lines)),
            "text/html": f'<pre style="{style}">{body}</pre>',
        }
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        self._due = now + max(0.1, self._PAUSE * len(body))


def _html(text, style):
    text = html.escape(text)
    return f'<span style="{_CSS[style]}">{text}</span>' if text and style in _CSS else text


def _cut(line, length):
    kept = []
    for text, style in line:
        kept.append((text[: max(length, 0)], style))
        length -= len(text)
    return kept
