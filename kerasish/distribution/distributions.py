"""What is spread over the devices, and how: `Distribution`, `DataParallel`, `ModelParallel`."""

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from kerasish.core import partitioning, processes
from kerasish.core.errors import bad_argument
from kerasish.distribution.layout_report import LayoutReport
from kerasish.distribution.layouts import DeviceMesh, LayoutMap, TensorLayout, named_sharding

_BATCH = "batch"


class Distribution:
    """Says how weights and batches lie on a mesh. Subclass it, or use one of the ready-made ones.

    Set by `set_distribution`, or for a while by `scope()`, it holds for Variables made from then
    on, and for those made before as soon as a compiled function uses them.

    Args:
        device_mesh: The mesh.
        batch_dim_name: The mesh axis that splits batches; `None` is the first.
        auto_shard_dataset: With several processes: whether arrays and `PyDataset`s are the same
            whole data in each, of which it takes its rows. `False`: each has its own share, as
            generators and loaders always do.

    Example:
        >>> mesh = keras.distribution.DeviceMesh((8,), ["batch"])
        >>> Distribution(mesh).batch_dim_name
        'batch'
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
    ):
        if not isinstance(device_mesh, DeviceMesh):
            raise bad_argument(self, "device_mesh", "a DeviceMesh", device_mesh)
        _check_processes(self, device_mesh)
        batch_dim_name = batch_dim_name or device_mesh.axis_names[0]
        if batch_dim_name not in device_mesh.axis_names:
            wanted = f"an axis of {device_mesh}"
            raise bad_argument(self, "batch_dim_name", wanted, batch_dim_name)
        self.device_mesh = device_mesh
        self.batch_dim_name = batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset

    gathers = False  # whether weights are split only to be stored

    # -- what a subclass may decide

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a Variable; each device holds it whole unless a subclass says otherwise.

        Args:
            variable: The Variable.
        """
        return self.replicated(variable.shape)

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """The layout of a batch: split along its first axis.

        Args:
            data_shape: Shape of the batch.
        """
        axes = [self.batch_dim_name, *[None] * len(data_shape)]
        return TensorLayout(axes[: len(data_shape)], self.device_mesh)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The layout of what a layer computes, if it is to be laid out.

        Args:
            path: The path of the layer's weights, and `/output`.

        Returns:
            A layout; it may leave out last axes, which are not split.
        """
        return None

    def rule_for(self, variable: Any) -> str | None:
        """What in the distribution decided about a Variable, in words for errors and reports.

        Args:
            variable: The Variable.
        """
        return None

    # -- what follows

    def replicated(self, shape: Sequence[int]) -> TensorLayout:
        """The layout of an array that each device holds whole.

        Args:
            shape: Shape of the array.
        """
        return TensorLayout([None] * len(shape), self.device_mesh)

    def sharding_of(self, variable: Any) -> NamedSharding:
        """Where a Variable is kept: JAX's sharding, or an error if the layout does not fit it.

        Args:
            variable: The Variable.
        """
        layout = self.get_variable_layout(variable)
        return layout.sharding_of(variable, self.rule_for(variable))

    def sharding_in_use(self, variable: Any) -> NamedSharding | None:
        """How layers compute with a weight, where not as it is kept; `None`: as kept.

        Args:
            variable: The Variable.
        """
        return None

    def batch_sharding(self, shape: Sequence[int], stacked: bool = False) -> NamedSharding:
        """Sharding of a batch, or of a stack of batches; replicated if it does not divide.

        Args:
            shape: Shape of the array.
            stacked: Whether an axis of batches comes before that of rows.
        """
        batch = tuple(shape[stacked:])
        layout = self.get_data_layout(batch)
        axes = () if layout.misfit(batch) else layout.axes
        return named_sharding(self.device_mesh, (*(None,) * stacked, *axes))

    def report(self, model: Any) -> LayoutReport:
        """How a model's weights lie: a table of layouts, rules and bytes on each device.

        Args:
            model: A layer or a model that is built.

        Example:
            >>> layer = keras.layers.Dense(4)
            >>> layer.build((None, 8))
            >>> DataParallel(devices=["cpu:0"]).report(layer).bytes_per_device
            144
        """
        return LayoutReport(self, model.weights)

    def sharding_of_output(self, path: str, shape: Sequence[int]) -> NamedSharding | None:
        """Sharding of a layer's output, if one is set; rows that do not divide are replicated.

        Args:
            path: Path of the layer or Variable.
            shape: Shape of the array.
        """
        layout = self.get_tensor_layout(path)
        if layout is None or not all(isinstance(size, int) for size in shape):
            return None  # sizes are not known while a model is only described
        rows_whole = TensorLayout([None, *layout.axes[1:]], layout.device_mesh)
        fitting = rows_whole if layout.misfit(shape) else layout
        why = fitting.misfit(shape)
        if why is not None:
            raise ValueError(
                f"What is at {path!r}, of shape {tuple(shape)}, cannot be laid out as "
                f"{layout.axes} on {layout.device_mesh}: {why}."
            )
        return fitting.backend_layout

    @property
    def num_model_replicas(self) -> int:
        """Into how many parts a batch is split."""
        return self.device_mesh.size(self.batch_dim_name)

    @property
    def num_processes(self) -> int:
        """How many processes train together."""
        return processes.count()

    @property
    def data_shard_id(self) -> int:
        """Which share of a stream this process reads, from 0 to `num_processes - 1`."""
        return processes.index()

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Make this the current distribution inside."""
        before = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(before)

    def __repr__(self):
        return f"<{type(self).__name__} on {self.device_mesh}>"


def _check_processes(owner, device_mesh):
    """Every process must have a part of the mesh, or it could neither give nor take anything."""
    here = {device.process_index for device in device_mesh.backend_mesh.devices.flat}
    idle = [i for i in range(processes.count()) if i not in here]
    if idle:
        wanted = f"one with devices of each of the {processes.count()} processes"
        raise bad_argument(owner, "device_mesh", wanted, f"none of {idle}")


def distribution() -> Distribution | None:
    """The current distribution, if one is set.

    Example:
        >>> with DataParallel().scope():
        ...     type(distribution()).__name__
        'DataParallel'
    """
    return partitioning.state.distribution


def set_distribution(value: Distribution | None) -> None:
    """Set the distribution of the whole process; `None` ends it.

    Args:
        value: The distribution, or `None`.

    Example:
        >>> set_distribution(DataParallel(devices=["cpu:0"]))
        >>> distribution()
        <DataParallel on <DeviceMesh batch=1>>
        >>> set_distribution(None)
    """
    if value is not None and not isinstance(value, Distribution):
        raise bad_argument("set_distribution", "value", "a Distribution or None", value)
    started = os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", "1")
    if value is not None and started != "1" and processes.count() == 1:
        raise RuntimeError(
            f"set_distribution: this is one of {started} processes, but has not joined the others, "
            "so each would train a model of its own. Call `keras.distribution.initialize()` first."
        )
    partitioning.state.distribution = value


def mesh_of(devices: Sequence | None = None) -> DeviceMesh:
    """A mesh of one axis, which splits batches.

    Args:
        devices: Names of devices, or JAX's devices.
    """
    none = devices is None or not len(devices)
    found = np.asarray(jax.devices() if none else devices, dtype=object)
    return DeviceMesh(found.shape, (_BATCH,), found)


class DataParallel(Distribution):
    """Every device holds all weights and computes its part of each batch.

    Gradients are those of the whole batch: JAX adds up the parts.

    Args:
        device_mesh: A mesh of one axis.
        devices: Names or JAX devices to make one of; `None` or none: all there are.
        auto_shard_dataset: As in `Distribution`.

    Example:
        >>> with DataParallel().scope():
        ...     layer = keras.layers.Dense(4)
        ...     layer.build((None, 8))
        >>> len(layer.kernel.value.sharding.device_set)
        8
    """

    def __init__(
        self, device_mesh: Any = None, devices: Any = None, auto_shard_dataset: bool = True
    ):
        super().__init__(device_mesh or mesh_of(devices), None, auto_shard_dataset)
        if len(self.device_mesh.shape) > 1:
            warnings.warn(
                f"DataParallel splits batches along {self.batch_dim_name!r} only, the first axis "
                f"of {self.device_mesh}: the devices along the others do the same work.",
                stacklevel=2,
            )


class ModelParallel(Distribution):
    """Weights are split as a `LayoutMap` says, batches along one axis of its mesh.

    Args:
        layout_map: Layouts by regular expressions for the weights' paths.
        batch_dim_name: The mesh axis that splits batches; `None` is the first.
        auto_shard_dataset: As in `Distribution`.

    Example:
        >>> mesh = keras.distribution.DeviceMesh((4, 2), ["batch", "model"])
        >>> layouts = keras.distribution.LayoutMap(mesh)
        >>> layouts["dense.*kernel"] = (None, "model")
        >>> with ModelParallel(layout_map=layouts).scope():
        ...     layer = keras.layers.Dense(4, name="dense")
        ...     layer.build((None, 8))
        >>> tuple(layer.kernel.value.sharding.spec)
        (None, 'model')
    """

    def __init__(
        self,
        *,
        layout_map: Any = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ):
        device_mesh = kwargs.pop("device_mesh", None)
        if kwargs:
            raise bad_argument(self, "kwargs", "none but those above", sorted(kwargs))
        if not isinstance(layout_map, LayoutMap):
            raise bad_argument(self, "layout_map", "a LayoutMap", layout_map)
        mesh = layout_map.device_mesh or device_mesh
        super().__init__(mesh, batch_dim_name, auto_shard_dataset)
        self.layout_map = layout_map

    def get_variable_layout(self, variable: Any) -> TensorLayout | None:
        layout = self.layout_map[variable.path]
        if layout is None and self.layout_map.strict and is_weight(variable):
            raise ValueError(
                f"Weight {variable.path!r} of shape {tuple(variable.shape)} matches none of the "
                f"rules {list(self.layout_map)}, and the LayoutMap is strict. Add a rule for it."
            )
        return layout or self.replicated(variable.shape)

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        return self.layout_map[path]

    def rule_for(self, variable: Any) -> Any:
        return self.layout_map.rule_for(variable.path)

    def report(self, model: Any) -> Any:
        """As `Distribution.report`; names the weights without a rule, and rules without a weight.

        Args:
            model: A layer or a model that is built.
        """
        return LayoutReport(self, model.weights, self.layout_map)


def is_weight(variable: Any) -> bool:
    """Whether a Variable is one that a layout is expected for: no counter, seed or metric.

    Args:
        variable: The Variable.
    """
    numbers = variable.shape and "float" in variable.dtype
    return bool(numbers) and variable.synchronization != "on_read"
