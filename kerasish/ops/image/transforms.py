"""Images whose pixels come from elsewhere."""

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

from kerasish.core.errors import bad_argument
from kerasish.core.state import seeds
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.image.filters import gaussian_blur
from kerasish.ops.image.layout import as_images, channels_last, one_of
from kerasish.ops.wrappers import as_array, as_float

_ORDERS = {"nearest": 0, "bilinear": 1}
_FILLS = ("constant", "nearest", "wrap", "mirror", "reflect")


@symbolic
def map_coordinates(inputs, coordinates, order, fill_mode="constant", fill_value=0):
    """The entries of `inputs` at any coordinates, the nearest (order 0) or interpolated (order 1).

    Shapes:
        `coordinates` is `(axes of inputs, *result)`.
    """
    inputs, coordinates = as_array(inputs), as_array(coordinates)
    if coordinates.ndim < 2 or coordinates.shape[0] != inputs.ndim:
        wanted = f"of at least 2 axes, the first of size {inputs.ndim}"
        raise bad_argument("map_coordinates", "coordinates", wanted, coordinates.shape)
    one_of("map_coordinates", "fill_mode", fill_mode, _FILLS)
    one_of("map_coordinates", "order", order, (0, 1))
    return ndimage.map_coordinates(inputs, coordinates, order, fill_mode, fill_value)


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
    images,
    transform,
    interpolation="bilinear",
    fill_mode="constant",
    fill_value=0,
    data_format=None,
):
    """Images turned, stretched, sheared and moved.

    Args:
        images: One image or a batch.
        transform: `(a0, a1, a2, b0, b1, b2, c0, c1)`, one or a batch: the pixel at `(x, y)` comes
            from `(a0 x + a1 y + a2, b0 x + b1 y + b2)`; the last two are left out.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What is outside: `"constant"` (`fill_value`), `"nearest"`, `"wrap"`, `"mirror"`
            or `"reflect"`.
        data_format: Where the channels are.
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


def _homography(start, end):
    """The 8 numbers of the plane's projective map that takes `end` to `start`."""
    (x, y), (u, v) = (jnp.moveaxis(points, -1, 0) for points in (end, start))
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    across = jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    down = jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    system = jnp.concatenate([across, down], axis=1)
    return jnp.linalg.solve(system, jnp.concatenate([u, v], axis=-1)[..., None])[..., 0]


@symbolic
def perspective_transform(
    images, start_points, end_points, interpolation="bilinear", fill_value=0, data_format=None
):
    """Images projected so that four points of each come to lie at four others.

    Args:
        images: One image or a batch.
        start_points, end_points: `(4, 2)` or `(batch, 4, 2)`, each point `(x, y)`.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: What is outside.
        data_format: Where the channels are.
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
    h = jnp.moveaxis(_homography(start, end), -1, 0)[..., None, None]
    row, column = jnp.mgrid[: x.shape[1], : x.shape[2]]
    scale = h[6] * column + h[7] * row + 1.0
    columns = (h[0] * column + h[1] * row + h[2]) / scale
    rows = (h[3] * column + h[4] * row + h[5]) / scale
    rows, columns = (jnp.broadcast_to(n, x.shape[:3]) for n in (rows, columns))
    result = _fetch(x, rows, columns, _ORDERS[interpolation], "constant", fill_value)
    result = jnp.moveaxis(result, -1, channels)
    return result[0] if single else result


@symbolic
def elastic_transform(
    images,
    alpha=20.0,
    sigma=5.0,
    interpolation="bilinear",
    fill_mode="reflect",
    fill_value=0.0,
    seed=None,
    data_format=None,
):
    """Images whose pixels are moved by a smooth random field.

    Args:
        images: One image or a batch.
        alpha: How far pixels move.
        sigma: How smooth the field is, in pixels; a Python number.
        interpolation, fill_mode, fill_value, data_format: As for `affine_transform`.
        seed: Integer, `SeedGenerator` or `None`.

    References:
        Simard, Steinkraus and Platt, 2003, "Best Practices for Convolutional Neural Networks".
    """
    _check_fetch("elastic_transform", interpolation, fill_mode)
    x, channels, single = as_images("elastic_transform", images, data_format)
    x = channels_last(x, channels)
    noise = jax.random.normal(seeds.draw_seed(seed), x.shape[:3], as_float(x).dtype) * sigma
    size = int(6 * sigma) | 1
    field = gaussian_blur(noise[..., None], (size, size), (sigma, sigma), "channels_last")[..., 0]
    row, column = jnp.mgrid[: x.shape[1], : x.shape[2]]
    rows, columns = row + alpha * field, column + alpha * field
    result = _fetch(x, rows, columns, _ORDERS[interpolation], fill_mode, fill_value)
    result = jnp.moveaxis(result.astype(x.dtype), -1, channels)
    return result[0] if single else result
