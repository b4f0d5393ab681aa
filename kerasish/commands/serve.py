"""Serve models over HTTP; `docs/serving.md` has the protocols.

    kerasish serve digits=model.keras
    kerasish serve digits=versions/ other=model.zip --host 127.0.0.1 --port 8501

A folder with numbered folders (versions/1, versions/2) is watched: the newest version that loads
takes over.
"""

import argparse

from kerasish.commands.model_files import look_in_current_folder
from kerasish.serve import __main__ as server

HELP = "serve models over HTTP"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes: what `python -m kerasish.serve` does.

    Args:
        parser: The command's parser.
    """
    server.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal says to end.

    Args:
        options: Parsed arguments.
    """
    if options.modules:
        look_in_current_folder()
    server.run(options)
    return 0
