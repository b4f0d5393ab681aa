"""Data: what turns anything passed to `fit` into batches, and tools for arrays."""

from kerasish.data.arrays import normalize, pad_sequences, to_categorical
from kerasish.data.batches import ArrayBatches, Batches
from kerasish.data.convert import (
    pack_x_y_sample_weight,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.data.download import get_file
from kerasish.data.prefetch import prefetch
from kerasish.data.py_dataset import PyDataset
from kerasish.data.sources import make_batches

__all__ = [
    "ArrayBatches",
    "Batches",
    "PyDataset",
    "get_file",
    "make_batches",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "prefetch",
    "to_categorical",
    "train_validation_split",
    "unpack_x_y_sample_weight",
]
