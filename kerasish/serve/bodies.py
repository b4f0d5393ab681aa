"""The body of a request: read within limits, and parsed as strict JSON."""

import asyncio
import json
from typing import Any

from kerasish.serve.errors import RequestError, bad_request

_SLOW = 30.0  # seconds in which a whole body must have come


async def read_body(request: Any, limit: int) -> bytes:
    """All bytes of a request's body.

    Args:
        request: Starlette's.
        limit: The most bytes.

    Raises:
        RequestError: It is larger, is compressed, or does not come to an end.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise RequestError(415, f"The body must not be compressed; it is {encoding!r}.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit, f"{declared} bytes")
    parts, size = [], 0
    try:
        async with asyncio.timeout(_SLOW):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit, "more")
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, f"The body did not come to an end in {_SLOW:g} seconds.") from None
    return b"".join(parts)


def _too_large(limit, came):
    return RequestError(413, f"The body must be at most {limit} bytes; it has {came}.")


class _NotFinite(ValueError):
    pass


def _refuse(literal):
    raise _NotFinite(literal)


def parse_json(body: bytes, allow_nan: bool = False) -> dict:
    """The object that a body of JSON holds.

    Args:
        body: The bytes.
        allow_nan: Whether `NaN` and `Infinity` may stand for numbers, which JSON itself does not
            know.
    """
    try:
        found = json.loads(body, parse_constant=None if allow_nan else _refuse)
    except _NotFinite as error:
        raise bad_request(f"The body holds {error}, which is no JSON and forbidden here.") from None
    except RecursionError:
        raise bad_request("The body's JSON is nested too deep.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"The body must be JSON: {error}.") from None
    if not isinstance(found, dict):
        raise bad_request(f"The body must be a JSON object; it is {kind(found)}.")
    return found


def kind(value: Any) -> str:
    """What JSON calls a value.

    Args:
        value: The value.
    """
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def dump_json(value: Any) -> bytes:
    """Compact JSON, with `NaN` and `Infinity` as TensorFlow Serving writes them.

    Args:
        value: The value.
    """
    return json.dumps(value, separators=(",", ":")).encode()


def only(keys: dict, known: tuple, what: str) -> None:
    """Refuse an object with other keys.

    Args:
        keys: Keys of the object.
        known: Those that there may be.
        what: What the object is, in words.
    """
    strange = sorted(set(keys) - set(known))
    if strange:
        raise bad_request(f"{what} has unknown keys {strange}; it may have {list(known)}.")
