"""Vocabularies: which tokens make one, in which order, and how much each tells."""

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument


def most_frequent(counts: Counter, left_out: Collection, room: int | None) -> list:
    """Tokens, the most frequent first, and of equally frequent ones the last in order first.

    Args:
        counts: How often each token was seen.
        left_out: Tokens that have numbers of their own.
        room: The most tokens to give; `None`: all.
    """
    tokens = [token for token in counts if token not in left_out]
    return sorted(tokens, key=lambda token: (counts[token], token), reverse=True)[:room]


def document_weights(seen: np.ndarray, documents: int) -> np.ndarray:
    """Inverse document frequencies, `log(1 + documents / (1 + documents with the token))`.

    Args:
        seen: For each token, the number of documents with it.
        documents: Number of documents.

    References:
        Spärck Jones, 1972, "A Statistical Interpretation of Term Specificity and Its Application in
        Retrieval".
    """
    return np.log(1 + documents / (1 + seen))


def checked_tokens(layer: Any, tokens: np.ndarray) -> None:
    """Raise a `ValueError` where tokens are no vocabulary for a lookup.

    Args:
        layer: The lookup.
        tokens: The tokens.
    """
    if not len(tokens):
        raise bad_argument(layer, "vocabulary", "of one token at least", [])
    twice = [token for token, count in Counter(tokens.tolist()).items() if count > 1]
    if twice:
        raise bad_argument(layer, "vocabulary", "without repetitions", twice)
    specials = {"mask_token": layer.mask_token}
    if layer.invert:
        specials["oov_token"] = layer.oov_token
    for name, token in specials.items():
        if token is not None and token in tokens:
            wanted = f"without `{name}` but in front: {layer.get_vocabulary()[:3]}"
            raise bad_argument(layer, "vocabulary", wanted, token)
    size = layer.vocabulary_size() - len(layer.get_vocabulary(False)) + len(tokens)
    if layer.max_tokens is not None and size > layer.max_tokens:
        wanted = f"of `max_tokens={layer.max_tokens}` at most, with special ones"
        raise bad_argument(layer, "vocabulary", wanted, f"{size} tokens")
