"""Small colour photographs of ten kinds of things."""

import pathlib

import numpy as np

from kerasish.data.download import get_file
from kerasish.datasets.arrays import read_cifar

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data() -> tuple:
    """50,000 photographs of 32 by 32 pixels to train on and 10,000 to test on.

    0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all `uint8`: images `(n, 32, 32, 3)` with values
        from 0 to 255, kinds `(n, 1)`.

    References:
        Krizhevsky, 2009, "Learning Multiple Layers of Features from Tiny Images".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (50000, 32, 32, 3)
    """
    folder = get_file("cifar-10-batches-py-target", ORIGIN, extract=True, file_hash=HASH)
    folder = pathlib.Path(folder, "cifar-10-batches-py")
    batches = [read_cifar(folder / f"data_batch_{i}", "labels") for i in range(1, 6)]
    images, kinds = zip(*batches, strict=True)
    x_test, y_test = read_cifar(folder / "test_batch", "labels")
    train = np.concatenate(images), np.concatenate(kinds).astype("uint8")
    return train, (x_test, y_test.astype("uint8"))


__all__ = ["load_data"]
