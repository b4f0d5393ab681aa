"""Layers that move the pixels of images in training: flips, turns, zooms, shifts and shears."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import one_of
from kerasish.layers.preprocessing.image.base import GeometricImageLayer, interval
from kerasish.layers.preprocessing.image.bounding_boxes import project_boxes
from kerasish.ops.image import affine_transform


class RandomFlip(GeometricImageLayer):
    """In training, mirrors each image with probability one half.

    Args:
        mode: `"horizontal"`: left and right are swapped; `"vertical"`: top and bottom do;
            `"horizontal_and_vertical"`: both, or nothing.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, height, width, channels)` or one image -> the same, in floats; or a dict with
        `images`, and `segmentation_masks` that are moved alike.

    Example:
        >>> x = np.array([[[1.0], [2.0]]])
        >>> flip = RandomFlip("horizontal", seed=1)
        >>> sorted({tuple(flip(x, training=True).ravel().tolist()) for _ in range(9)})
        [(1.0, 2.0), (2.0, 1.0)]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        modes = ("horizontal", "vertical", "horizontal_and_vertical")
        self.mode = one_of(self, "mode", mode, modes)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return {"flips": random.uniform((shape[0], 1, 1, 1), seed=seed) <= 0.5}

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        axes = {"horizontal": 2, "vertical": 1, "horizontal_and_vertical": (1, 2)}
        return jnp.where(drawn["flips"], jnp.flip(images, axes[self.mode]), images)

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        height, width = size
        x1, y1, x2, y2 = jnp.moveaxis(boxes, -1, 0)
        if self.mode != "vertical":
            x1, x2 = width - x2, width - x1
        if self.mode != "horizontal":
            y1, y2 = height - y2, height - y1
        flips = jnp.reshape(jnp.asarray(drawn["flips"]), (-1, 1, 1))
        return jnp.where(flips, jnp.stack([x1, y1, x2, y2], axis=-1), boxes)


class _Affine(GeometricImageLayer):
    """Base of layers that move pixels by a matrix: see `ops.image.affine_transform`."""

    def matrix(self, drawn, size: tuple) -> jax.Array:
        """Where pixels of images of `size` come from, by what was drawn: `(batch, 6)`."""
        raise NotImplementedError(f"{type(self).__name__} has no `matrix`: say what it does.")

    def move(self, images, drawn, interpolation):
        fill = self.fill_mode, self.fill_value, "channels_last"
        matrix = self.matrix(drawn, images.shape[1:3])
        return affine_transform(images, matrix, interpolation, *fill)

    def move_boxes(self, boxes, drawn, size):
        # As in Keras 3, a box's numbers are taken for pixels' positions, as the matrix takes them.
        matrix = self.matrix(drawn, size)
        last = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (matrix.shape[0], 3))
        matrix = jnp.reshape(jnp.concatenate([matrix, last], axis=-1), (-1, 3, 3))
        return project_boxes(boxes, jnp.linalg.inv(matrix))


def _rows(batch, *numbers) -> jax.Array:
    """A matrix for each image of a batch, from numbers or arrays `(batch,)`."""
    return jnp.stack([jnp.broadcast_to(jnp.asarray(n, "float32"), (batch,)) for n in numbers], -1)


class RandomRotation(_Affine):
    """In training, turns each image about its middle.

    Args:
        factor: Two fractions of a full turn to draw from, or one number: from `-factor` to it.
            Positive is counter-clockwise.
        fill_mode: What comes in from outside: `"reflect"` (`d c b a | a b c d | d c b a`), `"wrap"`
            (`a b c d | a b c d`), `"nearest"` (`a a a | a b c d`) or `"constant"` (`fill_value`).
        interpolation: `"bilinear"` or `"nearest"`.
        seed: Integer; makes the layer's random numbers the same in each run.
        fill_value: What is outside for `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomFlip`.

    Example:
        >>> x = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
        >>> quarter = RandomRotation((0.25, 0.25), interpolation="nearest")
        >>> quarter(x, training=True)[..., 0]
        Array([[2., 4.],
               [1., 3.]], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor)
        self.keep_filling(fill_mode, fill_value, interpolation)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        least, most = (turn * 360.0 for turn in self.factor)
        return {"angle": random.uniform((shape[0],), least, most, seed=seed)}

    def matrix(self, drawn: Any, size: tuple) -> Any:
        """A rotation about the middle, by the angles drawn.

        Args:
            drawn: What `draw` gave.
            size: Height and width of the images.
        """
        height, width = size
        angle = jnp.asarray(drawn["angle"]) * (math.pi / 180.0)
        batch = angle.shape[0]
        x, y, cos, sin = (width - 1) / 2, (height - 1) / 2, jnp.cos(angle), jnp.sin(angle)
        first = cos, -sin, x - x * cos + y * sin
        return _rows(batch, *first, sin, cos, y - x * sin - y * cos)


class RandomZoom(_Affine):
    """In training, draws each image nearer or further away.

    Args:
        height_factor: Two fractions to draw from, or one number: from `-factor` to it; more than -1
            and at most 1. 0.2 makes the image 20% smaller, -0.2 larger.
        width_factor: The same for the width; `None`: as the height, so that proportions stay.
        fill_mode: What comes in from outside; see `RandomRotation`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: Integer; makes the layer's random numbers the same in each run.
        fill_value: What is outside for `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomFlip`.

    Example:
        >>> RandomZoom(0.2)(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._heights = self._zooms("height_factor", height_factor)
        self._widths = None if width_factor is None else self._zooms("width_factor", width_factor)
        self.keep_filling(fill_mode, fill_value, interpolation)
        self.keep_seed(seed)

    def _zooms(self, name, factor):
        least, most = interval(self, name, factor)
        if least == -1:
            raise bad_argument(self, name, "more than -1", factor)
        return 1.0 + least, 1.0 + most

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch = shape[0]
        tall = wide = random.uniform((batch, 1), *self._heights, seed=seed)
        if self._widths is not None:
            wide = random.uniform((batch, 1), *self._widths, seed=seed)
        return {"height_zoom": tall, "width_zoom": wide}

    def matrix(self, drawn: Any, size: tuple) -> Any:
        """A change of size about the middle, by the factors drawn.

        Args:
            drawn: What `draw` gave.
            size: Height and width of the images.
        """
        height, width = size
        tall, wide = (jnp.ravel(jnp.asarray(drawn[n])) for n in ("height_zoom", "width_zoom"))
        batch = tall.shape[0]
        x, y = (width - 1) / 2, (height - 1) / 2
        return _rows(batch, wide, 0, x * (1 - wide), 0, tall, y * (1 - tall))


class RandomTranslation(_Affine):
    """In training, moves each image up or down, left or right.

    Args:
        height_factor: Two fractions of the height to draw from, or one number: from `-factor` to
            it; from -1 to 1. Positive is down.
        width_factor: The same for the width. Positive is to the right.
        fill_mode: What comes in from outside; see `RandomRotation`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: Integer; makes the layer's random numbers the same in each run.
        fill_value: What is outside for `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomFlip`.

    Example:
        >>> down = RandomTranslation((0.5, 0.5), 0.0, fill_mode="constant")
        >>> down(np.array([[[1.0]], [[2.0]]]), training=True).ravel()
        Array([0., 1.], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._heights = interval(self, "height_factor", height_factor)
        self._widths = interval(self, "width_factor", width_factor)
        self.keep_filling(fill_mode, fill_value, interpolation)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch, height, width, _ = shape
        down = random.uniform((batch, 1), *self._heights, seed=seed) * height
        right = random.uniform((batch, 1), *self._widths, seed=seed) * width
        return {"translations": jnp.concatenate([right, down], axis=-1)}

    def matrix(self, drawn: Any, size: tuple) -> Any:
        """A translation by the shares of the size drawn.

        Args:
            drawn: What `draw` gave.
            size: Height and width of the images.
        """
        right, down = jnp.moveaxis(jnp.asarray(drawn["translations"]), -1, 0)
        return _rows(right.shape[0], 1, 0, -right, 0, 1, -down)


class RandomShear(_Affine):
    """In training, slants each image: rows move by where they stand, and columns do.

    Args:
        x_factor: Two numbers to draw from, by how many columns each row moves against the one
            above; one number: from `-factor` to it. At most 1.
        y_factor: The same for the columns. Each image is slanted one way or the other.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What comes in from outside; see `RandomRotation`.
        fill_value: What is outside for `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomFlip`.

    Example:
        >>> RandomShear(0.2, 0.1)(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.x_factor = interval(self, "x_factor", x_factor)
        self.y_factor = interval(self, "y_factor", y_factor)
        self.keep_filling(fill_mode, fill_value, interpolation)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch = shape[0]
        way = jnp.where(random.uniform((batch,), seed=seed) > 0.5, -1.0, 1.0)
        y = random.uniform((batch,), *self.y_factor, seed=seed) * way
        x = random.uniform((batch,), *self.x_factor, seed=seed) * way
        return {"shear_factor": jnp.stack([x, y], axis=-1)}

    def matrix(self, drawn: Any, size: tuple) -> Any:
        """A shear by the factors drawn.

        Args:
            drawn: What `draw` gave.
            size: Height and width of the images.
        """
        x, y = jnp.moveaxis(jnp.asarray(drawn["shear_factor"]), -1, 0)
        return _rows(x.shape[0], 1, x, 0, y, 1, 0)
