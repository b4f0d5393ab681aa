"""`keras.preprocessing`: tools for data, under the names of older Keras code."""

from kerasish.data import timeseries_dataset_from_array
from kerasish.preprocessing import image, sequence

__all__ = ["image", "sequence", "timeseries_dataset_from_array"]
