"""Arrays inside of `jax.shard_map`, which may differ from device to device or not."""

from typing import Any

import jax


def match_varying_axes(arrays: Any) -> Any:
    """Nested arrays as they are, all said to differ along each axis of a mesh that one does.

    JAX does so for the arguments of its own functions. Loops need it for what they carry, as do
    functions that have a transpose of their own: gradients are then summed over devices where they
    have to be.

    Args:
        arrays: Pytree of arrays.
    """
    axes = [jax.typeof(x).mat.varying for x in jax.tree.leaves(arrays)]
    every = frozenset().union(*axes)
    if not every:
        return arrays

    def alike(x):
        missing = tuple(every - jax.typeof(x).mat.varying)
        return jax.lax.pcast(x, missing, to="varying") if missing else x

    return jax.tree.map(alike, arrays)
