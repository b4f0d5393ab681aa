"""Images side by side."""

import math
from typing import Any

import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Any = (0, 255),
    scale: Any = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: Any = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: Any = None,
) -> Any:
    """Draw images in a grid, with their labels and predictions if given.

    Args:
        images: The images; as many of the first as fit are drawn.
        y_true: Class number of each image.
        y_pred: Predicted class number of each image.
        label_map: Dict of class numbers to names; `None` shows the numbers.
        rows: Rows of the grid; `None`: as many as a square grid needs.
        cols: Columns of the grid; `None`: as many as needed.
        value_range: The pixels' values for black and for full brightness.
        scale: Width and height of an image, in inches.
        path: File to save to.
        show: Whether to open a window. `None`: if there can be one and `path` is not given.
        transparent: Whether the file has a transparent background.
        dpi: Resolution of the file, in dots per inch.
        legend_handles: Matplotlib's handles for a legend below.
        data_format: `"channels_last"`, `"channels_first"` or `None` for the global setting.

    Shapes:
        `(images, height, width, channels)` with 1, 3 or 4 channels.

    Returns:
        The figure.

    Example:
        >>> figure = plot_image_gallery(np.zeros((4, 8, 8, 3)), rows=2, cols=2)
    """
    import matplotlib.pyplot as plt

    images = _brightness(images, value_range, settings.standardize_data_format(data_format))
    rows, cols = _grid(len(images), rows, cols)
    size = (cols * scale, rows * scale)
    figure, axes = plt.subplots(rows, cols, figsize=size, squeeze=False, layout="constrained")
    for index, axis in enumerate(axes.flat):
        axis.axis("off")
        if index < len(images):
            axis.imshow(images[index], cmap="gray", vmin=0, vmax=1)
            axis.set_title(_title(index, y_true, y_pred, label_map), fontsize=8)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="outside lower center")
    if path is not None:
        figure.savefig(path, transparent=transparent, dpi=dpi)
    if show is None:
        show = path is None and figure.canvas.required_interactive_framework is not None
    if show:
        plt.show()
    else:
        plt.close(figure)  # or a notebook shows it twice
    return figure


def _brightness(images, value_range, data_format):
    images = np.asarray(images, dtype="float32")
    if images.ndim != 4:
        wanted = "images of shape (images, height, width, channels)"
        raise bad_argument("plot_image_gallery", "images", wanted, images.shape)
    if data_format == "channels_first":
        images = np.moveaxis(images, 1, -1)
    low, high = value_range
    images = np.clip((images - low) / (high - low), 0, 1)
    return images[..., 0] if images.shape[-1] == 1 else images


def _grid(count, rows, cols):
    if rows is None and cols is None:
        rows = math.ceil(math.sqrt(count))
    rows = rows or math.ceil(count / cols)
    return rows, cols or math.ceil(count / rows)


def _title(index, y_true, y_pred, label_map):
    parts = []
    for name, labels in (("Label", y_true), ("Pred", y_pred)):
        if labels is not None:
            label = np.asarray(labels)[index].item()
            parts.append(f"{name}: {label if label_map is None else label_map.get(label, '?')}")
    return "  ".join(parts)
