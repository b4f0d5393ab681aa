"""Symbolic tensors: a shape with `None`s, a dtype, and the call that made it."""

import contextlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name


class History(NamedTuple):
    """Where a symbolic tensor comes from: the layer or op, which of its calls, which output."""

    operation: Any
    node_index: int
    tensor_index: int


class KerasTensor:
    """A tensor without values: what building a functional model computes with.

    Args:
        shape: Sizes, `None` where unknown until run time.
        dtype: Name of the type.
        name: Name; generated if not given.
        sparse: Whether real inputs may be sparse matrices.
        ragged: Accepted for Keras' sake; kerasish has no ragged tensors.
        record_history: Accepted for Keras' sake: calls are always recorded.

    Example:
        >>> x = keras.Input((4,))
        >>> (x + 1).shape, x.dtype
        ((None, 4), 'float32')
    """

    __array_priority__ = 100  # so that `numpy_array + tensor` asks the tensor
    __getitem__: Callable[..., Any]  # with all operators, set in `operators`
    is_symbolic = True  # so that `variable + tensor` does too

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ):
        self.shape = standardize_shape(shape)
        self.dtype = dtypes.standardize_dtype(dtype)
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.name = name or auto_name("keras_tensor")
        self._keras_history: Any = None  # a `History` after a call
        self._keras_mask = None
        self._mask_origin: MaskOrigin | None = None
        self._truth: bool | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    rank = ndim

    def symbolic_config(self) -> dict:
        """How a config names this tensor: by where it comes from."""
        where = self._keras_history
        history = (
            None if where is None else [where.operation.name, where.node_index, where.tensor_index]
        )
        config = {"shape": self.shape, "dtype": self.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    def __len__(self):
        raise TypeError(_no_values(self, "has no length; use `.shape`"))

    def __iter__(self):
        if not self.shape or self.shape[0] is None:
            raise TypeError(_no_values(self, "cannot be iterated over its unknown first axis"))
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self):
        if self._truth is not None:
            return self._truth
        raise TypeError(
            _no_values(self, "has no truth value; use `keras.ops.where` or `keras.ops.cond`")
        )

    def __array__(self, *args, **kwargs):
        raise ValueError(
            _no_values(self, "cannot become a NumPy array; use `keras.ops`, or a `Lambda` layer")
        )

    @property
    def __jax_array__(self):
        # JAX asks everything that it is given for this. Its arrays' operators do so too, and let
        # the tensor's own operators act if there is none.
        asking = pathlib.PurePath(sys._getframe(1).f_code.co_filename)
        if "jax" not in asking.parts or asking.name == "array_methods.py":
            raise AttributeError("__jax_array__")
        _refuse(self)

    def __float__(self):
        raise ValueError(_no_values(self, "has no value; use `keras.ops`, or a `Lambda` layer"))

    __int__ = __float__

    def __repr__(self):
        fields = ("shape", "dtype", "sparse", "ragged", "name")
        shown = ", ".join(f"{field}={getattr(self, field)}" for field in fields)
        return f"<KerasTensor {shown}>"


class MaskOrigin(NamedTuple):
    """How Keras' graph computes a mask: its operations count for the order of a model's layers.

    Attributes:
        ndim: Number of the mask's axes.
        sources: The tensors that it is computed from, each with the number of operations between.
    """

    ndim: int
    sources: tuple[tuple[KerasTensor, int], ...]

    def further(self, operations: int) -> "MaskOrigin":
        """The same with more operations between.

        Args:
            operations: Operations that pass the mask on.
        """
        return MaskOrigin(self.ndim, tuple((t, n + operations) for t, n in self.sources))


def _refuse(tensor):
    what = "cannot be an argument of `jax` or `jax.numpy` functions; use `keras.ops`, or a `Lambda`"
    raise ValueError(_no_values(tensor, f"{what} layer"))


# Primitives ask in C, where the error of a property is lost.
with contextlib.suppress(ImportError, AttributeError):  # of another JAX: it says so itself
    from jax._src.dtypes import register_canonicalize_value_handler

    register_canonicalize_value_handler(KerasTensor, _refuse)


def _no_values(tensor, what):
    return f"A symbolic tensor {what}. It stands for values that come later: {tensor!r}"


def standardize_shape(shape: Any) -> tuple:
    """A tuple of integers and `None`s.

    Args:
        shape: Integer or sequence of integers and `None`.
    """
    if isinstance(shape, int) or shape is None or not hasattr(shape, "__iter__"):
        raise bad_argument("KerasTensor", "shape", "a tuple of integers and None", shape)
    shape = tuple(None if n is None else int(n) for n in shape)
    if any(n is not None and n < 0 for n in shape):
        raise bad_argument("KerasTensor", "shape", "without negative sizes", shape)
    return shape


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor.

    Args:
        x: Any object.

    Example:
        >>> is_keras_tensor(keras.Input((4,))), is_keras_tensor(1.0)
        (True, False)
    """
    return isinstance(x, KerasTensor)


def any_symbolic(*trees: Any) -> bool:
    """Whether a symbolic tensor is anywhere in these pytrees of arguments.

    Args:
        *trees: Pytrees of arguments.
    """
    return any(isinstance(leaf, KerasTensor) for leaf in jax.tree.leaves(trees))
