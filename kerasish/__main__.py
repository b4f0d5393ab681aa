"""`python -m kerasish run script.py args`: a program made for Keras, as it is."""

import argparse
import pathlib
import runpy
import sys


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m kerasish")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="run a program in which `import keras` means kerasish",
        description="Run a program in which `import keras` means kerasish.",
    )
    run.add_argument("-m", action="store_true", dest="is_module", help="PROGRAM names a module")
    run.add_argument("program", help="a Python file, or a module with -m")
    run.add_argument("args", nargs=argparse.REMAINDER, help="what the program is given")
    given = parser.parse_args()
    run_program(given.program, given.args, given.is_module)


def run_program(program: str, args: list[str], is_module: bool = False) -> None:
    """Run a program as `python program args` would, `keras` being kerasish.

    Args:
        program: A Python file or, if so said, the name of a module.
        args: What it finds in `sys.argv` after its own name.
        is_module: Whether `program` names a module.
    """
    from kerasish import as_keras  # noqa: F401

    sys.argv = [program, *args]
    if is_module:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    if not pathlib.Path(program).exists():
        raise SystemExit(f"python -m kerasish run: there is no file {program!r}.")
    sys.path[0] = str(pathlib.Path(program).resolve().parent)
    runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    main()
