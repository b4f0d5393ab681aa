"""Batches in chunks, as steps run them: stacked on the host, or gathered on the device."""

from typing import Any, NamedTuple

import jax
import numpy as np

from kerasish.distribution import batch_sharding, distribution


class Chunk(NamedTuple):
    """Some batches to run in one call.

    Attributes:
        kind: `"batch"`: one batch; `"stack"`: batches along a new first axis; `"order"`: all rows
            of the data, and the order to take them in.
        data: The arrays.
        start: Number of the first batch, for `"order"`.
        count: Number of batches.
        rows: Rows of a batch.
        size: Number of batches there is room for.
    """

    kind: str
    data: Any
    start: int
    count: int
    rows: int
    size: int = 1


def single_batch_chunk(batch: Any) -> Chunk:
    """A chunk of one batch, without a stack.

    Args:
        batch: Pytree of arrays whose first axis counts rows.

    Example:
        >>> single_batch_chunk((np.ones((4, 3)), np.ones(4))).rows
        4
    """
    return Chunk("batch", batch, 0, 1, rows_of(batch))


def rows_of(batch: Any) -> int:
    """Number of rows of a batch.

    Args:
        batch: Pytree of arrays.
    """
    return len(jax.tree.leaves(batch)[0])


def stack_of(batches: list, size: int) -> Any:
    """Batches along a new first axis, with room for `size` of them; the rest is zeros.

    Args:
        batches: Batches of one spec.
        size: Length of the new axis, at least the number of batches.

    Shapes:
        Each array `(rows, ...)` -> `(size, rows, ...)`.
    """

    def stack(*arrays):
        stacked = np.zeros((size, *arrays[0].shape), device_dtype(arrays[0]))
        for i, array in enumerate(arrays):
            stacked[i] = array
        return stacked

    return jax.tree.map(stack, *batches)


def fetch(kind: str, data: Any, i: Any, rows: int) -> Any:
    """Batch number `i` of a chunk's data, on the device.

    Args:
        kind: `"stack"` or `"order"`.
        data: The chunk's arrays.
        i: Number of the batch; may be traced.
        rows: Rows of a batch.
    """
    if kind == "stack":
        return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), data)
    arrays, order = data
    index = jax.lax.dynamic_slice_in_dim(order, i * rows, rows)
    return jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds"), arrays)


def put_on_devices(chunk: Chunk, eager: bool = False) -> Any:
    """A chunk's data, on the devices that are to hold it; JAX itself brings it to a single one.

    Args:
        chunk: The chunk.
        eager: Whether a step that is not compiled takes it.
    """
    if chunk.kind == "order" or (distribution() is None and not eager):
        return chunk.data
    return batch_sharding.distribute_batch(chunk.data, stacked=chunk.kind == "stack")


def spec_of_one(chunk: Chunk) -> Any:
    """Shapes and dtypes of one batch of a chunk.

    Args:
        chunk: The chunk.
    """
    if chunk.kind == "batch":
        return batch_spec(chunk.data)
    data, lead = (chunk.data, ()) if chunk.kind == "stack" else (chunk.data[0], (chunk.rows,))
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((*lead, *a.shape[1:]), device_dtype(a)), data
    )


def batch_spec(batch: Any) -> Any:
    """Shapes and dtypes that a batch has on the device.

    Args:
        batch: Pytree of arrays, or of their specs.
    """
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, device_dtype(a)), batch)


def spec_key(batch: Any) -> tuple:
    """Structure, shapes and dtypes of a batch, hashable: equal for batches of one spec.

    Args:
        batch: Pytree of arrays, or of their specs.
    """
    leaves, tree = jax.tree.flatten(batch)
    return tree, tuple((a.shape, device_dtype(a)) for a in leaves)


def device_dtype(array: Any) -> Any:
    """Dtype that an array gets on the device.

    Args:
        array: An array, or its spec.
    """
    return jax.dtypes.canonicalize_dtype(array.dtype)
