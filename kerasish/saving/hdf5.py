"""HDF5 files: written in Keras 3's layout, and read without trusting what they claim.

A part's arrays are in the group `<path>/vars`, named by number. Files may come from strangers, so
nothing leads out of a file, no array is larger than what is stored for it, and where a file
carries checksums they must hold.
"""

import concurrent.futures
import contextlib
import functools
import io
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kerasish.core import processes
from kerasish.saving.checksums import bytes_of, crc_of, read_into, sum_of

_SUM = "sum"
# Of arrays that JAX takes over without a copy; and of large ones, which then lie on large pages.
_ALIGNMENT, _LARGE = 64, 2**21
# Deflate, shuffle, Fletcher's checksum and LZF: filters whose output cannot be much larger than
# what is stored.
_FILTERS = {1, 2, 3, 32000}
_SMALL = 64 * 2**20


def write_array(group: Any, key: str, value: Any, checksum: bool) -> None:
    """Write an array as Keras does; with a checksum, which Keras does not look at, if asked for."""
    value = np.asarray(value)
    if not processes.is_first():
        return  # the file is dropped: see `replacing`
    stored = value.view("V2") if value.dtype == ml_dtypes.bfloat16 else value
    dataset = group.create_dataset(key, data=stored)
    if value.dtype == ml_dtypes.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"
    if checksum:
        dataset.attrs[_SUM] = np.uint32(sum_of(dataset.name, value))


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

    def read_at(self, start: int, data: np.ndarray, at: int = 0) -> None:
        """Fill an array of bytes from `start + at` on, wherever the position is."""
        read_into(data, self.handle, self.start + start + at)

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


def room_for(shape: tuple, dtype: Any) -> np.ndarray:
    """An array to be filled, placed so that JAX can take it over without a copy."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    alignment = _LARGE if size > _LARGE else _ALIGNMENT
    room = np.empty(size + alignment, "u1")
    start = -room.ctypes.data % alignment
    return room[start : start + size].view(dtype).reshape(shape)


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
    with open(path, "rb") as file, concurrent.futures.ThreadPoolExecutor(1) as thread:
        whole = os.fstat(file.fileno()).st_size
        size = whole - start if size is None else size
        window = Window(file.fileno(), start, size)
        try:
            h5 = h5py.File(window, "r")
        except (OSError, ValueError, RuntimeError, OverflowError) as error:
            raise BadFile(f"{path} is not a whole HDF5 file: {error}") from error
        with h5:
            try:
                yield Tree(h5, window, path, thread, checksum)
            except (OSError, KeyError, RuntimeError, OverflowError, UnicodeDecodeError) as error:
                raise BadFile(f"{path} is damaged, or not a file of weights: {error}") from error


class Tree:
    """The groups and arrays of an open HDF5 file.

    Args:
        h5: The open file.
        window: The bytes of it.
        where: The path, for errors.
        thread: What counts the checksum while arrays are read.
        checksum: The CRC-32 that the bytes must have, if known.
    """

    def __init__(
        self,
        h5: h5py.File,
        window: Window,
        where: Any,
        thread: concurrent.futures.ThreadPoolExecutor,
        checksum: int | None = None,
    ):
        self.h5, self.window, self.where, self.size = h5, window, where, window.size
        self.nodes: dict[str, Any] = {}
        self.checksum = checksum
        if checksum is not None:
            self.counted = thread.submit(crc_of, window.handle, window.start, window.size)

    def verify(self) -> None:
        """Raise if the bytes are not what they were when written."""
        if self.checksum is not None and self.counted.result() != self.checksum:
            raise BadFile(f"{self.where} is damaged: its checksum does not fit.")

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path: a mapping that reads an array when it is asked for."""
        group = self.group(f"{path}/vars" if path else "vars")
        return Arrays(self, group) if group is not None else {}

    def group(self, path: str, start: Any = None) -> Any:
        """The group at a path, `None` if there is none; links that lead elsewhere are refused."""
        node = self._at(path) if start is None else self._child(start, path)
        if node is None:
            return None
        if not isinstance(node, h5py.Group):
            raise BadFile(f"{self.where}: {path!r} is no group of arrays.")
        return node

    def _at(self, path):
        parent, _, name = path.rpartition("/")
        if path not in self.nodes:
            self.nodes[path] = self._child(self._at(parent) if parent else self.h5, name)
        return self.nodes[path]

    def _child(self, group, name):
        link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
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
        shape, dtype = node.shape, node.dtype
        if shape is None or dtype.kind not in "biufV" or dtype.hasobject:
            raise BadFile(f"{who} holds no numbers ({dtype}).")
        stored, claimed = node.id.get_storage_size(), math.prod(shape) * dtype.itemsize
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

    def read(self, node: h5py.Dataset, expected: tuple | None = None) -> np.ndarray:
        """One array.

        Args:
            node: Its place, which `dataset` found.
            expected: The shape it is for, if known: then it may be packed, however large.
        """
        who = f"{self.where}: {node.name}"
        if node.chunks is not None and node.shape != expected and node.nbytes > _SMALL:
            raise BadFile(f"{who} is packed and unpacks to {node.nbytes} bytes: refused.")
        offset = node.id.get_offset() if node.chunks is None else None
        in_place = offset is not None and node.size and node.dtype.isnative
        if in_place and not 0 <= offset <= self.size - node.nbytes:
            raise BadFile(f"{who} ends after the file's end.")
        value = room_for(node.shape, node.dtype) if in_place else np.asarray(node[()])
        if value.dtype.kind == "V" and node.attrs.get("dtype") == "bfloat16":
            value = value.view(ml_dtypes.bfloat16)
        # Not mapped, as others may shorten the file.
        fill = functools.partial(self.window.read_at, offset) if in_place else None
        claimed = self._number(node, _SUM)
        if claimed is not None:
            if sum_of(node.name, value, fill) != claimed:
                raise BadFile(f"{who} is damaged: its checksum does not fit.")
        elif fill is not None:
            fill(bytes_of(value), 0)
        return value

    def _number(self, node, attribute):
        value = node.attrs.get(attribute)
        if value is None or isinstance(value, np.integer):
            return None if value is None else int(value)
        raise BadFile(f"{self.where} is damaged: {node.name} has a strange {attribute!r}.")

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
        self._dataset = functools.cache(functools.partial(tree.dataset, group))

    def expect(self, shapes: dict[str, tuple]) -> None:
        """Say what shapes the arrays are for."""
        self.expected = shapes

    def shape(self, key: str) -> tuple:
        """An array's shape, unread."""
        return self._dataset(key).shape

    def __getitem__(self, key):
        if key not in self.node:
            raise KeyError(key)
        return self.tree.read(self._dataset(key), self.expected.get(key))

    def __iter__(self):
        return iter(self.node)

    def __len__(self):
        return len(self.node)
