"""A file from the network, fetched in as many parts as it takes."""

import http.client
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

from kerasish.core import settings

_TIMEOUT = 30  # seconds without a byte
_TRIES = 3  # of a transfer that breaks off
_BLOCK = 2**16
_NO_SUCH_RANGE = 416
_PAGE = re.compile(
    rb"\s*(<!--.*?-->\s*|<\?xml.*?\?>\s*)*(<!doctype html|<html)", re.IGNORECASE | re.DOTALL
)


def fetch(origin: str, part: pathlib.Path, target: pathlib.Path) -> None:
    """Fetch what is missing of a file.

    Args:
        origin: Its URL.
        part: Where the bytes go; those that are there already are not fetched again.
        target: Where the file will be, for the error.

    Raises:
        RuntimeError: If it cannot be had.
    """
    for attempt in range(_TRIES):
        try:
            _transfer(origin, part)
            break
        except (OSError, http.client.HTTPException) as error:
            # Not there, or no network at all: asking again at once is of no use.
            hopeless = isinstance(error, urllib.error.HTTPError) or not part.exists()
            if hopeless or attempt == _TRIES - 1:
                raise RuntimeError(_explain(origin, target, error)) from error
            time.sleep(0.2 * 2**attempt)


def _transfer(origin, part):
    stamp = tag_of(part)
    have = part.stat().st_size if part.exists() and stamp.exists() else 0
    with _opened(origin, have, stamp) as reply:
        resumed = getattr(reply, "status", None) == 206
        tag = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        if not resumed:
            have = 0
            stamp.unlink(missing_ok=True)
        if tag and not tag.startswith("W/"):
            stamp.write_text(tag)
        length = reply.headers.get("Content-Length")
        whole = None if length is None else have + int(length)
        with open(part, "ab" if resumed else "wb") as file:
            done = _copy(reply, file, have, whole)
    if whole is not None and done < whole:
        raise http.client.IncompleteRead(b"", whole - done)


def _opened(origin, have, stamp):
    """The reply with all from byte `have` on, or with all of it."""
    request = urllib.request.Request(
        origin, headers={"User-Agent": "kerasish", "Accept-Encoding": "identity"}
    )
    if not have:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    # The rest is sent only if the file is still the same; else all of it comes again.
    request.add_header("Range", f"bytes={have}-")
    request.add_header("If-Range", stamp.read_text())
    try:
        reply = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != _NO_SUCH_RANGE:  # which says that all of it is here already, or changed
            raise
        error.close()
        return _opened(origin, 0, stamp)
    stated = reply.headers.get("Content-Range")
    if reply.status == 206 and stated is not None and not stated.startswith(f"bytes {have}-"):
        reply.close()
        return _opened(origin, 0, stamp)
    return reply


def _copy(reply, file, done, whole):
    shown = settings.is_interactive_logging_enabled() and sys.stdout.isatty()
    while block := reply.read(_BLOCK):
        file.write(block)
        done += len(block)
        if shown:
            of = f" of {whole / 1e6:.1f}" if whole else ""
            sys.stdout.write(f"\r{done / 1e6:.1f}{of} MB")
    if shown:
        print(flush=True)
    return done


def tag_of(part: pathlib.Path) -> pathlib.Path:
    """The file that says which version of the remote file `part` is a part of.

    Args:
        part: Path of the file.
    """
    return part.with_name(f"{part.name}.tag")


def _explain(origin, target, error):
    reason = getattr(error, "reason", None) or error
    if isinstance(error, urllib.error.HTTPError):
        reason = f"{error.code} {error.msg}"
    other = "; `keras.datasets.digits` needs no download" if "datasets" in target.parts else ""
    return (
        f"get_file: could not download {origin} ({reason}). Is there a network? Without one, put "
        f"the file at {target} yourself{other}."
    )


def is_web_page(part: pathlib.Path) -> bool:
    """Whether a file begins as HTML does.

    Args:
        part: The file.
    """
    with open(part, "rb") as file:
        return _PAGE.match(file.read(2048)) is not None
