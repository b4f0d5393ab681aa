"""Pieces of clothing, 28 by 28 pixels."""

import gzip
import os

import numpy as np

from kerasish.data.download import get_file

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def load_data() -> tuple:
    """60,000 images of pieces of clothing of 10 kinds to train on and 10,000 to test on.

    0 T-shirt or top, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag,
    9 ankle boot.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all `uint8`: images `(n, 28, 28)` with values from 0
        to 255, kinds `(n,)`.

    References:
        Xiao, Rasul and Vollgraf, 2017, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
        Machine Learning Algorithms".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    return _part("train"), _part("t10k")


def _part(name):
    labels = _bytes(f"{name}-labels-idx1-ubyte.gz", header=8)
    images = _bytes(f"{name}-images-idx3-ubyte.gz", header=16)
    return images.reshape(len(labels), 28, 28), labels


def _bytes(name, header):
    folder = os.path.join("datasets", "fashion-mnist")
    with gzip.open(get_file(name, ORIGIN + name, cache_subdir=folder)) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


__all__ = ["load_data"]
