"""What a command says: tables and lines for people, JSON for programs."""

import argparse
import json
import math
import shutil
import sys
from typing import Any

from kerasish.core.text_tables import as_text

_NARROWEST, _WIDTH_OF_FILES = 60, 100


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the flag `--json`.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def print_json(found: Any) -> None:
    """Print plain data as JSON; numbers that JSON has not, NaN and infinities, become strings.

    Args:
        found: What was found.
    """
    print(json.dumps(_plain(found), indent=2, allow_nan=False))


def _plain(x):
    if isinstance(x, dict):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple):
        return [_plain(item) for item in x]
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def print_table(title: str, columns: list[str], rows: list[list[str]], **options: Any) -> None:
    """Print a table as wide as the terminal.

    Args:
        title: Text above.
        columns: Headings.
        rows: Cells of each row.
        **options: `lines` below and headings of columns to set to the `right`.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    is_terminal = sys.stdout.isatty()
    print(as_text(printable(title), columns, shown, width=width(), colour=is_terminal, **options))


def width() -> int:
    """Characters in a line: the terminal's, or 100 in a file."""
    columns = shutil.get_terminal_size((_WIDTH_OF_FILES, 24)).columns
    return max(columns, _NARROWEST)


def printable(text: str) -> str:
    """The text without what would steer a terminal: names in files may come from anybody.

    Args:
        text: Any string.

    Example:
        >>> printable("dense\\x1b[2J")
        'dense\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
