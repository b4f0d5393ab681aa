"""Handwritten digits of 8 by 8 pixels, which need no download."""

import numpy as np

from kerasish.datasets.arrays import check_split, shuffled, split


def load_data(test_split: float = 0.2, seed: int | None = 113) -> tuple:
    """The 1,797 images of handwritten digits that come with scikit-learn.

    Args:
        test_split: Part of the images to test on.
        seed: Of the order of the images.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all `uint8`: images `(n, 8, 8)` with values from 0
        to 16, digits `(n,)`.

    References:
        Alpaydin and Kaynak, 1998, "Optical Recognition of Handwritten Digits", UCI Repository.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = load_data()
        >>> x_train.shape, int(x_train.max())
        ((1437, 8, 8), 16)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise RuntimeError(
            "keras.datasets.digits comes from scikit-learn: `pip install scikit-learn`."
        ) from error
    check_split(test_split)
    found = load_digits()
    images, kinds = found.images.astype(np.uint8), found.target.astype(np.uint8)
    return split(*shuffled(seed, images, kinds), test_split)


__all__ = ["load_data"]
