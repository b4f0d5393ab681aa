"""A model's state as nested dicts, by the paths of its Variables."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from kerasish.core import processes
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable

_FORMATS = {
    "backend_tensor": lambda variable: variable.read(),
    "numpy_array": lambda variable: np.array(processes.gather_to_host(variable.read())),
}


def state_tree(model: Any, value_format: str) -> dict:
    """Values of all of a model's Variables; see `Model.get_state_tree`.

    Args:
        model: The model.
        value_format: How values are given: as Variables or NumPy arrays.
    """
    if value_format not in _FORMATS:
        raise bad_argument(model, "value_format", f"one of {tuple(_FORMATS)}", value_format)
    value_of = _FORMATS[value_format]
    tree: dict = {}
    for kind, variables in _kinds(model).items():
        tree[kind] = {}
        for path, variable in _by_path(model, variables).items():
            *scopes, name = path.split("/")
            branch = tree[kind]
            for scope in scopes:
                branch = branch.setdefault(scope, {})
            branch[name] = value_of(variable)
    return tree


def set_state_tree(model: Any, tree: dict) -> None:
    """Assign what `state_tree` gave; see `Model.set_state_tree`.

    Args:
        model: The model.
        tree: Values by name, nested.
    """
    trained = model.trainable_variables
    if tree.get("optimizer_variables") and model.optimizer is not None and trained:
        model.optimizer.build(trained)
    kinds = _kinds(model)
    strange = [kind for kind in tree if kind not in kinds]
    for kind in kinds:
        own = _by_path(model, kinds[kind])
        for path, value in _leaves(tree.get(kind, {})):
            if path in own:
                own[path].assign(value)
            elif kind != "metrics_variables":  # those are made by the first batch
                strange.append(f"{kind}/{path}")
    if strange:
        warnings.warn(
            f"Model {model.name!r} has no {strange}: `set_state_tree` passed over them. It has the "
            "paths that `get_state_tree` shows.",
            stacklevel=3,
        )


def _kinds(model):
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if model.optimizer is None else model.optimizer.variables,
        "metrics_variables": model.metrics_variables,
    }


def _by_path(model, variables) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for variable in variables:
        if variable.path in found:
            raise ValueError(
                f"Model {model.name!r} has two variables of path {variable.path!r}, which a tree "
                "cannot distinguish. Give the layers or metrics that hold them other names."
            )
        found[variable.path] = variable
    return found


def _leaves(tree, path="") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}/")
        else:
            yield path + name, value
