"""Checks and common forms of the arguments that many layers share."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasish import constraints, initializers, regularizers
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable

# A function or object, its name, or its config: as activations and initializers are given.
Named = str | dict | Callable | None


def int_tuple(layer: Any, name: str, value: Any, n: int, least: int = 1) -> tuple:
    """`n` integers of at least `least`, from one integer or a sequence of `n`.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.
        n: How many there must be.
        least: The least that each may be.

    Raises:
        ValueError: If there are more, fewer, others or smaller ones.
    """
    values = (value,) * n if isinstance(value, int) else value
    wanted = f"{n} integer{'s' if n > 1 else ''} of at least {least}, or one for all"
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != n:
        raise bad_argument(layer, name, wanted, value)
    if not all(isinstance(v, int) and v >= least for v in values):
        raise bad_argument(layer, name, wanted, value)
    return tuple(values)


def show_defaults(cls: type, per_axis: tuple) -> None:
    """Let a layer class's signature show its defaults for all axes, as Keras' does: `(1, 1)`.

    Args:
        cls: Class of layers, with `rank` spatial axes.
        per_axis: Names of the arguments that take one integer for each axis.
    """
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    cls.__signature__ = inspect.Signature(
        [
            p.replace(default=(p.default,) * cls.rank)
            if p.name in per_axis and isinstance(p.default, int) and cls.rank > 1
            else p
            for p in parameters
        ]
    )


def int_pairs(layer: Any, name: str, value: Any, n: int) -> tuple:
    """`n` pairs (before, after) of integers, from an integer, `n` integers or `n` pairs.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.
        n: How many pairs there must be.

    Raises:
        ValueError: If it is none of these.
    """
    values = (value,) * n if isinstance(value, int) else value
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != n:
        raise bad_argument(layer, name, f"an integer, or {n} integers or pairs of integers", value)
    return tuple(int_tuple(layer, name, pair, 2, least=0) for pair in values)


def boolean(layer: Any, name: str, value: Any) -> bool:
    """True or False, or an integer that says so.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool | np.bool_ | int):
        raise bad_argument(layer, name, "True or False", value)
    return bool(value)


def positive_int(layer: Any, name: str, value: Any) -> int:
    """An integer of at least 1.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise bad_argument(layer, name, "a positive integer", value)
    return value


def without_old_arguments(cls: type, config: dict) -> dict:
    """A config without arguments that older versions of Keras wrote and that say nothing now.

    A class lists them, with the values that may be dropped, in `old_arguments`; `None`: any value.

    Args:
        cls: The layer's class.
        config: The config.

    Raises:
        ValueError: If an old argument has a value that meant something.
    """
    old = getattr(cls, "old_arguments", {})
    for name, values in old.items():
        if name in config and values is not None and config[name] not in values:
            wanted = f"one of {values}, as it is no longer an argument,"
            raise bad_argument(cls, name, wanted, config[name])
    found = {name: value for name, value in config.items() if name not in old}
    if "trainable" in found and not _takes(cls, "trainable"):  # nothing to train in it
        del found["trainable"]
    return found


def _takes(cls, name):
    """Whether `__init__` takes an argument, or hands on what it does not know."""
    parameters = inspect.signature(cls.__init__).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


# Elements of the arrays and lists that a layer makes from the numbers in its config, which may be a
# stranger's file: as many float32 take half a gigabyte.
MOST_ELEMENTS = 2**27


def within_budget(layer: Any, name: str, value: Any, elements: int) -> None:
    """Raise a `ValueError` if an argument asks for more elements than any sensible layer has.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.
        elements: How many elements it asks for.
    """
    if elements > MOST_ELEMENTS:
        wanted = f"of at most {MOST_ELEMENTS} elements in all"
        raise bad_argument(layer, name, wanted, value)


def fraction(layer: Any, name: str, value: Any) -> float:
    """A number from 0 to 1.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.

    Raises:
        ValueError: If it is none.
    """
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise bad_argument(layer, name, "from 0 to 1", value)
    return value


def one_of(layer: Any, name: str, value: Any, choices: tuple) -> str:
    """A lower-case word out of `choices`.

    Args:
        layer: The layer, for the error.
        name: The argument's name, for the error.
        value: What was given.
        choices: The words.

    Raises:
        ValueError: If it is none of them.
    """
    word = value.lower() if isinstance(value, str) else value
    if word not in choices:
        raise bad_argument(layer, name, f"one of {choices}", value)
    return word


def known_size(layer: Any, input_shape: tuple, axis: int) -> int:
    """The size of an axis that weights depend on.

    Args:
        layer: The layer, for the error.
        input_shape: Shape of the input, `None` where unknown.
        axis: The axis.

    Raises:
        ValueError: If there is no such axis, or its size is unknown.
    """
    if not -len(input_shape) <= axis < len(input_shape):
        raise bad_argument(layer, "axis", f"an axis of {tuple(input_shape)}", axis)
    size = input_shape[axis]
    if size is None:
        where = "its last axis" if axis == -1 else f"axis {axis}"
        hint = "Give the size in `Input(shape=...)`."
        raise bad_argument(layer, "input_shape", f"known in {where}", tuple(input_shape), hint)
    return size


def set_weight_options(
    layer: Any, prefix: str, initializer: Named, regularizer: Named = None, constraint: Named = None
) -> None:
    """Store what a weight starts from and is held to, as `<prefix>_initializer` and so on.

    Args:
        layer: The layer to store them in.
        prefix: The weight's name in arguments, as `kernel`.
        initializer: What it starts from.
        regularizer: Its penalty.
        constraint: What it is held to.
    """
    setattr(layer, f"{prefix}_initializer", initializers.get(initializer))
    setattr(layer, f"{prefix}_regularizer", regularizers.get(regularizer))
    setattr(layer, f"{prefix}_constraint", constraints.get(constraint))


def make_weight(
    layer: Any, name: str, shape: Sequence[int], prefix: str = "", **options: Any
) -> Variable:
    """Add the weight whose rules `set_weight_options` stored under `prefix` (or its name).

    Args:
        layer: The layer.
        name: The weight's name.
        shape: Its shape.
        prefix: Under which its options are stored; the name by default.
        **options: More arguments of `Layer.add_weight`.
    """
    prefix = prefix or name
    return layer.add_weight(
        shape=tuple(shape),
        name=name,
        initializer=getattr(layer, f"{prefix}_initializer"),
        regularizer=getattr(layer, f"{prefix}_regularizer"),
        constraint=getattr(layer, f"{prefix}_constraint"),
        **options,
    )
