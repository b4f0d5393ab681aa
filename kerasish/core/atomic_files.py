"""Writing files so that a crash leaves the old one intact."""

import concurrent.futures
import contextlib
import errno
import hashlib
import os
import pathlib
import re
import tempfile
import threading
import time
from collections.abc import Iterator

from kerasish.core import processes

BESIDE = ".partial-"  # what names of files begin with that are being written
_LONG = 200  # bytes of a name that need no shortening; file systems allow 255
_BETWEEN_SYNCS = 0.01  # seconds: what is written in less is written at its end
ABANDONED = 3600  # seconds since anything was written to a file that will not be moved any more


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give a new file's path beside `path`; on success it replaces that, all at once.

    The new file is on the disk before it replaces the old, so neither a full disk nor a kill nor a
    power cut leaves half a file. On an error it is removed, and what was at `path` stays.

    Of several processes the first one writes. What the others write is dropped, and they wait
    until the file is there.

    Args:
        path: Path that the file gets at the end.
    """
    path = pathlib.Path(path)
    if path.is_symlink():  # which stays: what it points to is replaced
        path = pathlib.Path(os.path.realpath(path))
    # Nested ones have other names in each process, but for their ends.
    what = f"write {re.sub(r'(.partial-[^-]*-)+', '', path.name)}"
    if not processes.is_first():
        with tempfile.TemporaryDirectory() as folder:
            yield pathlib.Path(folder, path.name)
        processes.wait_for_first(what)
        return
    try:
        with _replacing(path) as beside:
            yield beside
    except BaseException as error:
        processes.publish_outcome(what, error)
        raise
    processes.publish_outcome(what)


@contextlib.contextmanager
def _replacing(path):
    if path.is_dir():
        raise ValueError(f"{path} is a directory; a file's path is needed.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}.")
    _drop_old(path)
    handle, name = tempfile.mkstemp(prefix=BESIDE, suffix=_end_of_name(path), dir=path.parent)
    os.close(handle)
    beside = pathlib.Path(name)
    try:
        with _naming_a_full_disk(path), _written_meanwhile(beside):
            yield beside
        sync(beside)
        beside.chmod(_mode_of(path))
        os.replace(beside, path)
        sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _end_of_name(path):
    """What a partial file's name ends in: writers tell formats by it, and names have a limit."""
    if len(os.fsencode(path.name)) <= _LONG:
        return f"-{path.name}"
    known = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return f"-{known}{path.name[-20:]}"


_FULL = {
    errno.ENOSPC: "No space left",
    errno.EDQUOT: "The quota is used up",
    errno.EFBIG: "The limit of a file's size is reached",
}


@contextlib.contextmanager
def _naming_a_full_disk(path):
    """Say so in one line, with the user's path; HDF5 says it with traces of its own."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        for number, words in _FULL.items():
            if getattr(error, "errno", None) == number or f"errno = {number}," in str(error):
                raise OSError(number, f"{words} on the disk of", str(path)) from error
        raise


@contextlib.contextmanager
def _written_meanwhile(path):
    """Let the system bring to the disk what a file holds, while more is being written to it."""
    done = threading.Event()

    def keep_syncing():
        size, pause = 0, _BETWEEN_SYNCS
        while not done.wait(pause):
            before, size = size, path.stat().st_size
            if size != before:
                sync(path)
            pause = _BETWEEN_SYNCS if size != before else 2 * pause  # others may be waited for

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        synced = thread.submit(keep_syncing)
        try:
            yield
        finally:
            done.set()
        synced.result()  # a disk says but once that it is full or broken


def _drop_old(path):
    """Delete what processes that were killed while they wrote have left beside a file."""
    with os.scandir(path.parent) as found:
        for item in found:
            if item.name.startswith(BESIDE) and item.name.endswith(_end_of_name(path)):
                with contextlib.suppress(FileNotFoundError):  # its writer has just moved it
                    if time.time() - item.stat().st_mtime > ABANDONED:
                        os.unlink(item.path)


def _mode_of(path):
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sync(path: pathlib.Path) -> None:
    """Have a file, or a folder's list of files, on the disk before going on.

    Args:
        path: Path of the file or folder.
    """
    if os.name != "posix" and path.is_dir():
        return  # only a file can be opened there
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_taken(path: pathlib.Path) -> bool:
    """Whether there is something at a path, as the process sees it that writes.

    Args:
        path: Path of the file or folder.
    """
    return processes.first_says(f"look for {path.name}", path.exists) == "True"
