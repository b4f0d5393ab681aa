"""`ContrastLimitedAdaptiveHistogramEqualization`: contrast evened out, part by part."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import int_tuple
from kerasish.layers.preprocessing.image.base import ImageLayer, rescale, value_pair

_BINS = 256


class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Evens out how often values occur (CLAHE): in each tile for itself, blended between tiles.

    Keeps the images' dtype. Acts in training and out of it.

    Args:
        value_range: The least and the largest value of pixels.
        clip_limit: How many times as often as evenly a value may count; what is above is shared
            out to all values, so that noise in even areas is not blown up. 0: no limit.
        tile_grid_size: Number of tiles down and across.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        As of `RandomContrast`.

    References:
        Zuiderveld, 1994, "Contrast Limited Adaptive Histogram Equalization".

    Example:
        >>> even = ContrastLimitedAdaptiveHistogramEqualization((0, 255), 0, (1, 1))
        >>> even(np.array([[[100], [101], [102], [103]]], "uint8")).ravel().tolist()
        [63, 127, 191, 255]
    """

    always = True
    keeps_dtype = True

    def __init__(
        self,
        value_range: Sequence = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        value_pair(self, value_range)
        self.value_range = value_range
        if not isinstance(clip_limit, int | float) or clip_limit < 0:
            raise bad_argument(self, "clip_limit", "a number of at least 0", clip_limit)
        self.clip_limit = clip_limit
        self.tile_grid_size = int_tuple(self, "tile_grid_size", tile_grid_size, 2)

    def alter(self, images: Any, drawn: Any) -> Any:
        x = rescale(images.astype("float32"), self.value_range, (0, 255))
        one_channel = jax.vmap(self._equalize, in_axes=-1, out_axes=-1)
        even = jax.vmap(one_channel)(jnp.clip(x, 0, 255).astype("int32"))
        return rescale(even, (0, 255), self.value_range).astype(images.dtype)

    def _equalize(self, plane):
        """One channel of one image, in integers from 0 to 255: `(height, width)`."""
        height, width = plane.shape
        down, across = self.tile_grid_size
        tall, wide = -(-height // down), -(-width // across)
        padded = jnp.pad(
            plane, ((0, tall * down - height), (0, wide * across - width)), "symmetric"
        )
        tiles = padded.reshape(down, tall, across, wide).swapaxes(1, 2)
        maps = self._maps(tiles.reshape(down * across, tall * wide))
        # Tiles at the border are repeated, so that each pixel lies between the middles of four.
        maps = maps.reshape(down, across, _BINS)
        maps = jnp.concatenate([maps[:1], maps, maps[-1:]], axis=0)
        maps = jnp.concatenate([maps[:, :1], maps, maps[:, -1:]], axis=1)
        row, column = jnp.arange(height) / tall + 0.5, jnp.arange(width) / wide + 0.5
        top, left = jnp.floor(row).astype("int32"), jnp.floor(column).astype("int32")
        lower, right = (row - top)[:, None], column - left

        def mapped(rows, columns):
            return maps.ravel()[(rows[:, None] * (across + 2) + columns) * _BINS + plane]

        upper_row = mapped(top, left) * (1 - right) + mapped(top, left + 1) * right
        lower_row = mapped(top + 1, left) * (1 - right) + mapped(top + 1, left + 1) * right
        return upper_row * (1 - lower) + lower_row * lower

    def _maps(self, tiles):
        """What each value becomes, for each tile: `(tiles, pixels)` -> `(tiles, 256)`."""
        pixels = tiles.shape[1]
        often = jax.vmap(lambda tile: jnp.zeros(_BINS, "float32").at[tile].add(1.0))(tiles)
        if self.clip_limit > 0:
            clipped = jnp.minimum(often, self.clip_limit * pixels / _BINS)
            often = clipped + jnp.sum(often - clipped, axis=-1, keepdims=True) / _BINS
        up_to = jnp.cumsum(often, axis=-1)
        first = up_to[:, :1]
        rest = pixels - first
        return jnp.clip((up_to - first) * 255.0 / jnp.where(rest == 0, 1.0, rest), 0, 255)
