"""From what users pass to pytrees of arrays: conversion, row counts, splits."""

import functools
import math
import numbers
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.dtypes import is_float
from kerasish.core.errors import bad_argument, see
from kerasish.ops.sparse import is_sparse as is_jax_sparse

_SEQUENCES = (list, tuple, range)
_STRINGS = (
    "Turn strings into numbers first, with `keras.layers.StringLookup`, "
    "`keras.layers.TextVectorization` or pandas' `get_dummies`."
)


def to_arrays(data: Any, name: str = "x", strings: bool = False) -> Any:
    """The same pytree with every leaf an array: NumPy's stay NumPy's, JAX's stay JAX's.

    pandas, torch and anything else with `__array__` become NumPy arrays, and so do lists of
    numbers; a pandas Series becomes a column. NumPy floats are cast to `floatx()`. scipy's sparse
    matrices stay sparse, with rows that are quick to take.

    Args:
        data: An array, or any pytree of lists, tuples and mappings of them; `None` stays `None`.
        name: What errors call it.
        strings: Whether arrays of strings are let through, for models that take them.

    Shapes:
        Each leaf `(rows, ...)`.
    """
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {k: to_arrays(value, f"{name}[{k!r}]", strings) for k, value in data.items()}
    if isinstance(data, _SEQUENCES) and not _lists_values(data):
        items = [to_arrays(item, f"{name}[{i}]", strings) for i, item in enumerate(data)]
        kind: Any = type(data)
        return kind(*items) if hasattr(data, "_fields") else kind(items)
    return _to_array(data, name, strings)


def holds_arrays(data: Any) -> bool:
    """Whether data is an array, a list of values, or a pytree of nothing but these.

    Args:
        data: Anything.
    """
    if isinstance(data, Mapping):
        return all(map(holds_arrays, data.values()))
    if isinstance(data, _SEQUENCES):
        return _lists_values(data) or all(map(holds_arrays, data))
    return data is None or hasattr(data, "__array__") or is_sparse(data) or is_jax_sparse(data)


def is_sparse(data: Any) -> bool:
    """Whether data is one of scipy's sparse matrices.

    Args:
        data: Anything.
    """
    return hasattr(data, "tocsr")


def _lists_values(data):
    while isinstance(data, _SEQUENCES):
        if len(data) == 0:
            return True
        data = data[0]
    return isinstance(data, numbers.Number | np.generic | str | bytes)


def _to_array(data, name, strings):
    if is_jax_sparse(data):
        data = _with_rows(data)
    if isinstance(data, jax.Array):
        array = data
    elif isinstance(data, np.ndarray):
        array = _check_numbers(data, name, strings)
    elif is_sparse(data):
        array = _check_numbers(data.tocsr(), name, strings)
    elif hasattr(data, "iloc"):
        array = _check_numbers(_from_pandas(data, name, strings), name, strings)
    elif hasattr(data, "detach"):
        array = _check_numbers(_from_torch(data), name, strings)
    elif isinstance(data, _SEQUENCES):
        array = _check_numbers(_from_list(data, name), name, strings)
    elif isinstance(data, numbers.Number) or hasattr(data, "__array__"):
        array = _check_numbers(np.asarray(data), name, strings)
    else:
        wanted = "an array (NumPy, JAX, pandas or torch) or a list of numbers"
        raise bad_argument("data", name, wanted, type(data))
    if array.ndim == 0:
        hint = "If the source gives single samples, group them into batches first."
        raise bad_argument("data", name, "an array whose first axis counts rows", data, hint)
    return array


def _with_rows(matrix):
    """One of JAX's sparse arrays as scipy's, whose rows are quick to take; dense if no matrix."""
    from scipy.sparse import csr_matrix  # JAX needs it, we seldom do

    if matrix.ndim != 2 or not hasattr(matrix, "indices"):
        return matrix.todense()
    if matrix.n_batch or matrix.n_dense:
        return matrix.todense()
    rows, columns = np.asarray(matrix.indices).T
    kept = (rows < matrix.shape[0]) & (columns < matrix.shape[1])  # others are padding
    values = np.asarray(matrix.data)[kept]
    return csr_matrix((values, (rows[kept], columns[kept])), matrix.shape)


def _from_list(values, name):
    try:
        array = np.asarray(values)
        return array if array.dtype.kind not in "US" else np.array(values, object)
    except ValueError:  # NumPy's word for a ragged list
        hint = "Bring them to one length with `keras.utils.pad_sequences`."
        raise bad_argument(
            "data",
            name,
            "lists of one length at each depth",
            f"{len(values)} of different lengths",
            hint,
        ) from None


def _from_torch(tensor):
    tensor = tensor.detach().cpu()
    # NumPy has no bfloat16 to share memory with.
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _from_pandas(table, name, strings):
    if table.ndim == 1:
        table = table.to_frame()
    if strings and all(d.kind not in "biufcmM" for d in table.dtypes):
        return table.to_numpy(dtype=object)
    other = {str(c): str(d) for c, d in table.dtypes.items() if d.kind not in "biufc"}
    if other:
        for column in (c for c, d in table.dtypes.items() if d.kind == "O"):
            _refuse_numbers_as_objects(table[column].to_numpy(), name)
        hint = "Give columns by name, `dict(table)`, to a model that takes strings." * strings
        hint = f"{_STRINGS} {hint}".rstrip()
        raise bad_argument("data", name, "numbers in every column", other, hint, "E13")
    values = table.to_numpy()
    if values.dtype == object:  # bools beside floats, or pandas' own integers with gaps
        values = table.to_numpy(dtype=settings.floatx(), na_value=np.nan)
    return np.ascontiguousarray(values)  # pandas keeps columns together, batches take rows


def _check_numbers(array, name, strings):
    dtype = _dtype_for(array.dtype, settings.floatx())
    if dtype is None:
        _refuse_numbers_as_objects(array, name)
        if strings and _are_strings(array, name):
            return array if array.dtype.kind in "OUS" else array.astype(object)
        hint = "Convert it to a type of number first."
        hint = _STRINGS if array.dtype.kind in "OUST" else hint
        raise bad_argument("data", name, "numbers", f"dtype {array.dtype}", hint, "E13")
    return array if dtype == array.dtype else array.astype(dtype)


def _refuse_numbers_as_objects(array, name):
    """Say how to convert numbers that an array holds as Python's objects, or writes as strings."""
    if array.dtype.kind != "O" or not array.size:
        return
    elements = array.ravel().tolist()
    if all(isinstance(x, str | bytes) for x in elements):
        return
    try:
        array.astype("float64")
    except (TypeError, ValueError):
        return
    hint = "It holds numbers as objects, as tables of several types do: `.astype('float32')`."
    raise bad_argument("data", name, "an array of a type of number", "dtype object", hint)


def _are_strings(array, name):
    """Whether an array holds strings; an error if only some of its elements are."""
    if array.dtype.kind != "O":
        return array.dtype.kind in "UST"
    others = [x for x in array.ravel().tolist() if not isinstance(x, str | bytes)]
    if others and len(others) < array.size:
        hint = "Write out what is missing, with pandas' `fillna('')`, say."
        raise bad_argument("data", name, "strings in every element", others[:3], hint)
    return not others


@functools.lru_cache
def _dtype_for(dtype, floatx):
    """The dtype that arrays of one come to have; `None` for one of no numbers."""
    if not (dtype.kind == "b" or jnp.issubdtype(dtype, np.number)):
        return None
    return np.dtype(floatx) if is_float(dtype) else dtype


def count_rows(x: Any, y: Any = None, sample_weight: Any = None) -> int:
    """How many rows all the arrays have; an error that names each if they differ.

    Args:
        x: Inputs: a pytree of arrays.
        y: Targets.
        sample_weight: Weights of the samples.
    """
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves((x, y, sample_weight))}
    if len(sizes) == 1:
        return sizes.pop()
    if not sizes:
        raise bad_argument("data", "x", "at least one array", x)
    found = {}
    for name, part in zip(("x", "y", "sample_weight"), (x, y, sample_weight), strict=True):
        for path, leaf in jax.tree.leaves_with_path(part):
            found[name + jax.tree_util.keystr(path)] = leaf.shape[0]
    first, *others = found
    odd = next(other for other in others if found[other] != found[first])
    rows = ", ".join(f"{name} has {size}" for name, size in found.items())
    raise ValueError(
        f"data: `{odd}` must have as many rows as `{first}`; got: {rows}. {see('E02')}"
    )


def unpack_x_y_sample_weight(data: Any) -> tuple:
    """`(x, y, sample_weight)` from a batch `x`, `(x,)`, `(x, y)` or all three; `None` for the rest.

    Args:
        data: The batch.

    Example:
        >>> unpack_x_y_sample_weight(([1, 2], [3, 4]))
        ([1, 2], [3, 4], None)
    """
    if not isinstance(data, list | tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        wanted = "`x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`"
        hint = "If the items are several inputs, put them in a tuple of their own: `((a, b), y)`."
        raise bad_argument("data", "batch", wanted, f"{len(data)} items", hint)
    return (*data, None, None)[:3]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The shortest batch that `unpack_x_y_sample_weight` gives these back from.

    Args:
        x: Inputs.
        y: Targets.
        sample_weight: Weights of the samples.

    Example:
        >>> pack_x_y_sample_weight("x", "y")
        ('x', 'y')
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def train_validation_split(arrays: Any, validation_split: float) -> tuple[Any, Any]:
    """Cut arrays in two: the rows before the last fraction, and the last fraction.

    Args:
        arrays: `(x, y, sample_weight)` or any other pytree of arrays with one number of rows.
        validation_split: Fraction of the rows to hold out, strictly between 0 and 1.

    Returns:
        `(train, validation)`, two pytrees like `arrays`.
    """
    if not (isinstance(validation_split, numbers.Real) and 0 < validation_split < 1):
        wanted = "strictly between 0 and 1"
        raise bad_argument("fit", "validation_split", wanted, validation_split)
    if not holds_arrays(arrays):
        kinds = (
            [type(part).__name__ for part in arrays] if isinstance(arrays, tuple) else type(arrays)
        )
        hint = "Pass the held-out part in `validation_data`."
        raise bad_argument("fit", "validation_split", "used with arrays only", kinds, hint)
    parts = unpack_x_y_sample_weight(arrays)
    names = ("x", "y", "sample_weight")
    pairs = zip(parts, names, strict=True)
    parts = tuple(to_arrays(part, name, strings=name == "x") for part, name in pairs)
    rows = count_rows(*parts)
    cut = math.floor(rows * (1.0 - validation_split))
    if cut in (0, rows):
        wanted = f"a fraction that leaves rows on both sides of {rows}"
        raise bad_argument("fit", "validation_split", wanted, validation_split)
    like = parts[: len(arrays)] if isinstance(arrays, list | tuple) else parts[0]
    return jax.tree.map(lambda a: a[:cut], like), jax.tree.map(lambda a: a[cut:], like)


def match_outputs(sample_weight: Any, y: Any) -> Any:
    """Sample weights in the structure of `y`: one array for all outputs is given to each.

    Args:
        sample_weight: Arrays of weights, or `None`.
        y: Targets, as arrays.
    """
    if sample_weight is None or not isinstance(y, list | tuple | Mapping):
        return sample_weight
    if isinstance(sample_weight, list | tuple | Mapping):
        _check_same_outputs(sample_weight, y)
        return sample_weight
    if not (sample_weight.ndim == 1 or sample_weight.shape[1:] == (1,)):
        hint = "For finer weights pass one array for each output."
        wanted = "one number for each sample where the model has several outputs"
        raise bad_argument("data", "sample_weight", wanted, f"shape {sample_weight.shape}", hint)
    return jax.tree.map(lambda _: sample_weight, y)


def _check_same_outputs(sample_weight, y):
    def names(parts):
        return sorted(parts) if isinstance(parts, Mapping) else list(range(len(parts)))

    if names(sample_weight) != names(y):
        wanted = f"one array for each output in `y`, {names(y)}"
        raise bad_argument("data", "sample_weight", wanted, names(sample_weight))
