"""Pictures of data, drawn with matplotlib."""

from kerasish.visualization.gallery import plot_image_gallery

__all__ = ["plot_image_gallery"]
