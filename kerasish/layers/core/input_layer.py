"""Where a functional model begins: `Input` and the layer that stands for it."""

from collections.abc import Sequence
from typing import Any

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.core.symbolic.graph import record
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.layer import Layer


class InputLayer(Layer):
    """Starting point of a graph: holds the symbolic tensor that stands for the input.

    Args:
        shape: Shape of one sample; `None` elements may vary.
        batch_size: Number of samples in a batch, `None` if it may vary.
        dtype: Dtype of the input; `None`: the global float type.
        sparse: Whether sparse matrices may come.
        batch_shape: Shape with the batch axis, instead of `shape` and `batch_size`.
        input_tensor: An existing symbolic tensor to use.
        optional: Whether the input may be `None`.
        name: Name, by which dicts of inputs are matched.
        ragged: Accepted for Keras' sake; ragged tensors are not supported.

    Example:
        >>> InputLayer((4,)).output.shape
        (None, 4)
    """

    def __init__(
        self,
        shape: tuple | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ):
        shape = kwargs.pop("input_shape", shape)  # older names
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
        super().__init__(name=name, **kwargs)
        if shape is not None and batch_shape is not None:
            raise ValueError(f"InputLayer {self.name!r}: give `shape` or `batch_shape`, not both.")
        if input_tensor is not None:
            batch_shape = input_tensor.shape
            dtype = dtype or input_tensor.dtype
        elif batch_shape is None:
            if shape is None:
                raise bad_argument(self, "shape", "a tuple of sizes without the batch axis", shape)
            if isinstance(shape, int):
                raise bad_argument(
                    self, "shape", "a tuple", shape, f"For one axis write ({shape},)."
                )
            batch_shape = (batch_size, *shape)
        self.batch_shape = tuple(batch_shape or ())
        self.sparse = bool(sparse)
        self.ragged = bool(ragged)
        self.optional = bool(optional)
        self._dtype = dtypes.standardize_dtype(dtype)
        self.built = True
        if input_tensor is None:
            input_tensor = KerasTensor(
                self.batch_shape, self._dtype, sparse=self.sparse, name=self.name
            )
        if input_tensor._keras_history is None:
            record(self, (), {}, input_tensor)
        self._tensor = input_tensor

    def call(self) -> Any:
        """Never called: values for the input come from the model's caller."""
        raise RuntimeError(f"InputLayer {self.name!r} cannot be called; call the model.")

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._dtype

    @property
    def output(self) -> Any:
        """The symbolic tensor."""
        return self._tensor

    def get_config(self) -> dict:
        """Keras' form, the batch axis in `batch_shape`."""
        config = {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }
        return serialize_keras_object(config)


def Input(  # noqa: N802
    shape: tuple | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """A symbolic tensor to build a functional model from.

    Args:
        shape: Shape of one sample; `None` elements may vary.
        batch_size: Number of samples in a batch, `None` if it may vary.
        dtype: Dtype; `None`: the global float type.
        sparse: Whether sparse matrices may come.
        batch_shape: Shape with the batch axis, instead of `shape`.
        name: Name, by which dicts of inputs are matched.
        tensor: An existing symbolic tensor to start from.
        optional: Whether the input may be `None`.
        ragged: Accepted for Keras' sake; ragged tensors are not supported.

    Example:
        >>> Input((28, 28, 1)).shape
        (None, 28, 28, 1)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output
