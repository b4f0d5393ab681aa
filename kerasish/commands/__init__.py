"""The command line: a file for each command, and `command_line`, which reads what was typed."""

from kerasish.commands.command_line import main

__all__ = ["main"]
