"""Galleries of images with boxes or masks drawn onto them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.visualization.drawing import draw_bounding_boxes, draw_segmentation_masks
from kerasish.visualization.gallery import plot_image_gallery


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping | None = None,
    y_pred: Mapping | None = None,
    value_range: Sequence = (0, 255),
    true_color: Sequence = (0, 188, 212),
    pred_color: Sequence = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping | None = None,
    ground_truth_mapping: Mapping | None = None,
    prediction_mapping: Mapping | None = None,
    legend: bool = False,
    legend_handles: Sequence | None = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """Draw images in a grid, with true and predicted bounding boxes.

    Args:
        images: The images.
        bounding_box_format: Format of the boxes.
        y_true: Dict of true `boxes` and `labels`.
        y_pred: Dict of predicted `boxes`, `labels` and, if wanted, `confidences`.
        value_range: The pixels' values for black and for full brightness.
        true_color: Red, green and blue of true boxes.
        pred_color: Red, green and blue of predicted boxes.
        line_thickness: Width of lines in pixels.
        font_scale: Size of letters.
        text_thickness: Width of letters' strokes; `None`: of the lines.
        class_mapping: Dict of labels to names.
        ground_truth_mapping: The same for true boxes only.
        prediction_mapping: The same for predicted boxes only.
        legend: Whether to say which color is which.
        legend_handles: Matplotlib's handles for another legend.
        rows: Rows of the grid.
        cols: Columns of the grid.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        **kwargs: More arguments of `plot_image_gallery`.

    Shapes:
        `(images, height, width, 3)`; boxes `(images, boxes, 4)`.

    Returns:
        The figure.

    Example:
        >>> boxes = {"boxes": np.array([[[1, 1, 5, 5]]]), "labels": np.array([[0]])}
        >>> images = np.zeros((1, 8, 8, 3))
        >>> figure = plot_bounding_box_gallery(images, "xyxy", boxes, rows=1, cols=1)
    """
    owner = "plot_bounding_box_gallery"
    if legend and legend_handles:
        raise bad_argument(owner, "legend", "False together with `legend_handles`", legend)
    drawn = _to_bytes(owner, images, value_range, data_format)
    boxes = [
        (y_true, true_color, ground_truth_mapping or class_mapping, "Ground Truth"),
        (y_pred, pred_color, prediction_mapping or class_mapping, "Prediction"),
    ]
    for values, color, names, _ in boxes:
        if values is not None:
            options = (bounding_box_format, names, color, line_thickness, text_thickness)
            drawn = draw_bounding_boxes(drawn, values, *options, font_scale, "channels_last")
    if legend:
        from matplotlib.patches import Patch

        legend_handles = [
            Patch(color=tuple(np.array(color) / 255.0), label=label) for _, color, _, label in boxes
        ]
    return plot_image_gallery(
        drawn,
        legend_handles=legend_handles,
        rows=rows,
        cols=cols,
        data_format="channels_last",
        **kwargs,
    )


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """Draw images in rows: each one by itself, with true masks and with predicted ones.

    Args:
        images: The images.
        num_classes: Number of classes.
        value_range: The pixels' values for black and for full brightness.
        y_true: True class of each pixel.
        y_pred: Predicted class of each pixel.
        color_mapping: Dict of classes to red, green and blue; `None`: a palette's.
        blend: Whether to mix colors with the image.
        alpha: Share of the color in what is seen, from 0 to 1.
        ignore_index: Class that is not drawn.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        **kwargs: More arguments of `plot_image_gallery`.

    Shapes:
        `(images, height, width, 3)`; masks `(images, height, width)` or with one channel.

    Returns:
        The figure.

    Example:
        >>> images, masks = np.zeros((1, 8, 8, 3)), np.ones((1, 8, 8, 1), int)
        >>> figure = plot_segmentation_mask_gallery(images, 2, y_true=masks, rows=1, cols=1)
    """
    owner = "plot_segmentation_mask_gallery"
    plain = _to_bytes(owner, images, value_range, data_format)
    first = settings.standardize_data_format(data_format) == "channels_first"
    columns = [plain]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = np.asarray(masks).astype("int32")
            masks = np.moveaxis(masks, 1, -1) if first and masks.ndim == 4 else masks
            options = (num_classes, color_mapping, alpha, blend, ignore_index, "channels_last")
            columns.append(draw_segmentation_masks(plain, masks, *options))
    side_by_side = np.stack(columns, axis=1).reshape(-1, *plain.shape[1:])
    grid = {"rows": len(plain), "cols": len(columns), "data_format": "channels_last"}
    return plot_image_gallery(side_by_side, **{**grid, **kwargs})


def _to_bytes(owner, images, value_range, data_format):
    """Images as bytes, channels last."""
    images = np.asarray(images)
    if images.ndim != 4:
        wanted = "images of shape (images, height, width, channels)"
        raise bad_argument(owner, "images", wanted, images.shape)
    if settings.standardize_data_format(data_format) == "channels_first":
        images = np.moveaxis(images, 1, -1)
    low, high = value_range
    fractions = (images.astype("float32") - low) / (high - low)
    return np.clip(np.round(fractions * 255), 0, 255).astype("uint8")
