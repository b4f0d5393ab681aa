"""oneDNN's convolutions on CPUs, where the package `kerasish-native` brings them.

Without it, or with `KERASISH_ONEDNN=0` in the environment, XLA computes convolutions by itself.
"""

import contextlib
import ctypes
import functools
import importlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence

import jax
import numpy as np

TARGET = "kerasish_convolution"
SWITCH = "KERASISH_ONEDNN"

_log = logging.getLogger(__name__)


class _Thread(threading.local):
    uses = True


_thread = _Thread()


def is_available() -> bool:
    """Whether oneDNN can be used: read when a program is traced, and when it is lowered."""
    return _thread.uses and os.environ.get(SWITCH, "1") != "0" and _library() is not None


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """For lowering what is only looked at: XLA counts no arithmetic in what it cannot see."""
    before, _thread.uses = _thread.uses, False
    try:
        yield
    finally:
        _thread.uses = before


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The handlers' library, known to XLA; `None`, and one line in the log, if there is none."""
    try:
        library = importlib.import_module("kerasish_native").load()
        handler = jax.ffi.pycapsule(getattr(library, TARGET))
        jax.ffi.register_ffi_target(TARGET, handler, platform="cpu")
    except ModuleNotFoundError:
        _log.info("XLA computes convolutions on CPUs: kerasish-native is not installed.")
        return None
    except (OSError, AttributeError, StopIteration, RuntimeError) as error:
        _log.warning("XLA computes convolutions on CPUs: kerasish-native was refused: %s", error)
        return None
    return library


@functools.lru_cache(2**12)
def is_fast(geometry: Sequence[int], *shapes: Sequence[int]) -> bool:
    """Whether oneDNN has more than plain loops for a convolution.

    Args:
        geometry: What the handler takes as its attribute.
        shapes: Those of its input, kernel and output.
    """
    library = _library()
    if library is None:
        return False
    arrays = [np.asarray(numbers, np.int64) for numbers in (geometry, *shapes)]
    pointers = [x.ctypes.data_as(ctypes.c_void_p) for x in arrays]
    sizes = ctypes.c_int64(len(geometry)), ctypes.c_int64(len(shapes[0]))
    return bool(library.kerasish_convolution_is_fast(pointers[0], *sizes, *pointers[1:]))


def call(geometry: Sequence[int], result: jax.ShapeDtypeStruct, *arrays: jax.Array) -> jax.Array:
    """What the handler returns for two of an input, a kernel and an output, in this order.

    Args:
        geometry: Sizes of the convolution.
        result: Shape and type of the result.
        *arrays: The two arrays.
    """
    return jax.ffi.ffi_call(TARGET, result)(*arrays, geometry=np.asarray(geometry, np.int64))
