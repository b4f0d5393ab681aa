"""Layers that bring images to a size: by resizing, or by cutting off borders."""

import jax.numpy as jnp
from jax import lax

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import SeedGenerator, make_default_seed
from kerasish.layers.base.arguments import one_of, positive_int
from kerasish.layers.preprocessing.image.base import GeometricImageLayer
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
        height,
        width,
        interpolation="bilinear",
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=False,
        fill_mode="constant",
        fill_value=0.0,
        antialias=False,
        data_format=None,
        **kwargs,
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

    def move(self, images, drawn, interpolation):
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


class CenterCrop(GeometricImageLayer):
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

    always = True

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)

    def move(self, images, drawn, interpolation):
        _, rows, columns, _ = images.shape
        height, width = self.height, self.width
        if rows >= height and columns >= width:
            top, left = (rows - height) // 2, (columns - width) // 2
            return images[:, top : top + height, left : left + width]
        options = {"crop_to_aspect_ratio": True, "data_format": "channels_last"}
        return resize(images, (height, width), interpolation, **options)


class RandomCrop(GeometricImageLayer):
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

    always = True

    def __init__(self, height, width, seed=None, data_format=None, name=None, **kwargs):
        super().__init__(data_format=data_format, name=name, **kwargs)
        self.height = positive_int(self, "height", height)
        self.width = positive_int(self, "width", width)
        self.seed = make_default_seed() if seed is None else seed
        self.generator = SeedGenerator(seed)

    def get_random_transformation(self, data, training=True, seed=None):
        return super().get_random_transformation(data, True, seed) if training else None

    def draw(self, shape, seed):
        room = shape[1] - self.height, shape[2] - self.width
        if min(room) <= 0:
            return None
        return [random.uniform((), 0, float(n + 1), seed=seed).astype("int32") for n in room]

    def move(self, images, drawn, interpolation):
        batch, rows, columns, channels = images.shape
        size = self.height, self.width
        if drawn is not None:
            top, left = (jnp.asarray(start, "int32") for start in drawn)
            return lax.dynamic_slice(images, (0, top, left, 0), (batch, *size, channels))
        tall, wide = to_aspect(rows, columns, size)
        top, left = (
            (rows - max(min(rows, tall), 1)) // 2,
            (columns - max(min(columns, wide), 1)) // 2,
        )
        part = images[:, top : top + size[0], left : left + size[1]]
        if part.shape[1:3] == size:
            return part
        return resize(part, size, interpolation, data_format="channels_last")
