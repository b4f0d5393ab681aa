"""Whole models as `.keras` files: a zip of the config, metadata and weights, as Keras 3 has it."""

import datetime
import json
import os
import pathlib
import warnings
import zipfile
from typing import Any

from kerasish.core import processes
from kerasish.core.config import serialize_keras_object
from kerasish.core.errors import bad_argument
from kerasish.core.files import is_taken, replacing
from kerasish.saving import legacy
from kerasish.saving.assets import FOLDER as ASSETS
from kerasish.saving.assets import add_assets, load_assets, read_assets, save_assets
from kerasish.saving.hdf5 import BadFile, reading
from kerasish.saving.making import make_model, read_config
from kerasish.saving.tree import load
from kerasish.saving.weights import WEIGHTS_MEMBER, write_weights
from kerasish.saving.zipped import TEXT_LIMIT, add_in_place, found_member, read_text

KERAS_VERSION = "3.15.1"  # whose layout is written
_CONFIG, _METADATA = "config.json", "metadata.json"


def save_model(
    model: Any,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs,
) -> None:
    """Save a model as one file: config, weights, optimizer state.

    The file is whole at every moment: it is written beside its place and moved there.

    Args:
        model: The model.
        filepath: Path that ends in `.keras`, or in `.h5` (or `.hdf5`) for the older format.
        overwrite: Whether an existing file may be replaced.
        zipped: `False` saves into a folder of that path instead, with the same files in it; each of
            them is whole at every moment.
        **kwargs: For `.h5` only: `include_optimizer`, whether to save the optimizer too.
    """
    path = pathlib.Path(filepath)
    if kwargs.pop("save_format", None) is not None:
        raise bad_argument("save_model", "save_format", "left out: the path's end says it", "given")
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise ValueError(f"save_model: unknown arguments {sorted(kwargs)}.")
    if zipped is False:
        _save_folder(model, path, overwrite)
        return
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        wanted = "a path that ends in '.keras', or in '.h5' for the older format"
        hint = "To export a model for others to run, use `model.export(path)`."
        raise bad_argument("save_model", "filepath", wanted, str(filepath), hint)
    if not overwrite and is_taken(path):
        raise ValueError(f"save_model: {path} exists, and `overwrite` is False.")
    if path.suffix != ".keras":
        warnings.warn(
            f"{path.name} is in the older HDF5 format. The present one is "
            "`model.save('my_model.keras')`.",
            stacklevel=3,
        )
        with replacing(path) as beside:
            legacy.save_model(model, beside, include_optimizer, KERAS_VERSION)
        return
    _write(model, path)


def _write(model, path):
    texts = _texts_of(model)
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        add_in_place(
            archive, WEIGHTS_MEMBER, lambda file: write_weights(model, file, checksums=False)
        )
        add_assets(model, archive)


def _texts_of(model):
    config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    return {
        _METADATA: json.dumps({"keras_version": KERAS_VERSION, "date_saved": now}),
        _CONFIG: config,
    }


def _save_folder(model, path, overwrite):
    if path.suffix in (".keras", ".h5", ".hdf5"):
        wanted = f"a folder's path with `zipped=False`, not one that ends in {path.suffix}"
        raise bad_argument("save_model", "filepath", wanted, str(path))
    if not overwrite and is_taken(path):
        raise ValueError(f"save_model: {path} exists, and `overwrite` is False.")
    texts = _texts_of(model)
    path.mkdir(parents=True, exist_ok=True)
    with replacing(path / WEIGHTS_MEMBER) as beside:
        write_weights(model, beside, checksums=True)
    for name, text in texts.items():
        with replacing(path / name) as beside:
            beside.write_text(text)
    if processes.is_first():
        save_assets(model, path / ASSETS)


def load_model(
    filepath: str | os.PathLike, custom_objects=None, compile=True, safe_mode: bool = True
) -> Any:
    """Load a model that was saved here or with Keras 3, or an older `.h5` file.

    Args:
        filepath: The file, or the folder if it was saved with `zipped=False`.
        custom_objects: Names to classes and functions of one's own that the model uses.
        compile: Whether to compile it as it was.
        safe_mode: Kept for Keras' sake: no code in a file is ever run. A `lambda` that a model
            holds is taken from `custom_objects["<lambda>"]`, and only if `safe_mode` is `False`.
    """
    path = pathlib.Path(filepath)
    if (path / _CONFIG).is_file():
        return _load_folder(path, custom_objects, compile, safe_mode)
    if not path.is_file():
        raise ValueError(f"load_model: there is no file {path}.")
    if path.suffix in (".h5", ".hdf5"):
        with reading(path) as tree:
            return legacy.load_model(tree, custom_objects, compile, safe_mode)
    with found_member(path, WEIGHTS_MEMBER) as place:
        config = read_config(read_text(path, _CONFIG), path)
        model = _load(config, place, custom_objects, compile, safe_mode)
    read_assets(model, path)
    return model


def _load(config, place, custom_objects, compile, safe_mode):
    path, _, size, *_ = place
    if not compile:
        config.pop("compile_config", None)
    model = make_model(config, path, size, custom_objects, safe_mode)
    with reading(*place) as source:
        load(model, source)
    return model


def _load_folder(path, custom_objects, compile, safe_mode):
    weights = path / WEIGHTS_MEMBER
    if not weights.is_file():
        raise BadFile(f"{path} has no {WEIGHTS_MEMBER}, so it is not a whole model's folder.")
    if (path / _CONFIG).stat().st_size > TEXT_LIMIT:
        raise BadFile(f"{path / _CONFIG} is larger than a config can be, which is refused.")
    config = read_config((path / _CONFIG).read_bytes(), path)
    place = weights, 0, weights.stat().st_size
    model = _load(config, place, custom_objects, compile, safe_mode)
    load_assets(model, path / ASSETS)
    return model
