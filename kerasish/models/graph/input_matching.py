"""Matching what a functional model is called on to its inputs."""

import itertools
import warnings
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import did_you_mean, see
from kerasish.core.masking import set_mask
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.host_tensor import HostTensor, is_string_array, no_strings
from kerasish.core.symbolic.keras_tensor import KerasTensor


def arrange_inputs(model: Any, inputs: Any, mask: Any = None) -> list:
    """Values for `model.inputs` in order: matched by name or position, cast, checked and masked.

    Args:
        model: The model.
        inputs: What the model was called on.
        mask: Masks of the inputs, if given.
    """
    wanted = model.inputs
    values = _by_name_or_order(model, wanted, inputs)
    masks = _by_name_or_order(model, wanted, mask) if mask is not None else [None] * len(values)
    return [_fit(model, t, x, m) for t, x, m in zip(wanted, values, masks, strict=True)]


def _by_name_or_order(model, wanted, inputs):
    names = [t.name for t in wanted]
    struct = model._function._inputs_struct
    if isinstance(inputs, dict) and not _same_structure(struct, inputs):
        keys = _keys(struct) or names
        found = [_named(model, keys, t, key, inputs) for t, key in zip(wanted, keys, strict=True)]
        _warn_of_extra(model, {*keys, *names}, inputs)
        return found
    if isinstance(struct, dict) and isinstance(inputs, dict):
        if len(inputs) > len(struct):
            _warn_of_extra(model, struct, inputs)
        return jax.tree.leaves([inputs[k] for k in sorted(struct)], is_leaf=_is_value)
    values = jax.tree.leaves(inputs, is_leaf=_is_value)
    if len(values) == len(wanted) > 1 and not _has_names(inputs):
        _refuse_guess(model, struct)
        if isinstance(struct, dict):
            _warn(model, f"it has a dict of inputs, {list(struct)}, and was given a list")
    if len(values) != len(wanted):
        raise ValueError(
            f"Model {model.name!r} expects {len(wanted)} input(s) {names}; got {len(values)}. "
            + see("E16")
        )
    return values


def _warn_of_extra(model, known, inputs):
    extra = [key for key in inputs if not {key, str(key).replace("/", "_")} & set(known)]
    if extra:
        _warn(model, f"it does not take {extra}; its inputs are {sorted(known)}")


def _warn(model, what):
    """Warn, once for a model, of inputs that are taken all the same."""
    if not vars(model).get("_warned_of_inputs"):
        model.__dict__["_warned_of_inputs"] = True
        warnings.warn(
            "The structure of `inputs` doesn't match the expected structure of model "
            f"{model.name!r}: {what}.",
            stacklevel=2,
        )


def _refuse_guess(model, struct):
    """Raise where values in order might be meant in the order of dicts, or in that of pytrees."""
    written = [t.name for t in _in_written_order(struct)]
    if written != [t.name for t in jax.tree.leaves(struct)]:
        raise ValueError(
            f"Model {model.name!r} was made with a dict of inputs, {written}, and was given values "
            "without names, so which is which would be a guess. Give a dict: "
            f"{{{', '.join(f'{name!r}: ...' for name in written)}}}."
        )


def _in_written_order(struct):
    """The tensors as they were written: a dict's in the order of its keys as given, not sorted."""
    if isinstance(struct, dict):
        struct = list(struct.values())
    if not isinstance(struct, list | tuple):
        return [struct]
    return list(itertools.chain.from_iterable(map(_in_written_order, struct)))


def _has_names(inputs):
    if isinstance(inputs, list | tuple):
        return any(map(_has_names, inputs))
    return isinstance(inputs, dict)


def _is_value(x):
    return x is None or isinstance(x, Variable)


def _same_structure(struct, inputs):
    return isinstance(struct, dict) and set(struct) <= set(inputs)


def _keys(struct):
    return sorted(struct) if isinstance(struct, dict) else None


def _named(model, keys, tensor, key, inputs):
    for name in (key, tensor.name):
        if name in inputs:
            return inputs[name]
    if getattr(tensor._keras_history.operation, "optional", False):
        return None
    for name in inputs:  # as a file of Keras 2 called it
        if str(name).replace("/", "_") == tensor.name:
            return inputs[name]
    hint = did_you_mean(key, inputs)
    raise ValueError(
        f"Model {model.name!r} is missing input {key!r}: it expects {list(keys)} and was given "
        f"{list(inputs)}. {hint}".rstrip()
    )


def _fit(model, tensor, x, mask):
    if x is None:
        if getattr(tensor._keras_history.operation, "optional", False):
            return None
        raise ValueError(
            f"Model {model.name!r}: input {tensor.name!r} is None, but it is not optional."
        )
    if isinstance(x, KerasTensor):
        _check(model, tensor, x.shape)
        return x
    if tensor.dtype == "string" or isinstance(x, HostTensor) or _holds_strings(x):
        return _fit_strings(model, tensor, x)
    if not isinstance(x, jax.Array):
        x = dtypes.to_array(x.value if isinstance(x, Variable) else np.asarray(x))
    x = _adjust_rank(tensor, x)
    if model._fixed_sizes:
        _check(model, tensor, x.shape)
    given = x
    wanted = jax.dtypes.canonicalize_dtype(tensor.dtype)
    if x.dtype != wanted:
        x = x.astype(wanted)
    if mask is not None:
        x = x if x is not given else x + 0  # the mask is this model's, not the caller's array's
        set_mask(x, mask)
    return x


def _holds_strings(x):
    if isinstance(x, jax.Array | Variable):
        return False
    x = x if isinstance(x, np.ndarray) else np.asarray(x)
    return is_string_array(x)


def _fit_strings(model, tensor, x):
    if not isinstance(x, HostTensor | jax.Array | Variable):
        x = np.asarray(x) if hasattr(x, "dtype") else np.array(x, dtype=object)
    who = f"Model {model.name!r}, input {tensor.name!r}"
    if tensor.dtype != "string":
        raise ValueError(no_strings(who, x.shape))
    if not (isinstance(x, HostTensor) or is_string_array(x)):
        raise ValueError(f"{who}: must get strings; got numbers of dtype {x.dtype}.")
    rank, wanted = x.ndim, len(tensor.shape)
    if rank == wanted + 1 and x.shape[-1] == 1:
        x = x[..., 0]
    elif rank == wanted - 1 and tensor.shape[-1] == 1:
        x = x[..., None]
    if model._fixed_sizes:
        _check(model, tensor, x.shape)
    return x


def _adjust_rank(tensor, x):
    """Add or drop a last axis of size 1, as Keras does for vectors of labels and the like."""
    rank, wanted = x.ndim, len(tensor.shape)
    if rank == wanted + 1 and x.shape[-1] == 1:
        return x[..., 0]
    if rank == wanted - 1 and tensor.shape[-1] == 1:
        return x[..., None]
    return x


def _check(model, tensor, shape):
    """Raise unless a shape is that of an input, batches of any size being right, as in Keras."""
    wanted = tensor.shape
    fits = len(shape) == len(wanted) and all(
        w is None or n is None or not isinstance(n, int) or w == n
        for w, n in zip(wanted[1:], shape[1:], strict=True)
    )
    if not fits:
        shape = tuple(n if isinstance(n, int) else None for n in shape)
        one = len(shape) + 1 == len(wanted) and all(
            w is None or w == n for w, n in zip(wanted[1:], shape, strict=True)
        )
        hint = " One sample? Add the batch axis: `x[None]`." if one else ""
        raise ValueError(
            f"Input {tensor.name!r} of model {model.name!r} is incompatible with the layer: "
            f"expected shape={wanted}, found shape={shape}.{hint} {see('E01')}"
        )
