"""Small tools that prepare arrays before training: one-hot labels, norms, padding."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument

_ENDS = ("pre", "post")


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray | jax.Array:
    """One-hot rows of class numbers.

    Args:
        x: Integers from 0 to `num_classes - 1`. A JAX array gives a JAX array (`num_classes` must
            be given, and numbers out of range give rows of zeros); anything else NumPy's float64.
        num_classes: Number of classes; `None` is the largest number plus one.

    Shapes:
        `(...)` or `(..., 1)` -> `(..., num_classes)`.

    Example:
        >>> to_categorical([0, 2])
        array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    traced = isinstance(x, jax.Array)
    labels = x if traced else np.array(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if traced:
        if num_classes is None:
            raise bad_argument("to_categorical", "num_classes", "given for a JAX array", None)
        return jax.nn.one_hot(labels, num_classes, dtype=settings.floatx())
    if not num_classes:
        num_classes = int(labels.max()) + 1
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        found = (int(labels.min()), int(labels.max()))
        wanted = f"class numbers from 0 to {num_classes - 1}"
        raise bad_argument("to_categorical", "x", wanted, f"from {found[0]} to {found[1]}")
    rows = np.zeros((labels.size, num_classes))
    rows[np.arange(labels.size), labels.reshape(-1)] = 1
    return rows.reshape(*labels.shape, num_classes)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray | jax.Array:
    """Vectors of length one along an axis: `x / norm(x)`; vectors of zeros stay as they are.

    Args:
        x: Array. NumPy's gives NumPy's, anything else a JAX array.
        axis: The axis of the vectors.
        order: The norm: 1 sums absolute values, 2 is Euclid's.

    Shapes:
        As `x`.

    Example:
        >>> normalize(np.array([[3.0, 4.0]]))
        array([[0.6, 0.8]])
    """
    if isinstance(x, np.ndarray):
        norm = np.linalg.norm(x, order, axis, keepdims=True)
        return x / np.where(norm == 0, 1, norm)
    x = jnp.atleast_1d(jnp.asarray(x))
    norm = jnp.linalg.norm(x, order, axis, keepdims=True)
    return x / jnp.maximum(norm, settings.epsilon())


def pad_sequences(
    sequences: Sequence,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """One array of sequences of different lengths, filled up or cut to one length.

    Args:
        sequences: Sequences of numbers, or of equally shaped arrays.
        maxlen: Length of all; `None` is the longest one's.
        dtype: Type of the result; `object` for strings.
        padding: Where to fill up: `"pre"` before the sequence, `"post"` after it.
        truncating: Where to cut: `"pre"` at the start, `"post"` at the end.
        value: What to fill up with.

    Shapes:
        `n` sequences of `(steps, ...)` -> `(n, maxlen, ...)`.

    Example:
        >>> pad_sequences([[1], [2, 3]])
        array([[0, 1],
               [2, 3]], dtype=int32)
    """
    for name, end in (("padding", padding), ("truncating", truncating)):
        if end not in _ENDS:
            raise bad_argument("pad_sequences", name, f"one of {_ENDS}", end)
    if isinstance(value, str) and not (dtype is object or np.dtype(dtype).kind in "OUS"):
        hint = "Use `dtype=object` for strings."
        raise bad_argument("pad_sequences", "value", f"of dtype {dtype}", value, hint)
    lengths = _lengths(sequences)
    maxlen = max(lengths) if maxlen is None else maxlen
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    padded = np.full((len(lengths), maxlen, *shape), value, dtype=dtype)
    for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(length, maxlen)
        start = length - kept if truncating == "pre" else 0
        items = np.asarray(sequence[start : start + kept], dtype=dtype)
        if kept and items.shape[1:] != shape:
            wanted = f"steps of one shape, {shape}"
            got = f"{items.shape[1:]} in sequence {row}"
            raise bad_argument("pad_sequences", "sequences", wanted, got)
        at = maxlen - kept if padding == "pre" else 0
        padded[row, at : at + kept] = items.reshape(kept, *shape)
    return padded


def _lengths(sequences):
    try:
        lengths = [len(sequence) for sequence in sequences]
    except TypeError:
        raise bad_argument("pad_sequences", "sequences", "a list of sequences", sequences) from None
    if not lengths:
        raise bad_argument("pad_sequences", "sequences", "at least one sequence", sequences)
    return lengths
