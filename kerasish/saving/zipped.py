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
from typing import Any

from kerasish.saving.checksums import crc_of
from kerasish.saving.hdf5 import BadFile, Window

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
TEXT_LIMIT = 2**28  # of a config, in bytes
# What unpacks to more than this must not be more than so many times what is stored.
_UNPACKED, _TIMES = 2**26, 100


def add_in_place(archive: zipfile.ZipFile, name: str, write: Callable[[Any], None]) -> None:
    """Let `write(file)` write a member straight into the archive, which is open for writing.

    It may write back and forth. At least one other member must have been added before.
    """
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    file: Any = archive.fp
    file.flush()
    info.header_offset, info.CRC = archive.start_dir, 0
    header = info.FileHeader(zip64=True)
    window = Window(file.fileno(), archive.start_dir + len(header))
    write(window)
    os.ftruncate(file.fileno(), window.start + window.size)  # HDF5 may end with unwritten space
    info.file_size = info.compress_size = window.size
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        counted = thread.submit(crc_of, file.fileno(), window.start, window.size)
        os.fsync(file.fileno())  # takes longer than the checksum, and must be done anyway
        info.CRC = counted.result()
    os.pwrite(file.fileno(), info.FileHeader(zip64=True), info.header_offset)
    archive.filelist.append(info)
    archive.NameToInfo[name] = info
    archive.start_dir = window.start + window.size


def opened(path: pathlib.Path) -> zipfile.ZipFile:
    """The archive, open to read."""
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BadFile(f"{path} is not a whole `.keras` file (a zip archive): {error}") from error


def safe_names(archive: zipfile.ZipFile, path: pathlib.Path) -> list[str]:
    """The names of all members, none of which leads elsewhere or is there twice."""
    names = archive.namelist()
    for name in names:
        parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or ":" in name or "\0" in name:
            raise BadFile(f"{path} has a member {name!r}, a path that leads elsewhere: refused.")
    twice = {name for name in names if names.count(name) > 1} if len({*names}) < len(names) else ()
    if twice:
        raise BadFile(f"{path} has the member {min(twice)!r} twice, which is refused.")
    return names


def _member(archive, name, path):
    safe_names(archive, path)
    if name not in archive.NameToInfo:
        raise BadFile(f"{path} has no {name}, so it is not a whole `.keras` file.")
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise BadFile(f"{path}: {name} is encrypted, which is refused.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadFile(f"{path}: {name} is packed in a way that is refused.")
    return info


def read_text(path: pathlib.Path, name: str) -> str:
    """A member that is a text."""
    with opened(path) as archive:
        info = _member(archive, name, path)
        if info.file_size > TEXT_LIMIT or info.file_size > 1100 * (info.compress_size + 1):
            raise BadFile(f"{path}: {name} claims {info.file_size} bytes, which is refused.")
        try:
            return archive.read(name).decode()
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
            raise BadFile(f"{path}: {name} is damaged: {error}") from error


def copy_member(archive: zipfile.ZipFile, name: str, path: Any, place: pathlib.Path) -> None:
    """Unpack a member into a file of its own."""
    info = _member(archive, name, path)
    if info.file_size > _UNPACKED and info.file_size > _TIMES * info.compress_size:
        raise BadFile(f"{path}: {name} claims {info.file_size} bytes, which is refused.")
    try:
        with archive.open(name) as member, open(place, "wb") as file:
            shutil.copyfileobj(member, file, 2**20)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise BadFile(f"{path}: {name} is damaged: {error}") from error


@contextlib.contextmanager
def found_member(path: pathlib.Path, name: str) -> Iterator[tuple[pathlib.Path, int, int, int]]:
    """A file in which a member lies as it is, from where on, its size, and its CRC-32.

    The archive itself, where the member is stored; else a copy, as long as this is open.
    """
    with opened(path) as archive:
        if _member(archive, name, path).compress_type == zipfile.ZIP_STORED:
            yield path, *find_member(path, name)
            return
        with tempfile.TemporaryDirectory(prefix="kerasish-") as folder:
            copy = pathlib.Path(folder, path.name)
            copy_member(archive, name, path, copy)
            yield copy, 0, copy.stat().st_size, archive.getinfo(name).CRC


def find_member(path: pathlib.Path, name: str) -> tuple[int, int, int]:
    """Where a member that is stored unpacked begins in the file, its size, and its CRC-32.

    Raises a `BadFile` that names the file if anything about it is wrong.
    """
    with opened(path) as archive, open(path, "rb") as file:
        info = _member(archive, name, path)
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise BadFile(f"{path}: {name} is packed, not stored as it is: refused.")
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER.size)
        if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
            raise BadFile(f"{path} is damaged: {name} is not where it should be.")
        *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        if start + info.file_size > os.fstat(file.fileno()).st_size:
            raise BadFile(f"{path} is truncated in {name}.")
    return start, info.file_size, info.CRC
