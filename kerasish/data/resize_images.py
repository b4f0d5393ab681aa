"""Pictures in other sizes, in NumPy: files differ in size, and each size would be compiled for."""

import functools
import math
from typing import Any

import numpy as np

from kerasish.ops.image.resizing import to_aspect


def resize_image(
    image: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
) -> np.ndarray:
    """What `keras.ops.image.resize` makes of one image, without smoothing before it shrinks.

    Args:
        image: An array of numbers.
        size: `(height, width)` wanted.
        interpolation: One of `INTERPOLATIONS`, which has what tf.data's users know besides.
        crop_to_aspect_ratio: Cut off what would change the image's proportions.
        pad_to_aspect_ratio: Add zeros that keep them.

    Shapes:
        `(height, width, channels)`, of float32.

    Example:
        >>> resize_image(np.array([[[0], [6]]]), (1, 3))[0, :, 0]
        array([0., 3., 6.], dtype=float32)
    """
    height, width, _ = image.shape
    tall, wide = to_aspect(height, width, size)
    if crop_to_aspect_ratio:
        tall, wide = max(min(height, tall), 1), max(min(width, wide), 1)
        top, left = (height - tall) // 2, (width - wide) // 2
        image = image[top : top + tall, left : left + wide]
    elif pad_to_aspect_ratio:
        top, left = max(tall - height, 0) // 2, max(wide - width, 0) // 2
        image = np.pad(image, [(top, top), (left, left), (0, 0)])
    for axis in (0, 1):  # rows first: they are contiguous in memory
        image = _resize_axis(image, axis, size[axis], interpolation)
    return image.astype("float32")


def _resize_axis(image, axis, size, interpolation):
    if image.shape[axis] == size and interpolation not in _SMOOTHING:
        return image
    sources, weights = _taps(interpolation, image.shape[axis], size)
    weights = weights.reshape((len(weights), -1) + (1,) * (image.ndim - 1 - axis))
    return sum(
        weight * np.take(image, source, axis)
        for source, weight in zip(sources, weights, strict=True)
    )


@functools.lru_cache(256)
def _taps(interpolation, length, size):
    """Which elements each new one is the weighted sum of, and the weights, as `(taps, size)`."""
    if interpolation == "nearest":
        # In float32, as the op does, so that ties fall to the same side.
        position = (np.arange(size, dtype="float32") + np.float32(0.5)) * np.float32(length)
        nearest = np.floor(position / np.float32(size)).astype(int)
        return nearest[None], np.ones((1, size), "float32")
    if interpolation == "area":
        edges = np.arange(size + 1) * (length / size)
        first = np.floor(edges[:-1]).astype(int)
        sources = first + np.arange(math.ceil(length / size) + 1)[:, None]
        overlap = np.minimum(sources + 1, edges[1:]) - np.maximum(sources, edges[:-1])
        weights = np.maximum(overlap, 0)
    else:
        radius, kernel = _KERNELS[interpolation]
        centre = (np.arange(size) + 0.5) * (length / size) - 0.5
        reach = math.ceil(radius)
        sources = np.floor(centre).astype(int) + np.arange(1 - reach, reach + 1)[:, None]
        distance = np.abs(sources - centre)
        weights = np.where(distance < radius, kernel(distance), 0)
    weights = np.where((sources >= 0) & (sources < length), weights, 0)
    weights /= weights.sum(0)
    return sources.clip(0, length - 1), weights.astype("float32")


def _cubic(b, c):
    """The piecewise cubics of Mitchell and Netravali, 1988, "Reconstruction Filters"."""
    near = np.array([12 - 9 * b - 6 * c, -18 + 12 * b + 6 * c, 0, 6 - 2 * b]) / 6
    far = np.array([-b - 6 * c, 6 * b + 30 * c, -12 * b - 48 * c, 8 * b + 24 * c]) / 6
    return lambda x: np.where(x < 1, np.polyval(near, x), np.polyval(far, x))


_KERNELS = {  # how far they reach, and the weight of an element at some distance
    "bilinear": (1, lambda x: 1 - x),
    "bicubic": (2, _cubic(0, 0.5)),
    "lanczos3": (3, lambda x: np.sinc(x) * np.sinc(x / 3)),
    "lanczos5": (5, lambda x: np.sinc(x) * np.sinc(x / 5)),
    "gaussian": (1.5, lambda x: np.exp(-2 * x**2)),
    "mitchellcubic": (2, _cubic(1 / 3, 1 / 3)),
}
_SMOOTHING = ("gaussian", "mitchellcubic")  # they change an image that keeps its size
INTERPOLATIONS = (*_KERNELS, "nearest", "area")
