"""Distributions that need no layout map: weights split by what they are."""

import math
from typing import Any

import jax

from kerasish.core.errors import bad_argument
from kerasish.distribution.distributions import Distribution, is_weight, mesh_of
from kerasish.distribution.layouts import DeviceMesh, TensorLayout, named_sharding

# Below this many numbers, gathering a weight costs more than holding it.
_MIN_SIZE = 4096


class FullySharded(Distribution):
    """Data parallel, with each weight and its optimizer state split over the devices (FSDP).

    A weight is split along its largest axis that the devices divide, and gathered where a layer
    uses it. Each device holds its part, and all of those weights that are small or not divisible.

    Args:
        device_mesh: The mesh; its first axis splits weights and batches. `None`: all devices.
        min_size: Numbers that a weight must have to be split.
        auto_shard_dataset: As in `Distribution`.

    References:
        Rajbhandari, Rasley, Ruwase and He, 2020, "ZeRO: Memory Optimizations Toward Training
        Trillion Parameter Models".

    Example:
        >>> with FullySharded(min_size=1).scope():
        ...     layer = keras.layers.Dense(16)
        ...     layer.build((None, 8))
        >>> layer.kernel.value.addressable_shards[0].data.shape
        (8, 2)
    """

    gathers = True

    def __init__(
        self, device_mesh: Any = None, min_size: int = _MIN_SIZE, auto_shard_dataset: bool = True
    ):
        super().__init__(device_mesh or mesh_of(), None, auto_shard_dataset)
        self.min_size = min_size

    def get_variable_layout(self, variable: Any) -> TensorLayout | None:
        axes: list = [None] * len(variable.shape)
        return TensorLayout(_split_more(axes, variable, self, self.min_size), self.device_mesh)

    def sharding_in_use(self, variable: Any) -> Any:
        return self.replicated(variable.shape).backend_layout


class TensorParallel(Distribution):
    """The weights of dense, attention and embedding layers are split, and the work with them.

    Attention is split by heads, embeddings by words. A dense kernel that widens is split along its
    outputs and one that narrows along its inputs, so that the two of a block need one exchange.
    What does not divide, and all other weights, each device holds whole.

    Args:
        device_mesh: A mesh of two axes, the first for batches, the second for weights. `None`: all
            devices along the second.
        auto_shard_dataset: As in `Distribution`.

    References:
        Shoeybi et al., 2019, "Megatron-LM: Training Multi-Billion Parameter Language Models Using
        Model Parallelism".

    Example:
        >>> with TensorParallel().scope():
        ...     layer = keras.layers.Dense(16)
        ...     layer.build((None, 8))
        >>> layer.kernel.value.addressable_shards[0].data.shape
        (8, 2)
    """

    def __init__(self, device_mesh: Any = None, auto_shard_dataset: bool = True):
        device_mesh = device_mesh or DeviceMesh((1, jax.device_count()), ("batch", "model"))
        super().__init__(device_mesh, None, auto_shard_dataset)
        if len(device_mesh.shape) != 2:
            raise bad_argument(self, "device_mesh", "of two axes", device_mesh)
        self._by_outputs: set[str] = set()  # layers whose kernel is split along its outputs
        self._whole: set[str] = set()  # outputs that the devices along the second axis all hold

    def get_variable_layout(self, variable: Any) -> TensorLayout | None:
        return TensorLayout(self.model_axes(variable), self.device_mesh)

    def model_axes(self, variable: Any) -> list:
        """For each axis of a weight the name of the second mesh axis, or `None`.

        Args:
            variable: The Variable.
        """
        axes: list = [None] * len(variable.shape)
        axis = self._split_axis(variable)
        if axis is not None and not variable.shape[axis] % self.device_mesh.shape[1]:
            axes[axis] = self.device_mesh.axis_names[1]
        layer, _, name = variable.path.rpartition("/")
        if name == "kernel":
            (self._by_outputs.add if axes[-1] else self._by_outputs.discard)(layer)
        ends = axes[:1] == [self.device_mesh.axis_names[1]] and name in ("kernel", "embeddings")
        if ends or _WHOLE_KINDS.intersection(variable.kinds):
            self._whole.add(f"{layer}/output")
        return axes

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        # Otherwise a kernel that is split along its inputs asks for them split, and so on back to
        # layers that would have to exchange their statistics.
        return (
            TensorLayout((self.batch_dim_name,), self.device_mesh) if path in self._whole else None
        )

    def _split_axis(self, variable):
        layer, _, name = variable.path.rpartition("/")
        shape, role = variable.shape, layer.rpartition("/")[2]
        if not is_weight(variable) or not _SPLIT_KINDS.intersection(variable.kinds):
            return None
        if name == "embeddings":
            return 0 if not shape[0] % self.device_mesh.shape[1] else 1
        if role in _HEADED and len(shape) > 1:
            return len(shape) - 2  # (inputs, heads, size), and the bias (heads, size)
        if name == "kernel":
            return 0 if shape[0] > shape[-1] or role == "attention_output" else len(shape) - 1
        return len(shape) - 1 if name == "bias" and layer in self._by_outputs else None


# The layers, by class, whose weights are split; and the projections of an attention layer that have
# heads as outputs.
_SPLIT_KINDS = {"Dense", "EinsumDense", "Embedding"}
_WHOLE_KINDS = {"LayerNormalization", "RMSNormalization"}
_HEADED = {"query", "key", "value", "gate"}


class FullyShardedTensorParallel(TensorParallel):
    """Both: work split as in `TensorParallel`, the rest of each weight as in `FullySharded`.

    Args:
        device_mesh: A mesh of two axes: the first splits batches and weights (as `FullySharded`
            does), the second weights and work (as `TensorParallel` does).
        min_size: Numbers that a weight must have to be split along the first.
        auto_shard_dataset: As in `Distribution`.

    Example:
        >>> mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"])
        >>> with FullyShardedTensorParallel(mesh, min_size=1).scope():
        ...     layer = keras.layers.Dense(16)
        ...     layer.build((None, 8))
        >>> layer.kernel.value.addressable_shards[0].data.shape
        (4, 4)
    """

    gathers = True

    def __init__(
        self, device_mesh: Any, min_size: int = _MIN_SIZE, auto_shard_dataset: bool = True
    ):
        super().__init__(device_mesh, auto_shard_dataset)
        self.min_size = min_size

    def get_variable_layout(self, variable: Any) -> TensorLayout | None:
        axes = self.model_axes(variable)
        return TensorLayout(_split_more(axes, variable, self, self.min_size), self.device_mesh)

    def sharding_in_use(self, variable: Any) -> Any:
        return named_sharding(self.device_mesh, self.model_axes(variable))


def _split_more(axes, variable, distribution, min_size):
    """The layout with the largest whole axis split over the devices that split batches."""
    shape, count = variable.shape, distribution.num_model_replicas
    free = [i for i, axis in enumerate(axes) if axis is None and shape[i] % count == 0]
    if free and is_weight(variable) and math.prod(shape) >= min_size:
        axes[max(free, key=lambda i: shape[i])] = distribution.batch_dim_name
    return axes
