"""Layers that take the greatest or the mean of windows, or of everything."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.layers.base.arguments import int_tuple, one_of, show_defaults, within_budget
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.ops import nn


class Pooling(Layer):
    """Base of the layers that pool windows. Subclasses set `rank` and `pool`."""

    rank = 0
    pool = staticmethod(nn.max_pool)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        show_defaults(cls, ("pool_size",))

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: Any = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = int_tuple(self, "pool_size", pool_size, self.rank)
        strides = self.pool_size if strides is None else strides
        self.strides = int_tuple(self, "strides", strides, self.rank)
        self.padding = one_of(self, "padding", padding, ("valid", "same"))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        first = 1 if self.data_format == "channels_last" else 2
        sizes = inputs.shape[first : first + self.rank]
        pairs = zip(self.pool_size, sizes, strict=True)
        if self.padding == "valid" and any(isinstance(n, int) and w > n for w, n in pairs):
            wanted = f"at most as large as the input {inputs.shape}"
            raise bad_argument(self, "pool_size", wanted, self.pool_size)
        return self.pool(
            inputs,
            self.pool_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
        )


class MaxPooling1D(Pooling):
    """Greatest value of each window of steps.

    Args:
        pool_size: Steps in a window.
        strides: Steps between windows; `None`: `pool_size`, so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the ends may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, channels)`.

    Example:
        >>> MaxPooling1D(2)(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)).ravel()
        Array([3., 2.], dtype=float32)
    """

    rank = 1


class MaxPooling2D(Pooling):
    """Greatest value of each window of an image.

    Args:
        pool_size: Rows and columns in a window, or one number for both.
        strides: Distance between windows in rows and columns, or one number; `None`: `pool_size`,
            so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the edges may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, new_rows, new_columns, channels)`.

    Example:
        >>> MaxPooling2D(2)(np.ones((1, 5, 4, 3))).shape
        (1, 2, 2, 3)
    """

    rank = 2


class MaxPooling3D(Pooling):
    """Greatest value of each window of a volume.

    Args:
        pool_size: Elements in a window along each of the three axes, or one number for all.
        strides: Distance between windows along the three axes, or one number; `None`: `pool_size`,
            so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the edges may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, n1, n2, n3, channels)`.

    Example:
        >>> MaxPooling3D(2)(np.ones((1, 4, 4, 4, 3))).shape
        (1, 2, 2, 2, 3)
    """

    rank = 3


class AveragePooling1D(Pooling):
    """Mean of each window of steps; with `padding="same"` of those that exist.

    Args:
        pool_size: Steps in a window.
        strides: Steps between windows; `None`: `pool_size`, so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the ends may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, steps, channels)` -> `(batch, new_steps, channels)`.

    Example:
        >>> AveragePooling1D(2)(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1)).ravel()
        Array([2., 1.], dtype=float32)
    """

    rank = 1
    pool = staticmethod(nn.average_pool)


class AveragePooling2D(AveragePooling1D):
    """Mean of each window of an image; with `padding="same"` of the pixels that exist.

    Args:
        pool_size: Rows and columns in a window, or one number for both.
        strides: Distance between windows in rows and columns, or one number; `None`: `pool_size`,
            so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the edges may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, new_rows, new_columns, channels)`.

    Example:
        >>> AveragePooling2D(2)(np.ones((1, 5, 4, 3))).shape
        (1, 2, 2, 3)
    """

    rank = 2


class AveragePooling3D(AveragePooling1D):
    """Mean of each window of a volume; with `padding="same"` of the elements that exist.

    Args:
        pool_size: Elements in a window along each of the three axes, or one number for all.
        strides: Distance between windows along the three axes, or one number; `None`: `pool_size`,
            so that they do not overlap.
        padding: `"valid"`: whole windows only; `"same"`: windows at the edges may be partly empty.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, n1, n2, n3, channels)`.

    Example:
        >>> AveragePooling3D(2)(np.ones((1, 4, 4, 4, 3))).shape
        (1, 2, 2, 2, 3)
    """

    rank = 3


class GlobalPooling(Layer):
    """Base of the layers that reduce all spatial axes. Subclasses set `rank` and `reduce`."""

    rank = 0
    reduce = staticmethod(jnp.max)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _spatial_axes(self):
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: jax.Array) -> jax.Array:
        return self.reduce(inputs, axis=self._spatial_axes, keepdims=self.keepdims)


class GlobalMaxPooling1D(GlobalPooling):
    """Greatest value of all steps, for each channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axes, with size 1.

    Shapes:
        `(batch, steps, channels)` -> `(batch, channels)`.

    Example:
        >>> GlobalMaxPooling1D()(np.ones((2, 5, 3))).shape
        (2, 3)
    """

    rank = 1


class GlobalMaxPooling2D(GlobalPooling):
    """Greatest value of an image, for each channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axes, with size 1.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, channels)`.

    Example:
        >>> GlobalMaxPooling2D(keepdims=True)(np.ones((2, 5, 5, 3))).shape
        (2, 1, 1, 3)
    """

    rank = 2


class GlobalMaxPooling3D(GlobalPooling):
    """Greatest value of a volume, for each channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axes, with size 1.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, channels)`.

    Example:
        >>> GlobalMaxPooling3D()(np.ones((2, 3, 3, 3, 4))).shape
        (2, 4)
    """

    rank = 3


class GlobalAveragePooling1D(GlobalPooling):
    """Mean of all steps, for each channel; of the steps that a mask leaves, if there is one.

    Where a mask leaves no step of a sample, its mean is 0.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axis, with size 1.

    Shapes:
        `(batch, steps, channels)`, and a mask `(batch, steps)` -> `(batch, channels)`.

    Example:
        >>> x = np.array([1.0, 3.0, 9.0]).reshape(1, 3, 1)
        >>> GlobalAveragePooling1D()(x, mask=np.array([[True, True, False]]))
        Array([[2.]], dtype=float32)
    """

    rank = 1
    reduce = staticmethod(jnp.mean)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: jax.Array, mask: Any = None) -> jax.Array:
        if mask is None:
            return super().call(inputs)
        mask = jnp.expand_dims(mask, 2 if self.data_format == "channels_last" else 1).astype(bool)
        wide = jnp.promote_types(inputs.dtype, jnp.float32)  # 16 bits overflow, and cannot count
        options = {"axis": self._spatial_axes, "keepdims": self.keepdims, "dtype": wide}
        total = jnp.sum(jnp.where(mask, inputs, 0), **options)
        # A sample without any step has mean 0, as it has nothing to say.
        return (total / jnp.maximum(jnp.sum(mask, **options), 1)).astype(inputs.dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """`None`: no steps are left.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return None


class GlobalAveragePooling2D(GlobalPooling):
    """Mean of an image, for each channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axes, with size 1.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, channels)`.

    Example:
        >>> GlobalAveragePooling2D()(np.ones((2, 5, 5, 3))).shape
        (2, 3)
    """

    rank = 2
    reduce = staticmethod(jnp.mean)


class GlobalAveragePooling3D(GlobalPooling):
    """Mean of a volume, for each channel.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        keepdims: Whether to keep the reduced axes, with size 1.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, channels)`.

    Example:
        >>> GlobalAveragePooling3D()(np.ones((2, 3, 3, 3, 4))).shape
        (2, 4)
    """

    rank = 3
    reduce = staticmethod(jnp.mean)


class AdaptivePooling(Layer):
    """Base of the layers that pool to a given size. Subclasses set `rank` and `pool`."""

    rank = 0
    pool = staticmethod(nn.adaptive_average_pool)

    def __init__(
        self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.output_size = int_tuple(self, "output_size", output_size, self.rank)
        within_budget(self, "output_size", output_size, math.prod(self.output_size))
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        return self.pool(inputs, self.output_size, data_format=self.data_format)


class AdaptiveAveragePooling1D(AdaptivePooling):
    """Means of `output_size` windows that cover all steps as evenly as they can.

    Args:
        output_size: Number of windows.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, steps, channels)` -> `(batch, output_size, channels)`.

    Example:
        >>> AdaptiveAveragePooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).ravel()
        Array([0.5, 2.5], dtype=float32)
    """

    rank = 1


class AdaptiveAveragePooling2D(AdaptivePooling):
    """As `AdaptiveAveragePooling1D`, over images.

    Args:
        output_size: Rows and columns of windows, or one number for both.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> AdaptiveAveragePooling2D(3)(np.ones((1, 7, 8, 2))).shape
        (1, 3, 3, 2)
    """

    rank = 2


class AdaptiveAveragePooling3D(AdaptivePooling):
    """As `AdaptiveAveragePooling1D`, over volumes.

    Args:
        output_size: Windows along each of the three axes, or one number for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> AdaptiveAveragePooling3D(2)(np.ones((1, 4, 5, 6, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3


class AdaptiveMaxPooling1D(AdaptivePooling):
    """Greatest values of `output_size` windows that cover all steps as evenly as they can.

    Args:
        output_size: Number of windows.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, steps, channels)` -> `(batch, output_size, channels)`.

    Example:
        >>> AdaptiveMaxPooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).ravel()
        Array([1., 3.], dtype=float32)
    """

    rank = 1
    pool = staticmethod(nn.adaptive_max_pool)


class AdaptiveMaxPooling2D(AdaptiveMaxPooling1D):
    """As `AdaptiveMaxPooling1D`, over images.

    Args:
        output_size: Rows and columns of windows, or one number for both.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> AdaptiveMaxPooling2D(3)(np.ones((1, 7, 8, 2))).shape
        (1, 3, 3, 2)
    """

    rank = 2


class AdaptiveMaxPooling3D(AdaptiveMaxPooling1D):
    """As `AdaptiveMaxPooling1D`, over volumes.

    Args:
        output_size: Windows along each of the three axes, or one number for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, *output_size, channels)`.

    Example:
        >>> AdaptiveMaxPooling3D(2)(np.ones((1, 4, 5, 6, 2))).shape
        (1, 2, 2, 2, 2)
    """

    rank = 3
