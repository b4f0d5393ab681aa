"""Why a compiled function was traced, and traced again."""

import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

# `logging.getLogger("kerasish.jit").setLevel("INFO")` shows each trace as it happens.
logger = logging.getLogger("kerasish.jit")


class TraceLog:
    """What a function was traced for, and how each trace differs from the nearest one before.

    Args:
        name: What the log calls the function.

    Attributes:
        reasons: One sentence for each trace.
    """

    def __init__(self, name: str):
        self.name = name
        self.reasons: list[str] = []
        self._seen: list[dict[str, str]] = []

    def note(self, described: Mapping[str, str]) -> None:
        """Note a trace.

        Args:
            described: What the program depends on: names to descriptions of their values.
        """
        described = dict(described)
        self.reasons.append(self._reason(described))
        self._seen.append(described)
        logger.info("%s is traced: %s", self.name, self.reasons[-1])

    def _reason(self, described):
        if not self._seen:
            return "first call"
        differences = [_differences(before, described) for before in self._seen]
        least = min(reversed(differences), key=len)
        return "; ".join(least) or (
            "no argument changed: a Variable's layout, a global setting, or a look at the program"
        )

    def __len__(self):
        return len(self.reasons)


def _differences(before, after):
    names = [*after, *(name for name in before if name not in after)]
    return [
        f"{name}: {after.get(name, 'not given')}, was {before.get(name, 'not given')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def describe(value: Any) -> str:
    """A value as a compiled program sees it: type and shape of an array, the rest as written.

    Args:
        value: The value.
    """
    if isinstance(value, jax.core.Tracer | jax.Array | jax.ShapeDtypeStruct | np.ndarray):
        shape = ",".join(map(str, value.shape))
        weak = " of Python" if getattr(getattr(value, "aval", value), "weak_type", False) else ""
        return f"{value.dtype.name}[{shape}]{weak}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def describe_leaves(name: str, value: Any) -> dict[str, str]:
    """`describe` for each leaf of a pytree, by its path: `x["mask"]`.

    Args:
        name: Name of the value.
        value: A pytree.
    """
    leaves = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda x: x is None)[0]
    return {f"{name}{jax.tree_util.keystr(path)}": describe(leaf) for path, leaf in leaves}


def describe_program(program: Any) -> dict[str, str]:
    """The Variables a program stands on, by number and path.

    Args:
        program: The program.
    """
    groups = {"written": program.written, "read": program.reads}
    return {f"Variables {how}": _variables(group) for how, group in groups.items()}


def _variables(variables):
    paths = sorted(v.path for v in variables)
    return f"{len(paths)} ({', '.join(paths[:8])}{', ...' if len(paths) > 8 else ''})"
