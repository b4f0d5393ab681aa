"""Layers that distort some images in training: seen from the side, or through moving water."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import fraction, one_of
from kerasish.layers.preprocessing.image.base import (
    FILLS,
    INTERPOLATIONS,
    GeometricImageLayer,
    interval,
)
from kerasish.layers.preprocessing.image.bounding_boxes import project_boxes
from kerasish.layers.preprocessing.image.color import per_image
from kerasish.ops.image import perspective_transform
from kerasish.ops.image.transforms import displace, homography


def _chosen(shape, factor, seed) -> jax.Array:
    """Which images of a batch to change, each with a probability of its own."""
    probability = random.uniform((shape[0],), *factor, seed=seed)
    return random.uniform((shape[0],), seed=seed) < probability


class RandomPerspective(GeometricImageLayer):
    """In training, shows some images as if seen from another side: their corners are moved.

    Args:
        factor: Two probabilities to draw from, or one: from 0 to it; each image is then changed
            with the probability drawn.
        scale: How far corners move: up to half of it times their distance from the upper left one;
            from 0 to 1.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: What comes in from outside.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomFlip`.

    Example:
        >>> RandomPerspective()(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.scale = fraction(self, "scale", scale)
        self.interpolation = one_of(self, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = fill_value
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch, height, width, _ = shape
        chosen = _chosen(shape, self.factor, seed)
        ends = -0.5 * self.scale, 0.5 * self.scale
        moves = random.uniform((batch, 4, 2), *ends, dtype=self.compute_dtype, seed=seed)
        right, bottom = width - 1, height - 1
        start = jnp.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], moves.dtype)
        start = jnp.broadcast_to(start, (batch, 4, 2))
        end = start + start * moves
        return {"apply_perspective": chosen, "start_points": start, "end_points": end}

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        points = drawn["start_points"], drawn["end_points"]
        options = interpolation, self.fill_value, "channels_last"
        seen = perspective_transform(images, *points, *options).astype(images.dtype)
        return jnp.where(per_image(jnp.asarray(drawn["apply_perspective"])), seen, images)

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        points = (jnp.asarray(drawn[n], "float32") for n in ("start_points", "end_points"))
        numbers = homography(*points)
        numbers = jnp.concatenate([numbers, jnp.ones_like(numbers[:, :1])], axis=-1)
        moved = project_boxes(boxes, jnp.linalg.inv(jnp.reshape(numbers, (-1, 3, 3))))
        chosen = jnp.asarray(drawn["apply_perspective"])
        return jnp.where(chosen[:, None, None], moved, boxes)


class RandomElasticTransform(GeometricImageLayer):
    """In training, moves the pixels of some images by a smooth random field.

    Bounding boxes cannot follow: what the field makes of a box is not defined.

    Args:
        factor: Two probabilities to draw from, or one: from 0 to it; each image is then changed
            with the probability drawn.
        scale: Two strengths to draw from, or one: from 0 to it; from 0 to 1. All images of a batch
            share what is drawn.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: What comes in from outside; see `RandomRotation`.
        fill_value: What is outside for `"constant"`.
        value_range: The least and the largest value of pixels; results are clipped to it.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomFlip`.

    References:
        Simard, Steinkraus and Platt, 2003, "Best Practices for Convolutional Neural Networks".

    Example:
        >>> RandomElasticTransform()(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.scale = interval(self, "scale", scale, least=0.0)
        self.interpolation = one_of(self, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_mode = one_of(self, "fill_mode", fill_mode, (*FILLS, "mirror"))
        self.fill_value = fill_value
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        if self.scale[1] == 0 or self.factor[1] == 0:
            return None
        chosen = _chosen(shape, self.factor, seed)
        strength = random.uniform((), *self.scale, dtype=self.compute_dtype, seed=seed)
        noise = random.normal(shape[:3], dtype=self.compute_dtype, seed=seed)
        return {"apply_transform": chosen, "distortion_factor": strength, "noise": noise}

    def _field(self, drawn, size):
        """How far each pixel moves: noise, smoothed in a window of six times its width."""
        strength = jnp.asarray(drawn["distortion_factor"])
        sigma = min(size) * 0.05 * strength
        widest = int(6 * min(size) * 0.05 * self.scale[1]) | 1
        window = jnp.floor(6 * sigma).astype("int32") | 1
        x = jnp.arange(widest) - widest // 2
        weights = jnp.exp(-0.5 * (x / jnp.maximum(sigma, 1e-6)) ** 2)
        weights = jnp.where(jnp.abs(x) <= window // 2, weights, 0.0)
        weights = (weights / jnp.sum(weights)).astype(drawn["noise"].dtype)
        smooth = jax.vmap(jax.vmap(lambda line: jnp.convolve(line, weights, mode="valid")))
        edge = (widest // 2, widest // 2)
        field = jnp.pad(drawn["noise"] * sigma, ((0, 0), edge, edge))
        field = jnp.swapaxes(smooth(jnp.swapaxes(smooth(field), 1, 2)), 1, 2)
        return max(size) * 0.1 * strength * field

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        if drawn is None:
            return images
        field = self._field(drawn, images.shape[1:3])
        moved = displace(images, field, interpolation, self.fill_mode, self.fill_value)
        chosen = per_image(jnp.asarray(drawn["apply_transform"]))
        return jnp.where(chosen, moved.astype(images.dtype), images)

    def alter(self, images: Any, drawn: Any) -> Any:
        if drawn is None:
            return images
        return jnp.clip(super().alter(images, drawn), *self.value_range)

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        wanted = "without 'bounding_boxes': what a random field makes of a box is not defined"
        raise bad_argument(self, "data", wanted, boxes.shape)
