"""Explain a common error by the code at the end of its message, with causes and what to do."""

import argparse
import pathlib
import re
import textwrap

from kerasish.commands.output import add_json, print_json

HELP = "what an error's code means, and what to do"

_HERE = pathlib.Path(__file__).parent
# In an installed package, and in a clone of the repository.
_PAGES = (_HERE / "errors.md", _HERE.parent.parent / "docs" / "errors.md")
_ENTRY = re.compile(r"^## (E\d\d): (.*?)\n+(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"```\w+\n(.*?)\n```", re.DOTALL)
_LINK = re.compile(r"\[([^]]+)]\([^)]+\)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("code", nargs="?", metavar="CODE", help="such as E01; all without it")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print one explanation, or the list of all.

    Args:
        options: Parsed arguments.
    """
    known = explanations()
    if options.code is None:
        found = {code: title for code, (title, _) in known.items()}
        if options.json:
            print_json(found)
        else:
            print(*(f"{code}  {title}" for code, title in found.items()), sep="\n")
        return 0
    code = options.code.strip(" ()[].").upper()
    if code not in known:
        raise ValueError(f"no error has the code {options.code!r}. `kerasish explain` lists all.")
    title, text = known[code]
    if options.json:
        print_json({"code": code, "title": title, "text": text})
    else:
        print(f"{code}: {title}\n\n{_BLOCK.sub(_indented, text)}")
    return 0


def _indented(block):
    return textwrap.indent(block[1], "    ")


def explanations() -> dict[str, tuple[str, str]]:
    """Title and text of each code.

    Example:
        >>> explanations()["E04"][0]
        'not compiled'
    """
    page = next(path for path in _PAGES if path.exists()).read_text(encoding="utf-8")
    return {
        code: (title, _LINK.sub(r"docs/\1", text).strip())
        for code, title, text in _ENTRY.findall(page)
    }
