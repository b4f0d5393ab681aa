"""Files of layers' own in `.keras` files: what `save_assets` writes and `load_assets` reads."""

import pathlib
import tempfile
import zipfile
from typing import Any

from kerasish.saving.formats.zip_archive import copy_member
from kerasish.saving.state.walk import walk

FOLDER = "assets"


def save_assets(model: Any, folder: pathlib.Path) -> None:
    """Let each layer with `save_assets` write its files into a folder of its own in `folder`.

    Args:
        model: The model.
        folder: Path of the folder.
    """
    for path, part in walk(model):
        if hasattr(part, "save_assets"):
            target = folder / path
            target.mkdir(parents=True, exist_ok=True)
            part.save_assets(str(target))


def load_assets(model: Any, folder: pathlib.Path) -> None:
    """Let each layer with `load_assets` read its files, where there are any.

    Args:
        model: The model.
        folder: Path of the folder.
    """
    for path, part in walk(model):
        if hasattr(part, "load_assets") and (folder / path).is_dir():
            part.load_assets(str(folder / path))


def add_assets(model: Any, archive: zipfile.ZipFile) -> None:
    """Write all assets into an archive.

    Args:
        model: The model.
        archive: The archive.
    """
    with tempfile.TemporaryDirectory() as folder:
        save_assets(model, pathlib.Path(folder))
        for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
            archive.write(path, f"{FOLDER}/{path.relative_to(folder).as_posix()}")


def read_assets(model: Any, archive: zipfile.ZipFile) -> None:
    """Read all assets from an archive, through a folder that is gone afterwards.

    Args:
        model: The model.
        archive: The archive.
    """
    if not any(hasattr(part, "load_assets") for _, part in walk(model)):
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in archive.namelist():
            if name.startswith(f"{FOLDER}/") and not name.endswith("/"):
                target = pathlib.Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_member(archive, name, target)
        load_assets(model, pathlib.Path(folder, FOLDER))
