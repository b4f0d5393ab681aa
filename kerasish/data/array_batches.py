"""Batches: what the training engine reads, and those of arrays held in memory."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.state.seeds import make_default_seed
from kerasish.data.array_conversion import count_rows, is_sparse


class Batches:
    """A source of batches: tuples `(x,)`, `(x, y)` or `(x, y, sample_weight)` of pytrees of arrays.

    An epoch is one pass over the data: whoever wants fewer batches takes fewer, and continues with
    the same iterator.

    Attributes:
        num_batches: Batches in one epoch; `None` if unknown or without end.
        batch_size: Rows of a full batch; `None` if unknown.
        num_samples: Rows in all; `None` if unknown.
        one_shot: Whether the data can be read only once, as a generator's.
        seed: Integer that fixes the order of each epoch; `None` where nothing is shuffled.
        strings: Whether the inputs may hold strings, for models that take them.
    """

    one_shot = False
    strings = False
    seed: int | None = None
    num_batches: int | None = None
    batch_size: int | None = None
    num_samples: int | None = None

    def epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches of that epoch. One without any batch means that the data ran out.

        Args:
            epoch: Number of the epoch, from 0.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its batches are.")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

    def close(self) -> None:
        """Stop whatever threads and processes the source has started."""


class RowBatches(Batches):
    """Batches of anything in memory that has rows, in order or shuffled.

    Args:
        arrays: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, each an array, a pytree of arrays, or
            `None`. NumPy arrays give NumPy batches, JAX arrays JAX ones, and of a sparse matrix
            each batch's rows are made dense.
        batch_size: Rows of a batch; the last one of an epoch may have fewer.
        shuffle: `True` draws a new order of all rows for each epoch; `"batch"` one of the batches
            (a last one that is smaller stays last) and of the rows within each; `False` leaves them
            in order.
        seed: Integer that, with the epoch, fixes the order; `None` draws one.

    Shapes:
        Each array `(num_samples, ...)`, each batch of it `(batch_size, ...)`.
    """

    num_samples: int
    num_batches: int
    batch_size: int

    def __init__(
        self,
        arrays: tuple,
        batch_size: int = 32,
        shuffle: bool | str = False,
        seed: int | None = None,
    ):
        self.arrays = arrays
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = make_default_seed() if shuffle and seed is None else seed
        self.num_samples = count_rows(*arrays)
        self.num_batches = math.ceil(self.num_samples / batch_size)

    def order(self, epoch: int) -> np.ndarray | None:
        """The rows of an epoch in the order it takes them; `None` for the order they have.

        It depends on nothing but `seed` and `epoch`, so an interrupted run can resume inside it.

        Args:
            epoch: Number of the epoch, from 0.

        Shapes:
            `(num_samples,)` of int32.
        """
        if not self.shuffle:
            return None
        rows = np.arange(self.num_samples, dtype=np.int32)
        return self._shuffled(rows, epoch_generator(self.seed, epoch))

    def _shuffled(self, rows, generator):
        if self.shuffle != "batch":
            return generator.permutation(rows)
        full = len(rows) - len(rows) % self.batch_size
        blocks = generator.permuted(rows[:full].reshape(-1, self.batch_size), axis=1)
        blocks = generator.permutation(blocks)
        return np.concatenate([blocks.reshape(-1), generator.permutation(rows[full:])])

    def epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches of that epoch, each gathered by one indexing of each array.

        Args:
            epoch: Number of the epoch.
        """
        order, size = self.order(epoch), self.batch_size
        leaves, structure = jax.tree.flatten(self.arrays)
        for start in range(0, self.num_samples, size):
            if order is None:
                batch = [dense(leaf[start : start + size]) for leaf in leaves]
            else:
                rows = order[start : start + size]
                batch = [_take_rows(leaf, rows) for leaf in leaves]
            yield structure.unflatten(batch)


class ArrayBatches(RowBatches):
    """`RowBatches` that may as well be put on the device: nothing sparse, nothing on disk.

    Example:
        >>> batches = ArrayBatches((np.arange(5), np.arange(5) ** 2), batch_size=3)
        >>> [y.tolist() for x, y in batches.epoch(0)]
        [[0, 1, 4], [9, 16]]
        >>> shuffled = ArrayBatches((np.arange(5),), batch_size=3, shuffle=True, seed=1)
        >>> sorted(shuffled.order(epoch=7).tolist())
        [0, 1, 2, 3, 4]
    """


def dense(array: Any) -> Any:
    """The array itself, or a sparse matrix written out.

    Args:
        array: An array, or a sparse matrix of scipy.
    """
    return array.toarray() if is_sparse(array) else array


def _take_rows(array, rows):
    if isinstance(array, np.ndarray):
        return array.take(rows, 0)
    return _take_jax_rows(array, rows) if isinstance(array, jax.Array) else dense(array[rows])


@jax.jit
def _take_jax_rows(array, rows):
    return jnp.take(array, rows, axis=0)


def epoch_generator(seed: Any, epoch: int) -> np.random.Generator:
    """NumPy's generator for one epoch, a function of both numbers and nothing else.

    Args:
        seed: Integer that fixes all epochs.
        epoch: Number of the epoch, from 0.
    """
    return np.random.Generator(np.random.Philox(key=[seed, epoch]))
