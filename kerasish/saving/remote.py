"""Models that are elsewhere: on the Hugging Face Hub (`hf://owner/name`), or at a URL."""

import os
import pathlib
import re
import tempfile
import urllib.parse
from collections.abc import Callable
from typing import Any

from kerasish.core import processes, settings
from kerasish.core.errors import bad_argument
from kerasish.data import hugging_face
from kerasish.data.download import get_file, hash_file, validate_file
from kerasish.data.hugging_face import HubAddress
from kerasish.saving.formats import model_folder

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")
_FOLDER = (model_folder.CONFIG, model_folder.METADATA, model_folder.WEIGHTS)
_HASH = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{32}")
_FILES = (".keras", ".h5", ".hdf5")
_CARD = """---
library_name: keras
tags:
- keras
- kerasish
---

# {name}

```python
import kerasish as keras  # or Keras 3

model = keras.saving.load_model("{address}")
```

```
{summary}
```
"""


def scheme_of(filepath: str | os.PathLike) -> str | None:
    """What comes before `://` in an address, `"hf"` or `"https"`; `None` for a path.

    Args:
        filepath: The path or address.
    """
    found = _SCHEME.match(os.fspath(filepath))
    return found[1].lower() if found else None


def refuse(owner: str, filepath: str | os.PathLike, wanted: str) -> None:
    """Raise if a path is an address.

    Args:
        owner: Who takes none.
        filepath: The path.
        wanted: What it takes instead, in words.
    """
    if scheme_of(filepath) is not None:
        raise bad_argument(owner, "filepath", wanted, os.fspath(filepath))


def local_path(
    owner: str, filepath: str | os.PathLike, file_hash: str | None, folders: bool = False
) -> pathlib.Path:
    """Path of a file or model's folder on this machine, downloaded where it is elsewhere.

    Args:
        owner: Who asks, for errors.
        filepath: A path; `hf://owner/name@revision/file`; or a URL.
        file_hash: SHA-256 (or MD5) of the file as hexadecimal text. URLs need one.
        folders: Whether `hf://owner/name` may be a model's folder.

    Raises:
        ValueError: If the address is none, or the hash is missing or does not fit.
        RuntimeError: If it cannot be downloaded.
    """
    scheme = scheme_of(filepath)
    address = _SCHEME.sub(rf"{scheme}://", os.fspath(filepath), count=1)  # `pathlib` joins slashes
    if file_hash is not None and not _HASH.fullmatch(str(file_hash)):
        wanted = "the file's SHA-256, 64 hexadecimal digits"
        raise bad_argument(owner, "file_hash", wanted, file_hash)
    if scheme is None:
        _check_hash(owner, pathlib.Path(address), file_hash)
        return pathlib.Path(address)
    if scheme == "hf":
        return _from_hub(owner, address, file_hash, folders)
    if scheme in ("http", "https"):
        return _from_url(owner, address, file_hash)
    wanted = "a path, an address `hf://owner/name`, or a URL of `http` or `https`"
    hint = "Copy the file here first, or mount what it lies on."
    raise bad_argument(owner, "filepath", wanted, address, hint)


def _check_hash(owner, path, file_hash):
    if file_hash is None or not path.exists():  # which is said where it is opened
        return
    if path.is_dir():
        wanted = f"left out for a folder: {path} is one"
        raise bad_argument(owner, "file_hash", wanted, file_hash)
    if not validate_file(path, file_hash):
        found = hash_file(path, "sha256" if len(file_hash) == 64 else "md5")
        raise ValueError(
            f"{owner}: {path} is not the file you name: its hash is {found}; wanted {file_hash}."
        )


def _from_url(owner, url, file_hash):
    parts = urllib.parse.urlsplit(url)
    if file_hash is None:
        hint = (
            "A server may send another file tomorrow. Whoever offers the file says its hash; of a "
            f"copy that you trust, `sha256sum {pathlib.PurePosixPath(parts.path).name}` says it."
        )
        wanted = "the SHA-256 of the file that a URL is to give"
        raise bad_argument(owner, "file_hash", wanted, file_hash, hint)
    if parts.password is not None:
        raise ValueError(
            f"{owner}: `filepath` must be a URL without a password in it, which would stand in "
            "error messages; download the file with a program that keeps it."
        )
    folder = pathlib.Path("models", file_hash.lower())  # so another hash is another file
    return pathlib.Path(get_file(origin=url, file_hash=file_hash, cache_subdir=folder))


def _from_hub(owner, text, file_hash, folders):
    address = hugging_face.parse(text, owner, "filepath")
    if address.path and (not folders or address.path.endswith(_FILES)):
        path = hugging_face.fetch_file(address, owner)
        _check_hash(owner, path, file_hash)
        return path
    if not folders:
        wanted = "the address of one file, `hf://owner/name/file`"
        raise bad_argument(owner, "filepath", wanted, text)
    if file_hash is not None:
        hint = "Name a commit instead: `hf://owner/name@COMMIT`."
        wanted = "left out where the address is a folder's"
        raise bad_argument(owner, "file_hash", wanted, file_hash, hint)
    path = hugging_face.fetch_folder(address, owner, [*_FOLDER, f"{model_folder.ASSETS}/*"])
    if not (path / model_folder.CONFIG).is_file():
        raise ValueError(_no_model(owner, address))
    return path


def _no_model(owner, address):
    names = hugging_face.list_files(address, owner)
    files = [name for name in names if name.endswith(_FILES)]
    models = [f"{address._replace(path=f)}" for f in files if not f.endswith(".weights.h5")]
    instead = f"There are models at {', '.join(models[:5])}. " if models else ""
    more = ", ..." if len(names) > 8 else ""
    return (
        f"{owner}: {address} holds no {model_folder.CONFIG}, so it is not a model's folder. "
        f"{instead}Its files: {', '.join(names[:8]) or 'none'}{more}."
    )


# -- to the hub


def upload(
    model: Any, filepath: str, overwrite: bool, write: Callable[[pathlib.Path], None]
) -> None:
    """Save a model's folder on the Hugging Face Hub; the repository is made if there is none.

    Args:
        model: The model.
        filepath: `hf://owner/name`, with `@branch` and a folder's path if one is wanted.
        overwrite: Whether a model that is there may be replaced.
        write: Writes the model into a folder.

    Raises:
        ValueError: If the address is none, or a model is there and `overwrite` is `False`.
        RuntimeError: If the hub cannot be reached, or refuses.
    """
    owner = "save_model"
    address = hugging_face.parse(_SCHEME.sub("hf://", filepath, count=1), owner, "filepath")
    if address.kind != "model" or address.path.endswith(_FILES):
        wanted = "the address of a repository of models, or of a folder in it: `hf://owner/name`"
        raise bad_argument(owner, "filepath", wanted, filepath)
    hugging_face.library(owner)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model")
        write(path)
        what = f"upload {address}"
        if not processes.is_first():
            processes.wait_for_first(what)
            return
        try:
            _commit(model, address, overwrite, path)
        except BaseException as error:
            processes.publish_outcome(what, error)
            raise
        processes.publish_outcome(what)


def _commit(model, address: HubAddress, overwrite, path):
    owner, repository, branch = "save_model", address.repository, address.revision
    api = hugging_face.library(owner).HfApi(library_name="kerasish")
    inside = address.path and f"{address.path}/"
    with hugging_face.explained(owner, address):
        url = api.create_repo(repository, exist_ok=True)
        if branch is not None:
            api.create_branch(repository, branch=branch, exist_ok=True)
        names = set(api.list_repo_files(repository, revision=branch))
    if not overwrite and f"{inside}{model_folder.CONFIG}" in names:
        raise ValueError(f"{owner}: {address} holds a model, and `overwrite` is False.")
    if f"{inside}README.md" not in names:
        (path / "README.md").write_text(_card(model, address))
    with hugging_face.explained(owner, address):
        api.create_commit(
            repository,
            operations=_operations(path, inside, names),
            revision=branch,
            commit_message="Save a model",
        )
    if settings.is_interactive_logging_enabled():
        print(f"Saved at {url}. Load it: `keras.saving.load_model({str(address)!r})`.", flush=True)


def _operations(path, inside, names):
    """One commit, all or nothing, after which a folder there holds the files of `path`."""
    hub = hugging_face.library("save_model")
    new = {f"{inside}{file.relative_to(path).as_posix()}": file for file in _files_in(path)}
    assets = f"{inside}{model_folder.ASSETS}/"
    of_the_last = sorted(name for name in names - set(new) if name.startswith(assets))
    return [
        *(hub.CommitOperationAdd(name, str(file)) for name, file in new.items()),
        *(hub.CommitOperationDelete(name) for name in of_the_last),
    ]


def _files_in(path):
    return sorted(file for file in path.rglob("*") if file.is_file())


def _card(model, address):
    lines: list[str] = []
    model.summary(print_fn=lambda line, line_break=False: lines.append(line))
    summary = "\n".join(lines).strip()
    return _CARD.format(name=model.name, address=address, summary=summary)
