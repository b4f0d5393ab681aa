"""What lookups share: a vocabulary, given or learnt, and numbers for its tokens."""

import collections
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument, see
from kerasish.core.symbolic.host_tensor import call_on_host
from kerasish.layers.base.arguments import one_of, within_budget
from kerasish.layers.base.calling import context
from kerasish.layers.base.layer import Layer
from kerasish.layers.preprocessing.category_encoding import encode, encode_array, encoded_shape
from kerasish.layers.preprocessing.hashing import two_numbers
from kerasish.layers.preprocessing.host_layer import note_program, warn_of_programs
from kerasish.layers.preprocessing.vocabulary import (
    checked_tokens,
    document_weights,
    most_frequent,
)

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


class IndexLookup(Layer):
    """Base of `StringLookup` and `IntegerLookup`: a vocabulary, given or learnt by `adapt`."""

    kind = "O"  # NumPy's of the tokens: Python's own strings, or "int64"

    def set_lookup_options(
        self,
        *,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        sparse: bool,
        pad_to_max_tokens: bool,
        salt: int | Sequence[int] | None,
        oov_method: str,
        vocabulary_size: int | None = None,
    ) -> None:
        """Check and store the arguments that both have, and take the vocabulary if there is one."""
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens <= 1):
            raise bad_argument(self, "max_tokens", "more than 1, or None", max_tokens)
        if pad_to_max_tokens and max_tokens is None:
            raise bad_argument(self, "max_tokens", "given with `pad_to_max_tokens`", max_tokens)
        if not isinstance(num_oov_indices, int) or num_oov_indices < 0:
            wanted = "an integer of at least 0"
            raise bad_argument(self, "num_oov_indices", wanted, num_oov_indices)
        within_budget(self, "num_oov_indices", num_oov_indices, num_oov_indices)
        if pad_to_max_tokens and max_tokens is not None:
            within_budget(self, "max_tokens", max_tokens, max_tokens)
        self.output_mode = one_of(
            self, "output_mode", OLD_MODES.get(output_mode, output_mode), OUTPUT_MODES
        )
        is_int = self.output_mode == "int"
        if invert and not is_int:
            raise bad_argument(self, "output_mode", "'int' where `invert` is True", output_mode)
        if sparse and is_int:
            raise bad_argument(self, "sparse", "False where `output_mode` is 'int'", sparse)
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = invert
        self.sparse = sparse
        self.pad_to_max_tokens = pad_to_max_tokens
        self.oov_method = one_of(self, "oov_method", oov_method, ("floormod", "farmhash"))
        self.salt = two_numbers(self, salt)
        given = not isinstance(vocabulary, str)
        self.input_vocabulary = _plain(vocabulary) if given else None
        self.input_idf_weights = _plain(idf_weights)
        self._is_given = vocabulary is not None
        self._expected_size = vocabulary_size  # of a file, until its vocabulary is read
        self._tokens = np.zeros(0, self.kind)
        self._known_size = False
        self.revision = 0  # how often it took a vocabulary
        self.idf_weights = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        elif idf_weights is not None:
            raise bad_argument(self, "idf_weights", "None without `vocabulary`", idf_weights)

    # -- the vocabulary

    @property
    def _oov_start(self):
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    @property
    def _token_start(self):
        return self._oov_start + self.num_oov_indices

    def _specials(self):
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list:
        """The tokens in the order of their numbers; first what stands for masked and unknown.

        Args:
            include_special_tokens: Whether those for masked and unknown tokens come first.
        """
        specials = self._specials() if include_special_tokens else []
        return [*specials, *self._tokens.tolist()]

    def vocabulary_size(self) -> int:
        """How many numbers there are, those of masked and unknown ones included."""
        return self._token_start + len(self._tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take tokens, the first numbers first, instead of adapting to data.

        Args:
            vocabulary: The tokens in an array or a list, with or without what `get_vocabulary` has
                in front; or the path of a text file with one a line.
            idf_weights: For `"tf_idf"`: each token's weight.
        """
        counts = self.output_mode == "tf_idf"
        if counts != (idf_weights is not None):
            wanted = "given with 'tf_idf', and only then"
            raise bad_argument(self, "idf_weights", wanted, idf_weights)
        if isinstance(vocabulary, str):
            vocabulary = self._from_lines(pathlib.Path(vocabulary).read_text(encoding="utf-8"))
        vocabulary = self.standardized(vocabulary)
        specials = self._specials()
        complete = len(specials) and vocabulary[: len(specials)].tolist() == specials
        tokens = vocabulary[len(specials) :] if complete else vocabulary
        checked_tokens(self, tokens)
        self._take(tokens)
        if counts:
            front = 0 if complete else self._token_start
            self.idf_weights = self._padded(self._checked_weights(idf_weights, vocabulary), front)

    def _checked_weights(self, weights, vocabulary):
        weights = np.asarray(weights, settings.floatx())
        if weights.shape != vocabulary.shape:
            raise bad_argument(self, "idf_weights", f"of shape {vocabulary.shape}", weights.shape)
        return weights

    def _padded(self, weights, front):
        """Weights of special tokens, the mean, in front, and zeros up to `max_tokens`."""
        size: Any = self.max_tokens if self.pad_to_max_tokens else front + len(weights)
        padded = np.zeros(size, settings.floatx())
        padded[:front] = weights.mean() if len(weights) else 0
        padded[front : front + len(weights)] = weights
        return padded

    def _take(self, tokens):
        size = self._token_start + len(tokens)
        depends = self.output_mode != "int" and not self.pad_to_max_tokens
        if self._known_size and self._locked and depends and size != self.vocabulary_size():
            raise RuntimeError(
                f"{self.name}: the vocabulary's size cannot change once the layer was called, from "
                f"{self.vocabulary_size()} to {size}, since the output's width depends on it. Give "
                "`max_tokens` and `pad_to_max_tokens=True`, or make a new layer."
            )
        self._tokens = tokens
        self._known_size = True
        self.revision += 1
        warn_of_programs(self)

    # -- learning it

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary from data: the most frequent tokens first.

        Args:
            data: An array or list, or batches of them.
            steps: Batches to look at; `None`: all.
        """
        self.reset_state()
        if isinstance(data, list | tuple) or hasattr(data, "shape"):
            data = self.standardized(data)
            self.update_state(data[:, None] if data.ndim == 1 else data)
        else:
            for i, batch in enumerate(data):
                if steps is not None and i >= steps:
                    break
                self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forget the data seen, but not the vocabulary."""
        self._counts, self._documents = collections.Counter(), collections.Counter()
        self._number_of_documents = 0

    def update_state(self, data: Any) -> None:
        """Count the tokens of more data, each row a document.

        Args:
            data: An array or list of tokens.

        Raises:
            ValueError: If a vocabulary was given.
        """
        data = np.asarray(self.standardized(data))
        self.count([row.ravel().tolist() for row in (data if data.ndim > 1 else [data])])

    def count(self, documents: list[list]) -> None:
        """Count the tokens of documents.

        Args:
            documents: Lists of tokens.

        Raises:
            ValueError: If a vocabulary was given.
        """
        if self._is_given:
            raise ValueError(
                f"{self.name}: a vocabulary was given, so none can be learnt. Make the layer "
                "without `vocabulary` to adapt it."
            )
        for document in documents:
            self._counts.update(document)
        if self.output_mode == "tf_idf":
            for document in documents:
                self._documents.update(set(document))
            self._number_of_documents += len(documents)

    def finalize_state(self) -> None:
        """Take the vocabulary from the data seen."""
        if self._counts and not self._is_given:
            room = None if self.max_tokens is None else self.max_tokens - self._token_start
            left_out = {self.mask_token, self.oov_token}
            tokens = most_frequent(self._counts, left_out, room)
            self._take(np.array(tokens, self.kind))
            if self.output_mode == "tf_idf":
                seen = [self._documents[token] for token in tokens]
                weights = document_weights(np.array(seen), self._number_of_documents)
                self.idf_weights = self._padded(weights, self._token_start)
        self.reset_state()

    # -- looking up

    def standardized(self, inputs: Any) -> Any:
        """Inputs as an array of tokens.

        Args:
            inputs: Tokens, in an array or a list.

        Raises:
            ValueError: If they are of another kind.
        """
        raise NotImplementedError("A lookup says what its tokens are.")

    def call(self, inputs: Any) -> Any:
        self.check_adapted()
        note_program(self, inputs)
        if self.invert:
            return self.tokens_of(inputs)
        return self.encoded(self.indices(self.standardized(inputs)))

    def check_adapted(self) -> None:
        """Raise a `RuntimeError` if there is no vocabulary yet, but for shapes of known width."""
        known_width = self.output_mode == "int" or self.pad_to_max_tokens
        known_width = known_width or self._expected_size is not None
        if not self._known_size and not (context.shapes_only and known_width):
            raise RuntimeError(
                f"{self.name}: no vocabulary yet. Give one, or call `adapt` on data. {see('E12')}"
            )

    def encoded(self, indices: Any) -> jax.Array:
        """Numbers as the output mode wants them; those below 0 count for nothing.

        Args:
            indices: The numbers.
        """
        indices = jnp.asarray(indices, "int32")
        if self.output_mode == "int":
            return indices
        depth = self._depth()
        if self.output_mode != "tf_idf":
            return encode(indices, self.output_mode, depth, "int32", self.sparse)
        counts = encode(indices, "count", depth, settings.floatx())
        weights = (
            np.ones(depth, settings.floatx()) if self.idf_weights is None else (self.idf_weights)
        )
        return counts * jnp.asarray(weights)

    def _depth(self) -> Any:
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self._known_size else self._expected_size or 0

    def encoded_array(self, indices: np.ndarray) -> np.ndarray:
        """As `encoded`, by NumPy; not for sparse matrices.

        Args:
            indices: The numbers.
        """
        if self.output_mode != "tf_idf":
            return encode_array(indices, self.output_mode, self._depth(), "int32")
        counts = encode_array(indices, "count", self._depth(), settings.floatx())
        return counts * self.idf_weights

    def encoded_on_host(self, owner: Any, inputs: Any, shape: Sequence) -> Any:
        """The encoded numbers of strings, which the host finds: at once, or for each batch.

        Args:
            owner: The layer whose methods `host_indices` and `host_encoded` find them.
            inputs: The strings.
            shape: Shape of their numbers; `None` for unknown sizes.
        """
        if self.sparse:
            return self.encoded(call_on_host(owner, "host_indices", inputs, shape=shape))
        if self.output_mode != "int":
            mode = "count" if self.output_mode == "tf_idf" else self.output_mode
            shape = encoded_shape(shape, mode, self._depth())
        dtype = settings.floatx() if self.output_mode == "tf_idf" else "int32"
        found = call_on_host(owner, "host_encoded", inputs, shape=shape, dtype=dtype)
        return dtypes.to_array(found) if isinstance(found, np.ndarray) else found

    def indices(self, x: jax.Array) -> Any:
        """The number of each token.

        Args:
            x: Tokens, standardized.
        """
        raise NotImplementedError("A lookup says how it finds numbers.")

    def refuse_unknown(self, found: Any) -> None:
        """Raise a `ValueError` if there are unknown tokens and no number for them.

        Args:
            found: The unknown tokens.
        """
        if self.num_oov_indices == 0 and len(found):
            raise ValueError(
                f"{self.name}: with `num_oov_indices=0` all inputs must be in the vocabulary; got "
                f"{sorted(set(found))[:5]}. Use `num_oov_indices=1` to allow for others."
            )

    def tokens_of(self, indices: Any) -> Any:
        """The token of each number.

        Args:
            indices: The numbers.

        Raises:
            ValueError: If a compiled function would have to give integers of more than 32 bits.
        """
        table = np.array(self.get_vocabulary() or [self.oov_token], self.kind)
        xp = jnp if self._fits_in_jax(table) else np
        if xp is np and isinstance(indices, jax.core.Tracer):
            raise ValueError(
                f"{self.name}: the vocabulary has integers of more than 32 bits, which a compiled "
                "function cannot give. Call the layer outside of it."
            )
        indices, table = xp.asarray(indices), xp.asarray(table)
        inside = (indices >= 0) & (indices < len(table))
        return xp.where(inside, table[xp.where(inside, indices, 0)], self.oov_token)

    def _fits_in_jax(self, table):
        if self.kind == "O":
            return False
        limits = np.iinfo(jax.dtypes.canonicalize_dtype(self.kind))
        return bool(table.min() >= limits.min and table.max() <= limits.max)

    # -- files

    def get_config(self) -> dict:
        config = super().get_config()
        return {
            **config,
            "vocabulary": self.input_vocabulary,
            "idf_weights": self.input_idf_weights,
            "vocabulary_size": self.vocabulary_size() if self._known_size else None,
            "oov_method": self.oov_method,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        if isinstance(config.get("vocabulary"), str):
            wanted = "a list of tokens: a config may name no file to read"
            raise bad_argument(cls, "vocabulary", wanted, config["vocabulary"])
        return super().from_config(config)

    def save_own_variables(self, store: Any) -> None:
        if self.idf_weights is not None:
            store["idf_weights"] = self.idf_weights

    def load_own_variables(self, store: Any) -> None:
        if self.output_mode != "tf_idf":
            super().load_own_variables(store)
            return
        self.idf_weights = np.asarray(store["idf_weights"])

    @property
    def has_assets(self) -> bool:
        """Whether it has learnt a vocabulary, which its config does not hold."""
        return self.input_vocabulary is None and self._known_size

    def save_assets(self, dir_path: str) -> None:
        """Write the vocabulary, one token a line, unless the config has it.

        Args:
            dir_path: The folder.
        """
        if self.input_vocabulary is None:
            text = "\n".join(map(str, self.get_vocabulary()))
            pathlib.Path(dir_path, "vocabulary.txt").write_text(text, encoding="utf-8")

    def load_assets(self, dir_path: str) -> None:
        """Read it back.

        Args:
            dir_path: The folder.
        """
        if self.input_vocabulary is None:
            text = pathlib.Path(dir_path, "vocabulary.txt").read_text(encoding="utf-8")
            self.set_vocabulary(self._from_lines(text), self.idf_weights)

    def _from_lines(self, text):
        lines = text.rstrip("\n").split("\n")
        return np.array(lines, object) if self.kind == "O" else np.array(lines, "int64")


def _plain(values):
    return np.asarray(values).tolist() if hasattr(values, "shape") else values
