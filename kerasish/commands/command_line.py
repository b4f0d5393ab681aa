"""What was typed, handed to the command it names.

A command is a module with a docstring (its description), `HELP` (one line), `add_arguments(parser)`
and `run(options)`, which returns the exit status.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence

import kerasish
from kerasish.commands import (
    clear_cache,
    completion,
    convert,
    diff,
    explain,
    info,
    launch,
    run,
    serve,
    summary,
)
from kerasish.commands.output import printable

COMMANDS = {
    "info": info,
    "summary": summary,
    "convert": convert,
    "diff": diff,
    "serve": serve,
    "run": run,
    "launch": launch,
    "clear-cache": clear_cache,
    "explain": explain,
    "completion": completion,
}
# These hand over to programs, whose warnings and errors are their own.
_HANDING_ON = (run, serve, launch)
_EXIT_STATUSES = """\
exit status: 0, all is well; 1, `diff` found differences; 2, wrong use, or a file that cannot be
read or written. `kerasish COMMAND --help` tells more about each command.
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="kerasish",
        description="Look at models in files, convert, compare and serve them.",
        epilog=_EXIT_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"kerasish {kerasish.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        made = commands.add_parser(
            name,
            help=command.HELP,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(made)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows the program's name; `None` takes it from `sys.argv`.

    Returns:
        The exit status: 0, 1 where `diff` found differences, 2 on an error.

    Example:
        >>> main(["clear-cache", "--dry-run", "--json"])
        {
          "folder": ...
        0
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    command = COMMANDS[options.command]
    if command is completion:
        return completion.run_for(parser, options)
    if command in _HANDING_ON:
        return command.run(options)
    with _warnings_in_one_line(options.command):
        try:
            return command.run(options)
        except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (ImportError, OSError, RecursionError, TypeError, ValueError) as error:
            said = "\n".join([f"kerasish {options.command}: {error}", *_notes_of(error)])
            print(printable(said), file=sys.stderr)
            return 2


def _notes_of(error):
    """Notes on an error, but for JAX's on the traceback that is not shown."""
    return [note for note in getattr(error, "__notes__", ()) if "internal frames" not in note]


@contextlib.contextmanager
def _warnings_in_one_line(command: str) -> Iterator[None]:
    """Warnings of reading and writing, without the source line that Python shows."""

    def show(message, category, filename, lineno, line=None):
        return f"kerasish {command}: {message}\n"

    before, warnings.formatwarning = warnings.formatwarning, show
    try:
        yield
    finally:
        warnings.formatwarning = before
