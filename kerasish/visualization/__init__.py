"""Pictures of data and of what models make of it, drawn with matplotlib."""

from kerasish.visualization.batches import show_batch, show_results
from kerasish.visualization.class_activation import GradCAM, grad_cam
from kerasish.visualization.confusion import ConfusionMatrix, confusion_matrix
from kerasish.visualization.drawing import draw_bounding_boxes, draw_segmentation_masks
from kerasish.visualization.drawn_galleries import (
    plot_bounding_box_gallery,
    plot_segmentation_mask_gallery,
)
from kerasish.visualization.gallery import plot_image_gallery
from kerasish.visualization.hardest_samples import TopLosses, top_losses

__all__ = [
    "ConfusionMatrix",
    "GradCAM",
    "TopLosses",
    "confusion_matrix",
    "draw_bounding_boxes",
    "draw_segmentation_masks",
    "grad_cam",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
    "show_batch",
    "show_results",
    "top_losses",
]
