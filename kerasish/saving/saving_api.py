"""Whole models as `.keras` files: a zip of the config, metadata and weights, as Keras 3 has it."""

import datetime
import functools
import json
import os
import pathlib
import warnings
import zlib
from typing import Any

from kerasish.core import processes
from kerasish.core.atomic_files import is_taken, replacing
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.saving.assets import FOLDER as ASSETS
from kerasish.saving.assets import add_assets, load_assets, read_assets, save_assets
from kerasish.saving.formats import legacy_h5
from kerasish.saving.formats.h5_reader import reading
from kerasish.saving.formats.zip_archive import new_archive, open_member, opened, read_text
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import BadFile, file_window
from kerasish.saving.state.model_from_config import make_model
from kerasish.saving.state.walk import load
from kerasish.saving.weights_api import WEIGHTS_MEMBER, write_weights

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
            legacy_h5.save_model(model, beside, include_optimizer, KERAS_VERSION)
        return
    _write(model, path)


def _write(model, path):
    config = json.dumps(serialize_keras_object(model))
    write = functools.partial(write_weights, model)
    with replacing(path) as beside, new_archive(beside, WEIGHTS_MEMBER, write) as archive:
        archive.writestr(_METADATA, json.dumps(_metadata()))
        archive.writestr(_CONFIG, config)
        add_assets(model, archive)


def _metadata():
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    return {"keras_version": KERAS_VERSION, "date_saved": now}


def _save_folder(model, path, overwrite):
    if path.suffix in (".keras", ".h5", ".hdf5"):
        wanted = f"a folder's path with `zipped=False`, not one that ends in {path.suffix}"
        raise bad_argument("save_model", "filepath", wanted, str(path))
    if not overwrite and is_taken(path):
        raise ValueError(f"save_model: {path} exists, and `overwrite` is False.")
    config = json.dumps(serialize_keras_object(model))
    path.mkdir(parents=True, exist_ok=True)
    with replacing(path / WEIGHTS_MEMBER) as beside:
        write_weights(model, beside)
    with replacing(path / _CONFIG) as beside:
        beside.write_text(config)
    if processes.is_first():
        save_assets(model, path / ASSETS)
    with replacing(path / _METADATA) as beside:
        beside.write_text(json.dumps({**_metadata(), "checksums": _sums_in(path)}))


def _sums_in(folder):
    """The CRC-32 of each file in a model's folder that has no checksums of its own."""
    assets = sorted(path for path in (folder / ASSETS).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): zlib.crc32(path.read_bytes())
        for path in (folder / _CONFIG, *assets)
        if path.is_file()
    }


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
        with file_window(path) as window, reading(window, path) as tree:
            return legacy_h5.load_model(tree, custom_objects, compile, safe_mode)
    with opened(path) as archive:
        with open_member(archive, WEIGHTS_MEMBER) as (window, checksum):
            config = bounded_json.parse(read_text(archive, _CONFIG), path, "its config")
            model = _load(config, path, window, checksum, custom_objects, compile, safe_mode)
        read_assets(model, archive)
    return model


def _load(config, path, window, checksum, custom_objects, compile, safe_mode):
    if not compile:
        config.pop("compile_config", None)
    model = make_model(config, path, window.size, custom_objects, safe_mode)
    with reading(window, path, checksum) as source:
        load(model, source)
    return model


def _load_folder(path, custom_objects, compile, safe_mode):
    weights = path / WEIGHTS_MEMBER
    if not weights.is_file():
        raise BadFile(f"{path} has no {WEIGHTS_MEMBER}, so it is not a whole model's folder.")
    if (path / _CONFIG).stat().st_size > bounded_json.LIMIT:
        raise BadFile(f"{path / _CONFIG} is larger than a config can be, which is refused.")
    if (path / _METADATA).is_file():  # Keras writes no checksums
        metadata = bounded_json.parse((path / _METADATA).read_bytes(), path, "its metadata")
        wanted, found = metadata.get("checksums", {}), _sums_in(path)
        if not isinstance(wanted, dict):
            raise BadFile(f"{path} is damaged: its metadata have strange checksums.")
        for name in wanted:
            if found.get(name) != wanted[name]:
                raise BadFile(f"{path} is damaged: the checksum of {name!r} does not fit.")
    config = bounded_json.parse((path / _CONFIG).read_bytes(), path, "its config")
    with file_window(weights) as window:
        model = _load(config, weights, window, None, custom_objects, compile, safe_mode)
    load_assets(model, path / ASSETS)
    return model
