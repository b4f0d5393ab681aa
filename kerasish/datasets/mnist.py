"""Handwritten digits, 28 by 28 pixels."""

from typing import Any

import numpy as np

from kerasish.data.download import get_file

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: Any = "mnist.npz") -> tuple:
    """60,000 images of handwritten digits to train on and 10,000 to test on.

    Args:
        path: Name of the file in the cache.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all `uint8`: images `(n, 28, 28)` with values from 0
        to 255, digits `(n,)`.

    References:
        LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-Based Learning Applied to Document
        Recognition".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    with np.load(get_file(path, ORIGIN, file_hash=HASH), allow_pickle=False) as data:
        return (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])


__all__ = ["load_data"]
