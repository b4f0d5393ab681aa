"""What a layer accepts: rank, sizes and dtype of its inputs."""

from collections.abc import Mapping
from typing import Any

import jax

from kerasish.core.errors import bad_argument, see
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.signatures import known_sizes


class InputSpec(Configurable):
    """Rank, shape and dtype that one input of a layer must have.

    Args:
        dtype: Name of the dtype wanted.
        shape: Shape wanted; `None` elements match any size.
        ndim: Number of axes wanted.
        max_ndim: Most axes allowed.
        min_ndim: Fewest axes allowed.
        axes: Sizes wanted by axis: `{-1: 8}`.
        allow_last_axis_squeeze: Whether a last axis of size 1 may be missing or extra.
        name: Key of the input, when inputs come as a dict.
        optional: Whether the input may be `None`.

    Example:
        >>> InputSpec(ndim=2, axes={-1: 3})
        InputSpec(ndim=2, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: tuple | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.name = name
        self.optional = optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (TypeError, ValueError, AttributeError):
            raise bad_argument(self, "axes", "a dict from integers to sizes", axes) from None

    def problem(self, x: Any) -> str | None:
        """What is wrong with `x`, in words, or `None`.

        Args:
            x: An array, real or symbolic.
        """
        shape, ndim = tuple(x.shape), len(x.shape)
        if self.shape is not None and self.allow_last_axis_squeeze:
            if shape and shape[-1] == 1:
                shape = shape[:-1]
            wanted = self.shape[:-1] if self.shape and self.shape[-1] == 1 else self.shape
        else:
            wanted = self.shape
        if self.ndim is not None and not self.allow_last_axis_squeeze and ndim != self.ndim:
            return f"expected ndim={self.ndim}, found ndim={ndim}"
        if self.max_ndim is not None and ndim > self.max_ndim:
            return f"expected max_ndim={self.max_ndim}, found ndim={ndim}"
        if self.min_ndim is not None and ndim < self.min_ndim:
            return f"expected min_ndim={self.min_ndim}, found ndim={ndim}"
        if self.dtype is not None and str(x.dtype) != str(self.dtype):
            return f"expected dtype={self.dtype}, found dtype={x.dtype}"
        for axis, size in self.axes.items():
            if size is not None and axis < ndim and shape[axis] not in (size, None):
                return f"expected axis {axis} of size {size}, found {shape[axis]}"
        if wanted is not None:
            fits = len(wanted) == len(shape) and all(
                a is None or b is None or a == b for a, b in zip(wanted, shape, strict=True)
            )
            if not fits:
                return f"expected shape {self.shape}, found {tuple(x.shape)}"
        return None

    def __repr__(self):
        said = {
            k: v
            for k, v in vars(self).items()
            if not k.startswith("_") and v not in (None, {}, False)
        }
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in said.items())})"


def check_inputs(layer: Any, spec: Any, inputs: Any) -> None:
    """Raise a `ValueError` that names the layer, what it wants and what came.

    Args:
        layer: The layer.
        spec: An `InputSpec`, or a pytree of them.
        inputs: What was given: an array, or a pytree of them.

    Raises:
        ValueError: If their number, or one of them, does not match.
    """
    specs = jax.tree.leaves(spec, is_leaf=lambda s: isinstance(s, InputSpec))
    if isinstance(spec, list | tuple) and isinstance(inputs, dict) and all(s.name for s in specs):
        values = [inputs.get(s.name) for s in specs]
    else:
        values = jax.tree.leaves(inputs, is_leaf=lambda x: x is None)
    who = f"Layer {layer.name!r} ({type(layer).__name__})"
    if len(values) != len(specs):
        raise ValueError(f"{who} expects {len(specs)} input(s); got {len(values)}.")
    for i, (x, one) in enumerate(zip(values, specs, strict=True)):
        if x is None:
            if not one.optional:
                raise ValueError(f"{who}: input {i} is None, but only optional inputs may be.")
            continue
        problem = one.problem(x) if hasattr(x, "shape") else None
        if problem:
            which = f"Input {one.name or i} of {who}"
            raise ValueError(
                f"{which} is incompatible with the layer: {problem}. "
                f"Full shape received: {known_sizes(x.shape)}.{_hint(layer, one, x)} {see('E01')}"
            )


def _lacks_channels(layer, wanted, shape):
    if wanted != 4 or getattr(layer, "data_format", None) is None or len(shape) != 3:
        return ""
    first = layer.data_format == "channels_first"
    sizes, index = ((1, *shape[1:]), "x[:, None]") if first else ((*shape[1:], 1), "x[..., None]")
    return f" Images without channels? `Input({sizes})`, and `{index}`."


def _hint(layer, spec, x):
    """What to do about an input that lacks one axis, in one sentence, or nothing."""
    wanted = spec.min_ndim if spec.ndim is None else spec.ndim
    if wanted != x.ndim + 1:
        return ""
    history = x._keras_history if isinstance(x, KerasTensor) else None
    if history is not None and getattr(history.operation, "return_sequences", None) is False:
        name = history.operation.name
        return f" Did you mean `return_sequences=True` on the layer before, {name!r}?"
    if history is not None:
        return _lacks_channels(layer, wanted, known_sizes(x.shape))
    if isinstance(x, jax.core.Tracer):  # which layer came before is not known here
        steps = (
            " After a recurrent layer: did you mean `return_sequences=True` on the layer before?"
        )
        return steps if wanted == 3 else ""
    return " One sample? Add the batch axis: `x[None]`."
