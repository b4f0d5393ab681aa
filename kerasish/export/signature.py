"""What a model takes and gives, by name: the signature of an exported or served program."""

from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.models import Model


def model_signature(model: Model, given: Any = None, who: str = "export") -> Any:
    """Symbolic tensors (or shapes) for the inputs of a model, in the pytree that it is called on.

    Args:
        model: The model, built.
        given: The user's own, which counts; a list of one stands for its only element.
        who: Who complains where it cannot be found out.
    """
    if given is not None:
        is_alone = isinstance(given, list | tuple) and len(given) == 1
        given = given[0] if is_alone else given
        return as_tensors(given)
    try:
        return model.input
    except (AttributeError, ValueError):
        pass
    config = model.get_build_config() or {}
    shape = config.get("input_shape")
    if not isinstance(shape, list | tuple) or any(isinstance(n, list | tuple) for n in shape):
        hint = "Give `[keras.Input(...)]` for each input."
        raise bad_argument(who, "input_signature", "given for this model", None, hint)
    dtype = "string" if "string_inputs" in config else model.compute_dtype
    return KerasTensor((None, *shape[1:]), dtype, name="inputs")


def input_names(tensors: list) -> list[str]:
    """A name of its own for each input: its tensor's, or a numbered one.

    Args:
        tensors: Symbolic tensors.
    """
    return _unlike([getattr(t, "name", None) or f"input_{i + 1}" for i, t in enumerate(tensors)])


def _unlike(names):
    return names if len({*names}) == len(names) else [f"{n}_{i + 1}" for i, n in enumerate(names)]


def output_names(model: Model | None, outputs: Any) -> list[str]:
    """A name for each leaf of a pytree of outputs: its key in dicts, else its layer's name.

    Args:
        model: The model.
        outputs: Pytree of symbolic tensors.
    """
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(outputs)[0]]
    if isinstance(outputs, dict):
        parts = [[str(getattr(k, "key", getattr(k, "idx", k))) for k in path] for path in paths]
        return _unlike(["/".join(part) for part in parts])
    try:
        names = None if model is None else model.output_names
    except AttributeError:
        names = None
    if names and len(names) == len(paths):
        return _unlike(list(names))
    return ["output"] if len(paths) == 1 else [f"output_{i + 1}" for i in range(len(paths))]


def spec_of(name: str, tensor: Any) -> dict:
    """An input or output as plain data: `None` for sizes that vary.

    Args:
        name: Its name.
        tensor: The symbolic tensor.
    """
    shape = [n if isinstance(n, int) else None for n in tensor.shape]
    dtype = str(tensor.dtype) if str(tensor.dtype) == "string" else np.dtype(tensor.dtype).name
    return {"name": name, "shape": shape, "dtype": dtype}


def _is_spec(x):
    return hasattr(x, "shape") and hasattr(x, "dtype")


def as_tensors(specs: Any) -> Any:
    """A pytree of symbolic tensors, for whatever tells shapes and types (`keras.InputSpec`s).

    Args:
        specs: Specs of the inputs.
    """
    return jax.tree.map(_tensor, specs, is_leaf=_is_spec)


def _tensor(spec):
    if isinstance(spec, KerasTensor | jax.ShapeDtypeStruct):
        return spec
    shape, dtype = getattr(spec, "shape", None), getattr(spec, "dtype", None)
    if shape is None:
        wanted = "made of `keras.Input`s, or `keras.InputSpec`s with a shape,"
        raise bad_argument("export", "input_signature", wanted, spec)
    return KerasTensor(tuple(shape), dtype or "float32", name=getattr(spec, "name", None))
