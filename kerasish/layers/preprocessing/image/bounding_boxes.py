"""Bounding boxes: their formats, and what moves, clips, compares and encodes them.

Formats: `xyxy` (left, top, right, bottom), `yxyx`, `xywh` (left, top, width, height),
`center_xywh`, `center_yxhw`, in pixels; `rel_xyxy`, `rel_yxyx`, `rel_xywh` and `rel_center_xywh`,
in fractions of the image's width and height.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.settings import epsilon
from kerasish.core.symbolic.operation import symbolic

# The order of the numbers, and what they are: corners, corner and size, or middle and size.
_ORDERS = {
    "xyxy": ("xy", "corners"),
    "yxyx": ("yx", "corners"),
    "xywh": ("xy", "size"),
    "center_xywh": ("xy", "middle"),
    "center_yxhw": ("yx", "middle"),
}
_RELATIVE = ("xyxy", "yxyx", "xywh", "center_xywh")
FORMATS = (*_ORDERS, *(f"rel_{name}" for name in _RELATIVE))


def check_format(owner: Any, name: str, value: Any) -> str:
    """A format's name in lower case.

    Args:
        owner: Who asks, for the error.
        name: Name of the argument.
        value: The format's name.
    """
    word = value.lower() if isinstance(value, str) else value
    if word not in FORMATS:
        raise bad_argument(owner, name, f"one of {FORMATS}", value)
    return word


def _is_relative(form):
    return form.startswith("rel_")


def _scale(height, width, dtype):
    """What brings `xyxy` in fractions to pixels."""
    return jnp.stack([jnp.asarray(n, dtype) for n in (width, height, width, height)], axis=-1)


def _to_corners(boxes, form):
    order, kind = _ORDERS[form.removeprefix("rel_")]
    first, second = boxes[..., :2], boxes[..., 2:]
    if kind == "size":
        second = first + second
    elif kind == "middle":
        first, second = first - second / 2, first + second / 2
    if order == "yx":
        first, second = first[..., ::-1], second[..., ::-1]
    return jnp.concatenate([first, second], axis=-1)


def _from_corners(boxes, form):
    order, kind = _ORDERS[form.removeprefix("rel_")]
    first, second = boxes[..., :2], boxes[..., 2:]
    if kind != "corners":
        size = second - first
        first, second = (first + size / 2 if kind == "middle" else first), size
    if order == "yx":
        first, second = first[..., ::-1], second[..., ::-1]
    return jnp.concatenate([first, second], axis=-1)


@symbolic
def _convert(boxes, height, width, source, target, dtype):
    boxes = jnp.asarray(boxes).astype(dtype)
    if source == target:
        return boxes
    boxes = _to_corners(boxes, source)
    if _is_relative(source) != _is_relative(target):
        scale = _scale(height, width, dtype)
        boxes = boxes * scale if _is_relative(source) else boxes / scale
    return _from_corners(boxes, target)


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: Any = "float32",
) -> Any:
    """Boxes in another format.

    Args:
        boxes: Array of boxes, or a dict with `boxes`, of which a copy is made.
        source: Their format; see the module.
        target: The format wanted.
        height: Rows of the image; needed where one of the formats is relative.
        width: Columns of the image.
        dtype: Float type to compute in.

    Shapes:
        `(..., 4)` -> the same.

    Returns:
        What came, in the new format.

    Example:
        >>> convert_format(np.array([[10, 20, 30, 60]]), "xyxy", "center_xywh")
        Array([[20., 40., 20., 40.]], dtype=float32)
    """
    if isinstance(boxes, dict):
        options = (source, target, height, width, dtype)
        return {**boxes, "boxes": convert_format(boxes["boxes"], *options)}
    owner = "convert_format"
    source, target = check_format(owner, "source", source), check_format(owner, "target", target)
    shape = np.shape(boxes)
    if not shape or shape[-1] != 4:
        raise bad_argument(owner, "boxes", "of 4 numbers each, in the last axis", tuple(shape))
    relative = _is_relative(source) or _is_relative(target)
    if relative and (height is None or width is None):
        wanted = f"given, to convert {source!r} to {target!r}"
        raise bad_argument(owner, "height, width", wanted, (height, width))
    return _convert(boxes, height, width, source, target, dtype)


def dense_boxes(owner: Any, bounding_boxes: Any) -> dict:
    """Boxes in one float array, from arrays or from lists of any length for each image.

    Lists are filled up with boxes of zeros, of the label -1.

    Args:
        owner: Who asks, for the error.
        bounding_boxes: Dict with `boxes` and `labels`.
    """
    given = bounding_boxes.keys() if isinstance(bounding_boxes, dict) else bounding_boxes
    if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= given:
        raise bad_argument(owner, "bounding_boxes", "a dict with 'boxes' and 'labels'", given)
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, list) and boxes and np.ndim(boxes[0]) == 2:
        most = max(len(each) for each in boxes)
        boxes = [np.pad(each, ((0, most - len(each)), (0, 0))) for each in boxes]
        labels = [np.pad(each, (0, most - len(each)), constant_values=-1) for each in labels]
    boxes, labels = jnp.asarray(boxes, "float32"), jnp.asarray(labels)
    if boxes.ndim not in (2, 3) or boxes.shape[-1] != 4:
        wanted = "of shape (boxes, 4) or (batch, boxes, 4)"
        raise bad_argument(owner, "bounding_boxes['boxes']", wanted, boxes.shape)
    if labels.shape[: boxes.ndim - 1] != boxes.shape[:-1]:
        wanted = f"one for each box of {boxes.shape}"
        raise bad_argument(owner, "bounding_boxes['labels']", wanted, labels.shape)
    return {**bounding_boxes, "boxes": boxes, "labels": labels}


def _check_xyxy(owner, form, choices=("xyxy",)):
    if form not in choices:
        hint = "Bring boxes to it with `convert_format`."
        raise bad_argument(owner, "bounding_box_format", f"one of {choices}", form, hint)


def clip_to_image_size(
    bounding_boxes: dict, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> dict:
    """Boxes cut off at the image's borders; those of which nothing is left get the label -1.

    Args:
        bounding_boxes: Dict with `boxes` and, if wanted, `labels`.
        height: Rows of the image; not needed for `"rel_xyxy"`.
        width: Columns of the image.
        bounding_box_format: `"xyxy"` or `"rel_xyxy"`.

    Shapes:
        `boxes` `(..., boxes, 4)`, `labels` `(..., boxes)` or with one more axis.

    Example:
        >>> boxes = {"boxes": np.array([[-2.0, 1, 3, 9], [8, 8, 9, 9]]), "labels": np.array([4, 5])}
        >>> clipped = clip_to_image_size(boxes, height=6, width=6)
        >>> clipped["boxes"].tolist(), clipped["labels"].tolist()
        ([[0.0, 1.0, 3.0, 6.0], [6.0, 6.0, 6.0, 6.0]], [4, -1])
    """
    owner = "clip_to_image_size"
    _check_xyxy(owner, bounding_box_format, ("xyxy", "rel_xyxy"))
    if bounding_box_format == "rel_xyxy":
        height = width = 1
    elif height is None or width is None:
        raise bad_argument(owner, "height, width", "given for 'xyxy'", (height, width))
    boxes = jnp.asarray(bounding_boxes["boxes"])
    least = jnp.zeros((), boxes.dtype)
    boxes = jnp.clip(boxes, least, _scale(height, width, boxes.dtype))
    clipped = {**bounding_boxes, "boxes": boxes}
    if bounding_boxes.get("labels") is not None:
        labels = jnp.asarray(bounding_boxes["labels"])
        sides = boxes[..., 2:] - boxes[..., :2]
        lasting = sides[..., 0] * sides[..., 1] > 0
        extra = labels.ndim - lasting.ndim
        lasting = jnp.reshape(lasting, (*lasting.shape, *(1,) * max(extra, 0)))
        clipped["labels"] = jnp.where(lasting, labels, -1)
    return clipped


def _corners(boxes):
    """The four corners of `xyxy` boxes: `(..., 4)` -> `(..., 4 corners, 2)`."""
    x1, y1, x2, y2 = (boxes[..., i] for i in range(4))
    points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    return jnp.stack([jnp.stack(point, axis=-1) for point in points], axis=-2)


def around(points: jax.Array) -> jax.Array:
    """The least `xyxy` boxes around points: `(..., points, 2)` -> `(..., 4)`.

    Args:
        points: The points.
    """
    return jnp.concatenate([jnp.min(points, axis=-2), jnp.max(points, axis=-2)], axis=-1)


def project_boxes(boxes: jax.Array, matrix: jax.Array) -> jax.Array:
    """Boxes around what a projective map of the plane makes of `xyxy` boxes.

    Args:
        boxes: The boxes.
        matrix: Matrix of each image's map.

    Shapes:
        `(batch, boxes, 4)` and `(batch, 3, 3)` -> `(batch, boxes, 4)`.
    """
    points = _corners(boxes)
    points = jnp.concatenate([points, jnp.ones_like(points[..., :1])], axis=-1)
    moved = jnp.einsum("bij,bnpj->bnpi", matrix.astype(points.dtype), points)
    return around(moved[..., :2] / moved[..., 2:])


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> jax.Array:
    """Boxes around what a turn, shear, scaling and shift makes of boxes.

    Args:
        boxes: The boxes.
        angle: Degrees to turn by, counter-clockwise, for each image.
        translate_x: Fraction of the width to move by, for each image; positive is to the left.
        translate_y: Fraction of the height to move by, for each image; positive is up.
        scale: Factor of size, for each image.
        shear_x: Degrees to slant by along x, for each image.
        shear_y: Degrees to slant by along y, for each image.
        height: Rows of the images.
        width: Columns of the images.
        center_x: What stays where it is, as a fraction of the width; `None`: 0.5.
        center_y: The same for the height.
        bounding_box_format: `"xyxy"`.

    Shapes:
        `(batch, boxes, 4)` and six of `(batch,)` -> `(batch, boxes, 4)`.

    Example:
        >>> zero, one = np.zeros(1), np.ones(1)
        >>> boxes = np.array([[[0.0, 0.0, 1.0, 1.0]]])
        >>> affine_transform(boxes, zero, zero, zero, 2 * one, zero, zero, 5, 5)
        Array([[[-2., -2.,  0.,  0.]]], dtype=float32)
    """
    _check_xyxy("affine_transform", bounding_box_format)
    angle, shear_x, shear_y = (
        -jnp.deg2rad(jnp.asarray(n, "float32")) for n in (angle, shear_x, shear_y)
    )
    x = (0.5 if center_x is None else center_x) * (width - 1)
    y = (0.5 if center_y is None else center_y) * (height - 1)
    # The map's inverse without scaling is a turn and two shears, of determinant 1.
    rotated = angle - shear_y
    a = jnp.cos(rotated) / jnp.cos(shear_y)
    b = a * jnp.tan(shear_x) + jnp.sin(angle)
    c = -jnp.sin(rotated) / jnp.cos(shear_y)
    d = jnp.cos(angle) - c * jnp.tan(shear_x)
    from_x = x - jnp.asarray(translate_x) * (width - 1)
    from_y = y - jnp.asarray(translate_y) * (height - 1)
    a, b, c, d = scale * d, -scale * b, -scale * c, scale * a
    zero, one = jnp.zeros_like(a), jnp.ones_like(a)
    rows = [
        [a, b, x - a * from_x - b * from_y],
        [c, d, y - c * from_x - d * from_y],
        [zero, zero, one],
    ]
    matrix = jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
    return project_boxes(jnp.asarray(boxes).astype(matrix.dtype), matrix)


def crop(
    boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy"
) -> jax.Array:
    """Boxes as seen in a part of the image, and cut off at its borders.

    Args:
        boxes: The boxes.
        top: First row of the part.
        left: First column of the part.
        height: Rows of the part.
        width: Columns of the part.
        bounding_box_format: `"xyxy"`.

    Shapes:
        `(..., 4)` -> the same.

    Example:
        >>> crop(np.array([[10.0, 20, 50, 60]]), top=10, left=20, height=40, width=30)
        Array([[ 0., 10., 30., 40.]], dtype=float32)
    """
    _check_xyxy("crop", bounding_box_format)
    boxes = jnp.asarray(boxes)
    moved = boxes - _scale(top, left, boxes.dtype)
    return jnp.clip(moved, jnp.zeros((), boxes.dtype), _scale(height, width, boxes.dtype))


def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> jax.Array:
    """Boxes as seen in the image with borders added.

    Args:
        boxes: The boxes.
        top: Rows added above.
        left: Columns added on the left.
        height: Unused, as in Keras.
        width: Unused, as in Keras.
        bounding_box_format: `"xyxy"`.

    Shapes:
        `(..., 4)` -> the same.

    Example:
        >>> pad(np.array([[10.0, 20, 50, 60]]), top=1, left=2)
        Array([[12., 21., 52., 61.]], dtype=float32)
    """
    _check_xyxy("pad", bounding_box_format)
    boxes = jnp.asarray(boxes)
    return boxes + _scale(top, left, boxes.dtype)


def _image_size(image_shape) -> tuple:
    return (None, None) if image_shape is None else tuple(image_shape)[:2]


def _check_deltas(owner, name, form, variance):
    if form not in ("center_xywh", "center_yxhw"):
        raise bad_argument(owner, name, "'center_xywh' or 'center_yxhw'", form)
    if variance is None:
        return 1.0
    variance = jnp.asarray(variance, "float32")
    if variance.shape[-1:] != (4,):
        raise bad_argument(owner, "variance", "4 numbers", variance.shape)
    return variance


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence | None = None,
) -> Any:
    """How boxes differ from anchors: shifts in sizes of the anchor, and logarithms of factors.

    Args:
        anchors: Anchors.
        boxes: Boxes, one for each anchor.
        anchor_format: The anchors' format.
        box_format: The boxes' format.
        encoding_format: Order of the result: `"center_yxhw"` or `"center_xywh"`.
        variance: Four numbers to divide by.
        image_shape: Height, width and channels of the image, for relative formats.

    Shapes:
        `(anchors, 4)` and `(anchors, 4)` or `(batch, anchors, 4)` -> as the boxes.

    References:
        Girshick, Donahue, Darrell and Malik, 2014, "Rich Feature Hierarchies for Accurate Object
        Detection and Semantic Segmentation".

    Example:
        >>> anchors, boxes = np.array([[0.0, 0, 4, 4]]), np.array([[1.0, 1, 5, 5]])
        >>> encode_box_to_deltas(anchors, boxes, "xyxy", "xyxy")
        Array([[0.25, 0.25, 0.  , 0.  ]], dtype=float32)
    """
    owner = "encode_box_to_deltas"
    variance = _check_deltas(owner, "encoding_format", encoding_format, variance)
    size = _image_size(image_shape)
    anchors = convert_format(anchors, anchor_format, encoding_format, *size)
    boxes = convert_format(boxes, box_format, encoding_format, *size)
    return _encode(anchors, boxes, variance)


@symbolic
def _encode(anchors, boxes, variance):
    sides = jnp.maximum(anchors[..., 2:], epsilon())
    shift = (boxes[..., :2] - anchors[..., :2]) / sides
    factor = jnp.log(jnp.maximum(boxes[..., 2:], epsilon()) / sides)
    return jnp.concatenate([shift, factor], axis=-1) / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Sequence | None = None,
) -> Any:
    """The boxes that differ from anchors by deltas: undoes `encode_box_to_deltas`.

    Args:
        anchors: Anchors, or a dict of them.
        boxes_delta: Deltas, or a dict of them with the same keys.
        anchor_format: The anchors' format.
        box_format: Format of the result.
        encoded_format: Order of the deltas: `"center_yxhw"` or `"center_xywh"`.
        variance: Four numbers to multiply with.
        image_shape: Height, width and channels of the image, for relative formats.

    Shapes:
        `(anchors, 4)` and `(anchors, 4)` or `(batch, anchors, 4)` -> as the deltas.

    Example:
        >>> anchors, deltas = np.array([[0.0, 0, 4, 4]]), np.array([[0.25, 0.25, 0, 0]])
        >>> decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy")
        Array([[1., 1., 5., 5.]], dtype=float32)
    """
    owner = "decode_deltas_to_boxes"
    factors = _check_deltas(owner, "encoded_format", encoded_format, variance)
    size = _image_size(image_shape)

    def decode(anchors, deltas):
        anchors = convert_format(anchors, anchor_format, encoded_format, *size)
        return convert_format(_decode(anchors, deltas, factors), encoded_format, box_format, *size)

    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        return {level: decode(anchors[level], boxes_delta[level]) for level in anchors}
    return decode(anchors, boxes_delta)


@symbolic
def _decode(anchors, deltas, variance):
    deltas = jnp.asarray(deltas) * variance
    middle = deltas[..., :2] * anchors[..., 2:] + anchors[..., :2]
    return jnp.concatenate([middle, jnp.exp(deltas[..., 2:]) * anchors[..., 2:]], axis=-1)


def _as_xyxy(owner, boxes, form, image_shape):
    form = check_format(owner, "bounding_box_format", form)
    if _is_relative(form) and image_shape is None:
        raise bad_argument(owner, "image_shape", "given for a relative format", image_shape)
    return convert_format(boxes, form, "xyxy", *_image_size(image_shape))


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence | None = None,
) -> Any:
    """Area that two boxes share, divided by the area that they cover, for all pairs.

    Args:
        boxes1: Boxes.
        boxes2: Boxes.
        bounding_box_format: Their format.
        use_masking: Whether pairs with a box of negative numbers only get `mask_val`.
        mask_val: What they get.
        image_shape: Height, width and channels of the image, for relative formats.

    Shapes:
        `(n, 4)` or `(batch, n, 4)`, and `(m, 4)` or `(batch, m, 4)` -> `(n, m)`, or
        `(batch, n, m)` if one has a batch.

    Example:
        >>> compute_iou(np.array([[0.0, 0, 2, 2]]), np.array([[0.0, 0, 2, 4]]), "xyxy")
        Array([[0.5]], dtype=float32)
    """
    owner = "compute_iou"
    for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
        shape = np.shape(boxes)
        if len(shape) not in (2, 3):
            raise bad_argument(owner, name, "of shape (boxes, 4) or (batch, boxes, 4)", shape)
    boxes1 = _as_xyxy(owner, boxes1, bounding_box_format, image_shape)
    boxes2 = _as_xyxy(owner, boxes2, bounding_box_format, image_shape)
    return _iou_of_pairs(boxes1, boxes2, use_masking, mask_val)


def _area(boxes):
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _shared_area(boxes1, boxes2):
    sides = jnp.minimum(boxes1[..., 2:], boxes2[..., 2:]) - jnp.maximum(
        boxes1[..., :2], boxes2[..., :2]
    )
    sides = jnp.maximum(sides, 0)
    return sides[..., 0] * sides[..., 1]


@symbolic
def _iou_of_pairs(boxes1, boxes2, use_masking, mask_val):
    first, second = boxes1[..., :, None, :], boxes2[..., None, :, :]
    shared = _shared_area(first, second)
    covered = _area(first) + _area(second) - shared
    iou = shared / (covered + epsilon())
    if not use_masking:
        return iou
    missing = (jnp.max(first, axis=-1) < 0) | (jnp.max(second, axis=-1) < 0)
    return jnp.where(missing, jnp.asarray(mask_val, iou.dtype), iou)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Sequence | None = None
) -> Any:
    """Complete IoU of boxes, one by one: less the more distant and the less alike in shape.

    Args:
        boxes1: Boxes.
        boxes2: Boxes.
        bounding_box_format: Their format.
        image_shape: Height, width and channels of the image, for relative formats.

    Shapes:
        Two of `(..., 4)` -> `(...)`.

    References:
        Zheng, Wang, Liu, Li, Ye and Ren, 2020, "Distance-IoU Loss: Faster and Better Learning for
        Bounding Box Regression".

    Example:
        >>> boxes = np.array([[0.0, 0.0, 2.0, 2.0]])
        >>> compute_ciou(boxes, boxes, "xyxy").round(3)
        Array([1.], dtype=float32)
    """
    owner = "compute_ciou"
    boxes1 = _as_xyxy(owner, boxes1, bounding_box_format, image_shape)
    boxes2 = _as_xyxy(owner, boxes2, bounding_box_format, image_shape)
    return _ciou(boxes1, boxes2)


@symbolic
def _ciou(boxes1, boxes2):
    tiny = epsilon()
    (w1, h1), (w2, h2) = (
        (b[..., 2] - b[..., 0], b[..., 3] - b[..., 1] + tiny) for b in (boxes1, boxes2)
    )
    shared = _shared_area(boxes1, boxes2)
    iou = shared / (w1 * h1 + w2 * h2 - shared + 2 * tiny)
    hull = jnp.maximum(boxes1[..., 2:], boxes2[..., 2:]) - jnp.minimum(
        boxes1[..., :2], boxes2[..., :2]
    )
    diagonal = jnp.sum(hull**2, axis=-1) + tiny
    middles = (boxes1[..., :2] + boxes1[..., 2:] - boxes2[..., :2] - boxes2[..., 2:]) / 2
    distance = jnp.sum(middles**2, axis=-1)
    unlike = 4 / math.pi**2 * (jnp.arctan(w2 / h2) - jnp.arctan(w1 / h1)) ** 2
    weight = unlike / (unlike - iou + 1 + tiny)
    return iou - distance / diagonal - unlike * weight
