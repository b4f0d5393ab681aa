"""Images whose pixels come from elsewhere."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from kerasish.core.errors import bad_argument
from kerasish.core.state import seeds
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.image.filters import gaussian_blur
from kerasish.ops.image.layout import as_images, channels_last, one_of
from kerasish.ops.wrappers import as_array, as_float

__all__ = ["affine_transform", "elastic_transform", "map_coordinates", "perspective_transform"]

_ORDERS = {"nearest": 0, "bilinear": 1}
_FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")


@symbolic
def map_coordinates(
    inputs: TensorLike,
    coordinates: TensorLike,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0,
) -> jax.Array:
    """Elements at any coordinates, the nearest or interpolated.

    Args:
        inputs: Array.
        coordinates: Coordinates along each axis.
        order: 0 for the nearest element, 1 to interpolate linearly.
        fill_mode: What is outside: `"constant"` (`fill_value`), `"nearest"`, `"wrap"`, `"mirror"`
            or `"reflect"`.
        fill_value: The value.

    Shapes:
        `coordinates` is `(axes of inputs, *result)`.

    Example:
        >>> print(keras.ops.image.map_coordinates(np.array([10.0, 20.0]), [[0.5, 1.0]], 1))
        [15. 20.]
    """
    inputs, coordinates = as_array(inputs), as_array(coordinates)
    if coordinates.ndim < 2 or coordinates.shape[0] != inputs.ndim:
        wanted = f"of at least 2 axes, the first of size {inputs.ndim}"
        raise bad_argument("map_coordinates", "coordinates", wanted, coordinates.shape)
    one_of("map_coordinates", "fill_mode", fill_mode, _FILLS)
    one_of("map_coordinates", "order", order, (0, 1))
    axes: Any = coordinates  # an array does for a list of them
    return ndimage.map_coordinates(inputs, axes, order, fill_mode, fill_value)


def _fetch(x, rows, columns, order, fill_mode, fill_value):
    """Pixels of a batch of images (channels last) at `(batch, height, width)` rows and columns."""

    def plane(image, row, column):
        return ndimage.map_coordinates(image, [row, column], order, fill_mode, fill_value)

    of_channels = jax.vmap(plane, in_axes=(-1, None, None), out_axes=-1)
    return jax.vmap(of_channels)(x, rows, columns)


def _check_fetch(op, interpolation, fill_mode):
    one_of(op, "interpolation", interpolation, _ORDERS)
    one_of(op, "fill_mode", fill_mode, _FILLS)


@symbolic
def affine_transform(
    images: TensorLike,
    transform: TensorLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> jax.Array:
    """Affine transforms of images: rotated, scaled, sheared and translated.

    Args:
        images: One image or a batch.
        transform: `(a0, a1, a2, b0, b1, b2, c0, c1)`, one or a batch: the pixel at `(x, y)` comes
            from `(a0 x + a1 y + a2, b0 x + b1 y + b2)`; the last two are left out.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What is outside: `"constant"` (`fill_value`), `"nearest"`, `"wrap"`, `"mirror"`
            or `"reflect"`.
        data_format: Where the channels are.
        fill_value: What a constant outside is made of.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    Example:
        >>> image, to_the_left = np.arange(4.0).reshape(2, 2, 1), [1, 0, 1, 0, 1, 0, 0, 0]
        >>> print(keras.ops.image.affine_transform(image, to_the_left)[..., 0])
        [[1. 0.]
         [3. 0.]]
    """
    _check_fetch("affine_transform", interpolation, fill_mode)
    transform = as_array(transform)
    if transform.ndim not in (1, 2):
        raise bad_argument("affine_transform", "transform", "of 1 or 2 axes", transform.shape)
    x, channels, single = as_images("affine_transform", images, data_format)
    x = channels_last(x, channels)
    a0, a1, a2, b0, b1, b2 = (jnp.atleast_2d(transform)[:, i, None, None] for i in range(6))
    row, column = jnp.mgrid[: x.shape[1], : x.shape[2]]
    rows, columns = b0 * column + b1 * row + b2, a0 * column + a1 * row + a2
    rows, columns = (jnp.broadcast_to(n, x.shape[:3]) for n in (rows, columns))
    result = _fetch(x, rows, columns, _ORDERS[interpolation], fill_mode, fill_value)
    result = jnp.moveaxis(result, -1, channels)
    return result[0] if single else result


def homography(start: jax.Array, end: jax.Array) -> jax.Array:
    """The 8 numbers of the plane's projective map that takes `end` to `start`.

    Args:
        start: Corners before, `(..., 4, 2)`.
        end: Corners after.
    """
    (x, y), (u, v) = (jnp.moveaxis(points, -1, 0) for points in (end, start))
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    across = jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    down = jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    system = jnp.concatenate([across, down], axis=1)
    return jnp.linalg.solve(system, jnp.concatenate([u, v], axis=-1)[..., None])[..., 0]


@symbolic
def perspective_transform(
    images: TensorLike,
    start_points: TensorLike,
    end_points: TensorLike,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> jax.Array:
    """Projective transforms of images, which take four points of each to four others.

    Args:
        images: One image or a batch.
        start_points: `(4, 2)` or `(batch, 4, 2)`, each point `(x, y)`.
        end_points: Where these points go, in the same form.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: What is outside.
        data_format: Where the channels are.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    Example:
        >>> corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
        >>> keras.ops.image.perspective_transform(np.ones((2, 2, 1)), corners, corners).shape
        (2, 2, 1)
    """
    op = "perspective_transform"
    one_of(op, "interpolation", interpolation, _ORDERS)
    start, end = (as_array(points).astype("float32") for points in (start_points, end_points))
    if start.shape != end.shape or start.shape[-2:] != (4, 2) or start.ndim not in (2, 3):
        wanted = "both of shape (4, 2) or (batch, 4, 2)"
        raise bad_argument(op, "start_points, end_points", wanted, (start.shape, end.shape))
    x, channels, single = as_images(op, images, data_format)
    x = channels_last(x, channels)
    start, end = (p[None] if p.ndim == 2 else p for p in (start, end))
    h = jnp.moveaxis(homography(start, end), -1, 0)[..., None, None]
    row, column = jnp.mgrid[: x.shape[1], : x.shape[2]]
    scale = h[6] * column + h[7] * row + 1.0
    columns = (h[0] * column + h[1] * row + h[2]) / scale
    rows = (h[3] * column + h[4] * row + h[5]) / scale
    rows, columns = (jnp.broadcast_to(n, x.shape[:3]) for n in (rows, columns))
    result = _fetch(x, rows, columns, _ORDERS[interpolation], "constant", fill_value)
    result = jnp.moveaxis(result, -1, channels)
    return result[0] if single else result


def displace(
    x: jax.Array, shift: TensorLike, interpolation: str, fill_mode: str, fill_value: TensorLike
) -> jax.Array:
    """Images, channels last, each pixel fetched from `shift` pixels further down and right.

    Args:
        x: The images.
        shift: Pixels down and right, for each pixel.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: What pixels from outside are.
        fill_value: Their value where `fill_mode` is `"constant"`.
    """
    row, column = jnp.mgrid[: x.shape[1], : x.shape[2]]
    options = _ORDERS[interpolation], fill_mode, fill_value
    return _fetch(x, row + shift, column + shift, *options)


@symbolic
def elastic_transform(
    images: TensorLike,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> jax.Array:
    """Images whose pixels are moved by a smooth random field.

    Args:
        images: One image or a batch.
        alpha: How far pixels move.
        sigma: How smooth the field is, in pixels; a Python number.
        interpolation: As for `affine_transform`.
        fill_mode: As for `affine_transform`.
        fill_value: As for `affine_transform`.
        data_format: As for `affine_transform`.
        seed: Integer, `SeedGenerator` or `None`.

    Shapes:
        `(height, width, channels)`, or a batch of them -> the same.

    References:
        Simard, Steinkraus and Platt, 2003, "Best Practices for Convolutional Neural Networks".

    Example:
        >>> keras.ops.image.elastic_transform(np.ones((8, 8, 1)), seed=0).shape
        (8, 8, 1)
    """
    _check_fetch("elastic_transform", interpolation, fill_mode)
    x, channels, single = as_images("elastic_transform", images, data_format)
    x = channels_last(x, channels)
    noise = jax.random.normal(seeds.draw_seed(seed), x.shape[:3], as_float(x).dtype) * sigma
    size = int(6 * sigma) | 1
    field = gaussian_blur(noise[..., None], (size, size), (sigma, sigma), "channels_last")[..., 0]
    result = displace(x, alpha * field, interpolation, fill_mode, fill_value)
    result = jnp.moveaxis(result.astype(x.dtype), -1, channels)
    return result[0] if single else result
