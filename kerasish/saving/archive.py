"""Whole models as `.keras` files: a zip of the config, metadata and weights, as Keras 3 has it."""

import datetime
import io
import json
import os
import pathlib
import zipfile
from typing import Any

from kerasish.core.config import deserialize_keras_object, serialize_keras_object
from kerasish.core.files import replacing
from kerasish.saving.weights import (
    WEIGHTS_MEMBER,
    archived_weights,
    read_member,
    read_weights,
    write_weights,
)

KERAS_VERSION = "3.15.1"  # whose layout is written
_CONFIG, _METADATA = "config.json", "metadata.json"


def save_model(model: Any, filepath: str | os.PathLike, overwrite: bool = True, zipped=None) -> None:
    """Save a model as one `.keras` file: config, weights, optimizer state.

    Args:
        model: The model.
        filepath: Path that ends in `.keras`.
        overwrite: Whether an existing file may be replaced.
        zipped: Kept for Keras' sake; files are always zipped.
    """
    path = pathlib.Path(filepath)
    if path.suffix != ".keras":
        raise ValueError(f"save_model: `filepath` must end in '.keras'; got {str(filepath)!r}.")
    if path.exists() and not overwrite:
        raise ValueError(f"save_model: {path} exists, and `overwrite` is False.")
    config = json.dumps(serialize_keras_object(model))
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": now})
    weights = io.BytesIO()
    write_weights(model, weights)
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr(_METADATA, metadata)
        archive.writestr(_CONFIG, config)
        archive.writestr(WEIGHTS_MEMBER, weights.getbuffer())


def load_model(filepath: str | os.PathLike, custom_objects=None, compile=True, safe_mode=True) -> Any:
    """Load a `.keras` file that `save_model` or Keras 3 wrote.

    Args:
        filepath: The file.
        custom_objects: Names to classes and functions of one's own that the model uses.
        compile: Whether to compile it as it was.
        safe_mode: Kept for Keras' sake: no code in a file is ever run.
    """
    path = pathlib.Path(filepath)
    if not path.exists():
        raise ValueError(f"load_model: there is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"load_model: {path} is not a `.keras` file (a zip archive).")
    with zipfile.ZipFile(path) as archive:
        config = json.loads(read_member(archive, _CONFIG, path))
    if not compile:
        config.pop("compile_config", None)
    model = deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=safe_mode)
    with archived_weights(path) as file:
        read_weights(model, file)
    return model
