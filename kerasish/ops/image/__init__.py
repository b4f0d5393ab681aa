"""`keras.ops.image`: the ops of images."""

# Packed by hand: one name a line would be hundreds.
# fmt: off
# ruff: noqa: I001

from kerasish.ops.image.color import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from kerasish.ops.image.filters import gaussian_blur, sobel_edges, ssim
from kerasish.ops.image.resizing import (
    crop_images, extract_patches, extract_patches_3d, pad_images, resize, scale_and_translate,
)
from kerasish.ops.image.transforms import (
    affine_transform, elastic_transform, map_coordinates, perspective_transform,
)

__all__ = [
    "affine_transform", "crop_images", "elastic_transform", "extract_patches",
    "extract_patches_3d", "gaussian_blur", "hsv_to_rgb", "map_coordinates", "pad_images",
    "perspective_transform", "resize", "rgb_to_grayscale", "rgb_to_hsv", "scale_and_translate",
    "sobel_edges", "ssim",
]
