"""`H5IOStore`: arrays by path in an HDF5 file, as libraries write what they keep beside weights."""

import io
import pathlib
import zipfile
from collections.abc import KeysView
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kerasish.core import processes
from kerasish.core.errors import bad_argument

_VARS = "vars"


class H5IOStore:
    """Arrays by name at a path of an HDF5 file, one path at a time.

    Args:
        path_or_io: File, or a `BytesIO`; within an archive, its name there.
        archive: Zip archive that the file is in.
        mode: `"r"` to read, `"w"` to write.

    Example:
        >>> file = io.BytesIO()
        >>> store = H5IOStore(file, mode="w")
        >>> store.make("layers/dense")["0"] = np.ones(3)
        >>> store.close()
        >>> H5IOStore(file).get("layers/dense")["0"]
        array([1., 1., 1.])
    """

    def __init__(
        self,
        path_or_io: Any,
        archive: zipfile.ZipFile | None = None,
        mode: str = "r",
    ):
        if mode not in ("r", "w"):
            raise bad_argument(type(self), "mode", "'r' or 'w'", mode)
        self.mode = mode
        self.archive = archive
        self.path_or_io = path_or_io
        target = path_or_io
        if archive is not None:
            given = b"" if mode == "w" else archive.read(str(path_or_io))
            target = io.BytesIO(given)
        elif isinstance(path_or_io, str | pathlib.Path):
            target = str(path_or_io)
        self._buffer = target
        self.h5_file = h5py.File(target, mode)
        self._path = ""
        self._group: Any = {}

    def make(self, path: str, metadata: dict | None = None) -> "H5IOStore":
        """Go to a path to write at; it is made when the first array is, or if it has metadata.

        Args:
            path: Path in the file.
            metadata: Attributes of the group.
        """
        if self.mode != "w":
            raise bad_argument(type(self), "mode", "'w' to make a path", self.mode)
        self._path, self._group = path, None
        if metadata:
            self._open().attrs.update(metadata)
        return self

    def get(self, path: str) -> "H5IOStore":
        """Go to a path to read at; one that is not there has no arrays.

        Args:
            path: Path in the file.
        """
        if self.mode != "r":
            raise bad_argument(type(self), "mode", "'r' to get a path", self.mode)
        inside = f"{path}/{_VARS}" if path else _VARS
        self._path, self._group = path, self.h5_file.get(inside, {})
        return self

    def has_path(self, path: str) -> bool:
        """Whether the file has a path.

        Args:
            path: Path in the file.
        """
        return path in self.h5_file

    def _open(self):
        if self._group is None:
            inside = f"{self._path}/{_VARS}" if self._path else _VARS
            self._group = self.h5_file.require_group(inside)
        return self._group

    def keys(self) -> KeysView:
        """Names of the arrays at the path."""
        return (self._group or {}).keys()

    def __len__(self) -> int:
        return len(self._group or {})

    def __bool__(self) -> bool:
        return bool(self.h5_file)

    def __contains__(self, key) -> bool:
        return key in (self._group or {})

    def __iter__(self):
        return iter(self.keys())

    def __getitem__(self, key):
        value = self._group[key]
        narrow = value.attrs.get("dtype") == "bfloat16"
        return value[()].astype(ml_dtypes.bfloat16) if narrow else np.asarray(value[()])

    def __setitem__(self, key, value):
        if self.mode != "w":
            raise bad_argument(type(self), "mode", "'w' to set an array", self.mode)
        value = processes.gather_to_host(value)
        array = np.asarray(value)
        narrow = array.dtype == ml_dtypes.bfloat16  # which HDF5 has no type for
        data = self._open().create_dataset(key, data=array.astype("float32") if narrow else array)
        if narrow:
            data.attrs["dtype"] = "bfloat16"

    def __delitem__(self, key):
        del self._group[key]

    def close(self) -> None:
        """Write and close the file."""
        self.h5_file.close()
        if self.archive is not None and self.mode == "w":
            self.archive.writestr(str(self.path_or_io), self._buffer.getvalue())
