"""What a model's call depends on besides arrays: the attributes of its layers, to compare later."""

import functools
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, NoneType
from typing import Any

import jax
import numpy as np

from kerasish.core.state.seeds import SeedGenerator
from kerasish.core.state.variable import Variable
from kerasish.layers.base.layer import Layer

# Compared by value: none of them can change.
PLAIN = (NoneType, bool, int, float, complex, str, bytes, type(...), np.generic, np.dtype, range)
CONTAINERS = (list, tuple, set, frozenset, dict)
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, type)
# Where code comes from that has no side effects.
_KNOWN_PACKAGES = ("kerasish", "jax", "jaxlib", "numpy", "builtins")
# Attributes of kerasish's own that a call's result does not depend on, or that it sets itself.
BOOKKEEPING = frozenset(
    (
        *("_set_at", "_serial", "_output_shapes", "_locked", "_built_with", "_untracked", "name"),
        *("_weights", "_frozen", "_loss_functions", "_added_losses", "_input_shape_arg"),
        *("_calls", "_compiled_steps", "_predict_sizes", "_last_form", "_orders", "_metrics"),
        *("_host_programs", "_string_inputs"),
        *("stop_training", "stop_evaluating", "stop_predicting", "history", "_resume_point"),
        *("_warned_of_inputs", "_fit", "_source", "optimizer", "loss"),
        *("_compile_arguments", "_compiled_loss", "_compiled_metrics", "_loss_tracker"),
        *("steps_per_execution", "jit_compile", "compiled", "run_eagerly"),
    )
)
# They act on new weights and on gradients.
_OF_WEIGHTS = ("_initializer", "_regularizer", "_constraint")
_OF_OUTPUTS = "activity_regularizer"
_OF_TRAINING = ("_trainable",)
_OF_GRAPH = ("_function", "_policy")


def is_own(cls: type) -> bool:
    """Whether a class is one of kerasish's.

    Args:
        cls: The class.
    """
    return cls.__module__.partition(".")[0] == "kerasish"


def attributes(layer: Any) -> Iterator[tuple[str, Any]]:
    """Attributes that the result of a layer's call may depend on.

    Args:
        layer: The layer.
    """
    own = is_own(type(layer))
    for name, value in vars(layer).items():
        of_weights = name.endswith(_OF_WEIGHTS) and name != _OF_OUTPUTS
        if name not in BOOKKEEPING and not (own and of_weights):
            yield name, value


def same(a: Any, b: Any) -> bool:
    """Whether two values are one object, or plain and equal.

    Args:
        a: A value.
        b: Another.
    """
    return a is b or (type(a) is type(b) and isinstance(a, PLAIN) and a == b)


def items_of(container: Any) -> list:
    """What a list, tuple, set or dict holds, keys included.

    Args:
        container: The container.
    """
    if isinstance(container, dict):
        return [*container, *container.values()]
    return list(container)


class Fingerprint:
    """The attributes of the layers of a model as they are now.

    Args:
        roots: The model, and what else is called with it.
        wanted: `wanted(layer, name, value)`: whether an attribute counts; `None`: all do.
    """

    def __init__(self, roots: Iterable, wanted: Callable | None = None):
        self.roots, self.wanted = list(roots), wanted
        self._seen = self._look()

    def _look(self):
        layers = dict.fromkeys(x for root in self.roots for x in root._flatten_layers())
        found = []
        for layer in layers:
            found += [layer, None]
            for name, value in attributes(layer):
                if self.wanted is None or self.wanted(layer, name, value):
                    found += [name, value]
                    if type(value) in (list, tuple, dict):
                        found += items_of(value)
                    elif isinstance(value, Variable):
                        found.append(value.autocast)
        return found

    def still_holds(self) -> bool:
        """Whether all of it is as it was."""
        now = self._look()
        return len(now) == len(self._seen) and all(map(same, now, self._seen))


def structure(model: Any) -> Fingerprint:
    """What compiled steps of a model depend on: its layers, Variables and functions.

    Of kerasish's own layers, plain attributes too. Those of users' classes may be counters, and
    those that are set on the model notes of a callback's; as in Keras, a compiled step has them as
    they were when it was made.

    Args:
        model: The model.
    """

    def wanted(layer, name, value):
        is_note = layer is model and isinstance(value, PLAIN) and name not in _OF_GRAPH
        return not is_note and _is_structure(layer, name, value)

    return Fingerprint([model], wanted)


def _is_structure(layer: Any, name: str, value: Any) -> bool:
    if name in _OF_TRAINING:  # steps of training look at it themselves
        return False
    if name in _OF_GRAPH or isinstance(value, Layer | Variable | SeedGenerator | FunctionType):
        return True
    if isinstance(value, CONTAINERS):
        return any(isinstance(x, Layer | Variable) for x in items_of(value))
    return is_own(type(layer)) and isinstance(value, (*PLAIN, *FUNCTIONS))


def is_of_own_code(layers: Iterable[Any]) -> bool:
    """Whether no code of a user's runs in calls of layers: all they do is known to be computing.

    Args:
        layers: The layers.
    """
    return all(
        is_own(type(layer))
        and not vars(layer).keys() & {"call", "__call__"}
        and not any(layer._added_losses.items())
        and not any(_brings_code(value) for _, value in attributes(layer))
        for layer in layers
    )


def _brings_code(value):
    if isinstance(value, CONTAINERS):
        return any(map(_brings_code, items_of(value)))
    if isinstance(value, (*PLAIN, Variable, SeedGenerator, np.ndarray, jax.Array)):
        return False
    if isinstance(value, functools.partial):
        return any(map(_brings_code, (value.func, value.args, value.keywords)))
    named = value if isinstance(value, FUNCTIONS) else type(value)
    return (named.__module__ or "").partition(".")[0] not in _KNOWN_PACKAGES
