"""Layers that bring images to a size: by resizing, or by cutting off borders."""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import SeedGenerator, make_default_seed
from kerasish.layers.base.arguments import one_of, positive_int
from kerasish.layers.preprocessing.image.base import GeometricImageLayer
from kerasish.layers.preprocessing.image.bounding_boxes import crop
from kerasish.ops.image import resize
from kerasish.ops.image.resizing import to_aspect

_METHODS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class Resizing(GeometricImageLayer):
    """Images in a fixed size.

    Integers stay integers, rounded. Acts in training and out of it.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        crop_to_aspect_ratio: Cut off at the borders what would change the proportions.
        pad_to_aspect_ratio: Add borders of `fill_value` that keep the proportions.
        fill_mode: `"constant"`.
        fill_value: Value of added borders.
        antialias: Whether to smooth before making images smaller.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, rows, columns, channels)` -> `(batch, height, width, channels)`, or one image;
        or a dict with `images`, and `segmentation_masks` of the same size.

    Example:
        >>> Resizing(2, 2)(np.ones((1, 4, 6, 3))).shape
        (1, 2, 2, 3)
    """

    always = True
    keeps_dtype = True

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)
        self.interpolation = one_of(self, "interpolation", interpolation, _METHODS)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            wanted = "False together with `crop_to_aspect_ratio`"
            raise bad_argument(self, "pad_to_aspect_ratio", wanted, True)
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = one_of(self, "fill_mode", fill_mode, ("constant",))
        self.fill_value = fill_value
        self.antialias = bool(antialias)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return {}

    def size_after(self, size: tuple) -> tuple:
        return self.height, self.width

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        rows, columns = size
        tall, wide = self.height / rows, self.width / columns
        left = top = 0
        if self.pad_to_aspect_ratio:
            tall = wide = min(tall, wide)
        elif self.crop_to_aspect_ratio:
            tall = wide = max(tall, wide)
        if self.pad_to_aspect_ratio or self.crop_to_aspect_ratio:
            # Before resizing these would be integers; Keras' boxes take them after.
            top, left = (self.height - rows * tall) / 2, (self.width - columns * wide) / 2
            whole = math.floor if self.pad_to_aspect_ratio else math.ceil
            top, left = whole(top), whole(left)
        moved = boxes * jnp.array([wide, tall, wide, tall]) + jnp.array([left, top, left, top])
        filler = jnp.all(boxes == 0, axis=-1) | jnp.all(boxes == -1, axis=-1)
        return jnp.where(filler[..., None], 0.0, moved)

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        return resize(
            images,
            (self.height, self.width),
            interpolation=interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format="channels_last",
        )


class _Crop(GeometricImageLayer):
    """Base of layers that cut out a part, and resize it if images are too small for it."""

    always = True

    def size_after(self, size):
        return self.height, self.width

    def middle(self, size: tuple) -> tuple:
        """The part around the middle of images of `size`: top, left, height and width."""
        raise NotImplementedError(f"{type(self).__name__} has no `middle`: say what it is.")

    def move_boxes(self, boxes, drawn, size):
        starts = drawn.get("starts")
        if starts is not None:
            return crop(boxes, *(n.astype(boxes.dtype) for n in starts), self.height, self.width)
        top, left, height, width = self.middle(size)
        tall, wide = self.height / height, self.width / width
        return crop(boxes, top, left, height, width) * jnp.array([wide, tall, wide, tall])


class CenterCrop(_Crop):
    """The middle of images, in floats.

    Of images that are too small, the largest part of the wanted proportions, resized. Acts in
    training and out of it.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `Resizing`.

    Example:
        >>> CenterCrop(1, 2)(np.arange(12.0).reshape(1, 3, 4, 1)).ravel()
        Array([5., 6.], dtype=float32)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return {}

    def middle(self, size: tuple) -> tuple:
        """The part that is kept: top, left, height and width.

        Args:
            size: Height and width of the images.
        """
        rows, columns = size
        height, width = self.height, self.width
        if rows < height or columns < width:
            tall, wide = to_aspect(rows, columns, (height, width))
            height, width = max(min(rows, tall), 1), max(min(columns, wide), 1)
        return (rows - height) // 2, (columns - width) // 2, height, width

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        _, rows, columns, _ = images.shape
        height, width = self.height, self.width
        if rows >= height and columns >= width:
            top, left, _, _ = self.middle((rows, columns))
            return images[:, top : top + height, left : left + width]
        options = {"crop_to_aspect_ratio": True, "data_format": "channels_last"}
        return resize(images, (height, width), interpolation, **options)


class RandomCrop(_Crop):
    """In training, a part of images from a random position, the same for a whole batch.

    Images not larger than that in both directions, and all images out of training, are cut around
    their middle, and resized if that leaves them too small. Gives floats.

    Args:
        height: Rows of the result.
        width: Columns of the result.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `Resizing`.

    Example:
        >>> RandomCrop(2, 2, seed=1)(np.ones((1, 4, 6, 3)), training=True).shape
        (1, 2, 2, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, name=name, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)
        self.seed = make_default_seed() if seed is None else seed
        self.generator = SeedGenerator(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if training:
            return super().get_random_transformation(data, True, seed)
        images = data["images"] if isinstance(data, dict) else data
        return {"starts": None, "input_shape": images.shape}

    def draw(self, shape: tuple, seed: Any) -> Any:
        room = shape[1] - self.height, shape[2] - self.width
        if min(room) <= 0:
            return {"starts": None}
        starts = [random.uniform((), 0, float(n + 1), seed=seed).astype("int32") for n in room]
        return {"starts": starts}

    def middle(self, size: tuple) -> tuple:
        """The part that is kept outside of training: top, left, height and width.

        Args:
            size: Height and width of the images.
        """
        rows, columns = size
        tall, wide = to_aspect(rows, columns, (self.height, self.width))
        top = (rows - max(min(rows, tall), 1)) // 2
        left = (columns - max(min(columns, wide), 1)) // 2
        return top, left, min(self.height, rows - top), min(self.width, columns - left)

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        batch, rows, columns, channels = images.shape
        size = self.height, self.width
        if drawn is not None and drawn["starts"] is not None:
            top, left = (jnp.asarray(start, "int32") for start in drawn["starts"])
            return lax.dynamic_slice(images, (0, top, left, 0), (batch, *size, channels))
        top, left, height, width = self.middle((rows, columns))
        part = images[:, top : top + height, left : left + width]
        if part.shape[1:3] == size:
            return part
        return resize(part, size, interpolation, data_format="channels_last")
