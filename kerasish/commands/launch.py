"""Start a script as several processes on this machine, which train together.

The script calls `keras.distribution.initialize()` first; without the launcher it runs by itself.
"""

import argparse

from kerasish import launch

HELP = "start a script as several processes, which train together"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes: what `python -m kerasish.launch` does.

    Args:
        parser: The command's parser.
    """
    launch.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Start the processes and wait for them.

    Args:
        options: Parsed arguments.
    """
    return launch.run(options)
