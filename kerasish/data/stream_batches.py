"""Batches that come from somewhere else: generators, loaders, data sets of other libraries."""

import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import jax

from kerasish.core.errors import bad_argument
from kerasish.data.array_batches import Batches, dense
from kerasish.data.array_conversion import (
    count_rows,
    to_arrays,
    unpack_x_y_sample_weight,
)
from kerasish.data.class_weights import check_sample_weight
from kerasish.data.sample_weights import weigh_samples

_ENDLESS_LENGTH = 2**62  # grain's `repeat()` has the largest length there is


class StreamBatches(Batches):
    """Batches of any iterable of batches, by nothing but its interface.

    An iterable is started anew for each epoch; a generator or iterator continues where it is, and
    one that has ended gives a warning instead of batches.

    Args:
        source: An iterator, an iterable (a torch `DataLoader`, a grain data set or loader, ...) or
            an object with `as_numpy_iterator`, of batches `x`, `(x,)`, `(x, y)` or
            `(x, y, sample_weight)`.
        class_weight: Class number to weight, made into the batches' sample weights.
    """

    def __init__(self, source: Any, class_weight: Any = None):
        self.source = source
        self.class_weight = class_weight
        self.one_shot = isinstance(source, Iterator)
        size = getattr(source, "batch_size", None)
        self.batch_size = size if isinstance(size, int) else None
        length = known_length(source)
        self.num_batches = None if length == math.inf else length
        self._gave_any = False

    def epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches of that epoch.

        Args:
            epoch: Number of the epoch, from 0.
        """
        make_iterator = getattr(self.source, "as_numpy_iterator", None)
        given = 0
        for item in make_iterator() if make_iterator else self.source:
            given += 1
            self._gave_any = True
            yield make_batch(item, self.class_weight, self.strings)
        if given == 0:
            self._complain()
        elif not self.one_shot:
            self.num_batches = given  # what counts is what came, whatever its length said

    def _complain(self):
        if not self._gave_any:
            raise bad_argument("data", "x", "a source of at least one batch", self.source)
        warnings.warn(
            f"Your input ran out of data: the {type(self.source).__name__} has no more batches. "
            "Make it give `steps_per_epoch * epochs` of them, or pass something that can be read "
            "again from its start.",
            stacklevel=3,
        )


def make_batch(item: Any, class_weight: Any = None, strings: bool = False) -> tuple:
    """A batch as steps take it: a tuple of one to three pytrees of arrays of equal length.

    Args:
        item: What the source gave: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.
        class_weight: Class number to weight.
        strings: Whether `x` may hold strings.
    """
    x, y, sample_weight = unpack_x_y_sample_weight(item)
    x, y = to_arrays(x, strings=strings), to_arrays(y, "y")
    sample_weight = to_arrays(sample_weight, "sample_weight")
    check_sample_weight(sample_weight)
    if class_weight is not None:
        sample_weight = weigh_samples(y, class_weight, sample_weight)
    parts = strip(x, y, sample_weight)
    count_rows(*parts)
    return jax.tree.map(dense, parts)


def strip(x: Any, y: Any = None, sample_weight: Any = None) -> tuple:
    """The parts of a batch as a tuple, without those at the end that are `None`.

    Args:
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the samples.
    """
    if sample_weight is not None:
        return x, y, sample_weight
    return (x,) if y is None else (x, y)


def known_length(source: Any) -> int | float | None:
    """How many batches a source says it has: infinity if endless, `None` if it does not say.

    Args:
        source: An iterable.
    """
    if isinstance(source, itertools.cycle | itertools.count | itertools.repeat):
        return math.inf
    if hasattr(source, "cardinality"):  # as tf.data has it: -1 endless, -2 unknown
        length = int(source.cardinality())
        return {-1: math.inf, -2: None}.get(length, length)
    try:
        length = len(source)
    except (TypeError, NotImplementedError):
        return None
    return length if length < _ENDLESS_LENGTH else math.inf
