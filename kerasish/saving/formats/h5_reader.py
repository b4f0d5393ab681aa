"""HDF5 files in Keras 3's layout, read without trusting what they claim.

A part's arrays are in the group `<path>/vars`, named by number. Files may come from strangers, so
nothing leads out of a file, no array is larger than what is stored for it, and where a file
carries checksums they must hold.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any

import h5py
import numpy as np

from kerasish.saving.formats.h5_dataset import Stored, begin_array, find_array
from kerasish.saving.io.file_window import BadFile, Window
from kerasish.saving.io.parallel_reader import Reader

_PAGE = 2**14  # bytes read at once: HDF5 asks for its tables bit by bit


@contextlib.contextmanager
def reading(
    window: Window, where: Any, crc: int | None = None, threads: Executor | None = None
) -> Iterator["Tree"]:
    """The tree in a file, or in a part of one.

    Raises a `BadFile` that names the file if it cannot be read as HDF5.

    Args:
        window: The bytes.
        where: The file's path.
        crc: What the CRC-32 of the bytes must be, if known.
        threads: What reads, if it is to be shared.
    """
    try:
        h5 = h5py.File(io.BufferedReader(window, _PAGE), "r")
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise BadFile(f"{where} is not a whole HDF5 file: {error}") from error
    with h5, contextlib.closing(Reader(window, where, crc, threads)) as reader:
        try:
            yield Tree(h5, reader)
        except (OSError, KeyError, RuntimeError, OverflowError, UnicodeDecodeError) as error:
            raise BadFile(f"{where} is damaged, or not a file of weights: {error}") from error


_H5PY_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError)


class Tree:
    """The groups and arrays of an open HDF5 file.

    Groups are h5py's lower floor's: asking its upper one takes several times longer.

    Args:
        h5: The open file.
        reader: What reads its bytes.
    """

    def __init__(self, h5: h5py.File, reader: Reader):
        self.h5, self.reader, self.where = h5, reader, reader.where
        self.size, self.verify = reader.window.size, reader.verify
        with self._naming():
            self.nodes: dict[str, Any] = {"": h5py.h5g.open(h5.id, b"/")}

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path: a mapping that reads an array when it is asked for.

        Args:
            path: Path in the file.
        """
        group = self.group(f"{path}/vars" if path else "vars")
        return Arrays(self, group) if group is not None else {}

    def stored_parts(self) -> Iterator[str]:
        """Paths of the parts that have arrays."""
        stack, seen = [("", self.nodes[""])], set()
        while stack:
            path, group = stack.pop()
            with self._naming():
                address = h5py.h5o.get_info(group).addr
                names = [] if address in seen else [name.decode() for name in group]
            seen.add(address)
            for name in names:
                node: Any = self._child(group, name)
                if name == "vars" and isinstance(node, h5py.h5g.GroupID) and len(node):
                    yield path
                elif isinstance(node, h5py.h5g.GroupID):
                    stack.append((f"{path}/{name}" if path else name, node))

    def group(self, path: str, start: Any = None) -> h5py.h5g.GroupID | None:
        """The group at a path, `None` if there is none; links that lead elsewhere are refused.

        Args:
            path: Path in the file.
            start: Group that the path starts at.
        """
        node = self._at(path) if start is None else self._child(start, path)
        if node is None or isinstance(node, h5py.h5g.GroupID):
            return node
        raise BadFile(f"{self.where}: {path!r} is no group of arrays.")

    def _at(self, path):
        if path not in self.nodes:
            parent, _, name = path.rpartition("/")
            self.nodes[path] = self._child(self._at(parent), name)
        return self.nodes[path]

    def _child(self, group, name):
        if not isinstance(group, h5py.h5g.GroupID):
            return None
        with self._naming():
            key = name.encode()
            if not group.links.exists(key):
                return None
            if group.links.get_info(key).type == h5py.h5l.TYPE_HARD:
                return h5py.h5o.open(group, key)
            who = f"{self.where}: {_name_of(group)}/{name}"
            raise BadFile(f"{who} is a link to elsewhere, which is refused.")

    def dataset(self, group: h5py.h5g.GroupID, key: str) -> Stored:
        """The array's position in the file, after all checks of what it claims.

        Args:
            group: The HDF5 group.
            key: Name of the array.
        """
        node = group
        for name in key.split("/"):
            node = self._child(node, name)
        with self._naming():
            return find_array(node, f"{self.where}: {_name_of(group)}/{key}", self.size)

    def begin(self, array: Stored, expected: tuple | None = None) -> Callable:
        """Begin to read an array that `dataset` found; the result waits for it.

        Args:
            array: The array.
            expected: The shape it is for, if known.
        """
        with self._naming():
            return begin_array(array, self.reader, expected)

    def names(self, group: h5py.h5g.GroupID, attribute: str) -> list[str]:
        """A list of names in an attribute, or in numbered ones where it was too long for one.

        Args:
            group: The HDF5 group.
            attribute: Name of the attribute.
        """
        with self._naming():
            attributes: Any = h5py.Group(group).attrs
            found = [attribute] if attribute in attributes else []
            while f"{attribute}{len(found)}" in attributes:
                found.append(f"{attribute}{len(found)}")
            items = [item for name in found for item in np.ravel(attributes[name])]
            return [item.decode() if isinstance(item, bytes) else str(item) for item in items]

    @contextlib.contextmanager
    def _naming(self):
        """Errors of h5py's name no file."""
        try:
            yield
        except BadFile:
            raise
        except _H5PY_ERRORS as error:
            raise BadFile(f"{self.where} is damaged, or not a file of weights: {error}") from error


def _name_of(group):
    return h5py.h5i.get_name(group).decode()


class Arrays(Mapping):
    """The arrays of one part by name, read when asked for, or from when they are expected."""

    def __init__(self, tree: Tree, group: h5py.h5g.GroupID):
        self.tree, self.node = tree, group
        self._begun: dict[str, Callable] = {}
        self._dataset = functools.cache(functools.partial(tree.dataset, group))

    def expect(self, shapes: dict[str, tuple]) -> None:
        """Begin to read the arrays that have these shapes.

        Args:
            shapes: Shapes of the arrays to read.
        """
        for key, shape in shapes.items():
            if key in self and self.shape(key) == shape:
                self._begun[key] = self.tree.begin(self._dataset(key), shape)

    def shape(self, key: str) -> tuple:
        """An array's shape, unread.

        Args:
            key: Name of the array.
        """
        return self._dataset(key).shape

    def __getitem__(self, key):
        if key not in self:
            raise KeyError(key)
        begun = self._begun.pop(key, None)  # not held here any longer
        return (begun or self.tree.begin(self._dataset(key)))()

    @functools.cached_property
    def _names(self):
        return {name.decode(errors="surrogateescape"): None for name in self.node}

    def __contains__(self, key):  # a `Mapping` would read the array to see whether it is there
        return key in self._names or key.encode(errors="surrogateescape") in self.node

    def __iter__(self):
        return iter(self._names)

    def __len__(self):
        return len(self._names)
