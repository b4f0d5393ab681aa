"""Weights in files: Keras 3's `.weights.h5`, whole or sharded, `.safetensors`, and older `.h5`."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from kerasish.core.atomic_files import is_taken, replacing
from kerasish.core.errors import bad_argument, see
from kerasish.saving import remote
from kerasish.saving.formats import legacy_h5, zip_archive
from kerasish.saving.formats.h5_dataset import write_array
from kerasish.saving.formats.h5_reader import reading
from kerasish.saving.formats.safetensors import Tensors, write_tensors
from kerasish.saving.formats.sharded_h5 import Shards, write_shards
from kerasish.saving.io.file_window import BadFile, file_window
from kerasish.saving.state.walk import Source, load, name_of, own_arrays, walk

WEIGHTS_MEMBER = "model.weights.h5"


def write_weights(
    saveable: Any,
    path: pathlib.Path,
    free: int = 0,
    wrote: Callable[[int, np.ndarray], None] | None = None,
    skipped: Iterable = (),
) -> None:
    """Write the tree of a model, layer or optimizer as HDF5.

    Args:
        saveable: The whole.
        path: The file's path.
        free: Bytes to leave free at its beginning: 0, 512 or a power of two above.
        wrote: Called with each array and where it is in the file.
        skipped: Parts to leave out.
    """
    with h5py.File(path, "w", userblock_size=free) as h5:
        for where, part in walk(saveable, seen={id(part) for part in skipped}):
            group = h5.create_group(f"{where}/vars" if where else "vars")
            group.attrs["name"] = name_of(part)
            for key, value in own_arrays(part).items():
                start = write_array(group, key, value)
                if wrote is not None and start is not None:
                    wrote(start, value)


def save_weights(
    model: Any,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    objects_to_skip: Iterable | None = None,
) -> None:
    """Save the weights of a model, and its optimizer's state.

    The file is complete at every moment: it is written beside its path and moved there.

    Args:
        model: Model or layer, built.
        filepath: Path that ends in `.weights.h5`, in `.safetensors`, or with `max_shard_size` in
            `.weights.json`.
        overwrite: Whether an existing file may be replaced.
        max_shard_size: Most gigabytes in one file: the arrays are then spread over several.
        objects_to_skip: Layers whose weights are left out.

    Example:
        >>> import pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> save_weights(model, pathlib.Path(tempfile.mkdtemp(), "model.weights.h5"))
    """
    remote.refuse("save_weights", filepath, "a path on this machine")
    path = pathlib.Path(filepath)
    endings = (".weights.h5", ".safetensors") if max_shard_size is None else (".weights.json",)
    if not path.name.endswith(endings):
        wanted = f"a path that ends in {' or '.join(endings)}"
        raise bad_argument("save_weights", "filepath", wanted, str(filepath))
    _check_built(model, "save_weights")
    if not overwrite and is_taken(path):
        raise ValueError(f"save_weights: {path} exists, and `overwrite` is False.")
    skipped = tuple(objects_to_skip or ())
    if max_shard_size is not None:
        write_shards(model, path, max_shard_size, skipped)
        return
    with replacing(path) as beside:
        if path.suffix == ".safetensors":
            write_tensors(model, beside, skipped)
        else:
            write_weights(model, beside, skipped=skipped)


def load_weights(
    model: Any,
    filepath: str | os.PathLike,
    skip_mismatch: bool = False,
    by_name: bool | None = None,
    objects_to_skip: Iterable | None = None,
    file_hash: str | None = None,
) -> None:
    """Load weights that were saved here or with Keras; on an error the model is as it was.

    Args:
        model: Model or layer, built, of the same architecture.
        filepath: A `.weights.h5`, `.weights.json`, `.safetensors` or `.keras` file, or an older
            `.h5` (or `.hdf5`) file; or the address of one, as in `load_model`:
            `hf://owner/name/model.weights.h5` or a URL.
        skip_mismatch: Whether to warn about parts that do not fit, instead of failing.
        by_name: Whether to match layers by name rather than in order; for older `.h5` files.
        objects_to_skip: Layers that keep their weights.
        file_hash: SHA-256 of the file as hexadecimal text, to check it by. A URL needs it.

    Raises:
        ValueError: If the file does not fit the model, is damaged, or its hash does not fit.
        RuntimeError: If it cannot be downloaded.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.weights.h5")
        >>> first, second = (keras.layers.Dense(1) for _ in range(2))
        >>> first.build((None, 2)), second.build((None, 2))
        (None, None)
        >>> save_weights(first, path)
        >>> load_weights(second, path)
        >>> bool((first.kernel.value == second.kernel.value).all())
        True
    """
    path = remote.local_path("load_weights", filepath, file_hash)
    if not path.is_file():
        raise ValueError(f"load_weights: there is no file {path}.")
    is_legacy = path.suffix in (".h5", ".hdf5") and not path.name.endswith(".weights.h5")
    if by_name is not None and not is_legacy:
        raise bad_argument("load_weights", "by_name", "left out but for older `.h5` files", by_name)
    if objects_to_skip is not None and (is_legacy or path.suffix == ".keras"):
        wanted = "left out for `.keras` and older `.h5` files"
        raise bad_argument("load_weights", "objects_to_skip", wanted, objects_to_skip)
    _check_built(model, "load_weights")
    if is_legacy:
        with file_window(path) as window, reading(window, path) as tree:
            legacy_h5.load_weights(model, tree, by_name, skip_mismatch)  # it has no checksums
        return
    with opened(path) as source:
        load(model, source, skip_mismatch, tuple(objects_to_skip or ()))


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Source]:
    """The tree of weights in a file of any of the present formats.

    Args:
        path: Path of the file.
    """
    with contextlib.ExitStack() as stack:
        if path.suffix == ".keras":
            archive = stack.enter_context(zip_archive.opened(path))
            window, crc = stack.enter_context(zip_archive.open_member(archive, WEIGHTS_MEMBER))
            yield stack.enter_context(reading(window, path, crc))
        elif path.name.endswith(".weights.json"):
            with contextlib.closing(Shards(path, stack)) as shards:
                yield shards
        elif path.suffix == ".safetensors":
            yield Tensors(path)
        elif path.name.endswith(".weights.h5"):
            window = stack.enter_context(file_window(path))
            yield stack.enter_context(reading(window, path))
        else:
            raise BadFile(f"load_weights: {path} is in no format known here, by its name's end.")


def _check_built(model, who):
    if not getattr(model, "built", True):
        raise ValueError(
            f"{who}: {name_of(model)!r} is not built, so it has no weights yet. Call it on data, "
            f"or `build(input_shape)`. {see('E05')}"
        )
