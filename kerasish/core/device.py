"""Choosing the device that arrays are made on."""

import contextlib
from typing import Any

import jax

from kerasish.core.errors import bad_argument


def find_device(name: str) -> Any:
    """JAX's device for a name: `"cpu"`, `"cpu:0"`, `"gpu:1"`, `"cuda:0"`, `"tpu:3"`.

    Args:
        name: The name.
    """
    if not isinstance(name, str):
        raise bad_argument("device", "name", "a string like 'cpu:0' or 'gpu:1'", name)
    kind, _, number = name.lower().lstrip("/").removeprefix("device:").partition(":")
    try:
        devices = jax.devices(kind)
    except RuntimeError:
        known = sorted({device.platform for device in jax.devices()})
        raise bad_argument("device", "name", f"a device here, of kind {known}", name) from None
    index = int(number) if number.isdigit() else 0
    if index >= len(devices):
        raise bad_argument("device", "name", f"one of {len(devices)} {kind} device(s)", name)
    return devices[index]


@contextlib.contextmanager
def device(device_name: str) -> Any:
    """Make arrays and Variables on this device inside the `with` block.

    Args:
        device_name: Name of the device, as `"gpu:0"`; `None` is JAX's default.

    Example:
        >>> with device("cpu:0"):
        ...     x = jax.numpy.ones(3)
        >>> x.devices() == {jax.devices("cpu")[0]}
        True
    """
    with jax.default_device(find_device(device_name)):
        yield
