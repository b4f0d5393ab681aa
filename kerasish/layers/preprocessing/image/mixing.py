"""Layers that cover parts of images, or mix images of a batch with each other, in training."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.layers.preprocessing.image.base import ImageLayer, interval
from kerasish.layers.preprocessing.image.color import per_image


def _bounds(size, share, seed) -> tuple[jax.Array, jax.Array]:
    """Start and end of a part of an axis, from a random position, for each image of a batch."""
    length = share * size
    start = random.uniform(share.shape, seed=seed) * (size - length)
    return start, start + length


def _inside(shape, columns, rows) -> jax.Array:
    """Which pixels lie between the bounds: `(batch, height, width, 1)`."""
    y, x = (jnp.arange(n, dtype="float32") for n in shape[1:3])
    (left, right), (top, bottom) = (tuple(per_image(n) for n in ends) for ends in (columns, rows))
    x, y = x[:, None], y[:, None, None]
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


class RandomErasing(ImageLayer):
    """In training, covers a rectangle of an image.

    Args:
        factor: Two probabilities to draw from, or one: from 0 to it; each image is covered with the
            probability drawn.
        scale: Two numbers from 0 to 1 to draw the squares of the rectangle's height and width from,
            as fractions of the image's; or one: from 0 to it.
        fill_value: What covers it: a number, one for each channel, or `None`: normal noise times
            the largest value.
        value_range: The least and the largest value of pixels; what covers is clipped to it.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomContrast`.

    References:
        Zhong, Zheng, Kang, Li and Yang, 2020, "Random Erasing Data Augmentation".

    Example:
        >>> whole = RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7.0)
        >>> whole(np.zeros((1, 2, 1)), training=True).ravel()
        Array([7., 7.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        scale: Sequence = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Sequence = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.scale = interval(self, "scale", scale, least=0.0)
        if fill_value is not None and np.ndim(fill_value) > 1:
            wanted = "a number, one for each channel, or None"
            raise bad_argument(self, "fill_value", wanted, fill_value)
        self.fill_value = fill_value
        self.value_range = value_range
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch, height, width, _ = shape
        share = jnp.sqrt(random.uniform((batch, 2), *self.scale, seed=seed))
        columns, rows = _bounds(width, share[:, 0], seed), _bounds(height, share[:, 1], seed)
        probability = random.uniform((batch,), *self.factor, seed=seed)
        covered = random.uniform((batch,), seed=seed) < probability
        fill = self.fill_value
        if fill is None:
            fill = random.normal(shape, dtype=self.compute_dtype, seed=seed) * self.value_range[1]
        fill = jnp.clip(jnp.asarray(fill, self.compute_dtype), *self.value_range)
        return per_image(covered) & _inside(shape, columns, rows), fill

    def alter(self, images: Any, drawn: Any) -> Any:
        covered, fill = drawn
        return jnp.where(covered, fill, images)


class _Mixing(ImageLayer):
    """Base of layers whose draw starts with other images of the batch and each one's own share."""

    def transform_labels(self, labels, transformation=None, training=True):
        if not training:
            return labels
        others, share = transformation["permutation_order"], transformation["mix_weight"]
        labels = jnp.asarray(labels)
        share = jnp.reshape(share, (-1, *(1,) * (labels.ndim - 1)))
        return share * labels + (1.0 - share) * labels[others]


class MixUp(_Mixing):
    """In training, `share * image + (1 - share) * another of the batch`; labels alike.

    Args:
        alpha: Positive; shares are drawn from the beta distribution with both parameters `alpha`.
            The larger, the nearer to one half.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        A dict with `images`, `labels` `(batch, classes)` in floats and, if wanted,
        `segmentation_masks` -> the same; or images only.

    References:
        Zhang, Cisse, Dauphin and Lopez-Paz, 2018, "mixup: Beyond Empirical Risk Minimization".

    Example:
        >>> data = {"images": np.ones((2, 4, 4, 3)), "labels": np.eye(2)}
        >>> MixUp(seed=1)(data, training=True)["labels"].sum(axis=1)
        Array([1., 1.], dtype=float32)
    """

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: Any = None, **kwargs: Any
    ):
        super().__init__(data_format=data_format, **kwargs)
        if not isinstance(alpha, int | float) or alpha <= 0:
            raise bad_argument(self, "alpha", "a positive number", alpha)
        self.alpha = alpha
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        others = random.shuffle(jnp.arange(shape[0]), seed=seed)
        share = random.beta((shape[0],), self.alpha, self.alpha, seed=seed)
        return {"mix_weight": share, "permutation_order": others}

    def alter(self, images: Any, drawn: Any) -> Any:
        share = per_image(drawn["mix_weight"]).astype(images.dtype)
        return share * images + (1.0 - share) * images[drawn["permutation_order"]]

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        others = transformation["permutation_order"]

        def with_the_others(x):
            return jnp.concatenate([x, jnp.asarray(x)[others]], axis=1)

        return jax.tree.map(with_the_others, bounding_boxes)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        masks = jnp.asarray(segmentation_masks)
        masks = masks.astype(jnp.promote_types(masks.dtype, self.compute_dtype))
        return self.alter(masks, transformation)


class CutMix(_Mixing):
    """In training, puts a rectangle of another image of the batch over each; labels by area.

    Args:
        factor: Two numbers from 0 to 1 to draw `alpha` from, or one: from 0 to it. The share of an
            image that stays is drawn from the beta distribution with both parameters `alpha`.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `MixUp`.

    References:
        Yun, Han, Oh, Chun, Choe and Yoo, 2019, "CutMix: Regularization Strategy to Train Strong
        Classifiers with Localizable Features".

    Example:
        >>> data = {"images": np.ones((2, 4, 4, 3)), "labels": np.eye(2)}
        >>> CutMix(seed=1)(data, training=True)["labels"].sum(axis=1)
        Array([1., 1.], dtype=float32)
    """

    def __init__(
        self,
        factor: float | Sequence = 1.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.keep_seed(seed)

    def draw(self, shape: tuple, seed: Any) -> Any:
        batch, height, width, _ = shape
        alpha = random.uniform((), *self.factor, seed=seed) + 1e-6
        side = jnp.sqrt(1.0 - random.beta((batch,), alpha, alpha, seed=seed))
        columns, rows = _bounds(width, side, seed), _bounds(height, side, seed)
        (left, right), (top, bottom) = columns, rows
        share = 1.0 - (right - left) * (bottom - top) / (width * height)
        others = random.shuffle(jnp.arange(batch), seed=seed)
        inside = _inside(shape, columns, rows)
        return {"mix_weight": share, "permutation_order": others, "inside": inside}

    def alter(self, images: Any, drawn: Any) -> Any:
        return jnp.where(drawn["inside"], images[drawn["permutation_order"]], images)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        wanted = "without 'bounding_boxes': what a rectangle covers of a box is not defined"
        raise bad_argument(self, "data", wanted, list(bounding_boxes))

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        return self.channels_last(self.alter, jnp.asarray(segmentation_masks), transformation)
