"""Layers that cut off borders, or add some."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.layers.base.arguments import int_pairs, int_tuple
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer


class Cropping1D(Layer):
    """Cuts steps off both ends.

    Args:
        cropping: Numbers of steps (before, after), or one for both.

    Shapes:
        `(batch, steps, channels)` -> `(batch, steps - before - after, channels)`.

    Example:
        >>> Cropping1D((1, 0))(np.arange(3.0).reshape(1, 3, 1)).ravel()
        Array([1., 2.], dtype=float32)
    """

    def __init__(self, cropping: int | Sequence = (1, 1), **kwargs: Any):
        super().__init__(**kwargs)
        self.cropping = int_tuple(self, "cropping", cropping, 2, least=0)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _crop(self, inputs, [self.cropping], "channels_last")


class Cropping2D(Layer):
    """Cuts rows and columns off all sides of an image.

    Args:
        cropping: `((top, bottom), (left, right))`, or one number for each pair, or one for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> the same with fewer rows and columns.

    Example:
        >>> Cropping2D(((1, 1), (0, 2)))(np.ones((1, 5, 5, 3))).shape
        (1, 3, 3, 3)
    """

    def __init__(
        self,
        cropping: int | Sequence = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.cropping = int_pairs(self, "cropping", cropping, 2)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _crop(self, inputs, self.cropping, self.data_format)


class Cropping3D(Layer):
    """Cuts the ends of the three spatial axes of a volume.

    Args:
        cropping: Three pairs (before, after), or one number for each pair, or one for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> the same with smaller `d1`, `d2`, `d3`.

    Example:
        >>> Cropping3D(1)(np.ones((1, 4, 4, 4, 2))).shape
        (1, 2, 2, 2, 2)
    """

    def __init__(
        self,
        cropping: int | Sequence = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.cropping = int_pairs(self, "cropping", cropping, 3)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _crop(self, inputs, self.cropping, self.data_format)


class ZeroPadding1D(Layer):
    """Adds zeros at both ends.

    Args:
        padding: Numbers of zeros (before, after), or one for both.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, steps, channels)` -> `(batch, before + steps + after, channels)`.

    Example:
        >>> ZeroPadding1D((2, 0))(np.ones((1, 1, 1))).ravel()
        Array([0., 0., 1.], dtype=float32)
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding = int_tuple(self, "padding", padding, 2, least=0)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.pad(inputs, _by_axis([self.padding], (0, 0), self.data_format))


class ZeroPadding2D(Layer):
    """Adds rows and columns of zeros around an image.

    Args:
        padding: `((top, bottom), (left, right))`, or one number for each pair, or one for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> the same with more rows and columns.

    Example:
        >>> ZeroPadding2D(1)(np.ones((1, 2, 2, 3))).shape
        (1, 4, 4, 3)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding = int_pairs(self, "padding", padding, 2)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.pad(inputs, _by_axis(self.padding, (0, 0), self.data_format))


class ZeroPadding3D(Layer):
    """Adds zeros around a volume.

    Args:
        padding: Three pairs (before, after), or one number for each pair, or one for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> the same with larger `d1`, `d2`, `d3`.

    Example:
        >>> ZeroPadding3D(1)(np.ones((1, 2, 2, 2, 3))).shape
        (1, 4, 4, 4, 3)
    """

    def __init__(
        self, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.padding = int_pairs(self, "padding", padding, 3)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.pad(inputs, _by_axis(self.padding, (0, 0), self.data_format))


def _crop(layer, inputs, pairs, data_format):
    sizes = inputs.shape[1:-1] if data_format == "channels_last" else inputs.shape[2:]
    kept = []
    for (before, after), size in zip(pairs, sizes, strict=True):
        if isinstance(size, int) and before + after >= size:
            wanted = f"smaller than the input {inputs.shape}"
            raise bad_argument(layer, "cropping", wanted, layer.cropping)
        kept.append(slice(before, -after or None))
    return inputs[_by_axis(kept, slice(None), data_format)]


def _by_axis(spatial, other, data_format):
    """One element for each axis: `spatial` in the middle, `other` for batch and channels."""
    if data_format == "channels_last":
        return (other, *spatial, other)
    return (other, other, *spatial)
