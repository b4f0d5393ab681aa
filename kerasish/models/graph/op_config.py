"""Ops in a model's config, in Keras' form: a class for each op, its settings in the config.

Keras splits an op's arguments: operands (arrays, mostly) go to its `call`, settings to its
`__init__`. Here an op is one function, so the split is by the arguments' names.
"""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import ops
from kerasish.core.errors import NEEDS_A_VALUE, did_you_mean
from kerasish.core.serialization.live_objects import LiveObject, are_live
from kerasish.core.serialization.serialize import (
    revive,
    serialize_keras_object,
)
from kerasish.core.symbolic.keras_tensor import KerasTensor, any_symbolic
from kerasish.core.symbolic.operation import Op

# Modules of Keras' op classes, by the module here or, for those it has none for, by function.
_MODULES = {"numpy": ops.numpy, "nn": ops.nn, "linalg": ops.linalg, "image": ops.image}
_CORE = frozenset(
    "associative_scan cast cond convert_to_tensor fori_loop map saturate_cast scan "
    "scatter scatter_update slice slice_update stop_gradient switch unstack "
    "vectorized_map while_loop".split()
)
# Classes that are not the function's name in CamelCase.
_CLASSES = {
    "allclose": "AllClose",
    "batch_normalization": "BatchNorm",
    "cdist": "CDist",
    "ctc_decode": "CTCDecode",
    "ctc_loss": "CTCLoss",
    "hsv_to_rgb": "HSVToRGB",
    "isin": "IsIn",
    "jvp": "JVP",
    "layer_normalization": "LayerNorm",
    "psnr": "PSNR",
    "rgb_to_grayscale": "RGBToGrayscale",
    "rgb_to_hsv": "RGBToHSV",
    "rms_normalization": "RMSNorm",
    "searchsorted": "SearchSorted",
    "ssim": "SSIM",
    "svd": "SVD",
} | {name: name.upper() for name in "fft fft2 ifft2 rfft irfft stft istft".split()}
_OPERANDS = frozenset(
    "a abs_ angle args array atol b beta bias bins branches choicelist condition condlist "
    "constant_values coordinates data default depthwise_kernel elements elems end_points f "
    "false_fn fun gamma image1 image2 images index indices init init_val inputs kernel key "
    "loop_vars mask mean offset operands output output_length output_shape pattern "
    "pointwise_kernel pred predictions primals q query rtol scale segment_ids "
    "sequence_lengths sorted_sequence start start_indices start_points step stop tangents "
    "target target_length targets tensor transform translation true_fn updates value values "
    "variable variance weights x x1 x2 xs y".split()
)
# Settings of these ops that are operands of others, and the reverse.
_SETTINGS = {
    "allclose": ("rtol", "atol"),
    "bincount": ("weights",),
    "diagonal": ("offset",),
    "histogram": ("bins",),
    "squareplus": ("b",),
    "trace": ("offset",),
    "trapezoid": ("x",),
}
_EXTRA_OPERANDS = {"full": ("fill_value",), "full_like": ("fill_value",)}


def class_of(name: str) -> tuple[str, str]:
    """Module and class that Keras writes for an op's function name.

    Args:
        name: Name of the op's function.
    """
    cls = _CLASSES.get(name) or "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    if name in _CORE:
        return "keras.src.ops.core", cls
    if name == "rearrange":
        return "keras.src.ops.einops", cls
    for module, ours in _MODULES.items():
        if name in ours.__all__:
            return f"keras.src.ops.{module}", cls
    return "keras.src.ops.math", cls


def is_operand(function_name: str, argument: str) -> bool:
    """Whether Keras gives an argument of an op to `call`, rather than to `__init__`.

    Args:
        function_name: Name of the op's function.
        argument: Name of the argument.
    """
    if argument in _SETTINGS.get(function_name, ()):
        return False
    return argument in _OPERANDS or argument in _EXTRA_OPERANDS.get(function_name, ())


def _function(name):
    for module in (ops, *_MODULES.values()):
        if name in module.__all__ and callable(getattr(module, name)):
            return getattr(module, name)
    return None


@functools.cache
def _functions_by_class():
    names = {name for module in (ops, *_MODULES.values()) for name in module.__all__}
    return {class_of(name): name for name in sorted(names) if callable(_function(name))}


def write_op(operation: Op, args: Any, kwargs: dict) -> dict:
    """An op's call on these arguments as Keras writes it.

    Args:
        operation: The op.
        args: Arguments by position.
        kwargs: Arguments by name.
    """
    name = operation.function.__name__
    function = _function(name)
    if function is None and are_live():
        return {
            "module": class_of(name)[0],
            "class_name": LiveObject(operation.function),
            "config": {"name": operation.name},
            "name": operation.name,
            "inbound_nodes": [
                {"args": serialize_keras_object(args), "kwargs": serialize_keras_object(kwargs)}
            ],
        }
    if function is None:
        raise ValueError(
            f"The model calls {name!r}, which is no op of `keras.ops`, so its config cannot name "
            "it. Put the call in a layer of your own."
        )
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    given = set(bound.arguments)
    bound.apply_defaults()
    config, args, kwargs, in_order = {"name": operation.name}, [], {}, True
    for key, value in bound.arguments.items():
        if signature.parameters[key].kind is inspect.Parameter.VAR_POSITIONAL:
            args += value
        elif signature.parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
            kwargs |= value
        elif not is_operand(name, key):
            config[key] = value
        elif key in given:
            in_order = in_order and _takes_place(signature.parameters[key])
            args.append(value) if in_order else kwargs.update({key: value})
        else:
            in_order = False
    module, cls = class_of(name)
    return {
        "module": module,
        "class_name": cls,
        "config": serialize_keras_object(config),
        "registered_name": cls,
        "name": operation.name,
        "inbound_nodes": [
            {"args": serialize_keras_object(args), "kwargs": serialize_keras_object(kwargs)}
        ],
    }


def _takes_place(parameter):
    return parameter.kind is not inspect.Parameter.KEYWORD_ONLY


def is_op(config: dict) -> bool:
    """Whether an element of a config is an op rather than a layer.

    Args:
        config: Element of a config's list of layers.
    """
    module = config.get("module")
    return isinstance(module, str) and module.startswith("keras.src.ops.")


def read_op(config: dict) -> Callable:
    """The function that an op's config stands for; on symbolic tensors it records the same op.

    Args:
        config: Element of a config's list of layers.
    """
    module, cls, config = config["module"], config["class_name"], dict(config["config"])
    if isinstance(cls, LiveObject):
        return lambda *args, **kwargs: _renamed(cls.value(*args, **kwargs), config.get("name"))
    name = _functions_by_class().get((module, cls))
    if name is None:
        known = [known for known_module, known in _functions_by_class() if known_module == module]
        hint = did_you_mean(str(cls), known)
        raise ValueError(f"The config names the op {module}.{cls}, unknown here. {hint}".rstrip())
    own_name = config.pop("name", None)
    function: Any = _function(name)
    parameters = inspect.signature(function).parameters
    operands = [key for key in parameters if is_operand(name, key)]
    settings = {key: _setting(value) for key, value in config.items() if key in parameters}
    spread = [p.name for p in parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL]

    def call(*args, **kwargs):
        if name == "get_item":  # JSON has no tuples
            args = (args[0], tuple(args[1]) if isinstance(args[1], list) else args[1])
        if spread:
            args = [*(settings[key] for key in parameters if key in settings), *args]
        else:
            kwargs |= dict(zip(operands, args, strict=False)) | settings
            args = ()
        if not any_symbolic(args, kwargs):
            _check_size(cls, _shapes(function, args, kwargs))
        result = function(*args, **kwargs)
        _check_size(cls, result)
        return _renamed(result, own_name)

    return call


MAX_BYTES = 2**32  # of what an op in a file makes of one sample


def _shapes(function, args, kwargs):
    """Shapes of a result, computing nothing; `None` where they depend on values."""
    try:
        return jax.eval_shape(lambda: function(*args, **kwargs))
    except (TypeError, *NEEDS_A_VALUE):
        return None


def _check_size(cls, result):
    """Raise where an op of a file of a few bytes would fill the memory."""
    arrays = [x for x in jax.tree.leaves(result) if isinstance(getattr(x, "shape", None), tuple)]
    size = sum(math.prod(n or 1 for n in x.shape) * jnp.dtype(x.dtype).itemsize for x in arrays)
    if size > MAX_BYTES:
        raise ValueError(
            f"The config's op {cls} makes {size:,} bytes of one sample, of shapes "
            f"{[x.shape for x in arrays]}; at most {MAX_BYTES:,} are allowed in a file."
        )


def _setting(value: Any) -> Any:
    value = revive(value)
    return tuple(value) if isinstance(value, list) else value


def _renamed(result, name):
    for tensor in jax.tree.leaves(result):
        if name and isinstance(tensor, KerasTensor):
            tensor._keras_history.operation.name = name
    return result
