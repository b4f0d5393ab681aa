"""Data: from anything passed to `fit` to batches, and tools for arrays."""

from kerasish.data.adapters import make_batches
from kerasish.data.array_batches import ArrayBatches, Batches
from kerasish.data.array_conversion import (
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.data.class_weights import balanced_class_weight, refuse_balanced
from kerasish.data.dataset import Dataset, Samples
from kerasish.data.dataset_from_directory import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)
from kerasish.data.download import get_file
from kerasish.data.image_files import array_to_img, img_to_array, load_img, save_img
from kerasish.data.labelled_files import Files
from kerasish.data.numerical_arrays import normalize, pad_sequences, to_categorical
from kerasish.data.py_dataset import PyDataset
from kerasish.data.read_ahead import prefetch
from kerasish.data.splitting import Split, split_dataset
from kerasish.data.timeseries_dataset import Windows, timeseries_dataset_from_array

__all__ = [
    "ArrayBatches",
    "Batches",
    "Dataset",
    "Files",
    "PyDataset",
    "Samples",
    "Split",
    "Windows",
    "array_to_img",
    "audio_dataset_from_directory",
    "balanced_class_weight",
    "get_file",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "make_batches",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "prefetch",
    "refuse_balanced",
    "save_img",
    "split_dataset",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
