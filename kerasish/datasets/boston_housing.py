"""Prices of houses around Boston."""

from typing import Any

from kerasish.data.download import get_file
from kerasish.datasets.arrays import check_split, read_npz, shuffled, split

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz"
HASH = "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"


def load_data(
    path: Any = "boston_housing.npz", test_split: float = 0.2, seed: int | None = 113
) -> tuple:
    """Median prices of houses in 506 districts around Boston, in the 1970s, in $1000.

    One of the 13 columns encodes the share of Black inhabitants, on racist grounds: use the data
    to show that problem; for anything else use `california_housing`.

    Args:
        path: Name of the file in the cache.
        test_split: Part of the rows to test on.
        seed: Of the order of the rows.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: columns `(n, 13)`, prices `(n,)`.

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (404, 13)
    """
    check_split(test_split)
    data = read_npz(get_file(path, ORIGIN, file_hash=HASH))
    return split(*shuffled(seed, data["x"], data["y"]), test_split)


__all__ = ["load_data"]
