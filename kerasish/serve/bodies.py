"""The body of a request: read within limits, and parsed as strict JSON."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from kerasish.serve.errors import RequestError, bad_request

_SLOW = 30.0  # seconds in which a whole body must have come


class ClientGone(Exception):
    """The client ended the connection before its request had come."""


async def read_body(headers: Mapping[bytes, bytes], receive: Callable, limit: int) -> bytes:
    """All bytes of a request's body.

    Args:
        headers: The request's, by their names in lower case.
        receive: ASGI's.
        limit: The most bytes.

    Raises:
        RequestError: It is larger, is compressed, or does not come to an end.
        ClientGone: The client ended the connection.
    """
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding != b"identity":
        raise RequestError(415, f"The body must not be compressed; it is {encoding.decode()!r}.")
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit, f"{declared.decode()} bytes")
    parts, size, more = [], 0, True
    try:
        async with asyncio.timeout(_SLOW):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size > limit:
                    raise _too_large(limit, "more")
                parts.append(part)
    except TimeoutError:
        raise RequestError(408, f"The body did not come to an end in {_SLOW:g} seconds.") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit, came):
    return RequestError(413, f"The body must be at most {limit} bytes; it has {came}.")


class _NotFinite(ValueError):
    pass


def _refuse(literal):
    raise _NotFinite(literal)


# Made once: it takes longer than to parse a row.
_STRICT = json.JSONDecoder(parse_constant=_refuse)
_LENIENT = json.JSONDecoder()
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


def parse_json(body: bytes, allow_nan: bool = False) -> dict:
    """The object that a body of JSON holds.

    Args:
        body: The bytes.
        allow_nan: Whether `NaN` and `Infinity` may stand for numbers, which JSON itself does not
            know.
    """
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        found = (_LENIENT if allow_nan else _STRICT).decode(text)
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
    return _ENCODER.encode(value).encode()


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
