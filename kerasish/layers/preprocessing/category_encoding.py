"""Layers that turn integers and ranges of numbers into categories, before any training."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import one_of, positive_int, within_budget
from kerasish.layers.base.calling import context
from kerasish.layers.base.layer import Layer
from kerasish.layers.preprocessing.host_layer import note_program, warn_of_programs
from kerasish.layers.preprocessing.normalization import as_batches
from kerasish.ops.nn.encoding import multi_hot, one_hot
from kerasish.ops.sparse import to_sparse


def encode(
    indices: Any,
    output_mode: str,
    depth: int,
    dtype: Any,
    sparse: bool = False,
    count_weights: Any = None,
) -> Any:
    """Integers as they are (`"int"`), or as ones and counts in `depth` positions.

    `"one_hot"` gives a new last axis, in place of one of size 1; `"multi_hot"` and `"count"` say
    which numbers, and how often, occur along axis 1.

    Args:
        indices: The integers.
        output_mode: What to make of them.
        depth: Width of ones and counts.
        dtype: Dtype of the result.
        sparse: Whether to give a sparse matrix.
        count_weights: For `"count"`: what each integer counts.
    """
    if output_mode == "int":
        return indices.astype(dtype)
    indices = jnp.atleast_1d(indices)
    along = 1 if indices.ndim > 1 else 0
    if output_mode == "one_hot":
        hidden = indices.ndim > 1 and indices.shape[-1] == 1
        result = one_hot(indices[..., 0] if hidden else indices, depth, dtype=dtype)
    elif output_mode == "multi_hot":
        result = multi_hot(indices, depth, dtype=dtype)
    elif count_weights is None:
        result = jnp.sum(one_hot(indices, depth, dtype=dtype), axis=along)
    else:
        weights = jnp.asarray(count_weights)[..., None]
        result = jnp.sum(one_hot(indices, depth, dtype=weights.dtype) * weights, axis=along)
    return to_sparse(result, indices.size) if sparse else result


def encode_array(indices: np.ndarray, output_mode: str, depth: int, dtype: Any) -> np.ndarray:
    """As `encode`, by NumPy, for what works on the host.

    Args:
        indices: The integers.
        output_mode: What to make of them.
        depth: Width of ones and counts.
        dtype: Dtype of the result.
    """
    if output_mode == "int":
        return indices.astype(dtype)
    shape, along = encoded_shape(indices.shape, output_mode, depth), int(indices.ndim > 1)
    if output_mode == "one_hot":
        indices = indices.reshape(-1, 1)
    else:
        indices = np.moveaxis(np.atleast_1d(indices), along, -1)
        indices = indices.reshape(-1, indices.shape[-1])
    result = np.zeros((len(indices), depth), dtype)
    rows, columns = np.nonzero((indices >= 0) & (indices < depth))
    positions = rows, indices[rows, columns]
    if output_mode == "count":
        np.add.at(result, positions, 1)
    else:
        result[positions] = 1
    return result.reshape(shape)


def encoded_shape(shape: Sequence, output_mode: str, depth: int) -> tuple:
    """The shape that `encode` gives.

    Args:
        shape: Shape of the integers; sizes may be unknown.
        output_mode: What to make of them.
        depth: Width of ones and counts.
    """
    if output_mode == "int":
        return tuple(shape)
    shape = tuple(shape) or (1,)
    if output_mode == "one_hot":
        hidden = len(shape) > 1 and shape[-1] == 1
        return (*(shape[:-1] if hidden else shape), depth)
    along = 1 if len(shape) > 1 else 0
    return (*shape[:along], *shape[along + 1 :], depth)


class CategoryEncoding(Layer):
    """Integers from 0 to `num_tokens - 1` as ones, or counts, in that many positions.

    Args:
        num_tokens: How many different numbers there are. Others count for nothing.
        output_mode: `"one_hot"`: each number by itself, on a new last axis (in place of one of size
            1); `"multi_hot"`: which numbers a sample has; `"count"`: how many of each.
        sparse: Whether to give a sparse matrix.

    Shapes:
        `(batch, elements)` -> `(batch, num_tokens)`; `"one_hot"`: `(...)` -> `(..., num_tokens)`.
        In a call, `count_weights` of the inputs' shape says for how much each element counts.

    Example:
        >>> CategoryEncoding(4, output_mode="count")(np.array([[0, 1, 1]]))
        Array([[1., 2., 0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_tokens = positive_int(self, "num_tokens", num_tokens)
        modes = ("one_hot", "multi_hot", "count")
        output_mode = "multi_hot" if output_mode == "binary" else output_mode
        self.output_mode = one_of(self, "output_mode", output_mode, modes)
        self.sparse = sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """Integers as vectors.

        Args:
            inputs: Integers.
            count_weights: With `output_mode="count"` what each integer counts, instead of 1.
        """
        if count_weights is not None and self.output_mode != "count":
            wanted = f"None where `output_mode` is {self.output_mode!r}"
            raise bad_argument(self, "count_weights", wanted, count_weights)
        if count_weights is not None:
            count_weights = jnp.asarray(count_weights, self.compute_dtype)
        where = self.output_mode, self.num_tokens, self.compute_dtype, self.sparse
        return encode(jnp.asarray(inputs), *where, count_weights)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["sparse"]
        return config


class Discretization(Layer):
    """The number of the bin that each element falls in.

    With edges `[a, b]` the bins are: less than `a`, from `a` to less than `b`, and the rest. Give
    the edges, or their number and let `adapt` find such that each bin gets as many elements. Adapt
    it before a model with it is trained: compiled programs keep the edges they were made with.

    Args:
        bin_boundaries: The edges, ascending.
        num_bins: How many bins `adapt` should make.
        epsilon: How far each bin's share may be off, as a fraction: a summary of `1 / epsilon`
            numbers is kept of the data.
        output_mode: `"int"`: the bin's number; else as of `CategoryEncoding`.
        sparse: Whether to give a sparse matrix; not with `"int"`.

    Shapes:
        Any -> the same; else as of `CategoryEncoding`.

    Example:
        >>> Discretization([0.0, 1.0])(np.array([-0.5, 0.0, 7.0]))
        Array([0, 1, 2], dtype=int32)
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        modes = ("int", "one_hot", "multi_hot", "count")
        self.output_mode = one_of(self, "output_mode", output_mode, modes)
        if sparse and output_mode == "int":
            raise bad_argument(self, "sparse", "False where `output_mode` is 'int'", sparse)
        if num_bins is not None and (not isinstance(num_bins, int) or num_bins < 0):
            raise bad_argument(self, "num_bins", "an integer of at least 0", num_bins)
        within_budget(self, "num_bins", num_bins, num_bins or 0)
        if (num_bins is None) == (bin_boundaries is None):
            wanted = "given, or else `bin_boundaries`, and not both"
            raise bad_argument(self, "num_bins", wanted, num_bins)
        if not 0 < epsilon < 1:
            raise bad_argument(self, "epsilon", "between 0 and 1", epsilon)
        within_budget(self, "epsilon", epsilon, int(1 / epsilon))
        self.bin_boundaries = bin_boundaries
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.sparse = sparse
        self.reset_state()

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find edges that share the elements of the data out evenly.

        Args:
            data: An array, or batches of arrays: a list, a generator, a `tf.data.Dataset`, a torch
                `DataLoader` or a `PyDataset`. Of batches that are tuples the first part counts.
            steps: Batches to look at; `None`: all.
        """
        if self.num_bins is None:
            raise ValueError(
                f"{self.name}: `bin_boundaries` were given; `adapt` has nothing to do."
            )
        self.reset_state()
        for i, batch in enumerate(as_batches(self, data)):
            if steps is not None and i >= steps:
                break
            self.update_state(batch[0] if isinstance(batch, list | tuple) else batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget the data seen."""
        self._summary = np.zeros((2, 0), "float32")

    def update_state(self, data: Any) -> None:
        """Take more data into account.

        Args:
            data: An array of numbers.
        """
        new = _summary(np.asarray(data, "float32"), self.epsilon)
        both = np.concatenate([new, self._summary], axis=1)
        self._summary = _thinned(both[:, np.argsort(both[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Take the edges from the data seen."""
        if self.num_bins is not None:
            self.bin_boundaries = _thinned(self._summary, 1 / self.num_bins)[0, :-1].tolist()
            warn_of_programs(self)

    def call(self, inputs: Any) -> Any:
        note_program(self, inputs)
        boundaries = self.bin_boundaries
        if boundaries is None and context.shapes_only and self.num_bins is not None:
            boundaries = [0.0] * (self.num_bins - 1)
        if boundaries is None:
            raise ValueError(
                f"{self.name}: no bins yet. Call `adapt` on data, or give `bin_boundaries`."
            )
        bins = jnp.digitize(inputs, jnp.asarray(boundaries, "float32"))
        dtype = "int32" if self.output_mode == "int" else self.compute_dtype
        return encode(bins, self.output_mode, len(boundaries) + 1, dtype, self.sparse)

    @property
    def _float_inputs_become(self):
        return settings.floatx()  # 16 bits would move numbers over edges

    @classmethod
    def from_config(cls, config: dict) -> Any:
        if config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = config.get("bin_boundaries")
        return layer

    def load_own_variables(self, store: Any) -> None:
        pass  # the edges are in the config; older files of Keras hold its summary of the data too


def _summary(values, epsilon):
    """Of many numbers every n-th in order, and for how many each stands: two rows."""
    values = np.sort(values, axis=None)
    step = max(values.size / (1 / epsilon), 1)
    chosen = values[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _thinned(summary, epsilon):
    """A summary of about `1 / epsilon` numbers, each standing for as many elements."""
    numbers, weights = summary
    if numbers.size * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0, 1, epsilon)
    up_to = np.cumsum(weights)
    here = up_to / up_to[-1]
    up_to = np.interp(shares, here, up_to)
    thinned = np.interp(shares, here, numbers), np.diff(up_to, prepend=0)
    return np.stack(thinned).astype("float32")
