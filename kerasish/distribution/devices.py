"""The devices there are, by name."""

from typing import Any

import jax
import numpy as np

from kerasish.core.device import find_device
from kerasish.core.errors import bad_argument


def list_devices(device_type: str | None = None) -> list[str]:
    """Names of the devices of all processes, as `"cpu:0"`.

    Args:
        device_type: `"cpu"`, `"gpu"` or `"tpu"`. `None` is the best kind there is.

    Example:
        >>> list_devices("cpu")[0]
        'cpu:0'
    """
    return [f"{device.platform}:{device.id}" for device in _devices(device_type)]


def get_device_count(device_type: str | None = None) -> int:
    """Number of devices of all processes.

    Args:
        device_type: `"cpu"`, `"gpu"` or `"tpu"`. `None` is the best kind there is.

    Example:
        >>> get_device_count("cpu")
        8
    """
    return len(_devices(device_type))


def _devices(device_type):
    if device_type is None:
        return jax.devices()
    find_device(device_type.lower())  # says what there is, if not this
    return jax.devices(device_type.lower())


def as_devices(devices: Any) -> np.ndarray:
    """JAX's devices from names or devices, in an array of the same shape.

    Args:
        devices: Names of devices, or JAX's devices.
    """
    devices = np.asarray(devices, dtype=object)
    known = {f"{d.platform}:{d.id}": d for kind in _kinds(devices) for d in jax.devices(kind)}
    found = [d if isinstance(d, jax.Device) else known.get(_full(d)) for d in devices.flat]
    for name, device in zip(devices.flat, found, strict=True):
        if device is None:
            raise bad_argument("DeviceMesh", "devices", f"among {sorted(known)}", name)
    if len({*found}) < len(found):
        raise bad_argument("DeviceMesh", "devices", "different ones", list(devices.flat))
    return np.array(found, dtype=object).reshape(devices.shape)


def _full(name):
    return str(name) if ":" in str(name) else f"{name}:0"


def _kinds(devices):
    kinds = {str(d).partition(":")[0] for d in devices.flat if not isinstance(d, jax.Device)}
    for kind in kinds:
        find_device(kind)
    return sorted(kinds)
