"""Weights as an HDF5 tree in Keras 3's layout: a group for each part, datasets by number."""

import contextlib
import io
import os
import pathlib
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import ml_dtypes
import numpy as np

from kerasish.core.files import replacing
from kerasish.core.names import snake_case

WEIGHTS_MEMBER = "model.weights.h5"

# Attributes that hold what the tree names otherwise, or that files do not keep.
_SKIPPED = frozenset(
    {"activity_regularizer", "history", "input_spec", "loss", "optimizer"}
    | {"_compiled_loss", "_compiled_metrics", "_function", "_given", "_graph_layers", "_inbound_nodes"}
    | {"_loss_tracker", "_stack", "_steps", "_weights", "_frozen", "_added_losses", "_compile_arguments"}
)


def parts_of(saveable: Any) -> Iterator[tuple[str, Any]]:
    """Parts with state of their own and containers of them, each with the name files use."""
    if getattr(saveable, "_function", None) is not None or hasattr(saveable, "_stack"):
        yield "layers", saveable.layers
    optimizer = getattr(saveable, "optimizer", None)
    if optimizer is not None:
        yield "optimizer", optimizer
    for name in sorted(vars(saveable)):
        if name not in _SKIPPED:
            value = vars(saveable)[name]
            if _is_saveable(value) or (isinstance(value, list | dict | tuple | set) and value):
                yield name, value


def _is_saveable(x):
    return hasattr(x, "save_own_variables")


def walk(saveable: Any, path: str = "", seen: set | None = None) -> Iterator[tuple[str, Any]]:
    """Each part once, with its path in the tree, the whole first."""
    seen = set() if seen is None else seen
    if id(saveable) in seen:
        return
    seen.add(id(saveable))
    yield path, saveable
    for name, child in parts_of(saveable):
        inner = f"{path}/{name}" if path else name
        if _is_saveable(child):
            yield from walk(child, inner, seen)
        else:
            yield from _walk_container(child, inner, seen)


def _walk_container(container, path, seen):
    used: dict[str, int] = {}
    for child in container.values() if isinstance(container, dict) else container:
        if _is_saveable(child):
            name = snake_case(type(child).__name__)
            number = used[name] = used.get(name, -1) + 1
            yield from walk(child, f"{path}/{name}_{number}" if number else f"{path}/{name}", seen)


def write_weights(saveable: Any, file: Any) -> None:
    """Write the tree of a model, layer or optimizer to a path or a file object."""
    with h5py.File(file, "w") as h5:
        for path, part in walk(saveable):
            store: dict[str, np.ndarray] = {}
            part.save_own_variables(store)
            group = h5.create_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = getattr(part, "name", type(part).__name__)
            for key, value in store.items():
                value = np.asarray(value)
                if value.dtype == ml_dtypes.bfloat16:
                    group.create_dataset(key, data=value.view("V2"))
                    group[key].attrs["dtype"] = "bfloat16"
                else:
                    group.create_dataset(key, data=value)


def read_weights(saveable: Any, file: Any, skip_mismatch: bool = False) -> None:
    """Load the tree into a model, layer or optimizer; on an error nothing is changed."""
    found = list(walk(saveable))
    before = [(v, v.read()) for _, part in found for v in getattr(part, "variables", [])]
    try:
        with h5py.File(file, "r") as h5:
            for path, part in found:
                _read_part(h5, path, part, skip_mismatch)
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def _read_part(h5, path, part, skip_mismatch):
    group = _group(h5, f"{path}/vars" if path else "vars")
    store = {} if group is None else {key: _array(group, key) for key in group}
    own: dict[str, np.ndarray] = {}
    part.save_own_variables(own)
    if not store and not own:
        return
    if path == "optimizer" and not store:
        warnings.warn("The file holds no optimizer state; the optimizer starts anew.", stacklevel=2)
        return
    try:
        part.load_own_variables(store)
    except ValueError as error:
        name = getattr(part, "name", type(part).__name__)
        if not skip_mismatch:
            raise ValueError(f"The file does not fit {name!r} (at {path or '/'!r}): {error}") from error
        warnings.warn(f"Skipped {name!r} (at {path or '/'!r}): {error}", stacklevel=2)


def _group(h5, path):
    """The group at a path, through plain links only: others could lead out of the file."""
    node = h5
    for name in path.split("/"):
        if name not in node:
            return None
        if not isinstance(node.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"The weights file links {path!r} to elsewhere, which is refused.")
        node = node[name]
    return node


def _array(group, key):
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise ValueError(f"The weights file links {group.name}/{key} to elsewhere, which is refused.")
    data = group[key]
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise ValueError(f"{group.name}/{key} is not stored in the weights file itself, which is refused.")
    value = data[()]
    if data.attrs.get("dtype") == "bfloat16":
        value = np.asarray(value).view(ml_dtypes.bfloat16)
    return value


def save_weights(model: Any, filepath: str | os.PathLike, overwrite: bool = True) -> None:
    """Save the weights of a model (and its optimizer's state) as a `.weights.h5` file.

    Args:
        model: Model or layer, built.
        filepath: Path that ends in `.weights.h5`.
        overwrite: Whether an existing file may be replaced.
    """
    path = _weights_path(filepath, "save_weights")
    if path.exists() and not overwrite:
        raise ValueError(f"save_weights: {path} exists, and `overwrite` is False.")
    with replacing(path) as beside:
        write_weights(model, beside)


def load_weights(model: Any, filepath: str | os.PathLike, skip_mismatch: bool = False) -> None:
    """Load what `save_weights` or `save` wrote, here or in Keras 3.

    Args:
        model: Model or layer, built, of the same architecture.
        filepath: A `.weights.h5` or `.keras` file.
        skip_mismatch: Whether to warn about parts that do not fit, instead of failing.
    """
    path = pathlib.Path(filepath)
    if str(path).endswith(".keras"):
        with archived_weights(path) as file:
            read_weights(model, file, skip_mismatch)
        return
    path = _weights_path(filepath, "load_weights")
    if not path.exists():
        raise ValueError(f"load_weights: there is no file {path}.")
    read_weights(model, path, skip_mismatch)


@contextlib.contextmanager
def archived_weights(path: str | os.PathLike) -> Iterator[Any]:
    """The weights inside a `.keras` file, as a file object."""
    with zipfile.ZipFile(path) as archive:
        yield io.BytesIO(read_member(archive, WEIGHTS_MEMBER, path))


def read_member(archive: zipfile.ZipFile, name: str, path: Any) -> bytes:
    """The bytes of one member of a `.keras` file."""
    if name not in archive.namelist():
        raise ValueError(f"{path} has no {name}, so it is not a whole `.keras` file.")
    return archive.read(name)


def _weights_path(filepath, who):
    if not str(filepath).endswith(".weights.h5"):
        raise ValueError(f"{who}: `filepath` must end in '.weights.h5'; got {str(filepath)!r}.")
    return pathlib.Path(filepath)
