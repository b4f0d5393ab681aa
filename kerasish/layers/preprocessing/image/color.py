"""Layers that change how bright and how colourful images are, in training."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import random
from kerasish.core import settings
from kerasish.layers.base.arguments import fraction
from kerasish.layers.preprocessing.image.base import ImageLayer, interval, rescale, value_pair
from kerasish.ops.image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv


def per_image(drawn: jax.Array) -> jax.Array:
    """Numbers of a batch's images, so that they broadcast over pixels.

    Args:
        drawn: A number for each image.
    """
    return drawn[:, None, None, None]


class RandomContrast(ImageLayer):
    """In training, `(x - mean) * factor + mean`, with the mean of each channel of each image.

    Args:
        factor: Two numbers: the contrast's factor is drawn from `1 - first` to `1 + second`; from
            0 to 1. One number: from 1 to `1 + factor`.
        value_range: The least and the largest value of pixels; results are clipped to it.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        `(batch, height, width, channels)` or one image -> the same, in floats; or a dict with
        `images`.

    Example:
        >>> double = RandomContrast((0.0, 1.0), seed=1)
        >>> double(np.array([[[10.0]], [[10.0]]]), training=True).ravel()
        Array([10., 10.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        least, most = 1.0 - self.factor[0], 1.0 + self.factor[1]
        return random.uniform((shape[0],), least, most, dtype=self.compute_dtype, seed=seed)

    def alter(self, images: Any, drawn: Any) -> Any:
        mean = jnp.mean(images, axis=(1, 2), keepdims=True)
        changed = (images - mean) * per_image(drawn).astype(images.dtype) + mean
        return jnp.clip(changed, *self.value_range)


class RandomBrightness(ImageLayer):
    """In training, adds a number to all pixels of an image.

    Args:
        factor: Two fractions of the range of values to draw from, or one number: from `-factor` to
            it; from -1 to 1.
        value_range: The least and the largest value of pixels; results are clipped to it.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> RandomBrightness((0.2, 0.2))(np.full((1, 1, 1), 100.0), training=True).ravel()
        Array([151.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.factor = interval(self, "factor", factor)
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        least, most = self.value_range
        return random.uniform((shape[0],), *self.factor, seed=seed) * (most - least)

    def alter(self, images: Any, drawn: Any) -> Any:
        return jnp.clip(images + per_image(drawn).astype(images.dtype), *self.value_range)


class RandomGrayscale(ImageLayer):
    """In training, takes the colours from some images.

    Args:
        factor: Probability of an image to lose them, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        `(batch, height, width, 3)` or one image -> the same, in floats; or a dict with `images`.

    Example:
        >>> RandomGrayscale(1.0)(np.array([[[255.0, 0.0, 0.0]]]), training=True).round()
        Array([[[76., 76., 76.]]], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence = 0.5,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = fraction(self, "factor", factor)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return random.uniform((shape[0],), seed=seed) < self.factor

    def alter(self, images: Any, drawn: Any) -> Any:
        return jnp.where(per_image(drawn), rgb_to_grayscale(images, "channels_last"), images)

    def get_config(self) -> dict:
        config = super().get_config()
        if config["seed"] is None:  # Keras never writes it; one that was given must not be lost
            del config["seed"]
        return config


class RandomHue(ImageLayer):
    """In training, turns the colours of an image: red to green to blue, or the other way.

    Args:
        factor: Two numbers from 0 to 1 to draw from, or one: from 0 to it. 1 is half the circle of
            colours, one way or the other.
        value_range: The least and the largest value of pixels.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomGrayscale`.

    Example:
        >>> RandomHue((1.0, 1.0))(np.array([[[255.0, 0.0, 0.0]]]), training=True)
        Array([[[  0., 255., 255.]]], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        value_range: Sequence = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        way = jnp.where(random.uniform((shape[0],), seed=seed) > 0.5, -1.0, 1.0)
        return way * random.uniform((shape[0],), *self.factor, seed=seed) * 0.5

    def alter(self, images: Any, drawn: Any) -> Any:
        hsv = rgb_to_hsv(rescale(images, self.value_range, (0, 1)), "channels_last")
        hue = hsv[..., :1] + per_image(drawn).astype(hsv.dtype)
        hue = jnp.where(hue > 1.0, hue - 1.0, jnp.where(hue < 0.0, hue + 1.0, hue))
        rgb = hsv_to_rgb(jnp.concatenate([hue, hsv[..., 1:]], axis=-1), "channels_last")
        return rescale(jnp.clip(rgb, 0, 1), (0, 1), self.value_range)


class RandomSaturation(ImageLayer):
    """In training, makes the colours of an image paler or stronger.

    Args:
        factor: Two numbers to draw from, or one: from `-factor` to it. 0 leaves grey, 0.5 nothing
            changed, 1 only pure colours.
        value_range: The least and the largest value of pixels.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomGrayscale`.

    Example:
        >>> RandomSaturation((0.0, 0.0))(np.array([[[255.0, 51.0, 0.0]]]), training=True)
        Array([[[255., 255., 255.]]], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        value_range: Sequence = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor)
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        share = random.uniform((shape[0],), *self.factor, seed=seed)
        return share / (1.0 - share + settings.epsilon())

    def alter(self, images: Any, drawn: Any) -> Any:
        hue, saturation, value = jnp.split(rgb_to_hsv(images, "channels_last"), 3, axis=-1)
        saturation = saturation * per_image(drawn).astype(saturation.dtype)
        saturation = jnp.clip(saturation, *self.value_range)
        return hsv_to_rgb(jnp.concatenate([hue, saturation, value], axis=-1), "channels_last")


class RandomColorDegeneration(ImageLayer):
    """In training, makes an image greyer: `x + factor * (grey - x)`.

    Args:
        factor: Two numbers to draw from, or one: from `-factor` to it; from -1 to 1. 0 changes
            nothing, 1 leaves grey; below 0 colours get stronger.
        value_range: The least and the largest value of pixels; results are clipped to it.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomGrayscale`.

    Example:
        >>> grey = RandomColorDegeneration((1.0, 1.0))
        >>> grey(np.array([[[255.0, 0.0, 0.0]]]), training=True).round()
        Array([[[76., 76., 76.]]], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence,
        value_range: Sequence = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor)
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return random.uniform((shape[0],), *self.factor, seed=seed)

    def alter(self, images: Any, drawn: Any) -> Any:
        grey = rgb_to_grayscale(images, "channels_last")
        changed = images + per_image(drawn).astype(images.dtype) * (grey - images)
        return jnp.clip(changed, *self.value_range)


class RandomColorJitter(ImageLayer):
    """In training, `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`.

    Args:
        value_range: The least and the largest value of pixels.
        brightness_factor: As of `RandomBrightness`; `None`: without it.
        contrast_factor: As of `RandomContrast`; `None`: without it.
        saturation_factor: As of `RandomSaturation`; `None`: without it.
        hue_factor: As of `RandomHue`; `None`: without it.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomGrayscale`.

    Example:
        >>> jitter = RandomColorJitter(brightness_factor=0.2, hue_factor=0.1)
        >>> jitter(np.ones((2, 4, 4, 3)), training=True).shape
        (2, 4, 4, 3)
    """

    def __init__(
        self,
        value_range: Sequence = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self.brightness_factor = brightness_factor
        self.contrast_factor = contrast_factor
        self.saturation_factor = saturation_factor
        self.hue_factor = hue_factor
        self.keep_seed(seed)
        options = {"seed": seed, "data_format": "channels_last", "dtype": self.dtype_policy}
        steps = {
            RandomBrightness: brightness_factor,
            RandomContrast: contrast_factor,
            RandomSaturation: saturation_factor,
            RandomHue: hue_factor,
        }
        given = {kind: factor for kind, factor in steps.items() if factor is not None}
        self.steps = [kind(factor, value_range, **options) for kind, factor in given.items()]

    def draw(self, shape: tuple, seed: Any) -> Any:
        return [step.draw(shape, seed) for step in self.steps]

    def alter(self, images: Any, drawn: Any) -> Any:
        for step, numbers in zip(self.steps, drawn, strict=True):
            images = step.alter(images, numbers)
        return images
