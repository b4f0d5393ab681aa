"""Whole models as `.keras` files: a zip of the config, metadata and weights, as Keras 3 has it."""

import datetime
import json
import os
import pathlib
import warnings
import zipfile
from typing import Any

from kerasish.core.config import serialize_keras_object
from kerasish.core.errors import bad_argument
from kerasish.core.files import replacing
from kerasish.saving import legacy
from kerasish.saving.hdf5 import reading
from kerasish.saving.making import make_model, read_config
from kerasish.saving.tree import load
from kerasish.saving.weights import WEIGHTS_MEMBER, write_weights
from kerasish.saving.zipped import add_in_place, find_member, read_text

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
        zipped: Kept for Keras' sake; `.keras` files are always zipped.
        **kwargs: For `.h5` only: `include_optimizer`, whether to save the optimizer too.
    """
    path = pathlib.Path(filepath)
    if kwargs.pop("save_format", None) is not None:
        raise bad_argument("save_model", "save_format", "left out: the path's end says it", "given")
    include_optimizer = kwargs.pop("include_optimizer", True)
    if kwargs:
        raise ValueError(f"save_model: unknown arguments {sorted(kwargs)}.")
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        wanted = "a path that ends in '.keras', or in '.h5' for the older format"
        hint = "To export a model for others to run, use `model.export(path)`."
        raise bad_argument("save_model", "filepath", wanted, str(filepath), hint)
    if zipped is False:
        raise bad_argument("save_model", "zipped", "True or None", zipped)
    if path.exists() and not overwrite:
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
    config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": now})
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr(_METADATA, metadata)
        archive.writestr(_CONFIG, config)
        add_in_place(
            archive, WEIGHTS_MEMBER, lambda file: write_weights(model, file, checksums=False)
        )


def load_model(
    filepath: str | os.PathLike, custom_objects=None, compile=True, safe_mode: bool = True
) -> Any:
    """Load a model that was saved here or with Keras 3, or an older `.h5` file.

    Args:
        filepath: The file.
        custom_objects: Names to classes and functions of one's own that the model uses.
        compile: Whether to compile it as it was.
        safe_mode: Kept for Keras' sake: no code in a file is ever run. A `lambda` that a model
            holds is taken from `custom_objects["<lambda>"]`, and only if `safe_mode` is `False`.
    """
    path = pathlib.Path(filepath)
    if not path.is_file():
        raise ValueError(f"load_model: there is no file {path}.")
    if path.suffix in (".h5", ".hdf5"):
        with reading(path) as tree:
            return legacy.load_model(tree, custom_objects, compile, safe_mode)
    start, size, checksum = find_member(path, WEIGHTS_MEMBER)
    config = read_config(read_text(path, _CONFIG), path)
    if not compile:
        config.pop("compile_config", None)
    model = make_model(config, path, size, custom_objects, safe_mode)
    with reading(path, start, size, checksum) as source:
        load(model, source)
    return model
