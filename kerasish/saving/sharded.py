"""Weights in several HDF5 files, none larger than a limit, and a JSON file that maps them."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import h5py

from kerasish.core.files import replacing
from kerasish.saving.hdf5 import BadFile, Tree, reading, write_array
from kerasish.saving.tree import name_of, own_arrays, walk

_GIGABYTE = 1024**3


def write_shards(saveable: Any, path: pathlib.Path, max_shard_size: float, skipped=()) -> None:
    """Write `<name>.weights.json` and the files it names beside it.

    Args:
        saveable: A model, layer or optimizer.
        path: The JSON file's path.
        max_shard_size: Most gigabytes (2**30 bytes) of arrays in one file.
        skipped: Parts to leave out.
    """
    limit = max_shard_size * _GIGABYTE
    base = path.stem.removesuffix(".weights")
    total, used, places = 0, 0, {}
    with contextlib.ExitStack() as renames, contextlib.ExitStack() as open_files:

        def next_file():
            name = f"{base}_{len(names):05}.weights.h5"
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
                write_array(group, key, value, checksum=True)
                files, count = places.get(f"/{inside}", ([], 0))
                places[f"/{inside}"] = list(dict.fromkeys([*files, names[-1]])), count + 1
        open_files.close()
        # As Keras has it: a name where a part has one array, a list of names where it has more.
        weight_map = {k: names if count > 1 else names[0] for k, (names, count) in places.items()}
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        # The last to be renamed is the first that was opened: the map must come after its files.
        with replacing(path) as beside:
            beside.write_text(json.dumps(index, indent=4))
            renames.close()


class Shards:
    """The tree that several files hold together.

    Args:
        path: The JSON file's path.
        open_files: What closes the files that it opens.
    """

    def __init__(self, path: pathlib.Path, open_files: contextlib.ExitStack):
        self.where, self.open_files = path, open_files
        self.trees: dict[str, Tree] = {}
        try:
            self.map = dict(json.loads(path.read_text())["weight_map"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadFile(f"{path} is no map of sharded weights: {error}") from error

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path, from whichever files have them."""
        names = self.map.get(f"/{path}/vars" if path else "/vars", [])
        found: dict[str, Any] = {}
        for name in [names] if isinstance(names, str) else names:
            found |= self._tree(name).part(path)
        return found

    def verify(self) -> None:
        """Raise if bytes that were read are not what they were when written."""
        for tree in self.trees.values():
            tree.verify()

    def _tree(self, name):
        if not isinstance(name, str) or os.path.basename(name) != name or name in ("", ".", ".."):
            raise BadFile(f"{self.where} names {name!r}, which is not a file beside it: refused.")
        if name not in self.trees:
            if not (self.where.parent / name).is_file():
                raise BadFile(f"{self.where} names {name!r}, which is not there.")
            self.trees[name] = self.open_files.enter_context(reading(self.where.parent / name))
        return self.trees[name]
