"""Models as folders, `save(path, zipped=False)`: the files of a `.keras` archive side by side.

A folder holds one model at every moment, the one before or the new one. A new model is written
into a folder inside, which gets the name `.next` once it is whole: that is the switch. Its files
are then moved up, one by one; until the last one is, readers look into `.next` first, and whoever
writes next moves up what a kill has left there.
"""

import contextlib
import json
import os
import pathlib
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator

from kerasish.core import processes
from kerasish.core.atomic_files import ABANDONED, BESIDE, replacing, sync
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import BadFile

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets"
_NEXT = ".next"


def write_folder(
    path: pathlib.Path,
    config: str,
    metadata: dict,
    write_weights: Callable[[pathlib.Path], None],
    write_assets: Callable[[pathlib.Path], None],
) -> None:
    """Put a new model into a folder, all at once.

    Args:
        path: The folder; made if it is not there.
        config: The text of `config.json`.
        metadata: What `metadata.json` says, but for the checksums.
        write_weights: Called with the path of the file to write.
        write_assets: Called with the folder to write them into.
    """
    path.mkdir(parents=True, exist_ok=True)
    with _switched(path) as new:
        with replacing(new / WEIGHTS) as beside:
            write_weights(beside)
        with replacing(new / CONFIG) as beside:
            beside.write_text(config)
        if processes.is_first():
            write_assets(new / ASSETS)
        with replacing(new / METADATA) as beside:
            beside.write_text(json.dumps({**metadata, "checksums": _checksums(new)}))


@contextlib.contextmanager
def _switched(path) -> Iterator[pathlib.Path]:
    """A folder to write into, which becomes the model's; of several processes the first one's."""
    what = f"write {path.name}"
    if not processes.is_first():
        yield path
        processes.wait_for_first(what)
        return
    try:
        _drop_abandoned(path)
        _move_up(path)
        new = pathlib.Path(tempfile.mkdtemp(prefix=BESIDE, dir=path))
        try:
            yield new
            os.replace(new, path / _NEXT)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        sync(path)
        _move_up(path)
    except BaseException as error:
        processes.publish_outcome(what, error)
        raise
    processes.publish_outcome(what)


def _drop_abandoned(path):
    for left in path.glob(f"{BESIDE}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def _move_up(path):
    new = path / _NEXT
    if not new.is_dir():
        return
    if (new / METADATA).is_file():
        assets = any(name.startswith(f"{ASSETS}/") for name in _stated_checksums(new / METADATA))
        if (new / ASSETS).is_dir() or not assets:
            shutil.rmtree(path / ASSETS, ignore_errors=True)
        for name in (ASSETS, WEIGHTS, CONFIG, METADATA):  # the last one says that all are moved
            if (new / name).exists():
                os.replace(new / name, path / name)
        sync(path)
    shutil.rmtree(new)


def located(path: pathlib.Path, name: str) -> pathlib.Path:
    """Where a file of the model in a folder is, or would be.

    Args:
        path: Path of the folder.
        name: Name of the file.
    """
    new = path / _NEXT
    return new / name if (new / METADATA).is_file() and (new / name).exists() else path / name


def _checksums(folder):
    """The CRC-32 of each file in a model's folder that has no checksums of its own."""
    assets = sorted(file for file in located(folder, ASSETS).rglob("*") if file.is_file())
    files = {CONFIG: located(folder, CONFIG)}
    files |= {
        f"{ASSETS}/{file.relative_to(located(folder, ASSETS)).as_posix()}": file for file in assets
    }
    return {name: zlib.crc32(file.read_bytes()) for name, file in files.items() if file.is_file()}


def _stated_checksums(metadata):
    stated = bounded_json.parse(metadata.read_bytes(), metadata, "its metadata").get("checksums")
    if not isinstance(stated, dict | None):
        raise BadFile(f"{metadata.parent} is damaged: its metadata have strange checksums.")
    return stated or {}  # Keras writes none


def check_folder(path: pathlib.Path) -> None:
    """Raise unless a folder holds a whole model whose checksums fit.

    Args:
        path: Path of the folder.
    """
    config, metadata = located(path, CONFIG), located(path, METADATA)
    if not located(path, WEIGHTS).is_file():
        raise BadFile(f"{path} has no {WEIGHTS}, so it is not a whole model's folder.")
    if config.stat().st_size > bounded_json.LIMIT:
        raise BadFile(f"{config} is larger than a config can be, which is refused.")
    if metadata.is_file():
        found = _checksums(path)
        for name, checksum in _stated_checksums(metadata).items():
            if found.get(name) != checksum:
                raise BadFile(f"{path} is damaged: the checksum of {name!r} does not fit.")
