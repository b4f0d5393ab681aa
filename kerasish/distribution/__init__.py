"""Many devices, many processes: meshes, layouts, and what is split over them."""

from kerasish.distribution.batch_sharding import distribute_batch
from kerasish.distribution.devices import get_device_count, list_devices
from kerasish.distribution.distributions import (
    DataParallel,
    Distribution,
    ModelParallel,
    distribution,
    set_distribution,
)
from kerasish.distribution.initialization import initialize
from kerasish.distribution.layouts import DeviceMesh, LayoutMap, TensorLayout, distribute_tensor
from kerasish.distribution.presets import (
    FullySharded,
    FullyShardedTensorParallel,
    TensorParallel,
)

__all__ = [
    "DataParallel",
    "DeviceMesh",
    "Distribution",
    "FullySharded",
    "FullyShardedTensorParallel",
    "LayoutMap",
    "ModelParallel",
    "TensorLayout",
    "TensorParallel",
    "distribute_batch",
    "distribute_tensor",
    "distribution",
    "get_device_count",
    "initialize",
    "list_devices",
    "set_distribution",
]
