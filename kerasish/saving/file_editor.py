"""`KerasFileEditor`: looks into files of weights, changes them and compares them with models."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np
from rich.console import Console

from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.saving.io.file_window import BadFile
from kerasish.saving.state.walk import own_arrays, walk

_VARS = "vars"
_MOST_BYTES = 2**32  # what one array of a file may hold


class KerasFileEditor:
    """Looks into a `.keras` or `.weights.h5` file, changes its weights and saves them anew.

    Weights are in `weights_dict`, a dict of objects by name, each a dict of arrays or of more
    objects: `{"layers": {"dense": {"0": kernel, "1": bias}}}`.

    Args:
        filepath: The file.

    Raises:
        ValueError: It is of another kind, or no file of weights.

    Example:
        >>> import os, tempfile
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> path = os.path.join(tempfile.mkdtemp(), "small.weights.h5")
        >>> model.save_weights(path)
        >>> editor = keras.saving.KerasFileEditor(path)  # doctest: +ELLIPSIS
        Keras model file ...
        >>> editor.rename_object("dense", "dense_7")
        >>> editor.weights_dict["layers"]["dense_7"]["1"].shape
        (2,)
    """

    def __init__(self, filepath: Any):
        self.filepath = str(filepath)
        self.config = self.metadata = self.model = None
        self.console = Console(highlight=False, soft_wrap=True)
        if self.filepath.endswith(".keras"):
            with zipfile.ZipFile(self.filepath) as archive:
                self.config = json.loads(archive.read("config.json"))
                self.metadata = json.loads(archive.read("metadata.json"))
                weights: Any = io.BytesIO(archive.read("model.weights.h5"))
        elif self.filepath.endswith(".weights.h5"):
            weights = self.filepath
        else:
            wanted = "a file whose name ends in .keras or .weights.h5"
            raise bad_argument(type(self), "filepath", wanted, self.filepath)
        self.object_metadata: dict[str, dict] = {}
        with h5py.File(weights, "r") as file:
            self.weights_dict = self._read(file, "")
        self.console.print(f"Keras model file '{self.filepath}'")
        if self.metadata is not None:
            version, date = self.metadata["keras_version"], self.metadata["date_saved"]
            self.console.print(f"Saved with Keras {version} - date: {date}")

    def _read(self, group, path) -> dict:
        found: dict[str, Any] = {}
        for name in group:
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise BadFile(f"{self.filepath}: {path}/{name} links to somewhere else.")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                found[name] = self._array(item, f"{path}/{name}")
            elif name == _VARS:
                if "name" in item.attrs and len(item):
                    self.object_metadata[path] = {"name": str(item.attrs["name"])}
                found.update(self._read(item, path))
            else:
                found[name] = self._read(item, f"{path}/{name}")
        return found

    def _array(self, data, path) -> np.ndarray:
        if data.external or data.is_virtual:
            raise BadFile(f"{self.filepath}: {path} takes its values from other files.")
        size = data.size * data.dtype.itemsize
        if size > _MOST_BYTES:
            raise BadFile(f"{self.filepath}: {path} says it has {size} bytes, which is too much.")
        return data[()]

    # -- looking

    def summary(self) -> None:
        """Print which objects there are, and the shape and dtype of each weight."""
        self.console.print("Weights structure")
        self._print(self.weights_dict, "", "  ")

    def _print(self, weights, path, indent):
        for name, value in weights.items():
            inner = f"{path}/{name}"
            if isinstance(value, dict):
                called = self.object_metadata.get(inner, {}).get("name")
                label = "" if called is None else f" ('{called}')"
                self.console.print(f"{indent}{name}{label}")
                self._print(value, inner, f"{indent}    ")
            else:
                value = np.asarray(value)
                self.console.print(f"{indent}{name}: shape={value.shape}, dtype={value.dtype}")

    def compare(self, reference_model: Any) -> dict:
        """Compare with a model, and print what differs.

        Args:
            reference_model: A model, built.

        Returns:
            A dict of `status`, `"success"` or `"error"`, `error_count` and `match_count`, the
            numbers of weights that differ and that are alike in position and shape.
        """
        theirs = {
            f"{path}/{name}".lstrip("/"): np.shape(value)
            for path, part in walk(reference_model)
            for name, value in own_arrays(part).items()
        }
        ours = {path: np.shape(value) for path, value in _leaves(self.weights_dict)}
        errors = 0
        for path in sorted(ours.keys() | theirs.keys()):
            here, there = ours.get(path), theirs.get(path)
            if here == there:
                continue
            errors += 1
            if there is None:
                said = "is in the saved file, but not in the reference model"
            elif here is None:
                said = "is in the reference model, but not in the saved file"
            else:
                said = f"has shape {here} in the saved file, {there} in the reference model"
            self.console.print(f"...Weight {path} {said}")
        matches = sum(theirs.get(path) == shape for path, shape in ours.items())
        status = "error" if errors else "success"
        self.console.print(f"{status}: {matches} weights match, {errors} do not")
        return {"status": status, "error_count": errors, "match_count": matches}

    # -- changing

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name.

        Args:
            object_name: Its name or, if there are several, its path: `"layers/dense_2"`.
            new_name: The new name, not a path.
        """
        if "/" in new_name:
            raise bad_argument(type(self), "new_name", "a name, not a path", new_name)

        def rename(parent, name):
            parent[new_name] = parent.pop(name)

        self._edit(object_name, rename)

    def delete_object(self, object_name: str) -> None:
        """Take an object out.

        Args:
            object_name: Its name or path.
        """
        self._edit(object_name, lambda parent, name: parent.pop(name))

    def add_object(self, object_path: str, weights: Mapping) -> None:
        """Add an object.

        Args:
            object_path: Where: `"layers/dense_2"`.
            weights: Dict of names to arrays: `{"0": kernel, "1": bias}`.
        """
        parents, _, name = object_path.rpartition("/")
        group = self.weights_dict
        for each in parents.split("/") if parents else []:
            if not isinstance(group.get(each), dict):
                hint = did_you_mean(each, group)
                raise bad_argument(type(self), "object_path", "in the file", object_path, hint)
            group = group[each]
        group[name] = self._check_weights(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take a weight out of an object.

        Args:
            object_name: The object's name or path.
            weight_name: The weight's name: `"0"`.
        """

        def delete(parent, name):
            if weight_name not in parent[name]:
                wanted = f"one of {list(parent[name])}"
                raise bad_argument(type(self), "weight_name", wanted, weight_name)
            parent[name].pop(weight_name)

        self._edit(object_name, delete)

    def add_weights(self, object_name: str, weights: Mapping) -> None:
        """Add weights to an object, or replace them.

        Args:
            object_name: The object's name or path.
            weights: Dict of names to arrays.
        """
        weights = self._check_weights(weights)
        self._edit(object_name, lambda parent, name: parent[name].update(weights))

    def _check_weights(self, weights) -> dict:
        if not isinstance(weights, Mapping):
            wanted = "a dict of names, usually '0', '1', ..., and arrays"
            raise bad_argument(type(self), "weights", wanted, weights)
        return dict(weights)

    def _edit(self, object_name: str, change: Callable) -> None:
        """Call `change(dict that holds the object, its name)`."""
        parents, _, name = object_name.rpartition("/")
        found = [
            (path, holder)
            for path, holder in _holders(self.weights_dict)
            if isinstance(holder.get(name), dict) and (not parents or path == parents)
        ]
        if not found:
            names = [n for _, holder in _holders(self.weights_dict) for n in holder]
            hint = f"{did_you_mean(name, names)} `summary()` lists them all.".strip()
            raise bad_argument(type(self), "object_name", "in the file", object_name, hint)
        if len(found) > 1:
            paths = [f"{path}/{name}" for path, _ in found]
            raise bad_argument(type(self), "object_name", f"one of {paths}", object_name)
        change(found[0][1], name)

    # -- saving

    def save(self, filepath: Any) -> None:
        """Save the weights as they are now.

        Args:
            filepath: A file whose name ends in `.weights.h5`.
        """
        path = str(filepath)
        if not path.endswith(".weights.h5"):
            raise bad_argument(type(self), "filepath", "a name ending in .weights.h5", path)
        with h5py.File(path, "w") as file:
            self._write(file, self.weights_dict, "")

    def resave_weights(self, filepath: Any) -> None:
        """As `save`.

        Args:
            filepath: Path of the new file.
        """
        self.save(filepath)

    def _write(self, group, weights, path):
        own = {name: value for name, value in weights.items() if not isinstance(value, dict)}
        if own:
            variables = group.create_group(_VARS)
            for name, value in own.items():
                variables.create_dataset(name, data=np.asarray(value))
            variables.attrs.update(self.object_metadata.get(path, {}))
        for name, value in weights.items():
            if isinstance(value, dict):
                self._write(group.create_group(name), value, f"{path}/{name}")


def _holders(weights: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    """Each dict of the tree with its path."""
    yield path, weights
    for name, value in weights.items():
        if isinstance(value, dict):
            yield from _holders(value, f"{path}/{name}" if path else name)


def _leaves(weights: dict) -> Iterator[tuple[str, Any]]:
    """Each array of the tree with its path."""
    for path, holder in _holders(weights):
        for name, value in holder.items():
            if not isinstance(value, dict):
                yield f"{path}/{name}" if path else name, value
