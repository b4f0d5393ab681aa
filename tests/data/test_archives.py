"""`get_file`: names that lead out of the cache, and archives that are traps."""

import io
import pathlib
import tarfile
import zipfile

import pytest

from kerasish.data.download import get_file


def made(path, kind, files):
    """An archive of files, whose contents are so many zeros."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, size in files.items():
                archive.writestr(name, bytes(size))
    else:
        with tarfile.open(path, f"w:{kind}") as archive:
            for name, size in files.items():
                member = tarfile.TarInfo(name)
                member.size = size
                archive.addfile(member, io.BytesIO(bytes(size)))
    return path.as_uri()


def fetch(tmp_path, origin, **kwargs):
    return get_file(origin=origin, cache_dir=tmp_path / "cache", extract=True, **kwargs)


@pytest.mark.parametrize("kind", ["zip", "gz", "xz", "bz2"])
@pytest.mark.parametrize(
    "files", [{"a": 2**26}, {f"a{i}": 2**19 for i in range(128)}], ids=["one file", "many"]
)
def test_bombs_are_refused_and_leave_nothing(tmp_path, kind, files):
    origin = made(tmp_path / f"bomb.{kind}", kind, files)
    with pytest.raises(ValueError, match=r"get_file: .*bomb.* would unpack to more than 200 times"):
        fetch(tmp_path, origin)
    left = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert [p.name for p in left] == [f"bomb.{kind}"]


def test_a_bomb_of_empty_files_is_refused(tmp_path):
    origin = made(tmp_path / "bomb.xz", "xz", {f"{i}": 0 for i in range(6000)})
    with pytest.raises(ValueError, match="would unpack"):
        fetch(tmp_path, origin)


@pytest.mark.parametrize("kind", ["zip", "gz"])
def test_compressible_archives_are_unpacked(tmp_path, kind):
    origin = made(tmp_path / f"fine.{kind}", kind, {"folder/a": 2**23, "b": 5})
    folder = fetch(tmp_path, origin)
    assert (pathlib.Path(folder) / "folder" / "a").stat().st_size == 2**23


@pytest.mark.parametrize("name", ["..", ".", "../a", "a/b", "/etc/x", "a\0b"])
@pytest.mark.parametrize("extract", [True, False])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, extract):
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ValueError, match=r"get_file: `fname` must be a file's name"):
        get_file(name, (tmp_path / "a.txt").as_uri(), cache_dir=tmp_path / "c", extract=extract)
