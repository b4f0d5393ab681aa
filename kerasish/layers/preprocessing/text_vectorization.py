"""`TextVectorization`: texts as numbers of words."""

import re
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import one_of, within_budget
from kerasish.layers.preprocessing.host_layer import HostLayer, as_strings, version_of
from kerasish.layers.preprocessing.index_lookup import OLD_MODES
from kerasish.layers.preprocessing.lookup import StringLookup

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")
# By way of standardizing: how bytes of UTF-8 change, and which go.
_BYTES = {
    None: (None, b""),
    "lower": (
        bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode()),
        b"",
    ),
    "strip_punctuation": (None, string.punctuation.encode()),
}
_BYTES["lower_and_strip_punctuation"] = _BYTES["lower"][0], _BYTES["strip_punctuation"][1]
_MODES = ("int", "multi_hot", "count", "tf_idf")


class TextVectorization(HostLayer):
    """Texts cut into words (or other tokens), and these numbered by a vocabulary.

    Number 0 fills up short texts, 1 stands for unknown words. Works on the host: on data before a
    model, or in a model on each batch. Only the letters A to Z are made small, as in Keras. Without
    `output_sequence_length`, a model is compiled anew for each length of a batch.

    Args:
        max_tokens: The most numbers to give, 0 and 1 included; `None`: as many as there are words.
        standardize: `"lower_and_strip_punctuation"`, `"lower"`, `"strip_punctuation"`, `None`, or a
            function of an array of strings.
        split: `"whitespace"`, `"character"`, `None`, or a function from an array of strings to
            lists of tokens.
        ngrams: Lengths of sequences of tokens to take as tokens, in a tuple; a number: all from 1
            to it.
        output_mode: `"int"`: numbers in the text's order; `"multi_hot"`, `"count"` and `"tf_idf"`:
            see `StringLookup`.
        output_sequence_length: Numbers a text gets with `"int"`: longer ones are cut off, shorter
            ones filled up. `None`: as many as the longest has.
        pad_to_max_tokens: Whether the other modes have width `max_tokens` even with fewer words.
        vocabulary: The words, or the path of a text file with one a line; else use `adapt`.
        idf_weights: For `"tf_idf"` and a given vocabulary: each word's weight.
        sparse: Whether to give a sparse matrix; not with `"int"`.
        ragged: Kept for Keras' sake; False.
        encoding: That of bytes.

    Shapes:
        `(batch,)` or `(batch, 1)` -> `(batch, length)`, or without `split` the same; else `(batch,
        words)`.

    Example:
        >>> layer = TextVectorization(output_sequence_length=4)
        >>> layer.adapt(["A cat sat.", "A dog!"])
        >>> layer.get_vocabulary()
        ['', '[UNK]', 'a', 'sat', 'dog', 'cat']
        >>> layer(["a dog sings"])
        Array([[2, 4, 1, 0]], dtype=int32)
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable | None = "lower_and_strip_punctuation",
        split: str | Callable | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ):
        vocabulary_size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        self.standardize = _choice(self, "standardize", standardize, _STANDARDIZE)
        self.split = _choice(self, "split", split, _SPLIT)
        lengths = ngrams if isinstance(ngrams, tuple) else (1 if ngrams is None else ngrams,)
        if not all(isinstance(n, int) and n > 0 for n in lengths):
            wanted = "a positive integer, a tuple of them, or None"
            raise bad_argument(self, "ngrams", wanted, ngrams)
        within_budget(self, "ngrams", ngrams, sum(lengths))
        self.ngrams = ngrams
        self.output_mode = one_of(
            self, "output_mode", OLD_MODES.get(output_mode, output_mode), _MODES
        )
        if output_sequence_length is not None and self.output_mode != "int":
            wanted = "None where `output_mode` is not 'int'"
            raise bad_argument(self, "output_sequence_length", wanted, output_sequence_length)
        if ragged:
            raise bad_argument(self, "ragged", "False: JAX's arrays are not ragged", ragged)
        self.output_sequence_length = output_sequence_length
        self.ragged = ragged
        self.encoding = encoding
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=self.output_mode,
            sparse=sparse,
            encoding=encoding,
            vocabulary_size=vocabulary_size,
        )
        self.max_tokens = max_tokens
        self.pad_to_max_tokens = pad_to_max_tokens
        self.sparse = sparse

    # -- the vocabulary

    def get_vocabulary(self, include_special_tokens: bool = True) -> list:
        """The words, each at the position of its number.

        Args:
            include_special_tokens: Whether `""` and `[UNK]` come first.
        """
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many numbers there are."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take words instead of adapting to texts: see `StringLookup.set_vocabulary`.

        Args:
            vocabulary: The words, or the path of a text file with one a line.
            idf_weights: For `"tf_idf"`: each word's weight.
        """
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary from texts: the most frequent words first.

        Args:
            data: An array or list of texts, or batches of them.
            batch_size: Kept for Keras' sake.
            steps: Batches to look at; `None`: all.
        """
        self.reset_state()
        whole = isinstance(data, list | tuple) or hasattr(data, "shape")
        for i, batch in enumerate([data] if whole else data):
            if steps is not None and i >= steps:
                break
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget the texts seen, but not the vocabulary."""
        self._lookup_layer.reset_state()

    def update_state(self, data: Any) -> None:
        """Count the words of more texts.

        Args:
            data: An array or list of texts.
        """
        self._lookup_layer.count(self.tokens_of(data))

    def finalize_state(self) -> None:
        """Take the vocabulary from the texts seen."""
        self._lookup_layer.finalize_state()

    # -- texts to numbers

    def tokens_of(self, inputs: Any) -> list[list[str]]:
        """The tokens of each text.

        Args:
            inputs: An array or list of texts.

        Raises:
            ValueError: If there is more than one text in a row.
        """
        texts = np.atleast_1d(as_strings(self, inputs, self.encoding))
        if callable(self.standardize):
            texts = as_strings(self, self.standardize(texts.astype(str)), self.encoding)
        if self.split is None:
            rows = [list(np.atleast_1d(row)) for row in texts]
        else:
            texts = self._checked(texts)
            rows = self.split(texts.astype(str)) if callable(self.split) else list(texts)
        rows = [self._prepared(row) for row in rows]
        if self.ngrams is None:
            return rows
        lengths = self.ngrams if isinstance(self.ngrams, tuple) else range(1, self.ngrams + 1)
        return [[gram for n in lengths for gram in _grams(row, n)] for row in rows]

    def _prepared(self, row):
        """A row's tokens, standardized: of one text, or of a list of them."""
        if isinstance(row, str):
            text = self._standardized(row)
            # As bytes: only ASCII's spaces divide words.
            words = [word.decode() for word in text.encode().split()]
            return words if self.split == "whitespace" else list(text)
        return [self._standardized(str(token)) for token in row]

    def _standardized(self, text):
        kind = self.standardize if isinstance(self.standardize, str) else ""
        text = text.translate(_LOWER) if "lower" in kind else text
        return _PUNCTUATION.sub("", text) if "strip_punctuation" in kind else text

    def call(self, inputs: Any) -> Any:
        self._lookup_layer.check_adapted()
        inputs = inputs if hasattr(inputs, "shape") else np.array(inputs, dtype=object)
        shape = self._numbers_shape(tuple(inputs.shape))
        return self._lookup_layer.encoded_on_host(self, inputs, shape)

    def _numbers_shape(self, shape):
        """Shape of the numbers, the length unknown unless it is given."""
        wanted = self.output_sequence_length
        if self._stays_flat(shape):
            return shape
        rows = shape[0] if shape else 1
        if wanted is None and self.split is None and self.ngrams is None:
            return (rows, shape[1])
        return (rows, wanted)

    def _stays_flat(self, shape):
        is_plain = self.output_mode == "int" and self.output_sequence_length is None
        return is_plain and self.split is None and len(shape) < 2

    @property
    def host_version(self) -> tuple | None:
        """What the numbers depend on beside the texts; functions of the user's may do anything."""
        is_known = not callable(self.standardize) and not callable(self.split)
        return version_of(self, self._lookup_layer.revision) if is_known else None

    def host_encoded(self, inputs: Any) -> np.ndarray:
        """What the layer gives, as NumPy's.

        Args:
            inputs: The strings.
        """
        return self._lookup_layer.encoded_array(self.host_indices(inputs))

    def host_indices(self, inputs: Any) -> np.ndarray:
        """The numbers of the words of each text, as NumPy's.

        Args:
            inputs: The strings.
        """
        rows, wanted = self._rows(inputs), self.output_sequence_length
        if wanted is not None:
            rows = [row[:wanted] for row in rows]
        sizes = [len(row) for row in rows]
        numbers = self._lookup_layer.numbers_of([token for row in rows for token in row])
        length = max(sizes, default=0) if wanted is None else wanted
        indices = np.full((len(rows), length), 0 if self.output_mode == "int" else -1, "int32")
        indices[np.arange(length) < np.array(sizes, int)[:, None]] = numbers
        return indices[:, 0] if self._stays_flat(np.shape(inputs)) and length else indices

    def _rows(self, inputs):
        """The tokens of each text, as strings or, where that is quicker, as bytes of UTF-8."""
        is_known = self.standardize is None or isinstance(self.standardize, str)
        if not is_known or self.split != "whitespace" or self.ngrams is not None:
            return self.tokens_of(inputs)
        texts = self._checked(np.atleast_1d(as_strings(self, inputs, self.encoding)))
        table, left_out = _BYTES[self.standardize]
        return [text.encode().translate(table, left_out).split() for text in texts.tolist()]

    def _checked(self, texts):
        """One text a row, in a flat array."""
        if texts.ndim > 2 or (texts.ndim == 2 and texts.shape[1] != 1):
            wanted = "of shape (batch,) or (batch, 1), one text in each row"
            raise bad_argument(self, "inputs", wanted, texts.shape)
        return texts.reshape(-1)

    # -- files

    def get_config(self) -> dict:
        lookup = self._lookup_layer
        return {
            **super().get_config(),
            "vocabulary": lookup.input_vocabulary,
            "idf_weights": lookup.input_idf_weights,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        if isinstance(config.get("vocabulary"), str):
            wanted = "a list of tokens: a config may name no file to read"
            raise bad_argument(cls, "vocabulary", wanted, config["vocabulary"])
        ngrams = config.get("ngrams")
        ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams
        return super().from_config({**config, "ngrams": ngrams})

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Any) -> None:
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary, one word a line, unless the config has it.

        Args:
            dir_path: The folder.
        """
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Read it back.

        Args:
            dir_path: The folder.
        """
        self._lookup_layer.load_assets(dir_path)


def _choice(layer, name, value, words):
    if value is None or callable(value):
        return value
    if value not in words:
        raise bad_argument(layer, name, f"one of {words}, None, or a function", value)
    return value


def _grams(row, n):
    return [" ".join(row[i : i + n]) for i in range(len(row) - n + 1)]
