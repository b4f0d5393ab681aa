"""Whole models as `.keras` files: a zip of the config, metadata and weights, as Keras 3 has it."""

import datetime
import functools
import io
import json
import os
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from typing import Any

from kerasish.core.atomic_files import is_taken, replacing
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.saving import remote
from kerasish.saving.assets import add_assets, load_assets, read_assets, save_assets
from kerasish.saving.formats import legacy_h5, model_folder
from kerasish.saving.formats.h5_reader import reading
from kerasish.saving.formats.zip_archive import new_archive, open_member, opened, read_text
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import file_window
from kerasish.saving.state.model_from_config import make_model
from kerasish.saving.state.walk import load
from kerasish.saving.weights_api import WEIGHTS_MEMBER, write_weights

KERAS_VERSION = "3.15.1"  # whose layout is written
_CONFIG, _METADATA = "config.json", "metadata.json"


def save_model(
    model: Any,
    filepath: str | os.PathLike | io.IOBase,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Save a model as one file: config, weights, optimizer state.

    The file is complete at every moment: it is written beside its path and moved there. The state
    of random generators (of `Dropout` and the like) is not in it, as in Keras: a loaded model draws
    other random numbers than the one saved would have. `callbacks.BackupAndRestore` and
    `model.get_state_tree()` keep it.

    Args:
        model: The model.
        filepath: Path that ends in `.keras`, or in `.h5` (or `.hdf5`) for the older format; or
            `hf://owner/name` for the Hugging Face Hub (`pip install "kerasish[hub]"`), with
            `@branch` if another branch than `main` is meant; or a binary file that is open for
            writing, an `io.BytesIO` say, for what a `.keras` file has.
        overwrite: Whether an existing file may be replaced.
        zipped: `False` saves into a folder of that path instead, with the same files in it, which
            hold one model at every moment, the one before or the new one.
        **kwargs: For `.h5` only: `include_optimizer`, whether to save the optimizer too.

    Raises:
        ValueError: If the path has another end, or is taken and `overwrite` is `False`.
        RuntimeError: If the hub cannot be reached, or refuses.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.keras")
        >>> save_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]), path)
    """
    if isinstance(filepath, io.IOBase):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.keras")
            save_model(model, path, zipped=zipped, **kwargs)
            filepath.write(path.read_bytes())
        return
    if kwargs.pop("save_format", None) is not None:
        raise bad_argument("save_model", "save_format", "left out: the path's end says it", "given")
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise ValueError(f"save_model: unknown arguments {sorted(kwargs)}.")
    if remote.scheme_of(filepath) == "hf":
        if zipped:
            wanted = "`None` or `False` on the hub, where a model is a folder"
            raise bad_argument("save_model", "zipped", wanted, zipped)
        remote.upload(
            model, os.fspath(filepath), overwrite, functools.partial(_write_folder, model)
        )
        return
    remote.refuse("save_model", filepath, "a path, or an address `hf://owner/name`")
    path = pathlib.Path(filepath)
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
    _write_folder(model, path)


def _write_folder(model, path):
    model_folder.write_folder(
        path,
        json.dumps(serialize_keras_object(model)),
        _metadata(),
        functools.partial(write_weights, model),
        functools.partial(save_assets, model),
    )


def load_model(
    filepath: str | os.PathLike | io.IOBase,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    file_hash: str | None = None,
) -> Any:
    """Load a model that was saved here or with Keras 3, or an older `.h5` file.

    From elsewhere it is downloaded into a cache first, and then read as a file of this machine is:
    no code in it is run.

    Args:
        filepath: The file, or the folder if it was saved with `zipped=False`; or an address:
            `hf://owner/name` of a model on the Hugging Face Hub (`pip install "kerasish[hub]"`),
            with `@revision` for a branch, tag or commit, and the path of a file or folder in it if
            need be (`hf://owner/name@v2/model.keras`); or a URL (`https://...`) of a file; or a
            binary file that is open for reading, an `io.BytesIO` say, with what a `.keras` file
            has.
        custom_objects: Names to classes and functions of one's own that the model uses.
        compile: Whether to compile it as it was.
        safe_mode: Kept for Keras' sake: no code in a file is ever run. A `lambda` that a model
            holds is taken from `custom_objects["<lambda>"]`, and only if `safe_mode` is `False`.
        file_hash: SHA-256 of the file as hexadecimal text, to check it by. A URL needs it.

    Returns:
        The model; random states start anew (see `save_model`).

    Raises:
        ValueError: If the file is damaged, its hash does not fit, or no model can be made of it.
        TypeError: If it names a class or function that is not known.
        RuntimeError: If it cannot be downloaded.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.keras")
        >>> keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).save(path)
        >>> keras.saving.load_model(path).output_shape
        (None, 1)
    """
    if isinstance(filepath, io.IOBase):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.keras")
            with path.open("wb") as copy:
                shutil.copyfileobj(filepath, copy)
            return load_model(path, custom_objects, compile, safe_mode, file_hash)
    path = remote.local_path("load_model", filepath, file_hash, folders=True)
    if model_folder.located(path, _CONFIG).is_file():
        return _load_folder(path, custom_objects, compile, safe_mode)
    if not path.is_file():
        what = "the folder {} holds no model" if path.is_dir() else "there is no file {}"
        raise ValueError(f"load_model: {what.format(path)}.")
    if path.suffix in (".h5", ".hdf5"):
        with file_window(path) as window, reading(window, path) as tree:
            return legacy_h5.load_model(tree, custom_objects, compile, safe_mode)
    with opened(path) as archive:
        with open_member(archive, WEIGHTS_MEMBER) as (window, checksum):
            config = bounded_json.parse(read_text(archive, _CONFIG), path, "its config")
            made_by = custom_objects, safe_mode, _version_in(archive, path)
            model = _load(config, path, window, checksum, compile, made_by)
        read_assets(model, archive)
    return model


def _version_in(archive, path):
    if _METADATA not in archive.namelist():
        return KERAS_VERSION
    metadata = bounded_json.parse(read_text(archive, _METADATA), path, "its metadata")
    return metadata.get("keras_version", KERAS_VERSION)


def _load(config, path, window, checksum, compile, made_by):
    if not compile:
        config.pop("compile_config", None)
    model = make_model(config, path, window.size, *made_by)
    with reading(window, path, checksum) as source:
        load(model, source)
    return model


def _load_folder(path, custom_objects, compile, safe_mode):
    model_folder.check_folder(path)
    config = model_folder.located(path, _CONFIG).read_bytes()
    config = bounded_json.parse(config, path, "its config")
    weights = model_folder.located(path, WEIGHTS_MEMBER)
    with file_window(weights) as window:
        made_by = custom_objects, safe_mode, KERAS_VERSION
        model = _load(config, weights, window, None, compile, made_by)
    load_assets(model, model_folder.located(path, model_folder.ASSETS))
    return model
