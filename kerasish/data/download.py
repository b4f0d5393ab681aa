"""Files from the network, kept in a cache: checked by their hash, resumed where they broke off."""

import hashlib
import os
import pathlib
import posixpath
import shutil
import tarfile
import tempfile
import urllib.parse
import zipfile
from typing import Any

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.data import hugging_face

# An archive that would grow to more than both of these is a bomb, or damaged.
_MOST_GROWTH = 200
_MOST_BYTES = 16 * 2**20
_BLOCK = 4096  # what the smallest file or folder takes on a disk
# Endings of names under which a page of HTML may be wanted.
_PAGES = ("", ".asp", ".aspx", ".htm", ".html", ".jsp", ".md", ".php", ".txt", ".xhtml", ".xml")

_OPENERS = {
    "tar": (tarfile.is_tarfile, tarfile.open),
    "zip": (zipfile.is_zipfile, zipfile.ZipFile),
}


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: Any = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Path to a file that is downloaded unless it is in the cache.

    A download that breaks off resumes where it stopped, also in the next process. The file appears
    in the cache only when it is whole and has the right hash.

    A file of the Hugging Face Hub, `hf://owner/name@revision/file`, comes through huggingface_hub
    (`pip install "kerasish[hub]"`), which keeps it in its own cache, and is asked each time whether
    the revision has another file now.

    Args:
        fname: Name in the cache; of an archive to extract, its folder's. `None`: the URL's.
        origin: The URL.
        untar: `extract` for tar archives only; the older name.
        md5_hash: `file_hash` by MD5; the older name.
        file_hash: SHA-256 or MD5 of the file as hexadecimal text, to check it by.
        cache_subdir: Folder in the cache, or an absolute path.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"`, which goes by the hash's length.
        extract: Whether to extract the archive and return its folder.
        archive_format: `"tar"` (compressed or not), `"zip"`, a list of them, or `"auto"`: both.
        cache_dir: The cache; `None` is `$KERAS_HOME`, or `~/.keras`.
        force_download: Whether to download though the file is there.

    Returns:
        The path of the file, or of the folder if it is extracted.

    Raises:
        ValueError: If an argument is wrong, the hash does not fit, or a web page came in the file's
            place.
        RuntimeError: If the file cannot be downloaded.

    Example:
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_text("text")
        >>> get_file("b.txt", (folder / "a.txt").as_uri(), cache_dir=folder)
        Downloading data from file:///...
        '...datasets/b.txt'
    """
    if not isinstance(origin, str):
        raise bad_argument("get_file", "origin", "a URL", origin)
    named = bool(fname)
    fname = (
        os.fspath(fname)
        if fname
        else pathlib.PurePosixPath(urllib.parse.urlsplit(origin).path).name
    )
    if fname in ("", ".", "..") or fname != os.path.basename(fname) or "\0" in fname:
        hint = "Folders go into `cache_dir` and `cache_subdir`."
        raise bad_argument("get_file", "fname", "a file's name, without a folder", fname, hint)
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    extract = extract or untar
    check = file_hash, hash_algorithm
    found = None
    if origin.startswith(hugging_face.PREFIX):
        found = _from_hub(origin, force_download, *check)
        if not named and not extract and (cache_dir, cache_subdir) == (None, "datasets"):
            return str(found)  # not twice on the disk
    folder = _writable(cache_dir) / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    target, inside = _paths(folder, fname, extract)
    if found is not None:
        _copy(found, target)
    elif force_download or not _is_good(target, *check):
        _download(origin, target, *check)
    if extract:
        _extract(target, inside, ["tar"] if untar else archive_format)
    return str(inside if extract else target)


def keras_home() -> pathlib.Path:
    """The cache folder: `$KERAS_HOME`, or `~/.keras`."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras").expanduser()


def _writable(cache_dir):
    home = keras_home() if cache_dir is None else pathlib.Path(cache_dir).expanduser()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        return pathlib.Path(tempfile.gettempdir(), ".keras")
    return home if os.access(home, os.W_OK) else pathlib.Path(tempfile.gettempdir(), ".keras")


def _paths(folder, fname, extract):
    """Paths of the file and of the folder of what is in it, by Keras' rules."""
    if not extract:
        return folder / fname, None
    if "." in fname:
        return folder / fname, folder / f"{fname.split('.', 1)[0]}_extracted"
    return folder / f"{fname}_archive", folder / fname


# -- hashes


def hash_file(fpath: Any, algorithm: str = "sha256", chunk_size: int = 65535) -> str:
    """The SHA-256 or MD5 of a file, as hexadecimal text.

    Args:
        fpath: Path of the file.
        algorithm: `"sha256"` or `"md5"`.
        chunk_size: Bytes to read at a time.
    """
    algorithm = "md5" if algorithm == "md5" else "sha256"
    with open(fpath, "rb") as file:
        hasher = hashlib.new(algorithm, usedforsecurity=False)
        while block := file.read(chunk_size):
            hasher.update(block)
    return hasher.hexdigest()


def validate_file(
    fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 65535
) -> bool:
    """Whether a file has that hash; `"auto"` takes 64 digits for SHA-256, others for MD5.

    Args:
        fpath: Path of the file.
        file_hash: The hash as hexadecimal text.
        algorithm: `"sha256"`, `"md5"` or `"auto"`.
        chunk_size: Bytes to read at a time.
    """
    found = hash_file(fpath, _algorithm(file_hash, algorithm), chunk_size)
    return found == str(file_hash).lower()


def _algorithm(file_hash, algorithm):
    if algorithm != "auto":
        return algorithm
    return "sha256" if len(str(file_hash)) == 64 else "md5"


def _is_good(path, file_hash, algorithm):
    return path.exists() and (file_hash is None or validate_file(path, file_hash, algorithm))


# -- transfer


def _download(origin, target, file_hash, algorithm):
    from kerasish.data import http_download  # the network takes long to import

    part = target.with_name(f"{target.name}.part")
    if settings.is_interactive_logging_enabled():
        print(f"Downloading data from {origin}", flush=True)
    http_download.fetch(origin, part, target)
    problem = _problem_of(part, target, file_hash, algorithm)
    if problem:
        part.unlink()
        http_download.tag_of(part).unlink(missing_ok=True)
        raise ValueError(f"get_file: {origin} {problem} Nothing was kept.")
    os.replace(part, target)
    http_download.tag_of(part).unlink(missing_ok=True)


def _problem_of(part, target, file_hash, algorithm):
    from kerasish.data.http_download import is_web_page

    is_page = target.suffix.lower() not in _PAGES and is_web_page(part)
    if file_hash is None or validate_file(part, file_hash, algorithm):
        # With its hash, a page is what was asked for.
        return _PAGE_CAME if is_page and file_hash is None else None
    wrong = f"its hash is {hash_file(part, _algorithm(file_hash, algorithm))}; wanted {file_hash}."
    return f"{_PAGE_CAME} ({wrong})" if is_page else f"is incomplete or has been changed: {wrong}"


_PAGE_CAME = (
    "gave a web page (HTML) in the file's place: a page about it, one to log in, or an error's. "
    "Give the address of the file itself."
)


def _from_hub(origin, force_download, file_hash, algorithm):
    address = hugging_face.parse(origin, "get_file", "origin")
    if not address.path:
        wanted = "the address of one file, `hf://owner/name/file`"
        raise bad_argument("get_file", "origin", wanted, origin)
    found = hugging_face.fetch_file(address, "get_file", force_download)
    if file_hash is not None and not validate_file(found, file_hash, algorithm):
        there = hash_file(found, _algorithm(file_hash, algorithm))
        raise ValueError(
            f"get_file: {origin} is not the file you name: its hash is {there}; wanted {file_hash}."
        )
    return found


def _copy(source, target):
    """Copy a file to its place in the cache, unless that is a copy of it already."""
    if target.exists() and _look(target) == _look(source):
        return
    part = target.with_name(f"{target.name}.part")
    shutil.copy2(source, part)
    os.replace(part, target)


def _look(path):
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


# -- archives


class UnpackedSize:
    """What an archive says that its files take, added up as long as that is believable.

    Args:
        path: The archive.
    """

    def __init__(self, path: pathlib.Path):
        self.path, self.total = path, 0
        self.most = max(_MOST_BYTES, _MOST_GROWTH * path.stat().st_size)
        self.free = shutil.disk_usage(path.parent).free

    def add(self, size: int) -> None:
        """Add a file of so many bytes.

        Args:
            size: The size in bytes.

        Raises:
            ValueError: The files would be far larger than the archive, or than the free space.
        """
        self.total += max(size, _BLOCK)
        if self.total > self.most:
            raise ValueError(
                f"get_file: {self.path} would unpack to more than {_MOST_GROWTH} times its size, "
                f"{self.total / 2**20:,.0f} MiB at least: refused, as a trap that fills the disk. "
                "If you trust it, unpack it yourself."
            )
        if self.total > self.free:
            raise ValueError(
                f"get_file: {self.path} unpacks to at least {self.total / 2**20:,.0f} MiB, more "
                f"than the {self.free / 2**20:,.0f} MiB that are free there."
            )


def _check_members(archive, path):
    """Raise on a bomb, and on what would be written through a link, wherever that leads.

    Python's own filter follows links to see where they lead, and can be misled by long ones.
    """
    links = set()
    size = UnpackedSize(path)
    for member in archive:
        size.add(member.size)
        names = [member.name, member.linkname] if member.islnk() else [member.name]
        for name in names:
            target = pathlib.PurePosixPath(posixpath.normpath(name.casefold()))
            if links.intersection([target, *target.parents]):
                raise ValueError(f"get_file: {path} writes {name!r} through a link: refused.")
        if member.issym():
            links.add(target)


def _extract(path, folder, formats):
    formats = (
        list(_OPENERS) if formats == "auto" else [formats] if isinstance(formats, str) else formats
    )
    for kind in formats or []:
        if kind not in _OPENERS:
            raise bad_argument("get_file", "archive_format", f"one of {list(_OPENERS)}", kind)
        fits, opener = _OPENERS[kind]
        if fits(path):
            break
    else:
        raise ValueError(f"get_file: {path} is not an archive of the kind {formats}.")
    done = folder / ".extracted"
    stamp = str(path.stat().st_mtime_ns)
    if done.exists() and done.read_text() == stamp:
        return
    beside = pathlib.Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with opener(path) as archive:
            if kind == "tar":
                _check_members(archive, path)
                archive.extractall(beside, filter="data")  # refuses paths that lead out of it
            else:
                size = UnpackedSize(path)
                for member in archive.infolist():
                    size.add(member.file_size)
                archive.extractall(beside)  # zipfile strips such paths
    except tarfile.TarError as error:
        raise ValueError(f"get_file: {path} cannot be extracted: {error}") from error
    else:
        beside.chmod(0o755)
        (beside / ".extracted").write_text(stamp)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
