"""Code of its own for the CPU, chosen when a program is compiled, or as soon as it is traced."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax

# How XLA compiles for a CPU. It takes but half of the widest registers (AVX-512) by itself, for
# processors of old that slowed down under all of them. Others have no wider ones, and lose nothing.
OPTIONS = {"xla_cpu_prefer_vector_width": 512}


class _Traced(threading.local):
    for_cpu = False  # whether what is being traced will run on the CPU and nowhere else
    portable = False  # whether it is for other runtimes than XLA


traced = _Traced()


def platform_dependent(*args, cpu: Callable, default: Callable) -> Any:
    """`cpu(*args)` where the program runs on a CPU, and `default(*args)` elsewhere.

    Usually that is known only once the program is traced, and it may even be compiled for several
    platforms: both functions are traced, and differentiated. Inside `assume_local_devices` on a
    machine that has nothing but CPUs one is, which saves up to half of the time.
    """
    if traced.for_cpu:
        return cpu(*args)
    if traced.portable:
        return default(*args)
    return jax.lax.platform_dependent(*args, cpu=cpu, default=default)


@contextlib.contextmanager
def assume_local_devices() -> Iterator[None]:
    """For traces of programs that run on this machine, not of those that may be exported."""
    before = traced.for_cpu
    traced.for_cpu = jax.default_backend() == "cpu" and jax.config.jax_platforms in (None, "cpu")
    try:
        yield
    finally:
        traced.for_cpu = before


@contextlib.contextmanager
def portable_form() -> Iterator[None]:
    """For traces of programs that other runtimes than XLA will run: no code for a platform."""
    before = traced.for_cpu, traced.portable
    traced.for_cpu, traced.portable = False, True
    try:
        yield
    finally:
        traced.for_cpu, traced.portable = before
