"""Arrays in HDF5 files: written as Keras does, and read without trusting what they claim."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import h5py
import ml_dtypes
import numpy as np

from kerasish.core import processes
from kerasish.saving.io.crc32 import sum_of
from kerasish.saving.io.file_window import BadFile
from kerasish.saving.io.parallel_reader import Reader, StoredArray, check_sum

_SUM = "sum"
# Deflate, shuffle, Fletcher's checksum and LZF: filters whose output cannot be much larger than
# what is stored.
_FILTERS = {1, 2, 3, 32000}
_TIMES = 1100  # larger than what deflate stores at best
_SMALL = 64 * 2**20


def write_array(group: Any, key: str, value: Any) -> int | None:
    """Write an array as Keras does, with a checksum that Keras does not look at.

    Returns where it is in the file, if its bytes do.

    Args:
        group: The HDF5 group.
        key: Name of the array.
        value: The array.
    """
    value = np.asarray(value)
    if not processes.is_first():
        return None  # the file is dropped: see `replacing`
    stored = value.view("V2") if value.dtype == ml_dtypes.bfloat16 else value
    dataset = group.create_dataset(key, data=stored)
    if value.dtype == ml_dtypes.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"
    dataset.attrs[_SUM] = np.uint32(sum_of(dataset.name, value))
    return dataset.id.get_offset()


class Stored(NamedTuple):
    """An array in a file whose claims hold.

    Attributes:
        node: It, as h5py's own lower floor has it: asking the upper one takes several times longer.
        who: The file's path and its name there, for errors.
        name: Its name in the file.
        shape: Its shape.
        dtype: The type of what is stored.
        packed: Whether it is stored in chunks, which may be compressed.
    """

    node: h5py.h5d.DatasetID
    who: str
    name: str
    shape: tuple
    dtype: np.dtype
    packed: bool

    @property
    def nbytes(self) -> int:
        """Bytes, unpacked."""
        return math.prod(self.shape) * self.dtype.itemsize


def find_array(node: Any, who: str, limit: int) -> Stored:
    """What a node stores; an error unless it is an array of numbers within the file.

    It must claim no more than it has.

    Args:
        node: What a name in a file stands for, as h5py's lower floor has it.
        who: It, for errors: the file's path and its name there.
        limit: The file's size, in bytes.
    """
    if not isinstance(node, h5py.h5d.DatasetID):
        raise BadFile(f"{who} is no array.")
    plan = node.get_create_plist()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise BadFile(f"{who} is stored outside this file, which is refused.")
    shape, dtype, packed = node.shape, node.dtype, layout == h5py.h5d.CHUNKED
    if shape is None or dtype.kind not in "biufV" or dtype.hasobject:
        raise BadFile(f"{who} holds no numbers ({dtype}).")
    if packed and not {plan.get_filter(i)[0] for i in range(plan.get_nfilters())} <= _FILTERS:
        raise BadFile(f"{who} is packed with a filter that is not allowed.")
    array = Stored(node, who, h5py.h5i.get_name(node).decode(), shape, dtype, packed)
    stored, claimed = node.get_storage_size(), array.nbytes
    honest = claimed <= _TIMES * stored if packed else claimed == stored
    if stored > limit or not honest:
        raise BadFile(f"{who} claims {claimed} bytes, but {stored} are stored: refused.")
    return array


def begin_array(
    array: Stored, reader: Reader, expected: tuple | None = None
) -> Callable[[], np.ndarray]:
    """Begin to read an array; what is returned waits for it.

    Args:
        array: The array in the file.
        reader: What reads from the file.
        expected: The shape it is for, if known: then it may be packed, however large.
    """
    node, who = array.node, array.who
    if array.packed and array.shape != expected and array.nbytes > _SMALL:
        raise BadFile(f"{who} is packed and unpacks to {array.nbytes} bytes: refused.")
    is_bfloat16 = array.dtype == "V2" and h5py.Dataset(node).attrs.get("dtype") == "bfloat16"
    dtype = np.dtype(ml_dtypes.bfloat16) if is_bfloat16 else array.dtype
    offset = None if array.packed else node.get_offset()
    stored = StoredArray(who, array.name, offset or 0, array.shape, dtype, _sum_in(array))
    if offset is None or not array.nbytes or not array.dtype.isnative:
        return functools.partial(_read_through_h5py, array, stored)
    if not 0 <= offset <= reader.window.size - array.nbytes:
        raise BadFile(f"{who} ends after the file's end.")
    return reader.begin(stored)


def _read_through_h5py(array, stored):
    value = np.asarray(h5py.Dataset(array.node)[()])
    value = value if value.dtype == stored.dtype else value.view(stored.dtype)
    check_sum(value, stored)
    return value


def _sum_in(array):
    """The checksum that was written with an array, if one was."""
    if not h5py.h5a.exists(array.node, _SUM.encode()):
        return None
    attribute = h5py.h5a.open(array.node, _SUM.encode())
    if attribute.shape != () or attribute.dtype.kind not in "iu":
        raise BadFile(f"{array.who} is damaged: it has a strange {_SUM!r}.")
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    return int(value)
