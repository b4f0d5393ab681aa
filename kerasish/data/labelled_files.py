"""Samples that are in files, sorted into folders: which there are, in what order, their labels."""

import concurrent.futures
import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.data.dataset import Samples, stack

LABEL_MODES = ("int", "binary", "categorical", None)


class Files(Samples):
    """What the `..._dataset_from_directory` functions make: batches of files, read when asked for.

    The files of a batch are read in threads. A shuffled data set draws a new order for each epoch,
    a function of the seed and the epoch's number.

    Args:
        file_paths: Paths of the files.
        labels: An integer for each file, or `None`.
        class_names: Names of the classes; `None` where there are no labels.
        label_mode: `"int"`, `"binary"`, `"categorical"`, or `None` for no labels.
        read: Function from a path to an array or a string.
        collate: Function from a list of these to a batch.
        batch_size: Files in a batch; `None` gives them one by one, without a batch axis.
        reshuffle: Whether to draw a new order for each epoch.
        seed: Integer that fixes the orders.
    """

    def __init__(
        self,
        file_paths: list[str],
        labels: np.ndarray | None,
        class_names: list[str] | None,
        label_mode: str | None,
        read: Callable,
        collate: Callable = stack,
        batch_size: int | None = 32,
        reshuffle: bool = False,
        seed: int | None = None,
    ):
        super().__init__(len(file_paths), batch_size, reshuffle, seed)
        self.file_paths, self.labels, self.class_names = file_paths, labels, class_names
        self.label_mode, self.read, self.collate = label_mode, read, collate

    def gather(self, rows: Any) -> Any:
        """The file of that number, or the batch of these; with labels if there are any.

        Args:
            rows: A number, or an array of numbers.
        """
        if np.ndim(rows) == 0:
            x = self._read(rows)
        else:
            x = self.collate(list(_threads().map(self._read, rows)))
        return x if self.labels is None else (x, self._encode(self.labels[rows]))

    def _read(self, row):
        path = self.file_paths[row]
        try:
            return self.read(path)
        except Exception as error:
            error.add_note(f"This came of reading {path!r}.")
            raise

    def _encode(self, labels):
        if self.label_mode == "binary":
            return labels[..., None].astype("float32")
        if self.label_mode == "categorical":
            return (labels[..., None] == np.arange(len(self.class_names or ()))).astype("float32")
        return labels


@functools.cache
def _threads():
    return concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1), "Files")


def files_in(
    who: str,
    directory: Any,
    endings: tuple[str, ...],
    read: Callable,
    collate: Callable = stack,
    *,
    labels: Any,
    label_mode: str | None,
    class_names: list[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
) -> Files | tuple[Files, Files]:
    """The files of a folder as a data set, or as two; the arguments are Keras'.

    Files come in the order of their paths, class by class. Shuffled, they come in the order that
    Keras gives them for the same seed, so that a split has the same files on the same side.

    Args:
        who: The public function, for errors.
        directory: The folder.
        endings: Endings of the names of the files.
        read: Function from a path to an array or a string.
        collate: Function from a list of these to a batch.
        labels: `"inferred"` from the subfolders, a list of one for each file, or `None`.
        label_mode: `"int"`, `"binary"`, `"categorical"` or `None`.
        class_names: Subfolders to take, in this order; `None` for all, sorted.
        batch_size: Files in a batch; `None` gives them one by one.
        shuffle: Whether to shuffle, before the split and for each epoch.
        seed: Integer that fixes the orders.
        validation_split: Fraction to hold out.
        subset: `"training"`, `"validation"`, `"both"` or `None`.
        follow_links: Whether to look into folders behind symbolic links.
        verbose: Whether to say how many files were found.

    Returns:
        A data set; for `subset="both"` that of training and that of validation.
    """
    if label_mode not in LABEL_MODES:
        raise bad_argument(who, "label_mode", f"one of {LABEL_MODES}", label_mode)
    if batch_size is not None and not (isinstance(batch_size, int | np.integer) and batch_size > 0):
        raise bad_argument(who, "batch_size", "a positive integer or None", batch_size)
    _check_split(who, validation_split, subset, shuffle, seed)
    if not os.path.isdir(directory):
        raise bad_argument(who, "directory", "a folder", directory)
    seed = np.random.randint(int(1e6)) if seed is None else seed  # drawn as Keras does
    labels = _check_labels(who, labels, label_mode, class_names)
    paths, labels, class_names = _list_and_label(
        who, directory, endings, follow_links, labels, class_names
    )
    say = print if verbose and settings.is_interactive_logging_enabled() else _say_nothing
    belonging = "" if labels is None else f" belonging to {len(class_names or ())} classes"
    say(f"Found {len(paths)} files{belonging}.")
    if not paths:
        raise bad_argument(who, "directory", f"a folder with files in {endings}", directory)
    label_mode = None if labels is None else label_mode
    _check_classes(who, labels, label_mode, class_names)

    order = np.arange(len(paths))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)
    sides = _split(who, order, validation_split, subset, say)
    sets = [
        Files(
            [paths[row] for row in rows],
            None if labels is None else labels[rows],
            class_names,
            label_mode,
            read,
            collate,
            batch_size,
            reshuffle=shuffle and not (subset == "both" and side == "validation"),
            seed=seed,
        )
        for side, rows in sides.items()
    ]
    return (sets[0], sets[1]) if subset == "both" else sets[0]


def _check_labels(who, labels, label_mode, class_names):
    """The labels as they are to be used: none without a mode for them."""
    if not (labels in ("inferred", None) if isinstance(labels, str | None) else _is_list(labels)):
        wanted = '"inferred", None, or a list of one label for each file'
        raise bad_argument(who, "labels", wanted, labels)
    labels = None if label_mode is None else labels
    if class_names is not None and labels != "inferred":
        raise bad_argument(who, "class_names", 'None unless `labels="inferred"`', class_names)
    return labels


def _list_and_label(who, directory, endings, follow_links, labels, class_names):
    """Paths of the files, their labels and the names of the classes."""
    if labels == "inferred":
        class_names = _classes(who, directory, class_names)
        found = [list_files(os.path.join(directory, c), endings, follow_links) for c in class_names]
        paths = [path for paths in found for path in paths]
        labels = np.repeat(np.arange(len(found), dtype="int32"), [len(paths) for paths in found])
        return paths, labels, class_names
    paths = list_files(os.path.join(directory, ""), endings, follow_links)
    if labels is not None:
        labels, class_names = _given_labels(who, labels, len(paths))
    return paths, labels, class_names


def list_files(directory: str, endings: tuple[str, ...], follow_links: bool) -> list[str]:
    """Paths of all files below a folder with one of these endings, folder by folder, sorted.

    Args:
        directory: The folder.
        endings: Endings of the names.
        follow_links: Whether to look into folders behind symbolic links.
    """
    folders = sorted(os.walk(directory, followlinks=follow_links), key=lambda found: found[0])
    return [
        os.path.join(folder, name)
        for folder, _, names in folders
        for name in sorted(names)
        if name.lower().endswith(endings)
    ]


def _is_list(labels):
    return isinstance(labels, list | tuple)


def _say_nothing(text):
    pass


def _classes(who, directory, class_names):
    folders = [
        name
        for name in sorted(os.listdir(directory))
        if os.path.isdir(os.path.join(directory, name)) and not name.startswith(".")
    ]
    if class_names is None:
        return folders
    if not set(class_names) <= set(folders):
        raise bad_argument(who, "class_names", f"among the folders {folders}", class_names)
    return list(class_names)


def _given_labels(who, labels, count):
    if len(labels) != count:
        wanted = f"as many as the {count} files in the folder"
        raise bad_argument(who, "labels", wanted, f"{len(labels)} labels")
    values = np.asarray(labels)
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise bad_argument(who, "labels", "a number for each file", labels)
    class_names = [str(label) for label in sorted(set(labels))]
    return values.astype("float32" if values.dtype.kind == "f" else "int32"), class_names


def _check_classes(who, labels, label_mode, class_names):
    if label_mode == "binary" and len(class_names) != 2:
        raise bad_argument(who, "label_mode", "another one unless there are 2 classes", class_names)
    if label_mode in ("binary", "categorical") and not set(labels.tolist()) <= {
        *range(len(class_names))
    }:
        wanted = f'from 0 to {len(class_names) - 1} for `label_mode="{label_mode}"`'
        raise bad_argument(who, "labels", wanted, class_names)


def _check_split(who, validation_split, subset, shuffle, seed):
    if validation_split and not 0 < validation_split < 1:
        raise bad_argument(who, "validation_split", "strictly between 0 and 1", validation_split)
    if subset not in ("training", "validation", "both", None):
        raise bad_argument(who, "subset", '"training", "validation", "both" or None', subset)
    if bool(validation_split) != bool(subset):
        wanted = "given with `validation_split`, and only with it"
        raise bad_argument(who, "subset", wanted, subset)
    if validation_split and shuffle and seed is None:
        hint = "Give the same one for both subsets, so that they share no file."
        raise bad_argument(who, "seed", "given where shuffled files are split", None, hint)


def _split(who, rows, validation_split, subset, say):
    """The asked sides of a split and the files on them; they all are of the side `None`."""
    if not subset:
        return {None: rows}
    cut = len(rows) - int(validation_split * len(rows))
    sides = {"training": rows[:cut], "validation": rows[cut:]}
    asked = {side: rows for side, rows in sides.items() if subset in (side, "both")}
    for side, rows in asked.items():
        if not len(rows):
            wanted = f"a fraction that leaves files for {side}"
            raise bad_argument(who, "validation_split", wanted, validation_split)
        say(f"Using {len(rows)} files for {side}.")
    return asked
