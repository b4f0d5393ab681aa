"""What `kerasish diff` compares: the config and the arrays of a file, layer by layer."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasish.commands import model_files
from kerasish.core.serialization.configurable import serialize_keras_object
from kerasish.saving.formats import model_folder, zip_archive
from kerasish.saving.formats.h5_reader import reading
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import file_window
from kerasish.saving.state.walk import name_of, own_arrays, walk
from kerasish.saving.weights_api import WEIGHTS_MEMBER, opened

OPTIMIZER = "optimizer"


@dataclasses.dataclass
class Contents:
    """What is in a file.

    Attributes:
        config: The model's config as plain data; `None` in a file of weights.
        names: Names of layers by their path in files: `{"layers/dense": "head"}`.
        parts: Arrays by name, by path.
        unread: Why the model itself could not be made, where that is so.
    """

    config: dict | None
    names: dict[str, str]
    parts: Mapping[str, Mapping[str, np.ndarray]]
    unread: str = ""


class _Stored(Mapping):
    """The parts of an open file, read when they are asked for."""

    def __init__(self, source):
        self.source = source
        self.paths = dict.fromkeys(sorted(source.stored_parts()))

    def __getitem__(self, path):
        if path not in self.paths:
            raise KeyError(path)
        return self.source.part(path)

    def __iter__(self):
        return iter(self.paths)

    def __len__(self):
        return len(self.paths)


@contextlib.contextmanager
def contents(path: pathlib.Path) -> Iterator[Contents]:
    """What is in a file of a model or of weights.

    A model is made of its config, so that files of different formats can be compared. Where it
    cannot be, as its classes are unknown here, config and arrays are taken as they are written.

    Raises:
        ValueError: It is no such file, or a damaged one.
    """
    kind = model_files.kind_of(path)
    if kind == "program":
        raise ValueError(f"{path} holds a program: only models and weights can be compared.")
    with contextlib.ExitStack() as stack:
        if kind == "weights":
            yield Contents(None, {}, _Stored(stack.enter_context(opened(path))))
            return
        try:
            model = model_files.load(path)
        except (TypeError, ValueError) as error:
            if path.suffix in (".h5", ".hdf5"):
                raise
            source = stack.enter_context(_as_written(path))  # raises too where it is damaged
            yield Contents(_config(path), {}, _Stored(source), unread=str(error))
            return
        parts = {where: own_arrays(part) for where, part in walk(model)}
        names = {where: name_of(part) for where, part in walk(model) if where}
        config = json.loads(json.dumps(serialize_keras_object(model)))
        yield Contents(config, names, {path: arrays for path, arrays in parts.items() if arrays})


def _config(path):
    if path.is_dir():
        text = model_folder.located(path, model_folder.CONFIG).read_bytes()
    else:
        with zip_archive.opened(path) as archive:
            text = zip_archive.read_text(archive, model_folder.CONFIG)
    return bounded_json.parse(text, path, "its config")


@contextlib.contextmanager
def _as_written(path):
    if not path.is_dir():
        with opened(path) as source:
            yield source
        return
    weights = model_folder.located(path, WEIGHTS_MEMBER)
    with file_window(weights) as window, reading(window, weights) as source:
        yield source


def layers_of(config: dict) -> dict[str, dict]:
    """Configs of layers by name, those of models inside as `outer/inner`.

    Example:
        >>> layers_of({"config": {"layers": [{"class_name": "Dense", "config": {"name": "a"}}]}})
        {'a': {'class_name': 'Dense', 'config': {'name': 'a'}}}
    """
    found: dict[str, dict] = {}

    def look(config, outer):
        inner = config.get("config")
        layers = inner.get("layers") if isinstance(inner, dict) else None
        for i, layer in enumerate(layers if isinstance(layers, list) else []):
            own = layer.get("config") if isinstance(layer, dict) else None
            if not isinstance(own, dict):
                continue
            name = f"{outer}{own.get('name', f'layer {i}')}"
            found[name] = {**layer, "config": {k: v for k, v in own.items() if k != "layers"}}
            look(layer, f"{name}/")

    look(config, "")
    return found


def flat(config: Any, path: str = "") -> dict[str, Any]:
    """A nest's values by dotted path.

    Example:
        >>> flat({"a": {"b": 1, "c": [2, 3]}})
        {'a.b': 1, 'a.c.0': 2, 'a.c.1': 3}
    """
    items = config.items() if isinstance(config, dict) else enumerate(config)
    found: dict[str, Any] = {}
    for key, value in items:
        inner = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list) and value:
            found |= flat(value, inner)
        else:
            found[inner] = value
    return found
