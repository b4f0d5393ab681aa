"""Delete the compiled programs that JAX keeps between processes.

Nothing else in the folder is deleted. Programs are compiled again when they are needed next.
"""

import argparse

from kerasish.commands import compilation_cache
from kerasish.commands.output import add_json, print_json
from kerasish.core.text_tables import readable_bytes

HELP = "delete the compiled programs that JAX keeps between processes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("--dry-run", action="store_true", help="say what would be deleted")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Delete them.

    Args:
        options: Parsed arguments.
    """
    cache = compilation_cache.look()
    if not options.dry_run:
        for file in cache.files:
            file.unlink(missing_ok=True)
    if options.json:
        print_json({**cache.as_dict(), "deleted": not options.dry_run})
    elif cache.folder is None:
        print(f"The compilation cache is {compilation_cache.in_words(cache.as_dict())}")
    else:
        verb = "Would delete" if options.dry_run else "Deleted"
        size = readable_bytes(cache.size)
        print(f"{verb} {cache.programs} programs, {size}, in {cache.folder}.")
        if cache.others:
            print(f"Left {cache.others} files and folders that are none of JAX's programs.")
    return 0
