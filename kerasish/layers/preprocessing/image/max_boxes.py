"""`MaxNumBoundingBoxes`: as many boxes for each image."""

from typing import Any

import jax.numpy as jnp

from kerasish.layers.base.arguments import positive_int
from kerasish.layers.preprocessing.image.base import ImageLayer


class MaxNumBoundingBoxes(ImageLayer):
    """The first boxes of each image, filled up to a fixed number, so that batches have one shape.

    Acts in training and out of it; images, labels and masks stay as they are.

    Args:
        max_number: Number of boxes.
        fill_value: Value of the numbers and labels of added boxes.

    Shapes:
        A dict with `bounding_boxes`: `boxes` `(batch, boxes, 4)`, `labels` `(batch, boxes)` ->
        `(batch, max_number, 4)`, `(batch, max_number)`; or of one image.

    Example:
        >>> boxes = {"boxes": np.ones((1, 2, 4)), "labels": np.array([[5, 6]])}
        >>> three = MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
        >>> three({"images": np.ones((1, 8, 8, 3)), "bounding_boxes": boxes})["bounding_boxes"][
        ...     "labels"
        ... ]
        Array([[ 5,  6, -1]], dtype=int32)
    """

    always = True
    keeps_dtype = True

    def __init__(self, max_number: int, fill_value: float = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_number = positive_int(self, "max_number", max_number)
        self.fill_value = int(fill_value)

    def alter(self, images: Any, drawn: Any) -> Any:
        return images

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        boxes, labels = (jnp.asarray(bounding_boxes[n]) for n in ("boxes", "labels"))
        return {**bounding_boxes, "boxes": self._filled(boxes), "labels": self._filled(labels)}

    def _filled(self, x):
        missing = max(self.max_number - x.shape[1], 0)
        ends = [(0, missing) if axis == 1 else (0, 0) for axis in range(x.ndim)]
        return jnp.pad(x[:, : self.max_number], ends, constant_values=self.fill_value)

    def get_config(self) -> dict:
        config = super().get_config()
        if config["fill_value"] == -1:  # Keras never writes it; another must not be lost
            del config["fill_value"]
        return config
