"""Kernels for kerasish, compiled: where they lie, and how they are loaded."""

import ctypes
from importlib import metadata
from pathlib import Path


def load() -> ctypes.CDLL:
    """The library of handlers, and before it the oneDNN that it uses.

    Raises:
        OSError: One of them cannot be loaded here.
    """
    files = metadata.files("onednn-cpu-gomp") or []
    onednn = next((f.locate() for f in files if f.name == "libdnnl.so.3"), None)
    if onednn is None:
        raise OSError("the package onednn-cpu-gomp has no libdnnl.so.3")
    ctypes.CDLL(str(onednn))  # the handlers' library asks for it by name, and finds it loaded
    return ctypes.CDLL(str(next(Path(__file__).parent.glob("_handlers*.so"))))
