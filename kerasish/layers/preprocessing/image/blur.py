"""`RandomGaussianBlur`: some images less sharp, in training."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.layers.preprocessing.image.base import ImageLayer, interval
from kerasish.layers.preprocessing.image.color import per_image
from kerasish.ops.image import gaussian_blur


class RandomGaussianBlur(ImageLayer):
    """In training, smooths some images by a normal distribution.

    Args:
        factor: Two probabilities to draw from, or one: from 0 to it; each image is then smoothed
            with the probability drawn.
        kernel_size: Odd width and height of the window in pixels, or one number for both.
        sigma: Two widths of the distribution in pixels to draw from, or one: from 0 to it; from 0
            to 1. All images of a batch share what is drawn.
        value_range: The least and the largest value of pixels; results are clipped to it.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        As of `RandomContrast`.

    Example:
        >>> x = np.zeros((5, 5, 1))
        >>> x[2, 2] = 100.0
        >>> blur = RandomGaussianBlur((1.0, 1.0), sigma=(1.0, 1.0))
        >>> blur(x, training=True)[2, :, 0].round()
        Array([ 0., 12., 20., 12.,  0.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        kernel_size: int | Sequence = 3,
        sigma: float | Sequence = 1.0,
        value_range: Sequence = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        sizes = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        are_two = isinstance(sizes, list | tuple) and len(sizes) == 2
        if not are_two or not all(isinstance(n, int) and n > 0 and n % 2 for n in sizes):
            wanted = "an odd positive integer, or two of them"
            raise bad_argument(self, "kernel_size", wanted, kernel_size)
        self.kernel_size = tuple(sizes)
        self.sigma = interval(self, "sigma", sigma, least=0.0)
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        probability = random.uniform((shape[0],), *self.factor, seed=seed)
        blurred = random.uniform((shape[0],), seed=seed) < probability
        sigma = random.uniform((2,), *self.sigma, dtype=self.compute_dtype, seed=seed) + 1e-6
        return {"should_apply_blur": blurred, "blur_factor": sigma}

    def alter(self, images: Any, drawn: Any) -> Any:
        smooth = gaussian_blur(images, self.kernel_size, drawn["blur_factor"], "channels_last")
        chosen = jnp.where(per_image(drawn["should_apply_blur"]), smooth, images)
        return jnp.clip(chosen, *self.value_range)
