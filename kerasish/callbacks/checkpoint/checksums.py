"""Sums of arrays' bits, which tell whether what was read is what was written.

They do not depend on how an array is spread over devices, and are computed on them.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def checksums_of(arrays: Mapping[str, Any]) -> dict[str, int]:
    """The sum of each array's bits, taken as unsigned integers of at most 32, modulo 2**32.

    Args:
        arrays: The arrays.
    """
    found, groups = {}, {}
    for name, value in arrays.items():
        if isinstance(value, jax.Array):
            # Arrays that are bound to different devices cannot be in one program.
            devices = tuple(sorted(d.id for d in value.devices())) if value.committed else ()
            groups.setdefault(devices, {})[name] = value
        else:
            found[name] = _on_host(np.asarray(value))
    for group in groups.values():
        found.update(zip(group, np.asarray(_on_device([*group.values()])).tolist(), strict=True))
    return found


def _on_host(value):
    if _is_narrow(value.dtype):
        value = value.astype("int8")
    width = min(value.dtype.itemsize, 4)
    return int(np.ascontiguousarray(value).reshape(-1).view(f"u{width}").sum(dtype="uint32"))


@jax.jit
def _on_device(values):
    return jnp.stack([_sum_of_bits(value) for value in values])


def _sum_of_bits(value):
    if jnp.iscomplexobj(value):
        value = jnp.stack([value.real, value.imag])
    if value.dtype == bool or _is_narrow(value.dtype):
        value = value.astype("int8")
    width = min(value.dtype.itemsize, 4)
    bits = jax.lax.bitcast_convert_type(value, f"uint{8 * width}")
    return jnp.sum(bits, dtype="uint32")


def _is_narrow(dtype):
    return dtype.name in ("int2", "uint2", "int4", "uint4", "float4_e2m1fn")
