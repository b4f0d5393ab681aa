"""What `kerasish diff` compares: the config and the arrays of a file, layer by layer."""

import contextlib
import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasish.commands import model_files
from kerasish.saving import serialize_keras_object
from kerasish.saving.assets import save_assets
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
        assets: Files of layers that hold more than arrays, such as vocabularies, by their path.
        unread: Why the model itself could not be made, where that is so.
    """

    config: dict | None
    names: dict[str, str]
    parts: Mapping[str, Mapping[str, np.ndarray]]
    assets: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    unread: str = ""


class _Stored(Mapping):
    """The parts of an open file: arrays, read when they are asked for."""

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
def contents(path: pathlib.Path, as_written: bool = False) -> Iterator[Contents]:
    """What is in a file of a model or of weights.

    A model is made of its config, so that files of different formats can be compared. Where it
    cannot be, as its classes are unknown here, config and arrays are taken as they are written.

    Args:
        path: The file.
        as_written: Whether not to make the model, as the other one could not be made.

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
        can_be_read_as_written = path.suffix not in (".h5", ".hdf5")
        unread = "the other one's classes are not known here." if as_written else ""
        if not (as_written and can_be_read_as_written):
            try:
                model = model_files.load(path)
            except (TypeError, ValueError) as error:
                if not can_be_read_as_written:
                    raise
                unread = str(error)
        if unread:
            source = stack.enter_context(_as_written(path))  # raises where it is damaged
            yield Contents(_config(path), {}, _Stored(source), _stored_assets(path), unread)
            return
        parts = {where: own_arrays(part) for where, part in walk(model)}
        names = {where: name_of(part) for where, part in walk(model) if where}
        names[OPTIMIZER] = OPTIMIZER
        config = json.loads(json.dumps(serialize_keras_object(model)))
        parts = {where: arrays for where, arrays in parts.items() if arrays}
        yield Contents(config, names, parts, _assets_of(model))


def _assets_of(model):
    with tempfile.TemporaryDirectory(prefix="kerasish-") as folder:
        save_assets(model, pathlib.Path(folder))
        return _files_in(pathlib.Path(folder))


def _stored_assets(path):
    if path.is_dir():
        return _files_in(model_folder.located(path, model_folder.ASSETS))
    found, start = {}, f"{model_folder.ASSETS}/"
    with zip_archive.opened(path) as archive, tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.startswith(start) and not name.endswith("/"):
                copy = pathlib.Path(folder, "member")
                zip_archive.copy_member(archive, name, copy)
                found[name.removeprefix(start)] = copy.read_bytes()
    return found


def _files_in(folder):
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(files)}


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

    Args:
        config: Config of a model.

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
    """A pytree's values by dotted path.

    Args:
        config: Nested dicts and lists.
        path: Path of `config` itself.

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
