"""Zip archives: members are stored unpacked, written and read in place."""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import BadFile, Window, as_bytes
from kerasish.saving.io.parallel_reader import crc_of

_LARGE = 2**16  # bytes that are worth another thread
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_FREE = 512  # bytes before the first member, for its header: the least that HDF5 can leave free
_EXTRA, _ALIGNMENT = struct.Struct("<HH"), 0xD935  # a field of zeros, known from Android's tools
# What unpacks to more than this must not be more than so many times what is stored.
_UNPACKED, _TIMES = 2**26, 100


@contextlib.contextmanager
def new_archive(
    path: pathlib.Path, name: str, write: Callable[[pathlib.Path, int, Callable], None]
) -> Iterator[zipfile.ZipFile]:
    """A new archive, open to add to, whose first member is a file that was written in position.

    Args:
        path: Where the archive is to be.
        name: The member's name.
        write: Called with the path, how many bytes at its beginning it must leave free, and a
            function to call with the start and the array of what has been written, whose CRC-32
            is then counted meanwhile.
    """
    known = []
    with concurrent.futures.ThreadPoolExecutor(1) as thread:

        def count(start, value):
            if value.nbytes >= _LARGE:
                data = as_bytes(value)
                known.append((start - _FREE, data.size, thread.submit(zlib.crc32, data)))

        write(path, _FREE, count)
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.header_offset = 0
    with open(path, "rb+", buffering=0) as file:
        window = Window(file, _FREE, os.fstat(file.fileno()).st_size - _FREE)
        info.file_size = info.compress_size = window.size
        info.CRC = crc_of(window, [(start, size, crc.result()) for start, size, crc in known])
        padding = _FREE - len(info.FileHeader(zip64=True)) - _EXTRA.size
        info.extra = _EXTRA.pack(_ALIGNMENT, padding) + bytes(padding)
        file.seek(0)
        file.write(info.FileHeader(zip64=True))
    info.extra = b""  # not in the directory
    with zipfile.ZipFile(path, "a") as archive:
        yield archive
        archive.filelist.append(info)  # the last of the directory, as Keras has it


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open to read: one file, whatever replaces it meanwhile.

    Args:
        path: Path of the file.
    """
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    with open(path, "rb", buffering=0) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            message = f"{path} is not a whole `.keras` file (a zip archive): {error}"
            raise BadFile(message) from error
        with archive:
            _check_names(archive)
            yield archive


def _check_names(archive):
    """Raise if a member's name leads elsewhere or is there twice."""
    path, names = _path_of(archive), archive.namelist()
    for name in names:
        parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name or "\0" in name:
            raise BadFile(f"{path} has a member {name!r}, a path that leads elsewhere: refused.")
    twice = {name for name in names if names.count(name) > 1} if len({*names}) < len(names) else ()
    if twice:
        raise BadFile(f"{path} has the member {min(twice)!r} twice, which is refused.")


def _path_of(archive):
    return archive.fp.name


def _member(archive, name):
    path = _path_of(archive)
    if name not in archive.NameToInfo:
        raise BadFile(f"{path} has no {name}, so it is not a whole `.keras` file.")
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise BadFile(f"{path}: {name} is encrypted, which is refused.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadFile(f"{path}: {name} is packed in a way that is refused.")
    return info


def read_text(archive: zipfile.ZipFile, name: str) -> str:
    """A member that is a text.

    Args:
        archive: The archive.
        name: Name of the member.
    """
    info = _member(archive, name)
    if info.file_size > bounded_json.LIMIT or info.file_size > 1100 * (info.compress_size + 1):
        raise BadFile(
            f"{_path_of(archive)}: {name} claims {info.file_size} bytes, which is refused."
        )
    with _naming(archive, name):
        return archive.read(name).decode()


def copy_member(archive: zipfile.ZipFile, name: str, target: pathlib.Path) -> None:
    """Unpack a member into a file of its own.

    Args:
        archive: The archive.
        name: Name of the member.
        target: Path of the new file.
    """
    info = _member(archive, name)
    if info.file_size > _UNPACKED and info.file_size > _TIMES * info.compress_size:
        raise BadFile(
            f"{_path_of(archive)}: {name} claims {info.file_size} bytes, which is refused."
        )
    with _naming(archive, name), archive.open(name) as member, open(target, "wb") as file:
        shutil.copyfileobj(member, file, 2**20)


@contextlib.contextmanager
def _naming(archive, name):
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise BadFile(f"{_path_of(archive)}: {name} is damaged: {error}") from error


@contextlib.contextmanager
def open_member(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[Window, int]]:
    """The bytes of a member as it was before packing, and its CRC-32.

    They lie in the archive itself, where the member is stored; else in a copy.

    Args:
        archive: The archive.
        name: Name of the member.
    """
    info = _member(archive, name)
    if info.compress_type == zipfile.ZIP_STORED:
        yield _window(archive, info), info.CRC
        return
    with tempfile.TemporaryDirectory(prefix="kerasish-") as folder:
        copy = pathlib.Path(folder, "member")
        copy_member(archive, name, copy)
        with open(copy, "rb", buffering=0) as file:
            yield Window(file, 0, copy.stat().st_size), info.CRC


def _window(archive, info):
    """Where a member that is stored unpacked begins, which its own header knows."""
    file, path = archive.fp, _path_of(archive)
    if info.file_size != info.compress_size:
        raise BadFile(f"{path}: {info.filename} claims two sizes, which is refused.")
    if info.header_offset < 0:
        raise BadFile(f"{path} is damaged: {info.filename} is not where it should be.")
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise BadFile(f"{path} is damaged: {info.filename} is not where it should be.")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if start + info.file_size > os.fstat(file.fileno()).st_size:
        raise BadFile(f"{path} is truncated in {info.filename}.")
    return Window(file, start, info.file_size)
