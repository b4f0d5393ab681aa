"""Prices of houses in California."""

from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.data.download import get_file
from kerasish.datasets.arrays import check_split, read_npz, shuffled, split

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/california_housing.npz"
HASH = "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
_ROWS = {"small": 600, "large": None}


def load_data(
    version: str = "large",
    path: Any = "california_housing.npz",
    test_split: float = 0.2,
    seed: int | None = 113,
) -> tuple:
    """Median prices of houses in 20,640 districts of California, in 1990, in dollars.

    Args:
        version: `"large"`, or `"small"` for the first 600 districts.
        path: Name of the file in the cache.
        test_split: Part of the districts to test on.
        seed: Of the order of the districts.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: columns `(n, 8)`, prices `(n,)`.

    References:
        Pace and Barry, 1997, "Sparse Spatial Autoregressions".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (16512, 8)
    """
    if version not in _ROWS:
        raise bad_argument("load_data", "version", "'small' or 'large'", version)
    check_split(test_split)
    data = read_npz(get_file(path, ORIGIN, file_hash=HASH))
    rows = slice(_ROWS[version])
    return split(*shuffled(seed, data["x"][rows], data["y"][rows]), test_split)


__all__ = ["load_data"]
