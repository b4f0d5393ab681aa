"""Images smoothed, searched for edges, and compared."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.image.layout import as_images, channels_last
from kerasish.ops.nn.convolution import depthwise_conv
from kerasish.ops.wrappers import as_array, as_float

__all__ = ["gaussian_blur", "sobel_edges", "ssim"]


def _gaussian(size, sigma, dtype):
    x = jnp.arange(size, dtype=dtype) - (size - 1) / 2
    weights = jnp.exp(-0.5 * (x / sigma) ** 2)
    return weights / jnp.sum(weights)


def _filtered(x, kernel, padding="same"):
    """Each channel (the last axis) convolved with the same kernel."""
    kernel = jnp.broadcast_to(kernel[:, :, None, None], (*kernel.shape, x.shape[-1], 1))
    return depthwise_conv(x, kernel.astype(x.dtype), 1, padding, "channels_last")


@symbolic
def gaussian_blur(
    images: TensorLike,
    kernel_size: Any = (3, 3),
    sigma: Any = (1.0, 1.0),
    data_format: str | None = None,
) -> jax.Array:
    """Images smoothed by a normal distribution.

    Args:
        images: One image or a batch of images.
        kernel_size: Size of the window.
        sigma: Standard deviations in pixels.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    Example:
        >>> keras.ops.image.gaussian_blur(np.ones((4, 4, 1))).shape
        (4, 4, 1)
    """
    x, channels, single = as_images("gaussian_blur", images, data_format)
    sigma = as_array(sigma).astype(x.dtype)
    across, down = (_gaussian(n, s, x.dtype) for n, s in zip(kernel_size, sigma, strict=True))
    result = jnp.moveaxis(
        _filtered(channels_last(x, channels), jnp.outer(down, across)), -1, channels
    )
    return result[0] if single else result


@symbolic
def sobel_edges(images: TensorLike, data_format: str | None = None) -> jax.Array:
    """Slopes of images, down and across, as a new last axis.

    Args:
        images: One image or a batch of images.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)`, or a batch of them -> with a new last axis of 2.

    References:
        Sobel and Feldman, 1968, "A 3x3 Isotropic Gradient Operator for Image Processing".

    Example:
        >>> keras.ops.image.sobel_edges(np.ones((4, 4, 1))).shape
        (4, 4, 1, 2)
    """
    x, channels, single = as_images("sobel_edges", images, data_format)
    across = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    slopes = [
        _filtered(channels_last(x, channels), jnp.asarray(k, x.dtype)) for k in (across.T, across)
    ]
    result = jnp.stack([jnp.moveaxis(s, -1, channels) for s in slopes], axis=-1)
    return result[0] if single else result


@symbolic
def ssim(
    image1: TensorLike,
    image2: TensorLike,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> jax.Array:
    """Structural similarity of two images, or of each pair of two batches: 1 if they are equal.

    Args:
        image1: One image or a batch of images.
        image2: The same.
        max_val: Largest possible value.
        filter_size: Size of the window.
        filter_sigma: Standard deviation of its weights, in pixels.
        k1: Keeps the ratio of means finite.
        k2: Keeps the ratio of variances finite.
        data_format: `"channels_last"` or `"channels_first"`; by default the global setting.

    Shapes:
        `(height, width, channels)` twice -> `()`, batches -> `(batch,)`.

    References:
        Wang, Bovik, Sheikh and Simoncelli, 2004, "Image Quality Assessment: From Error Visibility
        to Structural Similarity".

    Example:
        >>> print(keras.ops.image.ssim(np.ones((12, 12, 1)), np.ones((12, 12, 1))))
        1.0
    """
    first, channels, single = as_images("ssim", image1, data_format)
    second, _, _ = as_images("ssim", image2, data_format)
    x, y = (channels_last(as_float(image), channels) for image in (first, second))
    window = _gaussian(filter_size, filter_sigma, x.dtype)
    kernel = jnp.outer(window, window)

    def local(values):
        return _filtered(values, kernel, "valid")

    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    alike = (2.0 * mean_x * mean_y + c1) * (2.0 * covariance + c2)
    result = jnp.mean(alike / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)), axis=(1, 2, 3))
    result = result.astype(first.dtype)
    return result[0] if single else result
