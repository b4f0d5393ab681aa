"""A word to users whose accelerator is idle."""

import functools
import os
import warnings

import jax

# Where drivers show that they have a device, by the name that people know it by.
_DEVICE_FILES = {
    "/dev/nvidia0": ("NVIDIA GPU", "jax[cuda13]"),
    "/dev/kfd": ("AMD GPU", "jax[rocm]"),
    "/dev/accel0": ("TPU", "jax[tpu]"),
}


@functools.cache
def warn_of_idle_accelerator() -> None:
    """Warn, once in a process, if JAX computes on the CPU of a machine that has an accelerator.

    Not where the user has chosen the platforms: `JAX_PLATFORMS=cpu` says that it is meant so.
    """
    if _chosen_platforms() or jax.default_backend() != "cpu":
        return
    for path, (name, extra) in _DEVICE_FILES.items():
        if os.path.exists(path):
            warnings.warn(
                f"fit: training on the CPU, though this machine has a device ({name}, {path}) that "
                f'JAX does not use. Install JAX for it (`pip install "{extra}"`), or set '
                "JAX_PLATFORMS=cpu if the CPU is meant.",
                stacklevel=3,
            )
            return


def _chosen_platforms():
    return jax.config.jax_platforms
