"""Files of weights trained on ImageNet: where Keras keeps them, and how they are fetched."""

import os
from typing import NamedTuple

from kerasish.data import get_file
from kerasish.models import Model

STORAGE = "https://storage.googleapis.com/tensorflow/keras-applications/"


class WeightFile(NamedTuple):
    """One file of weights.

    Attributes:
        url: Its address.
        file_hash: Its SHA-256 or MD5; `None` where Keras knows none.
        fname: Its name in the cache; `None`: the address's last part.
    """

    url: str
    file_hash: str | None = None
    fname: str | None = None

    def fetch(self) -> str:
        """Path in the cache, in `~/.keras/models` as Keras', downloaded unless it is there."""
        return get_file(self.fname, self.url, cache_subdir="models", file_hash=self.file_hash)


class WeightFiles(NamedTuple):
    """The two files of a model: with its classifier, and without."""

    with_top: WeightFile
    without_top: WeightFile


def weight_files(stem: str, hashes=(None, None), bare: str = "_notop") -> WeightFiles:
    """The two files whose addresses differ by `bare` before `.h5`.

    Args:
        stem: Address without ending, in the folder of Keras' models unless it is a whole one.
        hashes: Hash of the file with the classifier, and of that without.
        bare: What the address of the file without the classifier has more.
    """
    stem = stem if stem.startswith("https:") else STORAGE + stem
    with_top, without_top = hashes
    return WeightFiles(
        WeightFile(f"{stem}.h5", with_top), WeightFile(f"{stem}{bare}.h5", without_top)
    )


def load(
    model: Model, weights: str | os.PathLike | None, files: WeightFiles, include_top: bool
) -> None:
    """Give a model the weights of a path, of ImageNet's file, or (`None`) leave those it has."""
    if isinstance(weights, str) and weights == "imagenet":
        weights = (files.with_top if include_top else files.without_top).fetch()
    if weights is not None:
        model.load_weights(weights)
