"""Run a program in which `import keras` means kerasish, as `python PROGRAM ARGS` would."""

import argparse
import os
import pathlib
import runpy
import sys

HELP = "run a program in which `import keras` means kerasish"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("-m", action="store_true", dest="is_module", help="PROGRAM names a module")
    parser.add_argument("program", help="a Python file, or a module with -m")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="what the program is given")


def run(options: argparse.Namespace) -> int:
    """Run it; the exit status is the program's own.

    Args:
        options: Parsed arguments.
    """
    run_program(options.program, options.args, options.is_module)
    return 0


def run_program(program: str, args: list[str], is_module: bool = False) -> None:
    """Run a program as `python program args` would, `keras` being kerasish.

    Args:
        program: A Python file or, if so said, the name of a module.
        args: What it finds in `sys.argv` after its own name.
        is_module: Whether `program` names a module.
    """
    # Only where asked for: it changes what `import keras` means.
    from kerasish import as_keras  # noqa: F401, PLC0415

    sys.argv = [program, *args]
    if is_module:
        _look_first_in(os.getcwd())
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    if not pathlib.Path(program).exists():
        raise SystemExit(f"kerasish run: there is no file {program!r}.")
    _look_first_in(str(pathlib.Path(program).resolve().parent))
    runpy.run_path(program, run_name="__main__")


def _look_first_in(folder):
    """Put a folder where Python puts a program's: in place of that of the script `kerasish`."""
    if not sys.flags.safe_path:  # with -P, Python puts none there
        sys.path[0] = folder
