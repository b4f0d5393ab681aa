"""What libraries use of `keras.src` that has no public name: by module, then by name."""

import importlib
import os
import shutil
import types
import warnings
from collections.abc import Callable
from typing import Any

import kerasish
from kerasish import ops, random
from kerasish.core import dtypes, masking, names, settings
from kerasish.core.state import scope, seeds, variable
from kerasish.core.state.tracking import untracked
from kerasish.core.symbolic import inference, keras_tensor, symbolic_scope
from kerasish.data import class_weights
from kerasish.distribution import distributions, layouts
from kerasish.layers.base import layer
from kerasish.losses import loss
from kerasish.metrics import reduction
from kerasish.saving.h5_store import H5IOStore
from kerasish.training.trainer import Trainer


def standardize_tuple(value: Any, n: int, name: str, allow_zero: bool = False) -> tuple:
    """`n` integers, from one or from `n`: positive, or not negative if zero is allowed.

    Args:
        value: What was given.
        n: How many.
        name: Name of the argument.
        allow_zero: Whether 0 may be among them.
    """
    least = 0 if allow_zero else 1
    values = (value,) * n if isinstance(value, int) else value
    are_integers = isinstance(values, list | tuple) and all(isinstance(v, int) for v in values)
    if not are_integers or len(values) != n or min(values) < least:
        raise ValueError(
            f"`{name}` must be {n} integers of at least {least}, or one for all; got {value!r}."
        )
    return tuple(values)


def standardize_padding(value: Any, allow_causal: bool = False) -> Any:
    """`"valid"`, `"same"` or, if allowed, `"causal"`, in lower case; pairs stay as they are.

    Args:
        value: What was given.
        allow_causal: Whether `"causal"` may be.
    """
    allowed = ("valid", "same", "causal") if allow_causal else ("valid", "same")
    if isinstance(value, list | tuple):
        return value
    if str(value).lower() not in allowed:
        raise ValueError(f"`padding` must be pairs of integers or one of {allowed}; got {value!r}.")
    return value.lower()


def standardize_shape(shape: Any) -> tuple:
    """A shape as a tuple of integers and `None`.

    Args:
        shape: The shape.
    """
    shape = tuple(shape)
    if not all(n is None or (isinstance(n, int) and n >= 0) for n in shape):
        raise ValueError(f"`shape` must have integers of at least 0, or None; got {shape!r}.")
    return shape


class LazyModule:
    """A module that is imported when an attribute of it is first wanted."""

    def __init__(self, name: str, pip_name: str | None = None, import_error_msg: str | None = None):
        self.name = name
        self.pip_name = pip_name or name
        self.import_error_msg = import_error_msg or (
            f"{name} is needed here: `pip install {self.pip_name}`."
        )
        self.module: types.ModuleType | None = None

    @property
    def available(self) -> bool:
        """Whether it can be imported."""
        try:
            self.initialize()
        except ImportError:
            return False
        return True

    def initialize(self) -> None:
        """Import it."""
        try:
            self.module = importlib.import_module(self.name)
        except ImportError:
            raise ImportError(self.import_error_msg) from None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if self.module is None:
            self.initialize()
        return getattr(self.module, name)

    def __repr__(self) -> str:
        return f"LazyModule({self.name})"


def _save_h5(
    model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True
) -> None:
    """Save a model in the older HDF5 format."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*the older HDF5 format")
        kerasish.saving.save_model(model, filepath, overwrite, include_optimizer=include_optimizer)


def _never() -> bool:
    """Whether a program of TensorFlow, or a pipeline of Grain, is being made: never, here."""
    return False


def keras_export(path: Any) -> Callable:
    """A decorator that leaves what it decorates as it is: kerasish's public names are its own.

    Args:
        path: Public name, or names.
    """
    return lambda item: item


def _safe_mode() -> bool:
    """Whether data of files is not trusted: always, unless the process said otherwise."""
    return not settings.unsafe_deserialization_enabled()


def _is_in_scope() -> bool:
    return scope.current_scope() is not None


_BACKEND = {
    "KerasTensor": keras_tensor.KerasTensor,
    "any_symbolic_tensors": lambda args=None, kwargs=None: keras_tensor.any_symbolic(
        args or (), kwargs or {}
    ),
    "compute_output_spec": inference.infer,
    "get_keras_mask": masking.get_mask,
    "in_stateless_scope": _is_in_scope,
    "in_symbolic_scope": symbolic_scope.in_symbolic_scope,
    "is_float_dtype": dtypes.is_float,
    "is_int_dtype": lambda dtype: "int" in dtypes.standardize_dtype(dtype),
    "set_keras_mask": masking.set_mask,
    "standardize_data_format": settings.standardize_data_format,
    "standardize_shape": standardize_shape,
    # As in Keras' backend for JAX: operations by the part of the library.
    "core": ops,
    "image": ops.image,
    "linalg": ops.linalg,
    "math": ops,
    "nn": ops.nn,
    "numpy": ops.numpy,
    "random": random,
    **{name: getattr(ops, name) for name in ops.__all__},
    # Keras' older names, which differ from the operations', stay with `keras.backend`.
    "backend": settings.backend,
    "name_scope": names.name_scope,
    "result_type": dtypes.result_type,
    "standardize_dtype": dtypes.standardize_dtype,
}
# Classes whose public name is another than that in the source.
_OTHERWISE_NAMED = {"GroupedQueryAttention": kerasish.layers.GroupQueryAttention}
_NAMING = {"auto_name": names.auto_name, "to_snake_case": names.snake_case}
_DISTRIBUTION = {
    "distribute_tensor": layouts.distribute_tensor,
    "distribution": distributions.distribution,
}
_DATA = {"class_weight_to_sample_weights": class_weights.weigh_classes}
_LAZY = ("tensorflow", "scipy", "jax", "h5py", "optree", "grain")
EXTRAS: dict[str, dict[str, Any]] = {
    "api_export": {"keras_export": keras_export},
    "backend": _BACKEND,
    "backend.common": _BACKEND,
    "backend.common.keras_tensor": _BACKEND,
    "backend.common.masking": _BACKEND,
    "backend.common.symbolic_scope": {"in_symbolic_scope": symbolic_scope.in_symbolic_scope},
    "backend.common.variables": {"KerasVariable": variable.Variable, **_BACKEND},
    "backend.config": _BACKEND,
    "backend.jax.random": {"jax_draw_seed": seeds.draw_seed},
    "backend.jax.trainer": {"JAXTrainer": Trainer},
    "distribution.distribution_lib": _DISTRIBUTION,
    "layers": _OTHERWISE_NAMED,
    "layers.attention.grouped_query_attention": _OTHERWISE_NAMED,
    "layers.layer": {"Layer": layer.Layer},
    "legacy.saving.legacy_h5_format": {
        "load_model_from_hdf5": kerasish.saving.load_model,
        "save_model_to_hdf5": _save_h5,
    },
    "losses.loss": {
        "Loss": loss.Loss,
        "squeeze_or_expand_to_same_rank": loss.squeeze_or_expand_to_same_rank,
    },
    "losses.losses": {"LossFunctionWrapper": loss.LossFunctionWrapper},
    "metrics.reduction_metrics": {"MeanMetricWrapper": reduction.MeanMetricWrapper},
    "models.functional": {"Functional": kerasish.models.Functional},
    "random.seed_generator": {
        "draw_seed": seeds.draw_seed,
        "make_default_seed": seeds.make_default_seed,
    },
    "saving.keras_saveable": {"KerasSaveable": layer.Layer},
    "saving.object_registration": {},
    "saving.saving_lib": {
        "H5IOStore": H5IOStore,
        "load_model": kerasish.saving.load_model,
        "load_weights_only": kerasish.saving.load_weights,
        "save_model": kerasish.saving.save_model,
        "save_weights_only": kerasish.saving.save_weights,
    },
    "saving.serialization_lib": {"in_safe_mode": _safe_mode},
    "trainers.data_adapters.data_adapter_utils": _DATA,
    "trainers.trainer": {"Trainer": Trainer},
    "utils.argument_validation": {
        "standardize_padding": standardize_padding,
        "standardize_tuple": standardize_tuple,
    },
    "utils.backend_utils": {"in_grain_data_pipeline": _never, "in_tf_graph": _never},
    "utils.file_utils": {
        "exists": os.path.exists,
        "isdir": os.path.isdir,
        "join": os.path.join,
        "listdir": os.listdir,
        "makedirs": os.makedirs,
        "remove": os.remove,
        "rmtree": shutil.rmtree,
    },
    "utils.module_utils": {
        "LazyModule": LazyModule,
        **{name: LazyModule(name) for name in _LAZY},
    },
    "utils.naming": _NAMING,
    "utils.tracking": {"no_automatic_dependency_tracking": untracked},
    "version": {"__version__": "3.15.1"},
}
