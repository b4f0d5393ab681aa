"""Weights in several HDF5 files, none larger than a limit, and a JSON file that maps them."""

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import h5py

from kerasish.core import processes
from kerasish.core.atomic_files import replacing
from kerasish.saving.formats.h5_dataset import write_array
from kerasish.saving.formats.h5_reader import Tree, reading
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import BadFile, file_window
from kerasish.saving.io.parallel_reader import make_threads
from kerasish.saving.state.walk import name_of, own_arrays, walk

_GIGABYTE = 1024**3


def write_shards(
    saveable: Any, path: pathlib.Path, max_shard_size: float, skipped: Any = ()
) -> None:
    """Write `<name>.weights.json` and the files it names beside it.

    The files have other names than those of the map that is there already, which are deleted when
    the new map has replaced the old one: at every moment the map and its files belong together.

    Args:
        saveable: A model, layer or optimizer.
        path: The JSON file's path.
        max_shard_size: Most gigabytes (2**30 bytes) of arrays in one file.
        skipped: Parts to leave out.
    """
    limit = max_shard_size * _GIGABYTE
    base = path.stem.removesuffix(".weights")
    ours = re.compile(re.escape(base) + r"(-1)?_\d{5,}\.weights\.h5")
    before = {name for name in _files_named_in(path) if ours.fullmatch(name)}
    start = f"{base}-1" if f"{base}_00000.weights.h5" in before else base
    start = processes.first_says(f"name the files of {path.name}", lambda: start)
    total, used, files_of = 0, 0, {}
    with contextlib.ExitStack() as renames, contextlib.ExitStack() as open_files:

        def next_file():
            name = f"{start}_{len(names):05}.weights.h5"
            names.append(name)
            open_files.close()
            beside = renames.enter_context(replacing(path.with_name(name)))
            return open_files.enter_context(h5py.File(beside, "w"))

        names: list[str] = []
        h5 = next_file()
        for where, part in walk(saveable, seen={id(part) for part in skipped}):
            inside = f"{where}/vars" if where else "vars"
            for key, value in own_arrays(part).items():
                if value.nbytes > limit:
                    raise ValueError(
                        f"save_weights: array {key} of {name_of(part)!r} has {value.nbytes} bytes, "
                        f"more than `max_shard_size` {max_shard_size} GB allows."
                    )
                if used and used + value.nbytes > limit:
                    h5, used = next_file(), 0
                used, total = used + value.nbytes, total + value.nbytes
                group = h5.require_group(inside)
                group.attrs["name"] = name_of(part)
                write_array(group, key, value)
                files, count = files_of.get(f"/{inside}", ([], 0))
                files_of[f"/{inside}"] = list(dict.fromkeys([*files, names[-1]])), count + 1
        open_files.close()
        # As Keras has it: a name where a part has one array, a list of names where it has more.
        weight_map = {k: names if count > 1 else names[0] for k, (names, count) in files_of.items()}
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        # The last to be renamed is the first that was opened: the map must come after its files.
        with replacing(path) as beside:
            beside.write_text(json.dumps(index, indent=4))
            renames.close()
    if processes.is_first():
        for name in before.difference(names):
            path.with_name(name).unlink(missing_ok=True)


def _files_named_in(path):
    try:
        found = _map_in(path).values()
    except (BadFile, OSError):
        return []  # there is none, or none to go by
    return [name for names in found for name in _listed(names) if isinstance(name, str)]


def _listed(names):
    return names if isinstance(names, list) else [names]


def _map_in(path):
    """Which files have the arrays of each part, as the JSON file says."""
    if path.stat().st_size > bounded_json.LIMIT:
        raise BadFile(f"{path} is larger than a map of sharded weights can be: refused.")
    found = bounded_json.parse(path.read_bytes(), path, "the map of sharded weights").get(
        "weight_map"
    )
    if not isinstance(found, dict):
        raise BadFile(f"{path} is no map of sharded weights: it has no 'weight_map'.")
    return found


class Shards:
    """The tree that several files hold together.

    Args:
        path: The JSON file's path.
        open_files: What closes the files that it opens.
    """

    def __init__(self, path: pathlib.Path, open_files: contextlib.ExitStack):
        self.where, self.open_files = path, open_files
        self.trees: dict[str, Tree] = {}
        self.map = _map_in(path)
        self.threads = make_threads()

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path, from whichever files have them.

        Args:
            path: Path in the file.
        """
        names = self.map.get(f"/{path}/vars" if path else "/vars", [])
        return _Joined([self._tree(name).part(path) for name in _listed(names)])

    def stored_parts(self) -> Iterable[str]:
        """Paths of the parts that have arrays."""
        return [path.removesuffix("vars").strip("/") for path in self.map]

    def verify(self) -> None:
        """Raise if bytes that were read are not what they were when written."""
        for tree in self.trees.values():
            tree.verify()

    def close(self) -> None:
        """Drop what was begun to be read and not waited for."""
        self.threads.shutdown(cancel_futures=True)

    def _tree(self, name):
        if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".", ".."):
            raise BadFile(f"{self.where} names {name!r}, which is not a file beside it: refused.")
        if name not in self.trees:
            if not (self.where.parent / name).is_file():
                raise BadFile(f"{self.where} names {name!r}, which is not there.")
            file = self.where.parent / name
            window = self.open_files.enter_context(file_window(file))
            self.trees[name] = self.open_files.enter_context(
                reading(window, file, threads=self.threads)
            )
        return self.trees[name]


class _Joined(Mapping):
    """The arrays of one part, from the files that have them."""

    def __init__(self, parts):
        self.parts = [part for part in parts if part]

    def expect(self, shapes: dict[str, tuple]) -> None:
        """Begin to read the arrays that have these shapes."""
        for part in self.parts:
            part.expect(shapes)

    def shape(self, key: str) -> tuple:
        """An array's shape, unread."""
        return self._holding(key).shape(key)

    def _holding(self, key):
        return next((part for part in self.parts if key in part), {})

    def __getitem__(self, key):
        return self._holding(key)[key]

    def __contains__(self, key):
        return any(key in part for part in self.parts)

    def __iter__(self):
        return iter(dict.fromkeys(key for part in self.parts for key in part))

    def __len__(self):
        return sum(1 for _ in self)
