"""Who may ask: keys that requests bear, compared in constant time."""

import hashlib
import hmac
import os
import pathlib

from kerasish.core.errors import bad_argument
from kerasish.serve.errors import RequestError


class ApiKeys:
    """The keys in a file, one a line; empty lines and those that begin with `#` are none.

    Args:
        path: The file; `None`: everyone may ask.
    """

    def __init__(self, path: str | os.PathLike | None):
        self._digests: list[bytes] | None = None
        if path is None:
            return
        lines = [line.strip() for line in pathlib.Path(path).read_text().splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise bad_argument("serve", "api_key_file", "a file with one key a line", str(path))
        self._digests = [_digest(key.encode()) for key in keys]

    def check(self, authorization: str | None) -> None:
        """Raise unless the header of a request bears one of the keys.

        Args:
            authorization: The header, or `None`.
        """
        if self._digests is None:
            return
        scheme, _, key = (authorization or "").partition(" ")
        given = _digest(key.strip().encode("latin-1", "replace"))
        # Each is compared, whichever fits: time tells nothing.
        fits = [hmac.compare_digest(given, digest) for digest in self._digests]
        if scheme.lower() != "bearer" or not any(fits):
            raise RequestError(
                401,
                "This server wants a key: the header 'Authorization: Bearer KEY'.",
                {"WWW-Authenticate": "Bearer"},
            )


def _digest(key):
    return hashlib.sha256(key).digest()
