"""Boxes and masks drawn onto images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.layers.preprocessing.image.bounding_boxes import convert_format

_FONT_PIXELS = 22  # height of letters at `font_scale=1`
_GAP = 8  # pixels between a label and its box


def _images(owner, images, data_format) -> np.ndarray:
    """Images as an array, channels last."""
    images = np.asarray(images)
    if images.ndim != 4:
        wanted = "images of shape (images, height, width, channels)"
        raise bad_argument(owner, "images", wanted, images.shape)
    first = settings.standardize_data_format(data_format) == "channels_first"
    return np.moveaxis(images, 1, -1) if first else images


def _as_bytes(images):
    """Values from 0 to 255; floats of at most 1 are taken for fractions of that."""
    if images.dtype.kind == "f" and images.size:
        fractions = images.max() <= 1.0
        images = np.clip(images, 0, 1) * 255 if fractions else np.clip(images, 0, 255)
    return images.astype("uint8")


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping,
    bounding_box_format: str,
    class_mapping: Mapping | None = None,
    color: Sequence = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int | None = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with bounding boxes drawn onto them, and the names of their classes.

    Names are written with Pillow; without `class_mapping` it is not needed.

    Args:
        images: The images, in bytes, or in floats from 0 to 1 or from 0 to 255.
        bounding_boxes: Dict with `boxes`, `labels` and, if wanted, `confidences`. Boxes of the
            label -1 are left out.
        bounding_box_format: Their format; see `keras.utils.bounding_boxes.convert_format`.
        class_mapping: Dict of labels to names, which are then written beside the boxes.
        color: Red, green and blue, from 0 to 255.
        line_thickness: Width of lines in pixels.
        text_thickness: Width of letters' strokes in pixels; `None`: of the lines.
        font_scale: Size of letters; 1 is 22 pixels.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(images, height, width, 3)`, `boxes` `(images, boxes, 4)`, `labels` `(images, boxes)` ->
        `(images, height, width, 3)` in bytes.

    Example:
        >>> boxes = {"boxes": np.array([[[2, 2, 6, 6]]]), "labels": np.array([[0]])}
        >>> drawn = draw_bounding_boxes(
        ...     np.zeros((1, 9, 9, 3)), boxes, "xyxy", color=(255, 0, 0), line_thickness=1
        ... )
        >>> drawn[0, 2, :, 0].tolist()
        [0, 0, 255, 255, 255, 255, 255, 0, 0]
    """
    owner = "draw_bounding_boxes"
    if not isinstance(bounding_boxes, Mapping):
        raise TypeError(f"{owner}: `bounding_boxes` must be a dict; got {bounding_boxes!r}.")
    if not {"boxes", "labels"} <= bounding_boxes.keys():
        wanted = "a dict with 'boxes' and 'labels'"
        raise bad_argument(owner, "bounding_boxes", wanted, list(bounding_boxes))
    drawn = _as_bytes(_images(owner, images, data_format)).copy()
    size = drawn.shape[1:3]
    boxes = np.asarray(convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", *size))
    labels = np.asarray(bounding_boxes["labels"])
    confidences = bounding_boxes.get("confidences")
    names = class_mapping or {}
    strokes = line_thickness if text_thickness is None else text_thickness
    for i, image in enumerate(drawn):
        for j, box in enumerate(boxes[i].astype(int).tolist()):
            label = int(labels[i, j])
            if label == -1:
                continue
            _outline(image, box, color, line_thickness)
            if label in names:
                text = str(names[label])
                if confidences is not None:
                    text = f"{text} | {float(np.asarray(confidences)[i, j]):.2f}"
                _write(image, text, box, color, strokes, font_scale)
    return drawn


def _outline(image, box, color, thickness):
    """Color the pixels at most half the thickness from the box's four lines."""
    height, width = image.shape[:2]
    left, top, right, bottom = box
    x, y = np.arange(width), np.arange(height)[:, None]
    half = thickness // 2
    inside = (x >= left - half) & (x <= right + half) & (y >= top - half) & (y <= bottom + half)
    hollow = (x > left + half) & (x < right - half) & (y > top + half) & (y < bottom - half)
    image[inside & ~hollow] = np.asarray(color, "uint8")


def _write(image, text, box, color, strokes, font_scale):
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError:
        raise ImportError(
            "draw_bounding_boxes: names are written with Pillow: `pip install Pillow`, or leave "
            "out `class_mapping`."
        ) from None
    x, y = box[:2]
    room = 2 * int(font_scale * 12)
    if y - _GAP - room <= 0:  # no room above the box
        x, y = x + 3, y + room + strokes + 3 + _GAP
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(max(1, round(_FONT_PIXELS * font_scale)))
    options = {"fill": tuple(color), "font": font, "stroke_width": max(strokes - 1, 0)}
    draw.text((x, y - _GAP), text, anchor="ls", **options)
    image[...] = np.asarray(canvas)


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Images with the class of each pixel drawn over them in colors.

    Args:
        images: The images, with values from 0 to 255.
        segmentation_masks: Class of each pixel, an integer.
        num_classes: Number of classes; those above are not drawn. `None`: all are.
        color_mapping: Dict of classes to red, green and blue; those without an element are not
            drawn. `None`: colors of a palette, black for class 0.
        alpha: Share of the color in what is seen, from 0 to 1.
        blend: Whether to mix colors with the image; otherwise they cover it.
        ignore_index: Class that is not drawn.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.

    Shapes:
        `(images, height, width, 3)` and `(images, height, width)` or
        `(images, height, width, 1)` -> `(images, height, width, 3)` in bytes.

    Example:
        >>> images, masks = np.full((1, 1, 2, 3), 100), np.array([[[[0], [1]]]])
        >>> draw_segmentation_masks(images, masks, color_mapping={1: (200, 0, 0)}, alpha=0.5)
        array([[[[100, 100, 100],
                 [150,  50,  50]]]], dtype=uint8)
    """
    owner = "draw_segmentation_masks"
    images = _images(owner, images, data_format).astype("float32")
    masks = np.asarray(segmentation_masks)
    if masks.dtype.kind not in "iu":
        raise TypeError(f"{owner}: `segmentation_masks` must be integers; got dtype {masks.dtype}.")
    if masks.ndim == 4:
        first = settings.standardize_data_format(data_format) == "channels_first"
        masks = masks[:, 0] if first else masks[..., 0]
    if masks.shape != images.shape[:3]:
        wanted = f"of shape {images.shape[:3]}, as the images"
        raise bad_argument(owner, "segmentation_masks", wanted, masks.shape)
    covered = images.copy()
    for label in np.unique(masks).tolist():
        color = _palette(label) if color_mapping is None else color_mapping.get(label)
        known = label >= 0 and (num_classes is None or label <= num_classes)
        if known and color is not None and label != ignore_index:
            covered[masks == label] = np.asarray(color, "float32")
    seen = images * (1 - alpha) + covered * alpha if blend else covered
    return np.clip(seen, 0, 255).astype("uint8")


def _palette(label):
    return [(label * step) % 255 for step in (2**25 - 1, 2**15 - 1, 2**21 - 1)]
