"""JAX's folder of compiled programs: how many, how large, and letting go of them."""

import dataclasses
import os
import pathlib
import re
from typing import Any

import jax

from kerasish.core.text_tables import readable_bytes

# As JAX names them: a program's name, the hash of what it was compiled from, and what it is.
_ENTRY = re.compile(r".+-[0-9a-f]{64}-(cache|atime)")


@dataclasses.dataclass
class CompilationCache:
    """What lies in the cache's folder.

    Attributes:
        folder: Path of the folder; `None` where the cache is off.
        files: Files that JAX put there.
        programs: How many compiled programs they are.
        size: Their bytes.
        others: How many more things lie there, which are none of JAX's.
    """

    folder: str | None
    files: list[pathlib.Path]
    programs: int
    size: int
    others: int

    def as_dict(self) -> dict[str, Any]:
        """The numbers, as plain data."""
        return {
            "folder": self.folder,
            "programs": self.programs,
            "bytes": self.size,
            "other_files": self.others,
        }


def folder_in_use() -> str | None:
    """The folder that JAX was told of, by kerasish or the user."""
    return jax.config.jax_compilation_cache_dir


def look() -> CompilationCache:
    """Look into the folder that JAX uses now.

    Raises:
        ValueError: It is not a folder on this machine, but a bucket, say.
    """
    folder = folder_in_use()
    if not folder:
        return CompilationCache(None, [], 0, 0, 0)
    if "://" in folder:
        raise ValueError(f"the compilation cache {folder} is not a folder on this machine.")
    files, size, programs, others = [], 0, 0, 0
    for item in os.scandir(folder) if os.path.isdir(folder) else ():
        if not (_ENTRY.fullmatch(item.name) and item.is_file(follow_symlinks=False)):
            others += 1
            continue
        try:
            size += item.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # another process has just let go of it
            continue
        files.append(pathlib.Path(item.path))
        programs += item.name.endswith("-cache")
    return CompilationCache(str(folder), files, programs, size, others)


def in_words(found: dict[str, Any]) -> str:
    """A line on what `CompilationCache.as_dict` gave.

    Args:
        found: What was found.
    """
    if found["folder"] is None:
        return "off (KERASISH_COMPILATION_CACHE in the environment, or no folder to write to)."
    size = readable_bytes(found["bytes"])
    return f"{found['folder']}, {found['programs']} programs, {size}"
