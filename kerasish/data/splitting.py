"""Data sets cut in two."""

import itertools
import numbers
import random
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data.dataset import Dataset, Samples, stack
from kerasish.data.py_dataset import PyDataset

_WHO = "split_dataset"
_ACCEPTED = "arrays (single or in lists, tuples and dicts), a PyDataset, or an iterable of samples"


class Split(Samples):
    """One side of what `split_dataset` makes: some rows of arrays, in a fixed order.

    Args:
        arrays: A pytree of arrays of equal length.
        rows: The rows to give.
        batch_size: Rows in a batch; `None` gives them one by one, without a batch axis.
    """

    def __init__(self, arrays: Any, rows: Any, batch_size: int | None = None):
        super().__init__(len(rows), batch_size)
        self.arrays, self.rows = arrays, np.asarray(rows)

    def gather(self, rows: Any) -> Any:
        """The sample of that number, or the batch of these.

        Args:
            rows: A number, or an array of numbers.
        """
        return jax.tree.map(lambda array: array[self.rows[rows]], self.arrays)


def split_dataset(
    dataset: Any,
    left_size: Any = None,
    right_size: Any = None,
    shuffle: Any = False,
    seed: int | None = None,
    preferred_backend: Any = None,
) -> tuple[Split, Split]:
    """Cut data in two, for instance to train on one part and to test on the other.

    All of it is held in memory.

    Args:
        dataset: Arrays (single, or in a list, tuple or dict of equal lengths); a `PyDataset`, whose
            batches are split and, on both sides, made anew in the same size; or an iterable
            of single samples: a generator, a list-like data set.
        left_size: Samples on the left: an integer, or a fraction strictly between 0
            and 1. `None`: all that are not on the right.
        right_size: The same of the right, which ends with the data's end.
        shuffle: Whether to shuffle the samples before.
        seed: Integer that fixes their order, the same as Keras gives them.
        preferred_backend: Kept for Keras' sake; `None` or `"jax"`.

    Returns:
        The left and the right data set, of single samples unless batches were given. With
        `batch(32)` they can be trained on.

    Example:
        >>> left, right = split_dataset((np.arange(10), np.arange(10) ** 2), left_size=0.8)
        >>> len(left), [(int(x), int(y)) for x, y in right]
        (8, [(8, 64), (9, 81)])
    """
    if preferred_backend not in (None, "jax"):
        raise bad_argument(_WHO, "preferred_backend", "None or 'jax'", preferred_backend)
    if left_size is None and right_size is None:
        raise bad_argument(_WHO, "left_size", "given if `right_size` is not", None)
    arrays, batch_size = _as_arrays(dataset)
    rows = list(range(len(jax.tree.leaves(arrays)[0])))
    left, right = _sizes(left_size, right_size, len(rows))
    if shuffle:
        random.Random(random.randint(0, int(1e6)) if seed is None else seed).shuffle(rows)
    return Split(arrays, rows[:left], batch_size), Split(arrays, rows[-right:], batch_size)


def _as_arrays(dataset):
    """A pytree of arrays with all samples, and the batch size; `None` for single samples."""
    if isinstance(dataset, PyDataset) and not _is_single(dataset):
        if dataset.num_batches is None:
            raise bad_argument(_WHO, "dataset", "of a known length", dataset)
        batches = list(dataset)
        _check_some(batches)
        arrays = jax.tree.map(lambda *parts: np.concatenate(parts), *batches)
        return arrays, getattr(dataset, "batch_size", None) or len(jax.tree.leaves(batches[0])[0])
    if isinstance(dataset, list | tuple | Mapping) or hasattr(dataset, "__array__"):
        _check_some(dataset)
        return _check_arrays(tuple(dataset) if isinstance(dataset, list) else dataset), None
    if hasattr(dataset, "as_numpy_iterator"):
        dataset = dataset.as_numpy_iterator()
    if isinstance(dataset, str | bytes) or not (
        isinstance(dataset, Iterable) or hasattr(dataset, "__getitem__")
    ):
        raise TypeError(f"{_WHO}: `dataset` must be {_ACCEPTED}; got {type(dataset)}.")
    samples = list(_samples(dataset))
    _check_some(samples)
    return stack(samples), None


def _is_single(dataset):
    return isinstance(dataset, Dataset) and dataset.batch_size is None


def _samples(dataset):
    if isinstance(dataset, Iterable):
        yield from dataset
        return
    length = len(dataset) if hasattr(dataset, "__len__") else None
    for index in itertools.count() if length is None else range(length):
        try:
            yield dataset[index]
        except IndexError:
            return


def _check_some(items):
    if len(items) == 0:
        raise bad_argument(_WHO, "dataset", "at least one sample long", "none")


def _check_arrays(dataset):
    arrays = jax.tree.map(np.asarray, dataset)
    shapes = [array.shape for array in jax.tree.leaves(arrays)]
    if not all(shapes) or len({shape[0] for shape in shapes}) != 1:
        raise bad_argument(_WHO, "dataset", "arrays of equal length", f"shapes {shapes}")
    return arrays


def _sizes(left, right, total):
    """Samples on the left and on the right."""
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            continue
        wanted = f"an integer from 1 to {total - 1}, or strictly between 0 and 1"
        if isinstance(size, bool) or not isinstance(size, numbers.Real):
            raise TypeError(f"{_WHO}: `{name}` must be {wanted}; got {size!r}.")
        if not 0 < size < (total if isinstance(size, numbers.Integral) else 1):  # pyright: ignore[reportOperatorIssue]
            raise bad_argument(_WHO, name, wanted, size)
    found = [
        size if size is None or isinstance(size, numbers.Integral) else round(size * total)
        for size in (left, right)
    ]
    left_count = total - found[1] if found[0] is None else found[0]
    right_count = total - left_count if found[1] is None else found[1]
    if left_count + right_count > total or not (left_count and right_count):
        wanted = f"such that both sides of {total} samples get some, and none twice"
        got = f"{left} and {right} on the right, that is {left_count} and {right_count}"
        raise bad_argument(_WHO, "left_size", wanted, got, "Give only one of the two.")
    return int(left_count), int(right_count)
