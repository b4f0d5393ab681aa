"""Layers that number what a vocabulary knows: strings and integers, and back."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.host_tensor import Shapes, call_on_host
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.arguments import one_of
from kerasish.layers.base.calling import context
from kerasish.layers.preprocessing.hashing import fingerprints
from kerasish.layers.preprocessing.host_layer import (
    as_strings,
    in_model,
    on_host,
    version_of,
)
from kerasish.layers.preprocessing.index_lookup import IndexLookup


class StringLookup(IndexLookup):
    """The number that each string has in a vocabulary, given or learnt by `adapt`.

    Works on the host: on data before a model, or in a model on each batch.

    Args:
        max_tokens: The most numbers to give, those of masked and unknown ones included; `None`: as
            many as there are tokens.
        num_oov_indices: Numbers for strings the vocabulary does not know, which are spread over
            them by their fingerprints; 0: they are an error.
        mask_token: The string that stands for nothing; its number is 0. `None`: there is none.
        oov_token: What `invert` gives for unknown ones.
        vocabulary: The strings, or the path of a text file with one a line.
        idf_weights: For `"tf_idf"` and a given vocabulary: each string's weight.
        invert: Whether to go from numbers to strings.
        output_mode: `"int"`: the number; `"one_hot"`, `"multi_hot"` and `"count"`: see
            `CategoryEncoding`; `"tf_idf"`: counts times `log(1 + documents / (1 + documents with
            it))`.
        pad_to_max_tokens: Whether those have width `max_tokens` even if there are fewer strings.
        sparse: Whether to give a sparse matrix; not with `"int"`.
        encoding: That of bytes.
        salt: One or two integers: spreads unknown strings in another way.

    Shapes:
        Any -> the same; else as of `CategoryEncoding`.

    Example:
        >>> layer = StringLookup(vocabulary=["a", "b"])
        >>> layer(["b", "a", "z"])
        Array([2, 1, 0], dtype=int32)
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        oov_method = kwargs.pop("oov_method", "floormod")
        vocabulary_size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        self.encoding = encoding
        self.set_lookup_options(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            salt=salt,
            oov_method=oov_method,
            vocabulary_size=vocabulary_size,
        )

    takes_strings = True
    input_dtype = "string"
    _not_parts = ("_made_table",)
    _not_saved = ("_made_table",)

    def __call__(self, *args, **kwargs):
        if in_model(args, kwargs):
            return super().__call__(*args, **kwargs)
        return on_host(self, *args, **kwargs)

    def call(self, inputs: Any) -> Any:
        self.check_adapted()
        if self.invert:
            return self._strings_of(inputs)
        return self.encoded_on_host(self, inputs, np.shape(inputs))

    def host_indices(self, inputs: Any) -> np.ndarray:
        """Numbers of strings, as NumPy's.

        Args:
            inputs: The strings.
        """
        return self.indices(self.standardized(inputs))

    @property
    def host_version(self) -> tuple | None:
        """What the numbers depend on beside the strings."""
        return version_of(self, self.revision)

    def host_encoded(self, inputs: Any) -> np.ndarray:
        """Numbers of strings, encoded, as NumPy's.

        Args:
            inputs: The strings.
        """
        return self.encoded_array(self.host_indices(inputs))

    def _strings_of(self, inputs):
        if not in_model(inputs):
            return self.tokens_of(inputs)
        if context.shapes_only:
            return Shapes(lambda axis: None).tensor(inputs.shape)
        raise TypeError(
            f"{self.name}: with `invert=True` it gives strings, which a compiled function cannot. "
            "Call it on what `predict` returns, or the model on arrays: `model(x)`."
        )

    def standardized(self, inputs: Any) -> Any:
        return as_strings(self, inputs, self.encoding)

    def indices(self, x: jax.Array) -> Any:
        return self.numbers_of(x.ravel().tolist()).reshape(x.shape)

    def numbers_of(self, tokens: list) -> np.ndarray:
        """The numbers of many strings, or, with one number for all others, of bytes of UTF-8.

        Args:
            tokens: The strings.
        """
        table = self._table()
        if self.num_oov_indices == 1:
            find, other = table.get, self._oov_start
            return np.array([find(token, other) for token in tokens], "int32")
        unknown = list({token for token in tokens if token not in table})
        self.refuse_unknown(unknown)
        bins = np.zeros(len(unknown), int)
        if self.num_oov_indices > 1:
            bins = fingerprints(np.array(unknown, object), self.salt) % self.num_oov_indices
        table = table | dict(
            zip(unknown, (bins.astype(int) + self._oov_start).tolist(), strict=True)
        )
        return np.array([table[token] for token in tokens], "int32")

    def _table(self):
        """The number of each token, made once for a vocabulary."""
        tokens, table = vars(self).get("_made_table", (None, {}))
        if tokens is not self._tokens:
            numbers = itertools.count(self._token_start)
            table = dict(zip(self._tokens.tolist(), numbers, strict=False))
            if self.mask_token is not None:
                table[self.mask_token] = 0 if self.output_mode == "int" else -1
            table |= {token.encode(): number for token, number in table.items()}
            vars(self)["_made_table"] = self._tokens, table
        return table

    def tokens_of(self, indices: Any) -> Any:
        return super().tokens_of(indices).astype(str)


class IntegerLookup(IndexLookup):
    """The number that each integer has in a vocabulary, given or learnt by `adapt`.

    Works in models too.

    Args:
        max_tokens: The most numbers to give, those of masked and unknown ones included; `None`: as
            many as there are tokens.
        num_oov_indices: Numbers for those the vocabulary does not know; 0: they are an error, or -1
            within compiled functions.
        mask_token: What stands for nothing; its number is 0. `None`: there is none.
        oov_token: What `invert` gives for unknown ones.
        vocabulary: The integers, or the path of a text file with one a line.
        vocabulary_dtype: `"int64"`.
        idf_weights: For `"tf_idf"` and a given vocabulary: each one's weight.
        invert: Whether to go back from numbers to those they stand for.
        output_mode: As of `StringLookup`.
        sparse: Whether to give a sparse matrix; not with `"int"`.
        pad_to_max_tokens: As of `StringLookup`.
        oov_method: How unknown ones are spread over several numbers: `"floormod"`, by the rest when
            divided, or `"farmhash"`, by fingerprints, which the host computes.
        salt: One or two integers: spreads in another way, with `"farmhash"`.

    Shapes:
        Any -> the same; else as of `CategoryEncoding`.

    Example:
        >>> layer = IntegerLookup(vocabulary=[12, 1138])
        >>> layer(np.array([1138, 12, 7]))
        Array([2, 1, 0], dtype=int32)
    """

    kind = "int64"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: Any = None,
        oov_token: Any = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        vocabulary_size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        self.vocabulary_dtype = one_of(self, "vocabulary_dtype", vocabulary_dtype, ("int64",))
        if salt is not None and oov_method != "farmhash":
            raise bad_argument(self, "oov_method", "'farmhash' with `salt`", oov_method)
        self.set_lookup_options(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            salt=salt,
            oov_method=oov_method,
            vocabulary_size=vocabulary_size,
        )

    def __call__(self, inputs, **kwargs):
        leaves = jax.tree.leaves(inputs)
        if any(isinstance(x, jax.Array | KerasTensor | Variable) for x in leaves):
            return super().__call__(inputs, **kwargs)
        return on_host(self, inputs, **kwargs)  # where integers have 64 bits

    @property
    def _float_inputs_become(self):
        return None  # 16 bits would round integers

    def standardized(self, inputs: Any) -> Any:
        if isinstance(inputs, jax.core.Tracer):
            return inputs
        x = inputs if isinstance(inputs, jax.Array) else np.asarray(inputs)
        kind = np.dtype(x.dtype).kind if not dtypes.is_float(x.dtype) else "f"
        numbers = kind in "iufb" or not x.size
        if numbers and kind == "f":
            numbers = bool((np.abs(x) < 2**63).all() and (x == np.floor(x)).all())
        if not numbers or (kind == "u" and x.size and x.max() > np.iinfo("int64").max):
            raise bad_argument(self, "inputs", "integers", inputs)
        return x if isinstance(x, jax.Array) else x.astype("int64")

    def indices(self, x: jax.Array) -> Any:
        xp = jnp if isinstance(x, jax.Array) else np
        is_integer = True
        if xp is jnp and dtypes.is_float(x.dtype):
            floats, x = x, x.astype("int32")
            is_integer = x == floats
        index, known = self._unknown(x, xp), xp.zeros(x.shape, bool)
        order = np.argsort(self._tokens)
        if xp is jnp:  # tokens of more bits than the input has cannot be in it
            limits = np.iinfo(jax.dtypes.canonicalize_dtype("int64"))
            sorted_tokens = self._tokens[order]
            order = order[(sorted_tokens >= limits.min) & (sorted_tokens <= limits.max)]
        if len(order):
            numbers, ordered = xp.asarray(order), xp.asarray(self._tokens[order])
            at = xp.minimum(xp.searchsorted(ordered, x), len(ordered) - 1)
            known = (ordered[at] == x) & is_integer
            index = xp.where(known, numbers[at] + self._token_start, index)
        if self.mask_token is not None:
            masked = x == self.mask_token
            known = known | masked
            index = xp.where(masked, 0 if self.output_mode == "int" else -1, index)
        if not isinstance(known, jax.core.Tracer):
            self.refuse_unknown(np.asarray(x)[~np.asarray(known)].tolist())
        return index

    def _unknown(self, x, xp):
        """What number each would have if it is unknown."""
        count = self.num_oov_indices
        if count <= 1:
            return xp.full(x.shape, self._oov_start if count else -1)
        if self.oov_method == "floormod":
            return x % count + self._oov_start
        return xp.asarray(call_on_host(self, "host_bins", x, shape=x.shape) + self._oov_start)

    def host_bins(self, x: Any) -> np.ndarray:
        """Bins of integers by their fingerprints, as NumPy's.

        Args:
            x: The integers.
        """
        texts = np.asarray(x).astype("int64").astype(str)
        return (fingerprints(texts, self.salt) % self.num_oov_indices).astype("int32")
