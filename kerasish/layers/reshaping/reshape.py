"""Layers that move or repeat elements."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.layers.base.arguments import int_tuple, one_of, positive_int
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.ops import image


class Flatten(Layer):
    """Each sample as one vector.

    Args:
        data_format: `"channels_last"` or `"channels_first"`; with the latter, channels are moved
            last before flattening, so that both give the same order.

    Shapes:
        `(batch, ...)` -> `(batch, product)`.

    Example:
        >>> Flatten()(np.ones((2, 3, 4))).shape
        (2, 12)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: jax.Array) -> jax.Array:
        if self.data_format == "channels_first" and inputs.ndim > 1:
            inputs = jnp.moveaxis(inputs, 1, -1)
        return jnp.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


class Reshape(Layer):
    """The elements of each sample in another shape.

    Args:
        target_shape: Shape of a sample, without the batch axis; one element may be -1.

    Shapes:
        `(batch, ...)` -> `(batch, *target_shape)`.

    Example:
        >>> Reshape((-1, 2))(np.ones((2, 12))).shape
        (2, 6, 2)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        target_shape = tuple(target_shape)
        if sum(n == -1 for n in target_shape) > 1 or any(n < -1 for n in target_shape):
            wanted = "sizes of at least 0, one of them -1 at most"
            raise bad_argument(self, "target_shape", wanted, target_shape)
        self.target_shape = target_shape

    def call(self, inputs: jax.Array) -> jax.Array:
        sizes, wanted = inputs.shape[1:], self.target_shape
        if all(isinstance(n, int) for n in sizes):
            total, known = math.prod(sizes), math.prod(n for n in wanted if n != -1)
            fits = total % known == 0 if -1 in wanted and known else total == known
            if not fits:
                raise bad_argument(self, "target_shape", f"of {total} elements, as {sizes}", wanted)
            if known:
                wanted = tuple(total // known if n == -1 else n for n in wanted)
        return jnp.reshape(inputs, (inputs.shape[0], *wanted))


class Permute(Layer):
    """The axes of each sample in another order.

    Args:
        dims: The old number of each new axis, from 1.

    Shapes:
        `(batch, a, b)` -> `(batch, b, a)` for `dims=(2, 1)`.

    Example:
        >>> Permute((2, 1))(np.ones((2, 3, 4))).shape
        (2, 4, 3)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise bad_argument(self, "dims", "the numbers 1 to n in some order", self.dims)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """The same vector `n` times.

    Args:
        n: Number of repetitions.

    Shapes:
        `(batch, features)` -> `(batch, n, features)`.

    Example:
        >>> RepeatVector(3)(np.ones((2, 4))).shape
        (2, 3, 4)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = positive_int(self, "n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.repeat(inputs[:, None, :], self.n, axis=1)


class UpSampling1D(Layer):
    """Repeats each step.

    Args:
        size: How many times.

    Shapes:
        `(batch, steps, channels)` -> `(batch, size * steps, channels)`.

    Example:
        >>> UpSampling1D(2)(np.arange(2.0).reshape(1, 2, 1)).ravel()
        Array([0., 0., 1., 1.], dtype=float32)
    """

    def __init__(self, size: int | Sequence[int] = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = positive_int(self, "size", size)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.repeat(inputs, self.size, axis=1)


class UpSampling2D(Layer):
    """Makes an image larger by whole factors.

    Args:
        size: Factors for rows and columns, or one for both.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        interpolation: `"nearest"`, which repeats pixels, or `"bilinear"`, `"bicubic"`,
            `"lanczos3"`, `"lanczos5"`.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, f1 * rows, f2 * columns, channels)`.

    Example:
        >>> UpSampling2D((2, 3))(np.ones((1, 4, 4, 3))).shape
        (1, 8, 12, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = int_tuple(self, "size", size, 2)
        kinds = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
        self.interpolation = one_of(self, "interpolation", interpolation, kinds)
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: jax.Array) -> jax.Array:
        if self.interpolation == "nearest":
            return _repeat(self, inputs)
        first = 1 if self.data_format == "channels_last" else 2
        size = [n * f for n, f in zip(inputs.shape[first : first + 2], self.size, strict=True)]
        return image.resize(
            inputs, size, interpolation=self.interpolation, data_format=self.data_format
        )


class UpSampling3D(Layer):
    """Makes a volume larger by repeating its elements.

    Args:
        size: Factors for the three axes, or one for all.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> `(batch, f1 * d1, f2 * d2, f3 * d3, channels)`.

    Example:
        >>> UpSampling3D(2)(np.ones((1, 2, 2, 2, 1))).shape
        (1, 4, 4, 4, 1)
    """

    def __init__(
        self, size: int | Sequence[int] = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.size = int_tuple(self, "size", size, 3)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _repeat(self, inputs)


def _repeat(layer, x):
    first = 1 if layer.data_format == "channels_last" else 2
    for axis, factor in enumerate(layer.size, start=first):
        x = jnp.repeat(x, factor, axis=axis)
    return x
