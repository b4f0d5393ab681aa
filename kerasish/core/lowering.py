"""Which platform a program is lowered for, and how XLA compiles it there.

Code for one platform lives in `kernels/`; it asks here. Usually the platform is known only once a
program is traced, and it may be exported to several.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax

# XLA takes but half of the widest registers (AVX-512) by itself, for processors of old that slowed
# down under all of them. Others have no wider ones, and lose nothing.
OPTIONS = {"xla_cpu_prefer_vector_width": 512}


class _Traced(threading.local):
    for_cpu = False


_traced = _Traced()


def lowering_for_cpu() -> bool:
    """Whether what is being traced will run on the CPU and nowhere else."""
    return _traced.for_cpu


@contextlib.contextmanager
def assume_local_devices() -> Iterator[None]:
    """For traces of programs that run on this machine, not of those that may be exported.

    Inside, on a machine that has nothing but CPUs, `lowering_for_cpu` is true.
    """
    before = _traced.for_cpu
    _traced.for_cpu = jax.default_backend() == "cpu" and jax.config.jax_platforms in (None, "cpu")
    try:
        yield
    finally:
        _traced.for_cpu = before


def platform_dependent(*args: Any, cpu: Callable, default: Callable) -> Any:
    """`cpu(*args)` where the program runs on a CPU, and `default(*args)` elsewhere.

    Both functions are traced, and differentiated, unless the platform is known: inside
    `assume_local_devices` one is, which saves up to half of the time.

    Args:
        *args: Arrays.
        cpu: The function for CPUs.
        default: The function for all other platforms; it returns the same.
    """
    if lowering_for_cpu():
        return cpu(*args)
    return jax.lax.platform_dependent(*args, cpu=cpu, default=default)


def tuned_jit(fn: Callable, **options: Any) -> Callable:
    """`jax.jit` with the options that suit the platform, where that is known.

    A function compiled so cannot be called inside another compiled one.

    Args:
        fn: The function.
        **options: Those of `jax.jit`.
    """
    return jax.jit(fn, compiler_options=OPTIONS if lowering_for_cpu() else None, **options)
