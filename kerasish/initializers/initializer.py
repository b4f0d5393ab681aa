"""What every initializer is."""

from typing import Any

from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.live_objects import copy_by_config


class Initializer(Configurable):
    """Base of the functions that make weights' initial values: `(shape, dtype=None) -> array`.

    A subclass writes `__call__`. Where an initializer is asked for, a plain function of shape and
    dtype does too.

    Example:
        >>> import numpy as np
        >>> class Sevens(Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return np.full(shape, 7, dtype)
        >>> Sevens()((2,), "int32")
        array([7, 7], dtype=int32)
    """

    def __call__(self, shape: tuple, dtype: Any = None):
        """Make an array of that shape and dtype; `None` is the global float type."""
        name = type(self).__name__
        raise NotImplementedError(f"{name} must define `__call__(shape, dtype=None)`.")

    def clone(self) -> "Initializer":
        """A new initializer of the same config; given no seed, it draws other numbers."""
        return copy_by_config(self)
