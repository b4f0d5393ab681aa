"""Layers that change images in training by several others, chosen at random."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import KeyStream, draw_seed
from kerasish.layers.base.arguments import one_of, positive_int
from kerasish.layers.preprocessing.image.base import (
    INTERPOLATIONS,
    GeometricImageLayer,
    ImageLayer,
    interval,
)
from kerasish.layers.preprocessing.image.bounding_boxes import clip_to_image_size
from kerasish.layers.preprocessing.image.color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
)
from kerasish.layers.preprocessing.image.geometric import (
    RandomRotation,
    RandomShear,
    RandomTranslation,
)
from kerasish.layers.preprocessing.image.tone import (
    AutoContrast,
    Equalization,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)


class _Policy(GeometricImageLayer):
    """Base of the layers that choose from others, each held under the name that Keras gives it."""

    choices: tuple = ()

    def make_choices(self, choices: tuple, value_range) -> None:
        """Make the layers to choose from, by name."""
        self.choices = choices
        factor = self.factor
        options = {"data_format": "channels_last", "dtype": self.dtype_policy}
        drawn = {"seed": self.seed, **options}
        moved = {"interpolation": self.interpolation, **drawn}
        toned = {"value_range": value_range, **drawn}
        bits = max(1, int(8 * factor[1]))
        making = {
            "random_shear": lambda: RandomShear(factor, factor, **moved),
            "random_translation": lambda: RandomTranslation(factor, factor, **moved),
            "random_rotation": lambda: RandomRotation(factor, **moved),
            "random_brightness": lambda: RandomBrightness(factor, **toned),
            "random_color_degeneration": lambda: RandomColorDegeneration(factor, **toned),
            "random_contrast": lambda: RandomContrast(factor, **toned),
            "random_sharpness": lambda: RandomSharpness(factor, **toned),
            "random_posterization": lambda: RandomPosterization(bits, **toned),
            "solarization": lambda: Solarization(factor, factor, **toned),
            "auto_contrast": lambda: AutoContrast(value_range, **options),
            "equalization": lambda: Equalization(value_range, **options),
        }
        for name in choices:
            setattr(self, name, making[name]())

    @property
    def _chosen_from(self) -> list:
        return [getattr(self, name) for name in self.choices]


def _move(layer: ImageLayer, images: jax.Array, drawn: Any, nearest: bool) -> jax.Array:
    """What a layer makes of images; of masks, which colours leave alone, if `nearest`."""
    if not nearest:
        return layer.alter(images, drawn).astype(images.dtype)
    if isinstance(layer, GeometricImageLayer):
        return layer.move(images, drawn, "nearest").astype(images.dtype)
    return images


class RandAugment(_Policy):
    """In training, changes a batch by a few layers, chosen at random from eleven.

    Args:
        value_range: The least and the largest value of pixels.
        num_ops: How many layers, one after the other.
        factor: Two strengths to draw from, or one: from 0 to it; from 0 to 1.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(batch, height, width, 3)` or one image -> the same, in floats; or a dict with `images`,
        and `segmentation_masks` and `bounding_boxes` that are moved alike.

    References:
        Cubuk, Zoph, Shlens and Le, 2020, "RandAugment: Practical Automated Data Augmentation with
        a Reduced Search Space".

    Example:
        >>> RandAugment(seed=1)(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Sequence = (0, 255),
        num_ops: int = 2,
        factor: float | Sequence = 0.5,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self.num_ops = positive_int(self, "num_ops", num_ops)
        self.factor = interval(self, "factor", factor, least=0.0)
        self.interpolation = one_of(self, "interpolation", interpolation, INTERPOLATIONS)
        self.keep_seed(seed)
        names = (
            *("random_shear", "random_translation", "random_rotation", "random_brightness"),
            *("random_color_degeneration", "random_contrast", "random_sharpness"),
            *("random_posterization", "solarization", "auto_contrast", "equalization"),
        )
        self.make_choices(names, value_range)

    def draw(self, shape: tuple, seed: Any) -> Any:
        chosen = random.randint((self.num_ops,), 0, len(self.choices), seed=seed)
        drawn = {name: getattr(self, name).draw(shape, seed) for name in self.choices}
        return {"transforms": drawn, "layer_idxes": chosen}

    def _apply(self, function, x, drawn):
        """`function(layer, x, what it drew)` for each layer chosen, one after the other."""
        numbers = [drawn["transforms"][name] for name in self.choices]

        def option(layer, number):
            return lambda x: function(layer, x, number)

        options = [option(*pair) for pair in zip(self._chosen_from, numbers, strict=True)]
        for step in range(self.num_ops):
            x = lax.switch(drawn["layer_idxes"][step], options, x)
        return x

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        return self._apply(lambda *step: _move(*step, nearest=True), images, drawn)

    def alter(self, images: Any, drawn: Any) -> Any:
        return self._apply(lambda *step: _move(*step, nearest=False), images, drawn)

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        def moved(layer, boxes, number):
            if not isinstance(layer, GeometricImageLayer):
                return boxes
            moved = layer.move_boxes(boxes, number, size)
            return clip_to_image_size({"boxes": moved}, *size)["boxes"]

        return self._apply(moved, boxes, drawn)


class AugMix(_Policy):
    """In training, mixes images with versions that chains of random layers made of them.

    `share * image + (1 - share) * sum(weight * chain(image))`. All images of a batch go through the
    same layers. Bounding boxes stay: the image itself remains seen. Masks are mixed like images,
    so they should be one-hot or probabilities.

    Args:
        value_range: The least and the largest value of pixels.
        num_chains: How many chains.
        chain_depth: The most layers in a chain; each of them may be none.
        factor: Two strengths to draw from, or one: from 0 to it; from 0 to 1.
        alpha: Positive; parameter of the distributions that shares and weights are drawn from.
        all_ops: Whether also to change brightness, contrast, sharpness and how strong colours are.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: Integer; makes the layer's random numbers the same in each run.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandAugment`.

    References:
        Hendrycks, Mu, Cubuk, Zoph, Gilmer and Lakshminarayanan, 2020, "AugMix: A Simple Data
        Processing Method to Improve Robustness and Uncertainty".

    Example:
        >>> AugMix(seed=1)(np.ones((2, 8, 8, 3)), training=True).shape
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Sequence = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: float | Sequence = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self.num_chains = positive_int(self, "num_chains", num_chains)
        self.chain_depth = positive_int(self, "chain_depth", chain_depth)
        self.factor = interval(self, "factor", factor, least=0.0)
        if not isinstance(alpha, int | float) or alpha <= 0:
            raise bad_argument(self, "alpha", "a positive number", alpha)
        self.alpha = alpha
        self.all_ops = all_ops
        self.interpolation = one_of(self, "interpolation", interpolation, INTERPOLATIONS)
        self.keep_seed(seed)
        names = (
            *("random_shear", "random_translation", "random_rotation", "random_posterization"),
            *("solarization", "auto_contrast", "equalization"),
        )
        tones = (
            *("random_brightness", "random_color_degeneration"),
            *("random_contrast", "random_sharpness"),
        )
        self.make_choices((*names, *tones) if all_ops else names, value_range)

    def draw(self, shape: tuple, seed: Any) -> Any:
        weights = random.gamma((self.num_chains,), self.alpha, seed=seed)
        share = random.beta((), self.alpha, self.alpha, seed=seed)
        steps = self.num_chains, self.chain_depth
        chosen = random.randint(steps, 0, len(self.choices) + 1, seed=seed)
        keys = jax.random.split(draw_seed(seed), steps)
        return {
            "chain_mixing_weights": weights / jnp.sum(weights),
            "weight_sample": share,
            "layer_idxes": chosen,
            "keys": keys,
        }

    def _mix(self, x, drawn, nearest):
        shape = x.shape

        def option(layer):
            return lambda x, key: _move(layer, x, layer.draw(shape, KeyStream(key)), nearest)

        # The last choice is none.
        options = [*map(option, self._chosen_from), lambda x, key: x]
        mixed = jnp.zeros_like(x)
        for chain in range(self.num_chains):
            changed = x
            for depth in range(self.chain_depth):
                index, key = (drawn[n][chain, depth] for n in ("layer_idxes", "keys"))
                changed = lax.switch(index, options, changed, key)
            mixed += changed * drawn["chain_mixing_weights"][chain].astype(x.dtype)
        share = drawn["weight_sample"].astype(x.dtype)
        return share * x + (1 - share) * mixed

    def alter(self, images: Any, drawn: Any) -> Any:
        return jnp.clip(self._mix(images, drawn, nearest=False), *self.value_range)

    def move(self, images: Any, drawn: Any, interpolation: str) -> Any:
        masks = images.astype(jnp.promote_types(images.dtype, self.compute_dtype))
        return self._mix(masks, drawn, nearest=True)

    def move_boxes(self, boxes: Any, drawn: Any, size: tuple) -> Any:
        return boxes
