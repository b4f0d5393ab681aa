"""A layer's call, step by step: arguments, masks, dtypes, and what follows the computation."""

import contextlib
import inspect
import threading
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, partitioning, settings
from kerasish.core.dict_order import map_in_order
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.names import current_path
from kerasish.core.sparse import densify, holds_sparse
from kerasish.core.state.scope import current_scope
from kerasish.core.state.trace_list import nan_flags
from kerasish.core.state.variable import Variable, is_variable
from kerasish.core.symbolic.host_tensor import HostTensor, is_string_array, no_strings
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.input_spec import check_inputs
from kerasish.layers.base.signatures import (
    Signature,
    known_sizes,
    signature_of,
    tensor_arguments,
)


class _Context(threading.local):
    """What the outermost layer call in this thread says to those inside it.

    Attributes:
        outermost: The layer that was called first, `None` outside of calls.
        training: Whether it is a call of training, `None` if nobody said.
        shapes_only: Whether only the shapes of the outputs are asked for.
    """

    outermost: Any = None
    training: bool | None = None
    shapes_only: bool = False


context = _Context()
_no_scope = contextlib.nullcontext()


def training_here() -> bool | None:
    """Whether the running layer call is one of training; `None` if nobody said."""
    return context.training


def bind(layer: Any, signature: Signature, args: tuple, kwargs: dict) -> inspect.BoundArguments:
    """The arguments of `layer.call`, by name; an error names the layer and its signature.

    Args:
        layer: The layer.
        signature: The signature of its `call`.
        args: Arguments by position.
        kwargs: Arguments by name; `training` and `mask` are left out where `call` does not take
            them.

    Raises:
        TypeError: If they do not fit.
    """
    kwargs = dict(kwargs)
    for name in ("training", "mask"):
        if name not in signature.parameters and not signature.takes_any:
            kwargs.pop(name, None)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(
            f"Layer {layer.name!r} ({type(layer).__name__}): {error}; "
            f"its call is `call{signature.text}`."
        ) from None


def resolve_training(
    signature: Signature, bound: inspect.BoundArguments, kwargs: dict
) -> bool | None:
    """`training` as given, else as the outer call has it, else `call`'s default.

    Args:
        signature: The signature of `call`.
        bound: Its arguments, which get `training` where `call` takes it.
        kwargs: Arguments given by name.
    """
    training = kwargs.get("training", bound.arguments.get("training"))
    if training is None:
        training = context.training
    if "training" in signature.parameters:
        if training is None:
            default = signature.parameters["training"].default
            training = None if default is inspect.Parameter.empty else default
        if training is not None:
            bound.arguments["training"] = training
    return training


def compute(layer: Any, bound: inspect.BoundArguments) -> Any:
    """The steps of every call on arrays: convert, mask, check, build, call, note.

    Args:
        layer: The layer.
        bound: Arguments of its `call`.
    """
    if layer._built_with is None and not layer._locked:
        layer._own_policy = layer._policy.at(current_path())
    take_numbers(bound)
    for name, value in bound.arguments.items():
        if holds_sparse(value):
            bound.arguments[name] = densify(value)
    tensors = tensor_arguments(bound)
    masks = {name: jax.tree.map(get_mask, x) for name, x in tensors.items()}
    first = next(iter(tensors), None)
    give_masks(layer, bound, masks)
    for name in tensors:
        bound.arguments[name] = convert(layer, name, bound.arguments[name])
    if first is not None and layer.input_spec is not None:
        check_inputs(layer, layer.input_spec, bound.arguments[first])
    elif first is None and bound.arguments and layer._needs_arrays():
        name, value = next(iter(bound.arguments.items()))
        raise bad_argument(layer, name, "an array, or a pytree of arrays", value)
    layer._ensure_built({name: bound.arguments[name] for name in tensors})
    # Profilers show the names that a program was traced under.
    named = _no_scope if current_scope() is None else jax.named_scope(layer.name)
    with named, dtypes.autocast(layer.compute_dtype if layer.autocast else None):
        try:
            outputs = layer._run_call(bound)
        except Exception as error:
            say_where(error, layer, tensors)
            raise
    if outputs is None and first is not None:
        raise TypeError(
            f"Layer {layer.name!r} ({type(layer).__name__}): `call` returned None. Does it lack a "
            "`return`?"
        )
    if not layer._locked:
        layer._output_shapes = [known_sizes(np.shape(y)) for y in jax.tree.leaves(outputs)]
        layer._locked = True
    regularize(layer, outputs)
    if partitioning.state.distribution is not None:
        held = layer._weights
        path = held[0].path.rpartition("/")[0] if held else current_path()
        outputs = partitioning.lay_out(f"{path}/output", outputs)
    if first is not None:
        given = bound.arguments.get("mask")
        previous = masks[first] if given is None else given
        mask_outputs(layer, bound.arguments[first], outputs, previous)
    if settings.nan_checks_enabled() and current_scope() is not None:
        watch_for_nan(current_path(), outputs)
    return outputs


def shapes_of(layer: Any, training: bool | None) -> Callable:
    """The call of a layer, as a function to infer shapes from: nothing is computed for good.

    Args:
        layer: The layer.
        training: Whether it is a call of training; `None` if nobody said.
    """

    def call(*args, **kwargs):
        before = context.outermost, context.training, context.shapes_only
        context.outermost, context.training, context.shapes_only = layer, training, True
        signature = signature_of(type(layer), "call")
        try:
            bound = bind(layer, signature, args, kwargs)
            resolve_training(signature, bound, kwargs)
            return compute(layer, bound)
        finally:
            context.outermost, context.training, context.shapes_only = before

    return call


_TENSORS = (jax.Array, np.ndarray, KerasTensor)
_KNOWN = (*_TENSORS, np.generic, HostTensor, Variable)


def take_numbers(bound: inspect.BoundArguments) -> None:
    """Let a list of numbers or strings be an array, in the first argument.

    Args:
        bound: Arguments of `call`, changed in place.
    """
    name = next(iter(bound.arguments), "")
    value = bound.arguments.get(name)
    if isinstance(value, _TENSORS):
        return
    if any(map(_is_like_array, jax.tree.leaves(value))):  # a DataFrame, say
        as_array = lambda leaf: np.asarray(leaf) if _is_like_array(leaf) else leaf  # noqa: E731
        bound.arguments[name] = value = map_in_order(as_array, value, is_leaf=is_variable)
    if isinstance(value, list):
        leaves = jax.tree.leaves(value, is_leaf=lambda leaf: leaf is None)
        if all(isinstance(leaf, int | float) for leaf in leaves):
            bound.arguments[name] = dtypes.to_array(value)
        elif all(isinstance(leaf, str | bytes) for leaf in leaves):
            bound.arguments[name] = np.array(value, object)


def _is_like_array(leaf):
    """Whether it is no array, but can be made one."""
    return not isinstance(leaf, _KNOWN) and hasattr(type(leaf), "__array__")


def mask_argument(name: str, tensors: dict, parameters: Any) -> str:
    """The argument of `call` that takes the mask of the tensor argument `name`.

    It is `<name>_mask`; the first tensor's is `mask` where there is no such argument.

    Args:
        name: The tensor argument.
        tensors: All tensor arguments, by name.
        parameters: The parameters of `call`, by name.
    """
    own = f"{name}_mask"
    is_first = name == next(iter(tensors))
    return "mask" if len(tensors) == 1 or (is_first and own not in parameters) else own


def give_masks(layer: Any, bound: inspect.BoundArguments, masks: dict) -> None:
    """Hand masks that travel with tensors to the arguments of `call` that take them.

    Args:
        layer: The layer.
        bound: Arguments of its `call`.
        masks: Of each tensor argument, the masks that travel with it.
    """
    parameters = signature_of(type(layer), "call").parameters
    for name, mask in masks.items():
        target = mask_argument(name, masks, parameters)
        missing = target in parameters and bound.arguments.get(target) is None
        if missing and jax.tree.leaves(mask):
            bound.arguments[target] = mask


def convert(layer: Any, name: str, x: Any) -> Any:
    """JAX's arrays from those of an argument, floats in the dtype that the layer computes in.

    Args:
        layer: The layer.
        name: The argument's name, for errors.
        x: The argument: an array or a pytree of them.

    Raises:
        ValueError: If integers do not fit the bits that JAX has for them.
    """
    dtype = layer._float_inputs_become

    def one(leaf):
        if isinstance(leaf, HostTensor) or is_string_array(leaf):
            if not _takes_strings(layer):
                who = f"Layer {layer.name!r} ({type(layer).__name__}), argument `{name}`"
                raise ValueError(no_strings(who, leaf.shape))
            return leaf
        if isinstance(leaf, np.ndarray | np.generic | Variable):
            leaf = leaf.value if isinstance(leaf, Variable) else leaf
            _check_range(layer, name, leaf)
            leaf = dtypes.to_array(leaf)
        is_float = isinstance(leaf, jax.Array) and dtypes.is_float(leaf.dtype)
        cast = is_float and dtype and dtypes.is_float(dtype) and leaf.dtype != dtype
        return leaf.astype(dtype) if cast else leaf

    return map_in_order(one, x, is_leaf=is_variable)


def _takes_strings(layer):
    """Whether strings may reach the `call` of a layer: those of users see to them themselves."""
    is_own = str(type(layer).call.__module__).startswith("kerasish.layers")
    return layer.takes_strings or layer.passes_strings or not is_own


def fits_integers(x: Any) -> bool:
    """Whether JAX's dtype for an array, which may have fewer bits, holds its integers.

    Args:
        x: The array, or a number.
    """
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind not in "iu" or not x.size:
        return True
    limits = np.iinfo(jax.dtypes.canonicalize_dtype(x.dtype))
    wraps = limits.bits < x.dtype.itemsize * 8
    return not wraps or (x.min() >= limits.min and x.max() <= limits.max)


def _check_range(layer, name, x):
    """Raise a `ValueError` for integers that JAX's dtype of fewer bits would wrap around."""
    if not fits_integers(x):
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(x.dtype))
        far = x.max() if x.max() > limits.max else x.min()
        hint = "Map them to smaller numbers first, or switch on JAX's `jax_enable_x64`."
        wanted = f"integers from {limits.min} to {limits.max}"
        raise bad_argument(layer, name, wanted, int(far), hint)


def regularize(layer: Any, outputs: Any) -> None:
    """Add the penalty of the activity regularizer to the layer's losses, if it has one.

    Args:
        layer: The layer.
        outputs: What its `call` returned.
    """
    if layer.activity_regularizer is not None:
        for y in jax.tree.leaves(outputs):
            penalty = layer.activity_regularizer(y)
            # Per sample, so that it weighs the same whatever the batch's size.
            layer.add_loss(penalty / jnp.maximum(y.shape[0], 1) if y.ndim else penalty)


def mask_outputs(layer: Any, inputs: Any, outputs: Any, previous: Any) -> None:
    """Let the mask that `compute_mask` makes travel with the outputs.

    Args:
        layer: The layer.
        inputs: Its first argument.
        outputs: What its `call` returned.
        previous: The mask of the inputs, or a pytree of masks.
    """
    if not jax.tree.leaves(previous):
        previous = None
    if not layer.supports_masking:
        if previous is not None and "mask" not in signature_of(type(layer), "call").parameters:
            warnings.warn(
                f"Layer {layer.name!r} ({type(layer).__name__}) was given an input with a mask, "
                "but does not support masking, so the mask ends here. Set "
                "`self.supports_masking = True` in its `__init__` to pass it on.",
                stacklevel=4,
            )
        return
    leaves = jax.tree.leaves(outputs)
    if any(get_mask(y) is not None for y in leaves):
        return
    computed = layer.compute_mask(inputs, previous)
    if computed is None:
        return
    masks = jax.tree.leaves(computed, is_leaf=lambda m: m is None)
    for y, mask in zip(leaves, masks, strict=False):
        if mask is not None:
            set_mask(y, mask)


def watch_for_nan(path: str, outputs: Any) -> None:
    """Note for `enable_nan_checks` whether there is a NaN in the outputs of the layer at `path`.

    Args:
        path: Where the layer stands in its model.
        outputs: What its `call` returned.
    """
    for y in jax.tree.leaves(outputs):
        if dtypes.is_float(y.dtype):
            nan_flags.append({path: jnp.isnan(y).any()})


def symbolic_leaves(tree: Any) -> list[KerasTensor]:
    """The symbolic tensors in a pytree.

    Args:
        tree: Any pytree.
    """
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, KerasTensor)]


def say_where(error: BaseException, layer: Any, tensors: dict) -> None:
    """Add to an error the layer in which it came up, the shapes it was called on, and a hint.

    An error of kerasish that names the layer says all that itself, and stays the last line.

    Args:
        error: The error, which gets a note.
        layer: The layer.
        tensors: Its tensor arguments, by name.
    """
    says_so = type(error) in (TypeError, ValueError) and repr(layer.name) in str(error)
    if says_so:
        return
    shapes = {name: jax.tree.map(lambda x: known_sizes(x.shape), x) for name, x in tensors.items()}
    note = f"In layer {layer.name!r} ({type(layer).__name__}), called on shapes {shapes}."
    error.add_note(note + _HINTS.get(type(error), ""))


_HINTS = {
    jax.errors.TracerArrayConversionError: " NumPy functions take no traced arrays: use "
    "`jax.numpy` or `keras.ops`.",
    jax.errors.TracerBoolConversionError: " Python's `if` and `while` take no traced arrays: use "
    "`keras.ops.where` or `keras.ops.cond`.",
}
