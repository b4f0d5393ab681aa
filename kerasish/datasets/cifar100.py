"""Small colour photographs of a hundred kinds of things."""

import pathlib

from kerasish.core.errors import bad_argument
from kerasish.data.download import get_file
from kerasish.datasets.arrays import read_cifar

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
HASH = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"


def load_data(label_mode: str = "fine") -> tuple:
    """50,000 photographs of 32 by 32 pixels to train on and 10,000 to test on.

    Args:
        label_mode: `"fine"` for 100 kinds, `"coarse"` for 20 groups of them.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images `(n, 32, 32, 3)` of `uint8` with values from
        0 to 255, kinds `(n, 1)` of integers.

    References:
        Krizhevsky, 2009, "Learning Multiple Layers of Features from Tiny Images".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (50000, 32, 32, 3)
    """
    if label_mode not in ("fine", "coarse"):
        raise bad_argument("load_data", "label_mode", "'fine' or 'coarse'", label_mode)
    folder = get_file("cifar-100-python-target", ORIGIN, extract=True, file_hash=HASH)
    folder = pathlib.Path(folder, "cifar-100-python")
    train, test = (read_cifar(folder / part, f"{label_mode}_labels") for part in ("train", "test"))
    return train, test


__all__ = ["load_data"]
