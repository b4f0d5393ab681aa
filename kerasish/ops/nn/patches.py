"""Patches of images laid out as columns or as channels, and back."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array

__all__ = ["depth_to_space", "fold", "space_to_depth", "unfold"]


def _pair(n):
    return (n, n) if isinstance(n, int) else tuple(n)


def _patch_places(size, kernel, dilation, padding, stride):
    count = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return jnp.arange(kernel)[:, None] * dilation + jnp.arange(count) * stride


@symbolic
def unfold(
    x: TensorLike,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Patches of images laid out as columns.

    Args:
        x: Array, Variable, number or list of numbers.
        kernel_size: Size of the patches, a number or `(height, width)`.
        dilation: Distance of neighbouring pixels of a patch.
        padding: Zeros added on each side.
        stride: Steps from one patch to the next.

    Shapes:
        `(batch, channels, height, width)` -> `(batch, channels * patch elements, patches)`.

    Example:
        >>> keras.ops.unfold(np.ones((1, 2, 4, 4)), 3).shape
        (1, 18, 4)
    """
    x = as_array(x)
    if x.ndim != 4:
        raise bad_argument("unfold", "x", "of 4 axes", x.shape)
    options = zip(*map(_pair, (kernel_size, dilation, padding, stride)), strict=True)
    rows, columns = (_patch_places(n, *o) for n, o in zip(x.shape[2:], options, strict=True))
    (top, left) = _pair(padding)
    x = jnp.pad(x, [(0, 0), (0, 0), (top, top), (left, left)])
    patches = x[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    elements = x.shape[1] * rows.shape[0] * columns.shape[0]
    return patches.reshape(x.shape[0], elements, rows.shape[1] * columns.shape[1])


@symbolic
def fold(
    x: TensorLike,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Images from patches laid out as columns: where patches overlap, they are added.

    Args:
        x: Array, Variable, number or list of numbers.
        output_size: Sizes of the result, for all axes or each.
        kernel_size: Size of the patches, a number or `(height, width)`.
        dilation: Distance of neighbouring pixels of a patch.
        padding: Zeros that were added on each side.
        stride: Steps from one patch to the next.

    Shapes:
        `(batch, channels * patch elements, patches)` -> `(batch, channels, *output_size)`.

    Example:
        >>> print(keras.ops.fold(np.ones((1, 2, 2)), (1, 3), (1, 2))[0, 0])
        [[1. 2. 1.]]
    """
    x = as_array(x)
    if x.ndim != 3:
        raise bad_argument("fold", "x", "of 3 axes", x.shape)
    sizes, (top, left) = _pair(output_size), _pair(padding)
    options = zip(*map(_pair, (kernel_size, dilation, padding, stride)), strict=True)
    rows, columns = (_patch_places(n, *o) for n, o in zip(sizes, options, strict=True))
    channels = x.shape[1] // (rows.shape[0] * columns.shape[0])
    height, width = sizes[0] + 2 * top, sizes[1] + 2 * left
    patches = x.reshape(
        x.shape[0], channels, rows.shape[0], columns.shape[0], rows.shape[1], columns.shape[1]
    )
    image = jnp.zeros((x.shape[0], channels, height, width), x.dtype)
    image = image.at[:, :, rows[:, None, :, None], columns[None, :, None, :]].add(patches)
    return image[:, :, top : height - top, left : width - left]


def _block(op, block_size, data_format):
    if block_size < 2:
        raise bad_argument(op, "block_size", "at least 2", block_size)
    return settings.standardize_data_format(data_format) == "channels_last"


@symbolic
def depth_to_space(x: TensorLike, block_size: int, data_format: str = "channels_last") -> jax.Array:
    """Channels laid out as blocks of pixels.

    Args:
        x: Images.
        block_size: Side of a block, at least 2.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(batch, height, width, n * n * channels)` -> `(batch, n * height, n * width, channels)`.

    Example:
        >>> keras.ops.depth_to_space(np.ones((1, 2, 2, 8)), 2).shape
        (1, 4, 4, 2)
    """
    x, n = as_array(x), block_size
    if _block("depth_to_space", block_size, data_format):
        batch, height, width, depth = x.shape
        x = x.reshape(batch, height, width, n, n, depth // n**2).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(batch, height * n, width * n, depth // n**2)
    batch, depth, height, width = x.shape
    x = x.reshape(batch, depth // n**2, n, n, height, width).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(batch, depth // n**2, height * n, width * n)


@symbolic
def space_to_depth(x: TensorLike, block_size: int, data_format: str = "channels_last") -> jax.Array:
    """Blocks of pixels laid out as channels.

    Args:
        x: Images.
        block_size: Side of a block, at least 2.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(batch, n * height, n * width, channels)` -> `(batch, height, width, n * n * channels)`.

    Example:
        >>> keras.ops.space_to_depth(np.ones((1, 4, 4, 2)), 2).shape
        (1, 2, 2, 8)
    """
    x, n = as_array(x), block_size
    if _block("space_to_depth", block_size, data_format):
        batch, height, width, depth = x.shape
        x = x.reshape(batch, height // n, n, width // n, n, depth).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(batch, height // n, width // n, depth * n**2)
    batch, depth, height, width = x.shape
    x = x.reshape(batch, depth, height // n, n, width // n, n).transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(batch, depth * n**2, height // n, width // n)
