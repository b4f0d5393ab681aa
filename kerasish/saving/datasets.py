"""Arrays in HDF5 files: written as Keras does, and read without trusting what they claim."""

import functools
import math
from collections.abc import Callable
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kerasish.core import processes
from kerasish.saving.checksums import sum_of
from kerasish.saving.raw import BadFile
from kerasish.saving.reader import Place, Reader, check_sum

_SUM = "sum"
# Deflate, shuffle, Fletcher's checksum and LZF: filters whose output cannot be much larger than
# what is stored.
_FILTERS = {1, 2, 3, 32000}
_TIMES = 1100  # larger than what deflate stores at best
_SMALL = 64 * 2**20


def write_array(group: Any, key: str, value: Any) -> None:
    """Write an array as Keras does, with a checksum that Keras does not look at."""
    value = np.asarray(value)
    if not processes.is_first():
        return  # the file is dropped: see `replacing`
    stored = value.view("V2") if value.dtype == ml_dtypes.bfloat16 else value
    dataset = group.create_dataset(key, data=stored)
    if value.dtype == ml_dtypes.bfloat16:
        dataset.attrs["dtype"] = "bfloat16"
    dataset.attrs[_SUM] = np.uint32(sum_of(dataset.name, value))


def check_claims(node: Any, who: str, limit: int) -> None:
    """Raise unless a node is an array of numbers, within the file, that claims no more than it has.

    Args:
        node: What a name in a file stands for.
        who: It, for errors: the file's path and its name there.
        limit: The file's size, in bytes.
    """
    if not isinstance(node, h5py.Dataset):
        raise BadFile(f"{who} is no array.")
    plan = node.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL or plan.get_external_count():
        raise BadFile(f"{who} is stored outside this file, which is refused.")
    shape, dtype = node.shape, node.dtype
    if shape is None or dtype.kind not in "biufV" or dtype.hasobject:
        raise BadFile(f"{who} holds no numbers ({dtype}).")
    stored, claimed = node.id.get_storage_size(), math.prod(shape) * dtype.itemsize
    packed = node.chunks is not None
    if packed and not {plan.get_filter(i)[0] for i in range(plan.get_nfilters())} <= _FILTERS:
        raise BadFile(f"{who} is packed with a filter that is not allowed.")
    honest = claimed <= _TIMES * stored if packed else claimed == stored
    if stored > limit or not honest:
        raise BadFile(f"{who} claims {claimed} bytes, but {stored} are stored: refused.")


def begin_array(
    node: h5py.Dataset, who: str, reader: Reader, expected: tuple | None = None
) -> Callable[[], np.ndarray]:
    """Begin to read an array whose claims were checked; what is returned waits for it.

    Args:
        node: The array in the file.
        who: It, for errors.
        reader: What reads from the file.
        expected: The shape it is for, if known: then it may be packed, however large.
    """
    if node.chunks is not None and node.shape != expected and node.nbytes > _SMALL:
        raise BadFile(f"{who} is packed and unpacks to {node.nbytes} bytes: refused.")
    is_bfloat16 = node.dtype == "V2" and node.attrs.get("dtype") == "bfloat16"
    dtype = np.dtype(ml_dtypes.bfloat16) if is_bfloat16 else node.dtype
    checksum = _number(node, _SUM, who)
    offset = node.id.get_offset() if node.chunks is None else None
    place = Place(who, node.name, offset or 0, node.shape, dtype, checksum)
    if offset is None or not node.size or not node.dtype.isnative:
        return functools.partial(_read_through_h5py, node, place)
    if not 0 <= offset <= reader.window.size - node.nbytes:
        raise BadFile(f"{who} ends after the file's end.")
    return reader.begin(place)


def _read_through_h5py(node, place):
    value = np.asarray(node[()])
    value = value if value.dtype == place.dtype else value.view(place.dtype)
    check_sum(value, place)
    return value


def _number(node, attribute, who):
    value = node.attrs.get(attribute)
    if value is None or isinstance(value, np.integer):
        return None if value is None else int(value)
    raise BadFile(f"{who} is damaged: it has a strange {attribute!r}.")
