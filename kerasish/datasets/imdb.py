"""Reviews of films, as word numbers."""

import json
from typing import Any

import numpy as np

from kerasish.data.download import get_file
from kerasish.datasets.arrays import frequent, number_words, read_npz, shorter, shuffled

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
WORDS_HASH = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: Any = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple:
    """25,000 reviews of films to train on and 25,000 to test on, half good, half bad.

    A word's number is its rank by frequency.

    Args:
        path: Name of the file in the cache.
        num_words: Words of this number and above become `oov_char`.
        skip_top: Words below this number become `oov_char`.
        maxlen: Reviews must be shorter than this.
        seed: Of the order of the reviews.
        start_char: Number that marks a review's start; `None` for no mark.
        oov_char: Number of words left out; `None` drops them.
        index_from: What is added to all words' numbers, to make room for 0 (padding) and the two
            above.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: reviews as arrays of lists, and 1 for good ones.

    References:
        Maas et al., 2011, "Learning Word Vectors for Sentiment Analysis".

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (25000,)
    """
    data = read_npz(get_file(path, ORIGIN + "imdb.npz", file_hash=HASH))
    parts = []
    generator = np.random.RandomState(seed)
    for name in ("train", "test"):
        sequences, labels = shuffled(generator, data[f"x_{name}"], data[f"y_{name}"])
        parts.append(shorter(maxlen, number_words(sequences, start_char, index_from), labels))
    (x_train, y_train), (x_test, y_test) = parts
    sequences = frequent([*x_train, *x_test], num_words, skip_top, oov_char)
    return (sequences[: len(x_train)], y_train), (sequences[len(x_train) :], y_test)


def get_word_index(path: Any = "imdb_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added.

    Args:
        path: Name of the file in the cache.

    Example:
        >>> get_word_index()["the"]  # doctest: +SKIP
        1
    """
    path = get_file(path, ORIGIN + "imdb_word_index.json", file_hash=WORDS_HASH)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


__all__ = ["get_word_index", "load_data"]
