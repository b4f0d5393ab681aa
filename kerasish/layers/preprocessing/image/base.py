"""What the layers that change images share: dicts with labels and masks, random draws, ranges."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.core.state.seeds import SeedGenerator
from kerasish.layers.base.arguments import one_of
from kerasish.layers.base.layer import Layer
from kerasish.layers.preprocessing.image.bounding_boxes import (
    check_format,
    clip_to_image_size,
    convert_format,
    dense_boxes,
)

FILLS = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


class ImageLayer(Layer):
    """Base of layers that change images: one image, a batch, or a dict that holds either.

    A dict may have `images`, `labels`, `segmentation_masks` and `bounding_boxes`, all changed
    alike, and more, which passes through. A subclass says in `alter` what happens to a batch of
    images, channels last; in `draw` which random numbers that takes, if any. By default it acts in
    training only.

    Shapes:
        `(batch, height, width, channels)` or `(height, width, channels)`, or channels first.
    """

    always = False  # whether it acts out of training too
    keeps_dtype = False  # whether integers stay integers
    generator: SeedGenerator | None = None  # of the random numbers that it takes, if any

    def __init__(
        self, data_format: str | None = None, bounding_box_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        if bounding_box_format is not None:
            check_format(self, "bounding_box_format", bounding_box_format)
        self.bounding_box_format = bounding_box_format

    def keep_seed(self, seed: Any) -> None:
        """Store the seed, and make the generator of the layer's random numbers.

        Args:
            seed: An integer, a generator or `None`.
        """
        self.seed = seed
        self.generator = SeedGenerator(seed)

    # -- what a subclass says

    def draw(self, shape: tuple, seed: Any) -> Any:
        """Random numbers for a batch of that shape, channels last; `None`: it takes none.

        Args:
            shape: Shape of the batch.
            seed: Seed of JAX, or `None` where nothing is to be drawn.
        """
        return None

    def alter(self, images: jax.Array, drawn: Any) -> jax.Array:
        """A batch, channels last, changed by what was drawn.

        Args:
            images: Batch of images.
            drawn: What `draw` gave.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `alter`: say what it does.")

    # -- the parts of a call

    def call(self, data: Any, training: bool = True) -> Any:
        """The images, changed, and with them what belongs to them.

        Args:
            data: Images, one or a batch, or a dict with `images` and what belongs to them:
                `labels`, `bounding_boxes`, `segmentation_masks`.
            training: Whether random changes are made.
        """
        parts = data if isinstance(data, dict) else {"images": data}
        self._check(parts)
        single = parts["images"].ndim == 3
        if "bounding_boxes" in parts:
            parts = {**parts, "bounding_boxes": dense_boxes(self, parts["bounding_boxes"])}
        parts = jax.tree.map(lambda x: x[None], parts) if single else parts
        drawn = self.get_random_transformation(parts, training)
        changes = {
            "images": self.transform_images,
            "labels": self.transform_labels,
            "segmentation_masks": self.transform_segmentation_masks,
            "bounding_boxes": self.transform_bounding_boxes,
        }
        changed = {k: changes[k](x, drawn, training) for k, x in parts.items() if k in changes}
        parts = {**parts, **changed}
        parts = jax.tree.map(lambda x: x[0], parts) if single else parts
        return parts if isinstance(data, dict) else parts["images"]

    def _check(self, parts):
        if "images" not in parts:
            raise bad_argument(self, "data", "an array, or a dict with 'images'", list(parts))
        if "bounding_boxes" in parts and self.bounding_box_format is None:
            wanted = "given, as the data has 'bounding_boxes'"
            hint = "Make the layer with `bounding_box_format='xyxy'`, say."
            raise bad_argument(self, "bounding_box_format", wanted, None, hint)
        shape = parts["images"].shape
        if len(shape) not in (3, 4):
            raise bad_argument(self, "images", "one image or a batch: of 3 or 4 axes", shape)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What a call on `data` would draw; `None` if it would do nothing.

        Args:
            data: Images, or a dict with them.
            training: Whether this is training.
            seed: Seed; the layer's own generator gives one unless given.
        """
        if not (training or self.always):
            return None
        given = shape = (data["images"] if isinstance(data, dict) else data).shape
        shape = shape if len(shape) == 4 else (1, *shape)
        if self.data_format == "channels_first":
            shape = (shape[0], *shape[2:], shape[1])
        drawn = self.draw(shape, self.generator if seed is None else seed)
        return {**drawn, "input_shape": given} if isinstance(drawn, dict) else drawn

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> jax.Array:
        """A batch of images changed by what `get_random_transformation` gave.

        Args:
            images: Batch of images.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        images = jnp.asarray(images)
        images = images if self.keeps_dtype else images.astype(self.compute_dtype)
        if not (training or self.always):
            return images
        return self.channels_last(self.alter, images, transformation)

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> jax.Array:
        """Labels changed as the images were: most layers leave them.

        Args:
            labels: A batch of labels.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Masks moved as the images were: layers that change colours leave them.

        Args:
            segmentation_masks: A batch of masks.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        return segmentation_masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> dict:
        """Boxes moved as the images were: layers that change colours leave them.

        Args:
            bounding_boxes: Dict with `boxes` and `labels`.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        return bounding_boxes

    def transform_single_image(
        self, image: Any, transformation: Any = None, training: bool = True
    ) -> jax.Array:
        """`transform_images` of one image, without the batch's axis.

        Args:
            image: One image.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        return self.transform_images(jnp.asarray(image)[None], transformation, training)[0]

    def transform_single_label(
        self, label: Any, transformation: Any = None, training: bool = True
    ) -> jax.Array:
        """`transform_labels` of one image's label, without the batch's axis.

        Args:
            label: Its label.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        return self.transform_labels(jnp.asarray(label)[None], transformation, training)[0]

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any = None, training: bool = True
    ) -> jax.Array:
        """`transform_segmentation_masks` of one image's mask, without the batch's axis.

        Args:
            segmentation_mask: Its mask.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        masks = jnp.asarray(segmentation_mask)[None]
        return self.transform_segmentation_masks(masks, transformation, training)[0]

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any = None, training: bool = True
    ) -> dict:
        """`transform_bounding_boxes` of one image's boxes, without the batch's axis.

        Args:
            bounding_box: Its boxes.
            transformation: What `get_random_transformation` gave.
            training: Whether this is training.
        """
        boxes = jax.tree.map(lambda x: jnp.asarray(x)[None], bounding_box)
        moved = self.transform_bounding_boxes(boxes, transformation, training)
        return jax.tree.map(lambda x: x[0], moved)

    def channels_last(self, function: Callable, images: jax.Array, *args: Any) -> jax.Array:
        """`function(images, ...)` for a function that wants channels last.

        Args:
            function: The function.
            images: Batch of images in the layer's data format.
            *args: Further arguments of the function.
        """
        if self.data_format == "channels_last":
            return function(images, *args)
        return jnp.moveaxis(function(jnp.moveaxis(images, 1, -1), *args), -1, 1)

    def get_config(self) -> dict:
        config = super().get_config()
        if self.bounding_box_format is None:
            del config["bounding_box_format"]
        return config


class GeometricImageLayer(ImageLayer):
    """Base of layers that move pixels, and those of segmentation masks with them.

    A subclass defines `move`. Masks keep their dtype, and are never interpolated.
    """

    interpolation = "bilinear"

    def keep_filling(self, fill_mode: str, fill_value: Any, interpolation: str) -> None:
        """Check and store what pixels from outside are, and what lies between pixels.

        Args:
            fill_mode: What pixels from outside are.
            fill_value: Their value where `fill_mode` is `"constant"`.
            interpolation: `"nearest"` or `"bilinear"`.
        """
        self.fill_mode = one_of(self, "fill_mode", fill_mode, FILLS)
        self.fill_value = fill_value
        self.interpolation = one_of(self, "interpolation", interpolation, INTERPOLATIONS)

    def move(self, images: jax.Array, drawn: Any, interpolation: str) -> jax.Array:
        """A batch, channels last, moved by what was drawn.

        Args:
            images: Batch of images.
            drawn: What `draw` gave.
            interpolation: `"nearest"` or `"bilinear"`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `move`: say what it does.")

    def alter(self, images: Any, drawn: Any) -> Any:
        return self.move(images, drawn, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not (training or self.always):
            return segmentation_masks
        masks = jnp.asarray(segmentation_masks)
        return self.channels_last(self.move, masks, transformation, "nearest")

    def move_boxes(self, boxes: jax.Array, drawn: Any, size: tuple) -> jax.Array:
        """`xyxy` boxes `(batch, boxes, 4)` of images of `size`, moved by what was drawn.

        Args:
            boxes: The boxes.
            drawn: What `draw` gave.
            size: Height and width.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `move_boxes`: say what it does.")

    def size_after(self, size: tuple) -> tuple:
        """Height and width of the result for images of `size`.

        Args:
            size: Height and width.
        """
        return size

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if transformation is None or not (training or self.always):
            return bounding_boxes
        shape = transformation["input_shape"]
        size = shape[-2:] if self.data_format == "channels_first" else shape[-3:-1]
        form = "xyxy" if self.bounding_box_format is None else self.bounding_box_format
        boxes = convert_format(bounding_boxes["boxes"], form, "xyxy", *size)
        single = boxes.ndim == 2
        moved = self.move_boxes(boxes[None] if single else boxes, transformation, size)
        moved, size = moved[0] if single else moved, self.size_after(size)
        clipped = clip_to_image_size({**bounding_boxes, "boxes": moved}, *size)
        return convert_format(clipped, "xyxy", form, *size)


def interval(layer: Any, name: str, value: Any, least: float = -1.0, most: float = 1.0) -> tuple:
    """Two numbers in order, from two in any order, or from one: `-value` (or `least`) to it.

    Args:
        layer: The layer, for the error.
        name: Name of the argument, for the error.
        value: One or two numbers.
        least: The least that may be.
        most: The most that may be.
    """
    wanted = f"a number from {least} to {most}, or two of them"
    pair = value if isinstance(value, list | tuple) else (value, value)
    numbers = [n for n in pair if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(pair) != 2 or len(numbers) != 2 or not all(least <= n <= most for n in numbers):
        raise bad_argument(layer, name, wanted, value)
    if isinstance(value, list | tuple):
        return tuple(sorted(value))
    return max(-abs(value), least), abs(value)


def value_pair(layer: Any, value: Any) -> list:
    """The least and the largest value of pixels.

    Args:
        layer: The layer, for the error.
        value: The pair.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise bad_argument(layer, "value_range", "two numbers, the least and the largest", value)
    return sorted(value)


def rescale(x: jax.Array, old: Any, new: Any) -> jax.Array:
    """Values of one range brought to another.

    Args:
        x: The values.
        old: Ends of the range they are in.
        new: Ends of the range to bring them to.
    """
    if tuple(old) == tuple(new):
        return x
    return (x - old[0]) / (old[1] - old[0]) * (new[1] - new[0]) + new[0]
