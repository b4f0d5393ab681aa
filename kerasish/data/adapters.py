"""The one door for data: whatever a user passes as `x` becomes `Batches`."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data.array_batches import ArrayBatches, Batches, RowBatches
from kerasish.data.array_conversion import (
    count_rows,
    holds_arrays,
    is_sparse,
    match_outputs,
    to_arrays,
)
from kerasish.data.class_weights import check_sample_weight, refuse_balanced
from kerasish.data.dataset import Dataset
from kerasish.data.py_dataset import PyDataset, PyDatasetBatches
from kerasish.data.sample_weights import weigh_samples
from kerasish.data.stream_batches import StreamBatches, known_length, strip

_ACCEPTED = (
    "arrays (NumPy, JAX, pandas, torch, scipy's sparse, lists of numbers; single or in "
    "lists, tuples and dicts), a generator or another iterable of batches (a torch DataLoader, a "
    "grain data set, a tf.data data set) or a PyDataset"
)
_DEFAULT_BATCH_SIZE = 32


def make_batches(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping | str | None = None,
    steps: int | None = None,
) -> Batches:
    """Batches of whatever was passed to `fit`, `evaluate` or `predict`.

    Args:
        x: Inputs: arrays or a pytree of them, or a source of whole batches: a generator, an
            iterable, a `PyDataset`, or `Batches`, which are returned as they are.
        y: Targets; only beside arrays.
        sample_weight: A weight for each sample; only beside arrays.
        batch_size: Rows of a batch of arrays. `None` is 32, or what makes `steps` batches.
        shuffle: Whether to draw a new order for each epoch, or `"batch"`: one of the batches of
            arrays, and of the rows within each. Streams come in their own order, and so do the
            data sets made by kerasish.
        class_weight: Class number to weight, made into sample weights, which it multiplies; or
            `"balanced"`; for several outputs a list or dict of these.
        steps: How many batches the caller will take for an epoch; endless sources need it.

    Example:
        >>> batches = make_batches(np.arange(5.0), batch_size=2)
        >>> [x.tolist() for (x,) in batches.epoch(0)]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """
    _check_count("batch_size", batch_size)
    _check_count("steps_per_epoch", steps)
    if shuffle not in (True, False, "batch"):
        raise bad_argument("data", "shuffle", "True, False or 'batch'", shuffle)
    if holds_arrays(x):
        return _from_arrays(x, y, sample_weight, batch_size, shuffle, class_weight, steps)
    kind = _check_stream(x)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            wanted = f"None where `x` is a {kind}"
            raise bad_argument("data", name, wanted, type(value), f"Its batches hold `{name}` too.")
    if batch_size is not None and not isinstance(x, Batches):
        warnings.warn(
            f"`batch_size` is ignored: `x` is a {kind} and makes whole batches.", stacklevel=3
        )
    if isinstance(x, Batches):
        if class_weight is not None:
            raise bad_argument("fit", "class_weight", f"None where `x` is a {kind}", class_weight)
        return x
    refuse_balanced(class_weight, f"a {kind}")
    if steps is None and _is_endless(x):
        hint = "Say how many batches to take (`steps` in `evaluate` and `predict`)."
        raise bad_argument("data", "steps_per_epoch", f"given for an endless {kind}", None, hint)
    if isinstance(x, PyDataset):
        return PyDatasetBatches(x, bool(shuffle) and not isinstance(x, Dataset), class_weight)
    return StreamBatches(x, class_weight)


def _check_count(name, value):
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and not (whole and value > 0):
        raise bad_argument("data", name, "a positive integer or None", value)


def _check_stream(x):
    kind = type(x).__name__
    streams = Batches | PyDataset | Iterable
    if isinstance(x, streams) and not isinstance(x, str | bytes | list | tuple | Mapping):
        return kind
    if hasattr(x, "as_numpy_iterator"):
        return kind
    hint = ""
    if isinstance(x, list | tuple | Mapping):
        hint = "It holds something else than arrays."
    elif isinstance(x, Callable):
        hint = "If it makes a generator, call it: `fit(make(), ...)`."
    elif hasattr(x, "__getitem__"):
        hint = "If it gives single samples, put a loader that makes batches of them around it."
    raise bad_argument("data", "x", _ACCEPTED, type(x), hint)


def _is_endless(x):
    return x.num_batches is None if isinstance(x, PyDataset) else known_length(x) == math.inf


def _from_arrays(x, y, sample_weight, batch_size, shuffle, class_weight, steps):
    if not holds_arrays(y):
        raise bad_argument("data", "y", "arrays, as `x` is", type(y))
    x, y = to_arrays(x, strings=True), to_arrays(y, "y")
    sample_weight = to_arrays(sample_weight, "sample_weight")
    check_sample_weight(sample_weight)
    if class_weight is not None:
        sample_weight = weigh_samples(y, class_weight, sample_weight)
    rows = count_rows(x, y, sample_weight)
    if rows == 0:
        raise bad_argument("data", "x", "at least one row long", "0 rows")
    if batch_size is None:
        batch_size = math.ceil(rows / steps) if steps else _DEFAULT_BATCH_SIZE
    arrays = strip(x, y, match_outputs(sample_weight, y))
    stays = any(map(_stays_on_host, jax.tree.leaves(arrays)))
    return (RowBatches if stays else ArrayBatches)(arrays, int(batch_size), shuffle)


def _stays_on_host(array):
    return is_sparse(array) or isinstance(array, np.memmap) or array.dtype.kind in "OUS"
