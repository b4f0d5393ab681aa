"""Memory that stays with the process between calls of a compiled program, under Linux."""

import contextlib
import ctypes
import functools
import importlib.util
import os
import sys

import jax

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of `mallopt`, in malloc.h
_KEPT = 2**30  # bytes free at the end of the heap that the process keeps


@functools.cache
def share_one_arena() -> None:
    """Let all threads take memory from the heap of the process; called before JAX starts any.

    glibc gives threads arenas of their own, whose heaps end at 64 MB: what XLA's threads take in
    larger blocks is mapped anew in each call, whatever else is set here. Where JAX may have other
    devices than CPUs nothing is changed, nor in a process with settings of its own.
    """
    plugins = map(importlib.util.find_spec, ("jax_plugins", "libtpu"))
    only_cpus = jax.config.jax_platforms == "cpu" or not any(plugins)
    if only_cpus and _may_set():
        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def _may_set():
    own = any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ)
    return sys.platform == "linux" and not own


@functools.cache
def retain_freed_memory() -> None:
    """Let the C library keep freed memory for the next call, where programs run on the CPU.

    XLA takes memory for the temporaries of each call and frees it again. From 32 MB on, glibc gives
    it back to the system, so that the next call gets fresh pages, each of which the system clears
    when it is first touched: up to a fifth of a step's time. Now up to 1 GB stays. A process whose
    environment sets how glibc allocates (`MALLOC_MMAP_MAX_`, `GLIBC_TUNABLES`, ...) is left alone.
    """
    if not _may_set() or jax.default_backend() != "cpu":
        return
    with contextlib.suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def trim_heap() -> None:
    """Give the memory that nothing uses back to the system."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
