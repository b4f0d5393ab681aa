"""How arrays are spread over a mesh of devices: `DeviceMesh`, `TensorLayout`, `LayoutMap`."""

import math
import re
from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from kerasish.core import partitioning
from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.state.variable import Variable
from kerasish.distribution.devices import as_devices, list_devices


class DeviceMesh:
    """Devices in a grid with named axes.

    Args:
        shape: Size of each axis; `(4, 2)` is 4 rows of 2 devices.
        axis_names: Names of the axes, which layouts refer to.
        devices: Names (`"cpu:0"`) or JAX devices. `None`: all there are.

    Example:
        >>> DeviceMesh((1, 1), ["batch", "model"], devices=["cpu:0"])
        <DeviceMesh batch=1, model=1>
    """

    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None):
        shape = (shape,) if isinstance(shape, int) else tuple(shape or ())
        axis_names = (axis_names,) if isinstance(axis_names, str) else tuple(axis_names or ())
        if not shape or len(shape) != len(axis_names) or len({*axis_names}) < len(shape):
            wanted = f"a name of its own for each axis of {shape}"
            raise bad_argument("DeviceMesh", "axis_names", wanted, axis_names)
        self.devices = np.asarray(list_devices() if devices is None else devices, dtype=object)
        if math.prod(shape) != self.devices.size:
            hint = "Give another shape, or the `devices` to use."
            wanted = f"a grid of the {self.devices.size} devices"
            raise bad_argument("DeviceMesh", "shape", wanted, shape, hint)
        self.shape: tuple[int, ...] = shape
        self.axis_names: tuple[str, ...] = axis_names
        self.devices = self.devices.reshape(shape)
        kinds = (AxisType.Auto,) * len(shape)
        self.backend_mesh = Mesh(as_devices(self.devices), axis_names, axis_types=kinds)

    def size(self, axes: Any) -> int:
        """Number of devices along an axis, several (a tuple of names) or none (`None`: 1).

        Args:
            axes: Name of the axis, names, or `None`.
        """
        names = axes if isinstance(axes, tuple) else (axes,)
        return math.prod(self.backend_mesh.shape[name] for name in names if name is not None)

    def __repr__(self):
        axes = zip(self.axis_names, self.shape, strict=True)
        return f"<DeviceMesh {', '.join(f'{name}={size}' for name, size in axes)}>"


class TensorLayout:
    """Which axes of an array are split over which axes of a mesh.

    Args:
        axes: For each axis of the array a mesh axis's name (or a tuple of several), or `None` for
            one that is not split. Last axes that are left out are not split.
        device_mesh: The mesh; a `LayoutMap` gives its own to layouts without one.

    Example:
        >>> mesh = DeviceMesh((4, 2), ["batch", "model"])
        >>> layout = TensorLayout((None, "model"), mesh)
        >>> tensor = keras.distribution.distribute_tensor(np.ones((3, 8)), layout)
        >>> tensor.addressable_shards[0].data.shape
        (3, 4)
    """

    def __init__(self, axes: Sequence, device_mesh: DeviceMesh | None = None):
        self.axes = tuple(axes)
        names = self._names()
        if isinstance(axes, str) or len({*names}) < len(names):
            wanted = "a tuple of mesh axes, each at most once, and None"
            raise bad_argument(self, "axes", wanted, axes)
        self._device_mesh = None
        if device_mesh is not None:
            self.device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """The mesh. It can be set once."""
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, device_mesh: Any) -> None:
        if self._device_mesh is not None:
            wanted = f"set once; it is {self._device_mesh}"
            raise bad_argument(self, "device_mesh", wanted, device_mesh)
        for name in self._names():
            if name not in device_mesh.axis_names:
                hint = did_you_mean(name, device_mesh.axis_names)
                wanted = f"names of the axes of {device_mesh}, or None"
                raise bad_argument(self, "axes", wanted, self.axes, hint)
        self._device_mesh = device_mesh

    def _names(self):
        parts = [a if isinstance(a, tuple) else (a,) for a in self.axes]
        return [name for part in parts for name in part if name is not None]

    @property
    def backend_layout(self) -> NamedSharding:
        """The same as JAX has it."""
        if self._device_mesh is None:
            raise bad_argument(self, "device_mesh", "given before the layout is used", None)
        return named_sharding(self._device_mesh, self.axes)

    def misfit(self, shape: Sequence[int]) -> str | None:
        """Why an array of that shape cannot be laid out so; `None` if it can.

        Args:
            shape: Shape of the array.
        """
        if self._device_mesh is None:
            return "it has no `device_mesh`"
        if len(shape) < len(self.axes):
            return f"it has {len(shape)} axes, the layout {len(self.axes)}"
        for i, (size, axis) in enumerate(zip(shape, self.axes, strict=False)):
            count = self._device_mesh.size(axis)
            if size % count:
                return f"axis {i} of size {size} does not divide over {count} devices ({axis!r})"
        return None

    def sharding_of(self, variable: Any, rule: str | None = None) -> NamedSharding:
        """JAX's sharding for a Variable, or an error if it does not fit.

        Args:
            variable: The Variable.
            rule: What chose this layout, for the error.
        """
        why = self.misfit(variable.shape)
        if why is not None:
            by = f" by the rule {rule!r}" if rule else ""
            raise ValueError(
                f"Weight {variable.path!r} of shape {tuple(variable.shape)} cannot be laid out as "
                f"{self.axes}{by} on {self._device_mesh}: {why}. Choose a layout that fits, or a "
                "mesh whose axes divide the weight."
            )
        return self.backend_layout

    def __repr__(self):
        return f"<TensorLayout {self.axes} on {self._device_mesh}>"


def named_sharding(device_mesh: DeviceMesh, axes: Sequence) -> NamedSharding:
    """JAX's sharding, in its shortest form, as compiled programs return it.

    Args:
        device_mesh: The mesh.
        axes: For each axis of an array the mesh axis, or axes, that split it.
    """
    axes = list(axes)
    while axes and axes[-1] is None:
        axes.pop()
    return NamedSharding(device_mesh.backend_mesh, PartitionSpec(*axes))


class LayoutMap(MutableMapping):
    """Layouts of weights, by regular expressions that match the whole of a weight's path.

    Looking up a path that no rule matches gives `None`; one that several match is an error.

    Args:
        device_mesh: The mesh of layouts that have none of their own.
        strict: Whether a weight that no rule matches is an error. Otherwise each device holds it
            whole, and `Distribution.report` says so.

    Example:
        >>> mesh = DeviceMesh((1, 1), ("batch", "model"), devices=["cpu:0"])
        >>> layout_map = LayoutMap(mesh)
        >>> layout_map["dense.*/kernel"] = (None, "model")
        >>> layout_map["dense_1/kernel"]
        <TensorLayout (None, 'model') on <DeviceMesh batch=1, model=1>>
    """

    def __init__(self, device_mesh: DeviceMesh | None = None, strict: bool = False):
        self.device_mesh = device_mesh
        self.strict = strict
        self._layouts: dict[str, TensorLayout] = {}

    def rule_for(self, path: str) -> str | None:
        """The rule that a path matches, if any.

        Args:
            path: Path of the layer or Variable.
        """
        if path in self._layouts:
            return path
        found = [rule for rule in self._layouts if re.fullmatch(rule, path)]
        if len(found) > 1:
            raise ValueError(
                f"LayoutMap: {path!r} matches several rules: {found}. Write them so that a path "
                "matches one at most."
            )
        return found[0] if found else None

    def __getitem__(self, path: str) -> TensorLayout | None:
        rule = self.rule_for(path)
        return None if rule is None else self._layouts[rule]

    def __setitem__(self, rule: str, layout: TensorLayout | tuple):
        if rule in self._layouts:
            raise bad_argument(self, "rule", "new: each can be set once", rule)
        if isinstance(layout, tuple | list):
            layout = TensorLayout(layout)
        if not isinstance(layout, TensorLayout):
            raise bad_argument(self, "layout", "a TensorLayout or a tuple of axis names", layout)
        try:
            re.compile(rule)
        except re.error as error:
            raise bad_argument(self, "rule", f"a regular expression ({error})", rule) from None
        if layout.device_mesh is None and self.device_mesh is not None:
            layout.device_mesh = self.device_mesh
        self._layouts[rule] = layout

    def __delitem__(self, rule: str):
        del self._layouts[rule]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)

    def __len__(self) -> int:
        return len(self._layouts)

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.rule_for(path) is not None


def distribute_tensor(tensor: Any, layout: TensorLayout | jax.sharding.Sharding) -> Any:
    """An array laid out otherwise; inside compiled functions too.

    Args:
        tensor: Array or Variable's value; a symbolic tensor is returned as it is.
        layout: The layout, or JAX's sharding.

    Example:
        >>> mesh = DeviceMesh((1,), ("batch",), devices=["cpu:0"])
        >>> x = distribute_tensor(np.ones((4, 2)), TensorLayout(("batch", None), mesh))
        >>> tuple(x.sharding.spec)
        ('batch',)
    """
    if getattr(tensor, "is_symbolic", False):
        return tensor
    if isinstance(tensor, Variable):
        tensor = tensor.value
    if isinstance(layout, TensorLayout):
        shape = np.shape(tensor)
        why = layout.misfit(shape)
        if why is not None:
            wanted = f"one for an array of shape {tuple(shape)}: {why}"
            raise bad_argument("distribute_tensor", "layout", wanted, layout)
        layout = layout.backend_layout
    if isinstance(tensor, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(tensor, layout)
    if not isinstance(tensor, jax.Array):
        tensor = np.asarray(tensor)
        tensor = tensor.astype(jax.dtypes.canonicalize_dtype(tensor.dtype), copy=False)
    return partitioning.put(tensor, layout)
