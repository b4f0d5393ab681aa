"""Base of layers that take strings, which JAX's arrays cannot hold: NumPy does their work."""

import warnings
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.host_tensor import HostTensor
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.calling import context
from kerasish.layers.base.layer import Layer


def on_host(layer: Layer, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """A call of a layer on values that are at hand, which it looks at itself.

    Args:
        layer: The layer.
        inputs: What it is called on.
        training: Says nothing here.
        mask: Says nothing here.
    """
    layer._check_initialized()
    return layer.call(inputs)


def in_model(*args: Any) -> bool:
    """Whether a call is one while a model is made or traced: its values come later.

    Args:
        *args: Arguments of the call.
    """
    later = KerasTensor | HostTensor | jax.core.Tracer
    return any(isinstance(x, later) for x in jax.tree.leaves(args))


def version_of(layer: Layer, *learnt: Any) -> tuple | None:
    """What a layer's numbers depend on beside the strings; `None` for a class of the user's own.

    Args:
        layer: The layer.
        *learnt: What stands for what it has learnt.
    """
    is_own = type(layer).__module__.startswith("kerasish.layers")
    return learnt if is_own else None


def note_program(layer: Layer, inputs: Any) -> None:
    """Note that a compiled program has been made with what the layer has learnt so far.

    Args:
        layer: The layer.
        inputs: What its `call` was given.
    """
    if isinstance(inputs, jax.core.Tracer) and not context.shapes_only:
        object.__setattr__(layer, "_in_programs", True)


def warn_of_programs(layer: Layer) -> None:
    """Warn, when a layer has learnt something new, of programs that keep what it knew before.

    Args:
        layer: The layer.
    """
    if vars(layer).pop("_in_programs", False):
        warnings.warn(
            f"{layer.name}: programs compiled before keep what {type(layer).__name__} had learnt "
            "then. Call `compile` of the model again, or adapt the layer first.",
            stacklevel=4,
        )


class HostLayer(Layer):
    """Base of layers that work on the host, with NumPy: on data before a model, or in models.

    They take strings, or integers, in NumPy arrays, lists and whatever turns into either. In a
    model they do their work on each batch before the compiled step: see `call_on_host`.
    """

    takes_strings = True
    input_dtype = "string"  # what a model takes that begins with it, if nobody says

    def __call__(self, *args, **kwargs):
        if in_model(args, kwargs):
            return super().__call__(*args, **kwargs)
        return on_host(self, *args, **kwargs)


def as_strings(owner: Any, inputs: Any, encoding: str = "utf-8") -> np.ndarray:
    """An array of Python's strings, from strings or bytes in an array, a list or a column.

    Not one of NumPy's own: there each element takes as much room as the longest.

    Args:
        owner: Who asks, for the error.
        inputs: An array, a list or a column.
        encoding: That of bytes.

    Raises:
        ValueError: If there are other things in it.
    """
    x = np.asarray(inputs) if hasattr(inputs, "dtype") else np.array(inputs, dtype=object)
    parts = [p.decode(encoding) if isinstance(p, bytes) else p for p in x.ravel().tolist()]
    if not all(isinstance(p, str) for p in parts):
        raise bad_argument(owner, "inputs", "strings, in an array or a list", inputs)
    strings = np.empty(len(parts), object)
    strings[:] = parts
    return strings.reshape(x.shape)


def strings_of(owner: Any, inputs: Any) -> np.ndarray:
    """Strings as they are; integers written out, and of others the whole part.

    Args:
        owner: Who asks, for the error.
        inputs: An array, a list or a column.

    Raises:
        ValueError: If there are neither strings nor numbers in it.
    """
    if not hasattr(inputs, "dtype"):
        inputs = np.array(inputs, dtype=object)
        numbers = [isinstance(x, int | float | np.number) for x in inputs.ravel()]
        inputs = np.array(inputs.tolist()) if any(numbers) else inputs
    x = np.asarray(inputs)
    if x.dtype.kind not in "biuf":
        return as_strings(owner, x)
    return (x.astype("int64") if x.dtype.kind == "f" else x).astype(str).astype(object)
