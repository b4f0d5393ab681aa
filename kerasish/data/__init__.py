"""Data: what turns anything passed to `fit` into batches, and tools for arrays."""

from kerasish.data.arrays import normalize, pad_sequences, to_categorical
from kerasish.data.batches import ArrayBatches, Batches
from kerasish.data.convert import (
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.data.download import get_file
from kerasish.data.pictures import array_to_img, img_to_array, load_img, save_img
from kerasish.data.prefetch import prefetch
from kerasish.data.py_dataset import PyDataset
from kerasish.data.sources import make_batches
from kerasish.data.time_series import Windows, timeseries_dataset_from_array

__all__ = [
    "ArrayBatches",
    "Batches",
    "PyDataset",
    "Windows",
    "array_to_img",
    "get_file",
    "img_to_array",
    "load_img",
    "make_batches",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "prefetch",
    "save_img",
    "timeseries_dataset_from_array",
    "to_categorical",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
