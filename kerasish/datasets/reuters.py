"""News from Reuters, as word numbers."""

import json
from typing import Any

from kerasish.data.download import get_file
from kerasish.datasets.arrays import frequent, number_words, read_npz, shorter, shuffled, split

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
WORDS_HASH = "4d44cc38712099c9e383dc6e5f11a921"
_TOPICS = (
    "cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves "
    "ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin "
    "strategic-metal livestock retail ipi iron-steel rubber heat jobs lei bop zinc orange pet-chem "
    "dlr gas silver wpi hog lead"
)


def load_data(
    path: Any = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int | None = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple:
    """11,228 news from Reuters on 46 topics.

    A word's number is its rank by frequency.

    Args:
        path: Name of the file in the cache.
        num_words: Words of this number and above become `oov_char`.
        skip_top: Words below this number become `oov_char`.
        maxlen: Texts must be shorter than this.
        test_split: Part of the sequences to test on.
        seed: Of the order of the sequences.
        start_char: Number that marks a text's start; `None` for no mark.
        oov_char: Number of words left out; `None` drops them.
        index_from: What is added to all words' numbers, to make room for 0 (padding) and the two
            above.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: arrays of lists, and topics from 0 to 45.

    Example:
        >>> (x, y), (x_test, y_test) = load_data()  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (8982,)
    """
    data = read_npz(get_file(path, ORIGIN + "reuters.npz", file_hash=HASH))
    sequences, labels = shuffled(seed, data["x"], data["y"])
    sequences, labels = shorter(maxlen, number_words(sequences, start_char, index_from), labels)
    return split(frequent(sequences, num_words, skip_top, oov_char), labels, test_split)


def get_word_index(path: Any = "reuters_word_index.json") -> dict[str, int]:
    """Words to their numbers, before `index_from` is added.

    Args:
        path: Name of the file in the cache.

    Example:
        >>> get_word_index()["the"]  # doctest: +SKIP
        1
    """
    path = get_file(path, ORIGIN + "reuters_word_index.json", file_hash=WORDS_HASH)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def get_label_names() -> tuple[str, ...]:
    """Names of the 46 topics, by number.

    Example:
        >>> len(get_label_names()), get_label_names()[3]
        (46, 'earn')
    """
    return tuple(_TOPICS.split())


__all__ = ["get_label_names", "get_word_index", "load_data"]
