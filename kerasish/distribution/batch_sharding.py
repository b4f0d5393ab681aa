"""Batches on their way to the devices, and results on their way back."""

from typing import Any

import jax
import numpy as np

from kerasish.core import partitioning, processes
from kerasish.core.errors import see
from kerasish.distribution.distributions import distribution


def distribute_batch(batch: Any, stacked: bool = False) -> Any:
    """A pytree of arrays put where batches belong: each device gets its rows. As `fit` does it.

    For one's own loop; without a distribution it only puts the arrays on the device.

    Args:
        batch: Nest of arrays. With several processes all must give the same.
        stacked: Whether the arrays hold several batches, along a first axis.

    Example:
        >>> with keras.distribution.DataParallel(devices=["cpu:0"]).scope():
        ...     x, y = distribute_batch((np.ones((4, 3)), np.ones(4)))
        >>> tuple(x.sharding.spec)
        ('batch',)
    """
    current = distribution()

    def put(array):
        array = _of_device_type(array)
        if current is None:
            return jax.device_put(array)
        return partitioning.put(array, current.batch_sharding(array.shape, stacked))

    return jax.tree.map(put, batch)


def _of_device_type(array):
    dtype = jax.dtypes.canonicalize_dtype(array.dtype)
    return array if array.dtype == dtype else array.astype(dtype)


def join_batch(batch: Any, stacked: bool = False) -> Any:
    """As `distribute_batch`, of a batch of which each process has its own equal share of rows.

    Args:
        batch: Pytree of arrays, rows first.
        stacked: Whether an axis of batches comes before that of rows.
    """
    current: Any = distribution()

    def put(array):
        array = _of_device_type(array)
        shape = list(array.shape)
        shape[stacked] *= jax.process_count()
        sharding = current.batch_sharding(shape, stacked)
        return jax.make_array_from_process_local_data(sharding, array, tuple(shape))

    return jax.tree.map(put, batch)


def local_rows_match(rows: int) -> bool:
    """Whether each process's devices are to hold the rows it brings, all bringing as many.

    Args:
        rows: Rows that this process brings.
    """
    own = rows // jax.process_count()
    current: Any = distribution()
    sharding = current.batch_sharding((rows,))
    for device, (index,) in sharding.devices_indices_map((rows,)).items():
        first, last, _ = index.indices(rows)
        if not own * device.process_index <= first <= last <= own * (device.process_index + 1):
            return False
    return True


def replicate(tree: Any) -> Any:
    """A pytree of arrays copied in full to every device.

    Args:
        tree: Pytree of arrays.
    """
    current = distribution()
    if current is None:
        return jax.device_put(tree)
    return jax.tree.map(lambda a: partitioning.put(_of_device_type(a), _whole(current, a)), tree)


def constrain_batch(batch: Any, stacked: bool = False) -> Any:
    """Traced batches, kept split over the devices.

    Args:
        batch: Pytree of arrays, rows first.
        stacked: Whether an axis of batches comes before that of rows.
    """
    current = distribution()
    if current is None:
        return batch
    return jax.tree.map(
        lambda a: partitioning.constrain(a, current.batch_sharding(a.shape, stacked)), batch
    )


def constrain_whole(tree: Any) -> Any:
    """Traced results, gathered on every device.

    Args:
        tree: Pytree of arrays.
    """
    current = distribution()
    if current is None:
        return tree
    return jax.tree.map(lambda a: partitioning.constrain(a, _whole(current, a)), tree)


def constrain_outputs(tree: Any, stacked: bool = False) -> Any:
    """Traced outputs, split over the devices; whole where a process could not see the others'.

    Args:
        tree: Pytree of arrays.
        stacked: Whether an axis of batches comes before that of rows.
    """
    whole = processes.count() > 1
    return constrain_whole(tree) if whole else constrain_batch(tree, stacked)


def check_divisible(rows: int) -> None:
    """Raise unless full batches of so many rows can be split over the devices.

    Args:
        rows: Rows of a full batch.
    """
    current = distribution()
    if current is None or rows % current.num_model_replicas == 0:
        return
    count = current.num_model_replicas
    below, above = rows - rows % count, rows + count - rows % count
    fitting = f"{below} or {above}" if below else f"{above}"
    raise ValueError(
        f"A batch of {rows} rows does not divide over the {count} devices that split batches "
        f"({current}). Give batches of {fitting} rows; smaller ones, as at the end, may have any "
        f"number. {see('E14')}"
    )


def _whole(current, array):
    return current.replicated(np.shape(array)).backend_layout
