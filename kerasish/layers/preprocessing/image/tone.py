"""Layers that change how the values of pixels are spread: inverted, sharper, in steps, evened."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import random
from kerasish.layers.base.arguments import positive_int
from kerasish.layers.preprocessing.image.base import ImageLayer, interval, rescale, value_pair
from kerasish.layers.preprocessing.image.color import per_image
from kerasish.ops.nn.convolution import depthwise_conv


class RandomInvert(ImageLayer):
    """In training, turns some images into their negative: `largest value - x`.

    Args:
        factor: Two probabilities to draw from, or one: from 0 to it; each image is inverted with
            the probability drawn.
        value_range: The least and the largest value of pixels.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> RandomInvert((1.0, 1.0))(np.full((1, 1, 1), 55.0), training=True).ravel()
        Array([200.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        probability = random.uniform((shape[0],), *self.factor, seed=seed)
        return random.uniform((shape[0],), seed=seed) < probability

    def alter(self, images: Any, drawn: Any) -> Any:
        return jnp.where(per_image(drawn), self.value_range[1] - images, images)


class RandomSharpness(ImageLayer):
    """In training, blurs or sharpens each image: `x + (1 - 2 * factor) * (smooth - x)`.

    Args:
        factor: Two numbers from 0 to 1 to draw from, or one: from 0 to it. 0 blurs, 0.5 changes
            nothing, 1 sharpens.
        value_range: The least and the largest value of pixels; results are clipped to it.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> RandomSharpness((0.5, 0.5))(np.full((1, 1, 1), 9.0), training=True).ravel()
        Array([9.], dtype=float32)
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
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        return random.uniform((shape[0],), *self.factor, seed=seed)

    def alter(self, images: Any, drawn: Any) -> Any:
        mean = jnp.full((3, 3, 1, 1), 1 / 13, images.dtype).at[1, 1].set(5 / 13)
        mean = jnp.tile(mean, (1, 1, images.shape[-1], 1))
        smooth = depthwise_conv(images, mean, padding="same", data_format="channels_last")
        blur = per_image(1.0 - 2.0 * drawn).astype(images.dtype)
        return jnp.clip(images + blur * (smooth - images), *self.value_range)


class RandomPosterization(ImageLayer):
    """In training, leaves only the leading bits of pixels, so that few values remain.

    Args:
        factor: Two numbers of bits from 1 to 8, the second not included unless both are equal; or
            one: from 1 to less than it.
        value_range: The least and the largest value of pixels.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> RandomPosterization((1, 1))(np.array([[[90.0, 160.0]]]), training=True).ravel()
        Array([  0., 128.], dtype=float32)
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
        self.factor = interval(self, "factor", factor, least=1, most=8)
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        least, most = self.factor
        if least == most:
            return jnp.full((shape[0],), least, "uint8")
        return random.randint((shape[0],), least, most, dtype="uint8", seed=seed)

    def alter(self, images: Any, drawn: Any) -> Any:
        lost = per_image(8 - drawn)
        steps = rescale(images, self.value_range, (0, 255)).astype("uint8") >> lost << lost
        return rescale(steps.astype(images.dtype), (0, 255), self.value_range)


class Solarization(ImageLayer):
    """In training, inverts the pixels above a threshold, after adding to all.

    Args:
        addition_factor: Two fractions of the range to draw what is added from, or one: from 0 to
            it; from 0 to 1.
        threshold_factor: The same for the threshold.
        value_range: The least and the largest value of pixels.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> Solarization()(np.array([[[55.0]]]), training=True).ravel()
        Array([200.], dtype=float32)
    """

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.addition_factor = interval(self, "addition_factor", addition_factor, least=0.0)
        self.threshold_factor = interval(self, "threshold_factor", threshold_factor, least=0.0)
        self.value_range = value_pair(self, value_range)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        # Only the upper ends are brought to 255, as in Keras 3.
        ranges = [(f[0], f[1] * 255) for f in (self.addition_factor, self.threshold_factor)]
        options = {"dtype": self.compute_dtype, "seed": seed}
        return [random.uniform((shape[0],), *ends, **options) for ends in ranges]

    def alter(self, images: Any, drawn: Any) -> Any:
        addition, threshold = (per_image(n).astype(images.dtype) for n in drawn)
        x = jnp.clip(rescale(images, self.value_range, (0, 255)) + addition, 0, 255)
        return rescale(jnp.where(x < threshold, x, 255 - x), (0, 255), self.value_range)


class AutoContrast(ImageLayer):
    """Stretches each channel of each image to the whole range of values.

    Channels of a single value stay. Acts in training and out of it.

    Args:
        value_range: The least and the largest value of pixels.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> AutoContrast()(np.array([[[10.0], [20.0], [30.0]]])).ravel()
        Array([  0. , 127.5, 255. ], dtype=float32)
    """

    always = True

    def __init__(self, value_range: Sequence = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = value_pair(self, value_range)

    def alter(self, images: Any, drawn: Any) -> Any:
        x = rescale(images, self.value_range, (0, 255))
        low = jnp.min(x, axis=(1, 2), keepdims=True)
        high = jnp.max(x, axis=(1, 2), keepdims=True)
        flat = high == low
        scale = 255.0 / jnp.where(flat, 1.0, high - low)
        stretched = jnp.clip(x * scale - low * scale, 0.0, 255.0)
        return jnp.where(flat, images, rescale(stretched, (0, 255), self.value_range))


class Equalization(ImageLayer):
    """In training, spreads the values of each channel so that all are about as frequent.

    How frequent they are is counted over the whole batch.

    Args:
        value_range: The least and the largest value of pixels.
        bins: How many different values are counted.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> Equalization()(np.array([[[10.0], [11.0], [12.0]]]), training=True).ravel()
        Array([  0., 128., 255.], dtype=float32)
    """

    def __init__(
        self,
        value_range: Sequence = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = positive_int(self, "bins", bins)
        self.value_range = value_pair(self, value_range)

    def alter(self, images: Any, drawn: Any) -> Any:
        x = rescale(images, self.value_range, (0, 255))
        equal = jax.vmap(self._equalize, in_axes=-1, out_axes=-1)(x)
        return rescale(equal.astype(images.dtype), (0, 255), self.value_range)

    def _equalize(self, channel):
        last = self.bins - 1
        levels = jnp.clip((channel.astype("float32") * last / 255).astype("int32"), 0, last)
        counts = jnp.zeros(self.bins, "int32").at[levels.ravel()].add(1)
        up_to = jnp.cumsum(counts)
        first = up_to[jnp.argmax(up_to > 0)]
        rest = jnp.maximum(up_to[-1] - first, 1)
        values = jnp.clip(jnp.round((up_to - first).astype("float32") * 255 / rest), 0, 255)
        where = jnp.clip(channel / 255.0 * last, 0, last).astype("int32")
        return jnp.where(jnp.count_nonzero(counts) <= 1, channel, values[where])
