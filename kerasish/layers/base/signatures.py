"""What a layer's `call` and `build` take, and which of it are tensors and shapes."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core.state.variable import Variable, is_variable
from kerasish.core.symbolic.host_tensor import HostTensor
from kerasish.core.symbolic.keras_tensor import KerasTensor


class Signature:
    """A method's signature without `self`, read once."""

    def __init__(self, function: Callable):
        signature = inspect.signature(function)
        self.parameters = dict(list(signature.parameters.items())[1:])
        self.bind = inspect.Signature(list(self.parameters.values())).bind
        plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        self.text = str(inspect.Signature(plain)).replace("(self, ", "(").replace("(self)", "()")
        kinds = [p.kind for p in self.parameters.values()]
        self.takes_any = inspect.Parameter.VAR_KEYWORD in kinds


@functools.lru_cache(maxsize=4096)
def read_signature(function: Callable) -> Signature:
    """The signature of a method, without `self`.

    Args:
        function: The method, as the class holds it.
    """
    return Signature(function)


def signature_of(cls: type, method: str) -> Signature:
    """The signature of a class's method.

    Args:
        cls: The class.
        method: The method's name.
    """
    return read_signature(getattr(cls, method))


def build_arguments(cls: type, shapes: dict) -> tuple[tuple, dict]:
    """The arguments of a class's `build`, from the shapes of the call's tensors by name.

    Args:
        cls: The layer's class.
        shapes: Shapes of the call's tensor arguments, by name.
    """
    wanted = signature_of(cls, "build").parameters
    if len(wanted) <= 1:
        return (next(iter(shapes.values()), None),), {}
    names = [n for n in wanted if wanted[n].kind is not inspect.Parameter.VAR_KEYWORD]
    given = {n: shapes.get(n.removesuffix("_shape")) for n in names}
    needed = [n for n in names if wanted[n].default is inspect.Parameter.empty]
    return (), {n: s for n, s in given.items() if s is not None or n in needed}


def tensor_arguments(bound: inspect.BoundArguments) -> dict:
    """Arguments that are, or hold nothing but, tensors.

    Args:
        bound: Arguments of a layer's `call`.
    """
    found = {}
    for name, value in bound.arguments.items():
        if name in ("mask", "training") or name.endswith("_mask"):
            continue
        kind = bound.signature.parameters[name].kind
        if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        leaves = jax.tree.leaves(value, is_leaf=is_variable)
        if leaves and all(is_tensor(leaf) for leaf in leaves):
            found[name] = value
    return found


def is_tensor(x: Any) -> bool:
    """Whether `x` is an array, real or symbolic.

    Args:
        x: Anything.
    """
    return isinstance(x, jax.Array | np.ndarray | np.generic | KerasTensor | Variable | HostTensor)


def known_sizes(shape: tuple) -> tuple:
    """A shape whose symbolic sizes are `None`.

    Args:
        shape: Sizes, some of which may be symbolic.
    """
    return tuple(n if isinstance(n, int) else None for n in shape)


def map_shapes(function: Callable, shapes: Any) -> Any:
    """`function` of each shape in a pytree of them.

    Args:
        function: What to do with a shape, a tuple.
        shapes: A shape, or lists or dicts of shapes.
    """
    if shapes is None:
        return None
    if isinstance(shapes, dict):
        return {k: map_shapes(function, s) for k, s in shapes.items()}
    if shapes and isinstance(shapes[0], list | tuple | dict):
        return type(shapes)(map_shapes(function, s) for s in shapes)
    return function(tuple(shapes))


def as_tuples(shape: Any) -> Any:
    """Shapes from a file, lists in JSON, as tuples.

    Args:
        shape: A shape, or lists or dicts of shapes.
    """
    return map_shapes(tuple, shape)
