"""kerasish: Keras, rebuilt on JAX alone. `import kerasish as keras`."""

import sys as _sys
from importlib import import_module as _import_module

from kerasish.core.departed_names import missing as _missing
from kerasish.core.departed_names import point_to_replacements as _point_to_replacements
from kerasish.core.gc_pause import gc_paused as _undisturbed
from kerasish.core.malloc import share_one_arena as _share_one_arena
from kerasish.core.public_dir import list_public_names as _list_public_names

_share_one_arena()
with _undisturbed():
    from kerasish import (
        activations,
        backend,
        callbacks,
        config,
        constraints,
        datasets,
        diagnostics,
        distillation,
        distribution,
        dtype_policies,
        export,
        initializers,
        layers,
        legacy,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        preprocessing,
        random,
        regularizers,
        saving,
        testing,
        tree,
        utils,
        visualization,
        wrappers,
    )
    from kerasish.core.device import device
    from kerasish.core.dtypes import DTypePolicy, FloatDTypePolicy
    from kerasish.core.names import name_scope
    from kerasish.core.settings import use_compilation_cache as _use_compilation_cache
    from kerasish.core.state.compiled import jit
    from kerasish.core.state.functional import capture, pure
    from kerasish.core.state.loops import scan
    from kerasish.core.state.scope import Scope, StatelessScope
    from kerasish.core.state.transforms import (
        custom_gradient,
        grad,
        remat,
        value_and_grad,
        vmap,
    )
    from kerasish.core.state.variable import Variable
    from kerasish.core.symbolic.keras_tensor import KerasTensor
    from kerasish.core.symbolic.operation import Operation
    from kerasish.core.symbolic.symbolic_scope import SymbolicScope
    from kerasish.initializers import Initializer
    from kerasish.layers import Input, InputSpec, Layer
    from kerasish.layers.base.remat import RematScope
    from kerasish.losses import Loss
    from kerasish.metrics import Metric
    from kerasish.models import Function, Model, Sequential, functionalize
    from kerasish.optimizers import Optimizer
    from kerasish.regularizers import Regularizer

__version__ = "0.2.0"


# Imported when they are asked for: few programs do, and all would wait for them.
_LATER = ("applications",)


def version() -> str:
    """The version of kerasish.

    Example:
        >>> version() == keras.__version__
        True
    """
    return __version__


def __getattr__(name: str):
    if name in _LATER:
        return _import_module(f"{__name__}.{name}")
    raise _missing(__name__, name, depth=2)


__all__ = [
    "DTypePolicy",
    "FloatDTypePolicy",
    "Function",
    "Initializer",
    "Input",
    "InputSpec",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Operation",
    "Optimizer",
    "Regularizer",
    "RematScope",
    "Scope",
    "Sequential",
    "StatelessScope",
    "SymbolicScope",
    "Variable",
    "activations",
    "applications",  # pyright: ignore[reportUnsupportedDunderAll]
    "backend",
    "callbacks",
    "capture",
    "config",
    "constraints",
    "custom_gradient",
    "datasets",
    "device",
    "diagnostics",
    "distillation",
    "distribution",
    "dtype_policies",
    "export",
    "functionalize",
    "grad",
    "initializers",
    "jit",
    "layers",
    "legacy",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "name_scope",
    "ops",
    "optimizers",
    "preprocessing",
    "pure",
    "random",
    "regularizers",
    "remat",
    "saving",
    "scan",
    "testing",
    "tree",
    "utils",
    "value_and_grad",
    "version",
    "visualization",
    "vmap",
    "wrappers",
]

_list_public_names(_sys.modules[__name__])
_point_to_replacements(__name__)
_use_compilation_cache()
