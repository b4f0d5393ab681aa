"""Data sets of samples in an order of their own, and tf.data's names for what is done to them."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import make_default_seed
from kerasish.data.array_batches import epoch_generator
from kerasish.data.py_dataset import PyDataset


class Dataset(PyDataset):
    """Base of ready-made data sets: a `PyDataset` with the most used methods of `tf.data`.

    Each pass over it, by `fit` or by a `for` loop, is an epoch, in an order of its own if the data
    set is shuffled. `fit` leaves that order as it is.

    Attributes:
        batch_size: Rows of a full batch; `None` if items are single samples.
    """

    batch_size: int | None = None

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define `__len__()`.")

    def __iter__(self):
        self.on_epoch_begin()
        return (self[i] for i in range(len(self)))

    def check(self, index: int) -> None:
        """End loops that go by the index.

        Args:
            index: The index asked for.
        """
        if not 0 <= index < len(self):
            raise IndexError(index)

    def map(self, map_func: Callable, num_parallel_calls: Any = None) -> "Dataset":
        """A function's results, `map_func(x)` or `map_func(x, y)`, computed in order.

        Args:
            map_func: Function of an item, or of its parts if it is a tuple.
            num_parallel_calls: Kept for tf.data's sake; files are read in threads anyway.
        """
        return _Mapped(self, map_func)

    def batch(self, batch_size: int | None, drop_remainder: bool = False) -> "Dataset":
        """Items stacked in batches.

        Args:
            batch_size: Items in a batch.
            drop_remainder: Whether to leave out a last batch that has fewer.
        """
        return _Batched(self, batch_size, drop_remainder)

    def shuffle(
        self,
        buffer_size: int | None = None,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
    ) -> "Dataset":
        """The items in another order.

        Args:
            buffer_size: Kept for tf.data's sake: all items are shuffled.
            seed: Integer that fixes the orders.
            reshuffle_each_iteration: Whether to draw a new order for each epoch.
        """
        return _Shuffled(self, seed, reshuffle_each_iteration)

    def take(self, count: int) -> "Dataset":
        """The first `count` items of each epoch; all for -1.

        Args:
            count: Number of items.
        """
        return _Part(self, 0, len(self) if count == -1 else count)

    def skip(self, count: int) -> "Dataset":
        """Each epoch's items without the first `count`; none for -1.

        Args:
            count: Number of items.
        """
        return _Part(self, len(self) if count == -1 else count, len(self))

    def cache(self) -> "Dataset":
        """The first epoch's items, kept in memory for all others, in the same order."""
        return _Cached(self)

    def prefetch(self, buffer_size: int | None = None) -> "Dataset":
        """The data set itself: `fit` reads ahead anyway.

        Args:
            buffer_size: Kept for tf.data's sake.
        """
        return self


class Samples(Dataset):
    """Base of data sets that have any sample at hand. A subclass defines `gather`.

    Args:
        count: Samples in all.
        batch_size: Samples in a batch; `None` gives them one by one, without a batch axis.
        reshuffle: Whether to draw a new order for each epoch.
        seed: Integer that fixes the orders.

    Example:
        >>> class Squares(Samples):
        ...     def gather(self, rows):
        ...         return np.asarray(rows) ** 2
        >>> [x.tolist() for x in Squares(5, batch_size=2).skip(1).map(lambda x: -x)]
        [[-4, -9], [-16]]
    """

    def __init__(
        self,
        count: int,
        batch_size: int | None = None,
        reshuffle: bool = False,
        seed: int | None = None,
    ):
        super().__init__()
        self.batch_size, self.reshuffle = batch_size, reshuffle
        self.seed = make_default_seed() if reshuffle and seed is None else seed
        self._epoch = 0
        self._order = np.arange(count)

    def gather(self, rows: Any) -> Any:
        """The sample of that number, or the batch of these.

        Args:
            rows: A number, or an array of numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `gather(rows)`.")

    def __len__(self):
        return math.ceil(len(self._order) / (self.batch_size or 1))

    def __getitem__(self, index):
        self.check(index)
        size = self.batch_size
        return self.gather(self._order[index if size is None else _slice(index, size)])

    def on_epoch_begin(self) -> None:
        """Draw the epoch's order."""
        if self.reshuffle:
            self._order = epoch_generator(self.seed, self._epoch).permutation(len(self._order))
            self._epoch += 1


def stack(items: list) -> Any:
    """A batch of items that are alike: arrays get a first axis, strings become an array of them.

    Args:
        items: Pytrees of one structure, with arrays of one shape or strings.

    Example:
        >>> stack([("a", 1), ("b", 2)])
        (array(['a', 'b'], dtype=object), array([1, 2]))
    """
    return jax.tree.map(_stack_leaves, *items)


def _stack_leaves(*leaves):
    if isinstance(leaves[0], str | bytes):
        return np.array(leaves, dtype=object)
    arrays = [np.asarray(leaf) for leaf in leaves]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise bad_argument("data", "items", "of one shape to make a batch", sorted(shapes))
    return np.stack(arrays)


def _slice(index, size):
    return slice(index * size, (index + 1) * size)


class _Through(Dataset):
    """Items of another data set, changed."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.batch_size = source.batch_size

    def __len__(self):
        return len(self.source)

    def __getattr__(self, name):
        # What folders' data sets have stays with what is made of them.
        if name == "class_names":
            return self.source.class_names
        if name == "file_paths":
            return self._paths()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _paths(self):
        """Paths of the files, in their order before any shuffling."""
        return self.source.file_paths

    def on_epoch_begin(self):
        self.source.on_epoch_begin()

    def on_epoch_end(self):
        self.source.on_epoch_end()


def _is_shuffled(dataset):
    while isinstance(dataset, _Through) and not isinstance(dataset, _Shuffled):
        dataset = dataset.source
    return isinstance(dataset, _Shuffled) or getattr(dataset, "reshuffle", False)


class _Mapped(_Through):
    def __init__(self, source, function):
        super().__init__(source)
        self.function = function

    def __getitem__(self, index):
        self.check(index)
        item = self.source[index]
        return self.function(*item) if isinstance(item, tuple) else self.function(item)


class _Batched(_Through):
    def __init__(self, source, batch_size, drop_remainder):
        super().__init__(source)
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise bad_argument("batch", "batch_size", "a positive integer", batch_size)
        self.batch_size: Any = int(batch_size)
        self.drop_remainder = drop_remainder

    def __len__(self):
        full, rest = divmod(len(self.source), self.batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index):
        self.check(index)
        rows = range(len(self.source))[_slice(index, self.batch_size)]
        return stack([self.source[row] for row in rows])


class _Shuffled(_Through):
    def __init__(self, source, seed, each_epoch):
        super().__init__(source)
        self.seed = make_default_seed() if seed is None else seed
        self.each_epoch = each_epoch
        self._epoch = 0
        self._order = self._draw()

    def _draw(self):
        return epoch_generator(self.seed, self._epoch).permutation(len(self.source)).tolist()

    def __getitem__(self, index):
        self.check(index)
        return self.source[self._order[index]]

    def on_epoch_begin(self):
        super().on_epoch_begin()
        self._order = self._draw()
        self._epoch += self.each_epoch


class _Part(_Through):
    def __init__(self, source, start, stop):
        super().__init__(source)
        self.rows = range(len(source))[max(start, 0) : max(stop, 0)]

    def _paths(self):
        paths, size = self.source.file_paths, self.batch_size or 1
        if _is_shuffled(self.source):  # each epoch has other ones of all
            return paths
        return paths[self.rows.start * size : self.rows.stop * size]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        self.check(index)
        return self.source[self.rows[index]]


class _Cached(_Through):
    def __init__(self, source):
        super().__init__(source)
        self.items = {}

    def __getitem__(self, index):
        self.check(index)
        if index not in self.items:
            self.items[index] = self.source[index]
        return self.items[index]

    def on_epoch_begin(self):
        if not self.items:  # later epochs find the items in the order of the first
            super().on_epoch_begin()
