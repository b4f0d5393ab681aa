"""What users give for several outputs, matched to the outputs by name or by order."""

import itertools
from collections.abc import Collection
from typing import Any

from kerasish.core.errors import did_you_mean


def name_outputs(y_pred: Any, names: list | None) -> tuple[list[str], list]:
    """The outputs in order, with their names: the model's own, the dict's keys, or numbers.

    Args:
        y_pred: One output, or a list or dict of them.
        names: The model's names of them, if it has any.
    """
    if isinstance(y_pred, dict):
        keys = list(y_pred)
        return [str(k) for k in keys], [y_pred[k] for k in keys]
    if isinstance(y_pred, list | tuple):
        if names is None or len(names) != len(y_pred):
            names = [f"output_{i + 1}" for i in range(len(y_pred))]
        return list(names), list(y_pred)
    return list(names)[:1] if names else ["output"], [y_pred]


def have_names(y_pred: Any, names: list | None) -> bool:
    """Whether several outputs have names of their own, for those of their results to begin with.

    Args:
        y_pred: One output, or a list or dict of them.
        names: The model's names of them, if it has any.
    """
    return not isinstance(y_pred, list | tuple) or bool(names and len(names) == len(y_pred))


def distinct(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it if it is taken.

    Args:
        name: The name.
        taken: Names that are in use.
    """
    numbered = (f"{name}_{i}" if i else name for i in itertools.count())
    return next(one for one in numbered if one not in taken)


def match_spec(spec: Any, names: list[str], what: str, for_all: bool = False) -> list:
    """One element per output, from a dict by name, a list in order, or one thing for all.

    Args:
        spec: What the user gave.
        names: Names of the outputs, in order.
        what: What it is, for the error: "loss".
        for_all: Whether one thing stands for every output.
    """
    if isinstance(spec, dict):
        unknown = [key for key in spec if key not in names]
        if unknown:
            hint = did_you_mean(unknown[0], names)
            raise ValueError(
                f"compile: `{what}` names output {unknown[0]!r}; the model's outputs are "
                f"{names}. {hint}".rstrip()
            )
        return [spec.get(name) for name in names]
    if isinstance(spec, list | tuple):
        if len(spec) == len(names):
            return list(spec)
        got = len(spec)
    elif for_all or len(names) == 1:
        return [spec] * len(names)
    else:
        got = f"one {type(spec).__name__}"
    count = "the output" if len(names) == 1 else f"each of the {len(names)} outputs"
    raise ValueError(f"compile: `{what}` must have one entry for {count} {names}; got {got}.")


def match_data(y: Any, names: list[str], what: str) -> list:
    """Targets or weights of the outputs in order; `None` for those that have none.

    Args:
        y: One array, or a list or dict of them.
        names: Names of the outputs, in order.
        what: The argument it came in, for the error.
    """
    if isinstance(y, dict) and len(names) == 1 and names[0] not in y:
        return [next(iter(y.values()))] if len(y) == 1 else [y]
    if isinstance(y, dict):
        return [y.get(name) for name in names]
    if isinstance(y, list | tuple):
        if len(y) == len(names):
            return list(y)
        if len(names) == 1:
            return [y]
        raise ValueError(
            f"`{what}` must hold one array for each of the outputs {names}; got {len(y)}."
        )
    if y is None or len(names) == 1:
        return [y] * len(names)
    raise ValueError(
        f"`{what}` must hold one array for each of the outputs {names}; got a single one."
    )


def match_weights(weights: Any, names: list[str]) -> list:
    """Sample weights of the outputs in order: one array stands for all of them.

    Args:
        weights: One array, or a list or dict of them, or `None`.
        names: Names of the outputs, in order.
    """
    if isinstance(weights, list | tuple | dict):
        return match_data(weights, names, "sample_weight")
    return [weights] * len(names)
