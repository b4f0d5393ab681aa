"""JSON from files, which may say anything: bounded, before it becomes objects."""

import json
from typing import Any

from kerasish.saving.io.file_window import BadFile

LIMIT = 2**26  # bytes of a text
_NESTS = 2**22  # lists and dicts in it, which take far more room than their text


def parse(text: str | bytes, where: Any, what: str) -> dict:
    """The JSON object that a text holds.

    Args:
        text: The text.
        where: The file's path, for errors.
        what: What it is, for errors: "its config".
    """
    if isinstance(text, bytes | bytearray):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise BadFile(f"{where}: {what} is not JSON: {error}") from error
    if not isinstance(text, str):
        raise BadFile(f"{where}: {what} is not JSON, but a {type(text).__name__}.")
    if len(text) > LIMIT or text.count("[") + text.count("{") > _NESTS:
        raise BadFile(f"{where}: {what} is larger than any that is needed, which is refused.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{where}: {what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadFile(f"{where}: {what} must be a JSON object; it is a {type(found).__name__}.")
    return found
