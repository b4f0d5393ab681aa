"""Pictures of data, drawn with matplotlib."""

from kerasish.visualization.drawing import draw_bounding_boxes, draw_segmentation_masks
from kerasish.visualization.drawn_galleries import (
    plot_bounding_box_gallery,
    plot_segmentation_mask_gallery,
)
from kerasish.visualization.gallery import plot_image_gallery

__all__ = [
    "draw_bounding_boxes",
    "draw_segmentation_masks",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]
