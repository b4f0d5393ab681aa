"""Files and folders of the Hugging Face Hub, by addresses such as `hf://owner/name@v2/file`.

`pip install "kerasish[hub]"`. huggingface_hub does the work, and reads its own settings: `HF_TOKEN`
for private repositories, `HF_ENDPOINT` for another hub, `HF_HOME` for the cache, `HF_HUB_OFFLINE`
for the cache only.
"""

import contextlib
import pathlib
import re
import urllib.parse
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import NamedTuple

from kerasish.core.errors import bad_argument

PREFIX = "hf://"
_KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
_REFS = re.compile(r"refs/(?:pr/\d+|convert/[^/]+)")  # revisions that have slashes in their names
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TOKEN = "Give a token that may read it (write it, to save) in the environment variable HF_TOKEN"
_WANTED = (
    "an address `hf://owner/name`, with `@revision` (a branch, tag or commit), the path of a file "
    "in it, or both: `hf://owner/name@v2/model.keras`"
)


class HubAddress(NamedTuple):
    """What an address of the hub says.

    Attributes:
        kind: `"model"`, `"dataset"` or `"space"`.
        repository: `"owner/name"`.
        revision: A branch, tag or commit; `None` for the default branch.
        path: Of a file or folder in it; empty for all of it.
    """

    kind: str
    repository: str
    revision: str | None
    path: str

    def __str__(self) -> str:
        prefix = "" if self.kind == "model" else f"{self.kind}s/"
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{PREFIX}{prefix}{self.repository}{revision}{self.path and '/' + self.path}"


def parse(address: str, owner: str, argument: str) -> HubAddress:
    """Split an address into its parts.

    Args:
        address: `hf://[datasets/ or spaces/]owner/name[@revision][/path]`; slashes in the name of
            a revision are written `%2F`, but for `refs/pr/1`.
        owner: Who asks, for the error.
        argument: The argument's name, for the error.

    Raises:
        ValueError: If it is something else.
    """
    kind, rest = "model", address.removeprefix(PREFIX)
    first, _, after = rest.partition("/")
    if first in _KINDS:
        kind, rest = _KINDS[first], after
    space, _, rest = rest.partition("/")
    name, revision, path = rest.partition("/")[0], None, rest.partition("/")[2]
    if "@" in name:
        name, _, after = rest.partition("@")
        found = _REFS.match(after)
        revision = found[0] if found else after.partition("/")[0]
        path = after[len(revision) :].strip("/")
        revision = urllib.parse.unquote(revision)
    whole = all(_NAME.fullmatch(part) for part in (space, name)) and revision != ""
    if not whole or {"..", "."}.intersection(path.split("/")) or "\0" in address:
        raise bad_argument(owner, argument, _WANTED, address)
    return HubAddress(kind, f"{space}/{name}", revision, path.strip("/"))


def library(owner: str) -> ModuleType:
    """huggingface_hub, or an `ImportError` that says how to get it.

    Args:
        owner: Who asks, for the error.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            f"{owner}: addresses `{PREFIX}...` need huggingface_hub: "
            '`pip install "kerasish[hub]"` (or `pip install huggingface-hub`).'
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def explained(owner: str, address: HubAddress) -> Iterator[None]:
    """Raise what goes wrong with the hub as a `RuntimeError` that says what to do.

    Args:
        owner: Who asks.
        address: For what.
    """
    from huggingface_hub import errors

    reasons = {
        errors.GatedRepoError: "the repository is gated: ask for access on its page, and give "
        "your token in the environment variable HF_TOKEN",
        errors.RepositoryNotFoundError: f"there is no {address.kind} {address.repository!r} there, "
        f"or it is private. {_TOKEN}",
        errors.RevisionNotFoundError: f"{address.repository!r} has no revision "
        f"{address.revision!r}: neither a branch nor a tag nor a commit",
        errors.LocalEntryNotFoundError: "the hub is not reached (is there a network? is "
        "HF_HUB_OFFLINE set?), and the file is not in the cache",
        errors.EntryNotFoundError: f"there is no file {address.path!r} in it",
    }
    try:
        yield
    except Exception as error:
        found = [
            reason
            for cause in _causes(error)
            for kind, reason in reasons.items()
            if isinstance(cause, kind)
        ]
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            found.append(f"the hub refuses ({_first_line(error)}). {_TOKEN}")
        reason = found[0] if found else _first_line(error)
        raise RuntimeError(f"{owner}: {address}: {reason}.") from error


def _causes(error):
    while error is not None:
        yield error
        error = error.__cause__


def _first_line(error):
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def fetch_file(address: HubAddress, owner: str, force_download: bool = False) -> pathlib.Path:
    """Path to a file of the hub in huggingface_hub's cache.

    A branch is asked for its present commit each time; without a network what is in the cache is
    taken.

    Args:
        address: Where it is.
        owner: Who asks, for errors.
        force_download: Whether to download though it is in the cache.

    Raises:
        ImportError: Without huggingface_hub.
        RuntimeError: If it cannot be had.
    """
    hub = library(owner)
    with explained(owner, address):
        found = hub.hf_hub_download(
            address.repository,
            address.path,
            repo_type=address.kind,
            revision=address.revision,
            library_name="kerasish",
            force_download=force_download,
        )
    return pathlib.Path(found)


def fetch_folder(address: HubAddress, owner: str, names: Sequence[str]) -> pathlib.Path:
    """Path to a folder of the hub in huggingface_hub's cache, with files of those names only.

    Args:
        address: Where it is.
        owner: Who asks, for errors.
        names: Names of files in the folder; `*` stands for anything.

    Raises:
        ImportError: Without huggingface_hub.
        RuntimeError: If it cannot be had.
    """
    hub = library(owner)
    inside = address.path and f"{address.path}/"
    with explained(owner, address):
        found = hub.snapshot_download(
            address.repository,
            repo_type=address.kind,
            revision=address.revision,
            library_name="kerasish",
            allow_patterns=[f"{inside}{name}" for name in names],
        )
    return pathlib.Path(found, address.path)


def list_files(address: HubAddress, owner: str) -> list[str]:
    """Names of all files of a repository.

    Args:
        address: The repository; its path is not looked at.
        owner: Who asks, for errors.
    """
    hub = library(owner)
    with explained(owner, address):
        return hub.HfApi(library_name="kerasish").list_repo_files(
            address.repository, repo_type=address.kind, revision=address.revision
        )
