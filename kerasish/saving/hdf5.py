"""HDF5 files: written in Keras 3's layout, and read without trusting what they claim.

A part's arrays are in the group `<path>/vars`, named by number. Files may come from strangers, so
nothing leads out of a file, no array is larger than what is stored for it, and where a file
carries checksums they must hold.
"""

import contextlib
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import ml_dtypes
import numpy as np

_CHECKSUM = "checksum"
_BLOCK = 2**16
# Deflate, shuffle, Fletcher's checksum and LZF: filters whose output cannot be much larger than
# what is stored.
_FILTERS = {1, 2, 3, 32000}
_SMALL = 64 * 2**20


def write_array(group: Any, key: str, value: Any, checksum: bool) -> None:
    """Write an array as Keras does; with a checksum, which Keras does not look at, if asked for."""
    value = np.asarray(value)
    stored = value.view("V2") if value.dtype == ml_dtypes.bfloat16 else value
    dataset = group.create_dataset(key, data=stored)
    if value.dtype == ml_dtypes.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"
    if checksum:
        dataset.attrs[_CHECKSUM] = np.uint32(checksum_of(value))


def checksum_of(value: np.ndarray) -> int:
    """Checksum of an array's type, shape and bytes: CRC-32 of the 64-bit sums of its blocks.

    A plain CRC of the bytes would take longer than reading them.
    """
    start = zlib.crc32(f"{value.dtype.name}{value.shape}".encode())
    data = np.ascontiguousarray(value).reshape(-1).view("u1")
    whole = data.size - data.size % _BLOCK
    sums = data[:whole].view("u8").reshape(-1, _BLOCK // 8).sum(axis=1)
    return zlib.crc32(data[whole:], zlib.crc32(sums, start))


class BadFile(ValueError):
    """A file that is damaged, or claims what is refused."""


class Window(io.RawIOBase):
    """Part of a file as a file of its own, for h5py to read from or write to in place.

    Args:
        handle: The open file's descriptor.
        start: Where the part begins, in bytes.
        size: Its length, in bytes.
    """

    def __init__(self, handle: int, start: int, size: int = 0):
        super().__init__()
        self.handle, self.start, self.size, self.position = handle, start, size, 0

    def seek(self, offset, whence=os.SEEK_SET):
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = origin + offset
        return self.position

    def tell(self):
        return self.position

    def readinto(self, buffer):
        wanted = max(0, min(len(buffer), self.size - self.position))
        with memoryview(buffer)[:wanted] as target:
            read = os.preadv(self.handle, [target], self.start + self.position) if wanted else 0
        self.position += read
        return read

    def write(self, data):
        written = 0
        with memoryview(data) as view:
            while written < len(view):
                at = self.start + self.position + written
                written += os.pwrite(self.handle, view[written:], at)
        self.position += written
        self.size = max(self.size, self.position)
        return written

    def truncate(self, size=None):
        self.size = self.position if size is None else size
        return self.size

    def readable(self):
        return True

    writable = seekable = readable


@contextlib.contextmanager
def reading(
    path: str | os.PathLike, start: int = 0, size: int | None = None, checksum: int | None = None
) -> Iterator["Tree"]:
    """The tree in a file, or in the part of a file that begins at `start`.

    Raises a `BadFile` that names the file if it cannot be read as HDF5.

    Args:
        path: The file.
        start: Where the tree begins, in bytes.
        size: How long it is; by default to the file's end.
        checksum: The CRC-32 that its bytes must have, which `Tree.verify` tells.
    """
    with open(path, "rb") as file:
        whole = os.fstat(file.fileno()).st_size
        size = whole - start if size is None else size
        window = Window(file.fileno(), start, size)
        try:
            h5 = h5py.File(window, "r")
        except (OSError, ValueError, RuntimeError, OverflowError) as error:
            raise BadFile(f"{path} is not a whole HDF5 file: {error}") from error
        with h5:
            try:
                yield Tree(h5, window, path, checksum)
            except (OSError, KeyError, RuntimeError, OverflowError, UnicodeDecodeError) as error:
                raise BadFile(f"{path} is damaged, or not a file of weights: {error}") from error


def crc_of(handle: int, start: int, size: int) -> int:
    """CRC-32 of a part of an open file."""
    checksum, block = 0, bytearray(2**20)
    for at in range(start, start + size, len(block)):
        with memoryview(block)[: min(len(block), start + size - at)] as view:
            if os.preadv(handle, [view], at) != len(view):
                raise OSError("it ends too early")
            checksum = zlib.crc32(view, checksum)
    return checksum


class Tree:
    """The groups and arrays of an open HDF5 file.

    Args:
        h5: The open file.
        window: The bytes of it.
        where: The path, for errors.
        checksum: The CRC-32 that the bytes must have, if known.
    """

    def __init__(self, h5: h5py.File, window: Window, where: Any, checksum: int | None = None):
        self.h5, self.window, self.where = h5, window, where
        self.checksum, self.size = checksum, window.size

    def verify(self) -> None:
        """Raise if the bytes are not what they were when written."""
        if self.checksum is None:
            return
        if crc_of(self.window.handle, self.window.start, self.size) != self.checksum:
            raise BadFile(f"{self.where} is damaged: its checksum does not fit.")

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path: a mapping that reads an array when it is asked for."""
        group = self.group(f"{path}/vars" if path else "vars")
        return Arrays(self, group) if group is not None else {}

    def group(self, path: str, start: Any = None) -> Any:
        """The group at a path, `None` if there is none; links that lead elsewhere are refused."""
        node = self.h5 if start is None else start
        for name in path.split("/"):
            node = self._child(node, name)
            if node is None:
                return None
        if not isinstance(node, h5py.Group):
            raise BadFile(f"{self.where}: {path!r} is no group of arrays.")
        return node

    def _child(self, group, name):
        if not isinstance(group, h5py.Group) or name not in group:
            return None
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BadFile(
                f"{self.where}: {group.name}/{name} is a link to elsewhere, which is refused."
            )
        return group[name]

    def dataset(self, group: Any, key: str) -> h5py.Dataset:
        """The array's place in the file, after all checks of what it claims."""
        node = group
        for name in key.split("/"):
            node = self._child(node, name)
        who = f"{self.where}: {group.name}/{key}"
        if not isinstance(node, h5py.Dataset):
            raise BadFile(f"{who} is no array.")
        if node.is_virtual or node.external:
            raise BadFile(f"{who} is stored outside this file, which is refused.")
        if node.shape is None or node.dtype.kind not in "biufV" or node.dtype.hasobject:
            raise BadFile(f"{who} holds no numbers ({node.dtype}).")
        stored, claimed = node.id.get_storage_size(), node.size * node.dtype.itemsize
        packed = node.chunks is not None
        if packed and not self._filters(node) <= _FILTERS:
            raise BadFile(f"{who} is packed with a filter that is not allowed.")
        honest = claimed <= 1100 * stored if packed else claimed == stored
        if stored > self.size or not honest:
            raise BadFile(f"{who} claims {claimed} bytes, but {stored} are stored: refused.")
        return node

    @staticmethod
    def _filters(node):
        plan = node.id.get_create_plist()
        return {plan.get_filter(i)[0] for i in range(plan.get_nfilters())}

    def read(self, group: Any, key: str, expected: tuple | None = None) -> np.ndarray:
        """One array.

        Args:
            group: Where it is.
            key: Its name there.
            expected: The shape it is for, if known: then it may be packed, however large.
        """
        node = self.dataset(group, key)
        who = f"{self.where}: {group.name}/{key}"
        if node.chunks is not None and node.shape != expected and node.nbytes > _SMALL:
            raise BadFile(f"{who} is packed and unpacks to {node.nbytes} bytes: refused.")
        value = self._bytes(node) if node.chunks is None else node[()]
        value = np.asarray(value)
        if node.attrs.get("dtype") == "bfloat16":
            value = value.view(ml_dtypes.bfloat16)
        checksum = node.attrs.get(_CHECKSUM)
        if checksum is not None and int(checksum) != checksum_of(value):
            raise BadFile(f"{who} is damaged: its checksum does not fit.")
        return value

    def _bytes(self, node):
        """The array as it lies in the file: not mapped, as others may shorten the file."""
        offset = node.id.get_offset()
        if offset is None or not node.size or not node.dtype.isnative:
            return node[()]
        if not 0 <= offset <= self.size - node.nbytes:
            raise BadFile(f"{self.where}: {node.name} ends after the file's end.")
        value = np.empty(node.shape, node.dtype)
        view, at, done = value.reshape(-1).view("u1"), self.window.start + offset, 0
        while done < view.size:
            read = os.preadv(self.window.handle, [view[done:]], at + done)
            if not read:
                raise BadFile(f"{self.where}: {node.name} ends after the file's end.")
            done += read
        return value

    def names(self, group: Any, attribute: str) -> list[str]:
        """A list of names in an attribute, or in numbered ones where it was too long for one."""
        found = [attribute] if attribute in group.attrs else []
        while f"{attribute}{len(found)}" in group.attrs:
            found.append(f"{attribute}{len(found)}")
        items = [item for name in found for item in np.ravel(group.attrs[name])]
        return [item.decode() if isinstance(item, bytes) else str(item) for item in items]


class Arrays(Mapping):
    """The arrays of one part by name, read when asked for."""

    def __init__(self, tree: Tree, group: h5py.Group):
        self.tree, self.node, self.expected = tree, group, {}

    def expect(self, shapes: dict[str, tuple]) -> None:
        """Say what shapes the arrays are for."""
        self.expected = shapes

    def shape(self, key: str) -> tuple:
        """An array's shape, unread."""
        return self.tree.dataset(self.node, key).shape

    def __getitem__(self, key):
        if key not in self.node:
            raise KeyError(key)
        return self.tree.read(self.node, key, self.expected.get(key))

    def __iter__(self):
        return iter(self.node)

    def __len__(self):
        return len(self.node)
