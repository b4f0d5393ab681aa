"""What ops, activations and losses take: everything an array can be made of."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from jax.typing import ArrayLike

from kerasish.core.symbolic.keras_tensor import KerasTensor


class SupportsArray(Protocol):
    """What NumPy can read: Variables, columns of a frame, tensors of other libraries."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


TensorLike: TypeAlias = ArrayLike | SupportsArray | KerasTensor | Sequence[Any]
