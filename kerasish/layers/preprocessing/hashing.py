"""Layers that sort strings and integers into a fixed number of bins, without a vocabulary."""

import functools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.host_tensor import HostTensor, call_on_host
from kerasish.layers.base.arguments import one_of, positive_int
from kerasish.layers.preprocessing.category_encoding import encode
from kerasish.layers.preprocessing.farmhash import farm, join, sip
from kerasish.layers.preprocessing.host_layer import HostLayer, as_strings, strings_of, version_of
from kerasish.ops.wrappers import real_dtype

_WORD = np.dtype("uint32")


def fingerprints(texts: np.ndarray, key: Any = None) -> np.ndarray:
    """The fingerprint of each string, `uint64`: FarmHash's, or with a key SipHash's.

    Args:
        texts: The strings.
        key: Two integers, or `None`.
    """
    fingerprint = farm if key is None else functools.partial(sip, key=tuple(key))
    parts = texts.ravel().tolist()
    known = {text: fingerprint(text.encode()) for text in set(parts)}
    return np.array([known[text] for text in parts], "uint64").reshape(texts.shape)


def two_numbers(layer: Any, salt: int | Sequence[int] | None) -> list | None:
    """A key for SipHash: a number twice, two numbers, or `None`.

    Args:
        layer: The layer, for the error.
        salt: What was given.

    Raises:
        ValueError: If it is none of these.
    """
    if salt is None:
        return None
    if isinstance(salt, int):
        return [salt, salt]
    if not isinstance(salt, list | tuple) or len(salt) != 2:
        raise bad_argument(layer, "salt", "an integer, two of them, or None", salt)
    return list(salt)


class Hashing(HostLayer):
    """The bin of each string or integer: the rest of its fingerprint by `num_bins`.

    Different ones may share a bin. Works on the host: on data before a model, or in a model on each
    batch.

    Args:
        num_bins: Number of bins.
        mask_value: What goes to bin 0, which nothing else then does; `None`: nothing.
        salt: An integer or two: a key that gives other bins. Without it FarmHash makes the
            fingerprints, with it SipHash.
        output_mode: `"int"`: the bin's number; else as of `CategoryEncoding`.
        sparse: Whether to give a sparse matrix; not with `"int"`.

    Shapes:
        Any -> the same; else as of `CategoryEncoding`.

    References:
        Weinberger, Dasgupta, Langford, Smola and Attenberg, 2009, "Feature Hashing for Large Scale
        Multitask Learning".

    Example:
        >>> Hashing(3)(["A", "B", "A"])
        Array([1, 0, 1], dtype=int32)
    """

    def __init__(
        self,
        num_bins: int | None,
        mask_value: Any = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else settings.floatx()
        super().__init__(**kwargs)
        self.num_bins = positive_int(self, "num_bins", num_bins)
        modes = ("int", "one_hot", "multi_hot", "count")
        self.output_mode = one_of(self, "output_mode", output_mode, modes)
        if output_mode == "int" and "int" not in self.dtype:
            raise bad_argument(self, "dtype", "'int32' or 'int64' for 'int'", self.dtype)
        if sparse and output_mode == "int":
            raise bad_argument(self, "sparse", "False where `output_mode` is 'int'", sparse)
        self.mask_value = mask_value
        self.salt = two_numbers(self, salt)
        self.sparse = sparse

    def call(self, inputs: Any) -> Any:
        inputs = inputs if hasattr(inputs, "shape") else np.array(inputs, dtype=object)
        bins = call_on_host(self, "host_bins", inputs, shape=np.shape(inputs))
        dtype = real_dtype(self.dtype)
        return encode(jnp.asarray(bins), self.output_mode, self.num_bins, dtype, self.sparse)

    @property
    def host_version(self) -> tuple | None:
        """Nothing that changes, unless the class is the user's."""
        return version_of(self)

    def host_bins(self, inputs: Any) -> np.ndarray:
        """The bins, as NumPy's.

        Args:
            inputs: The strings or integers.
        """
        texts, masked = strings_of(self, inputs), self.mask_value is not None and self.num_bins > 1
        bins = fingerprints(texts, self.salt) % (self.num_bins - masked)
        if masked:
            bins = np.where(texts == str(self.mask_value), 0, bins + 1)
        return bins.astype("int32")

    @property
    def _float_inputs_become(self):
        return None  # 16 bits would round numbers


class HashedCrossing(HostLayer):
    """The bin of several features together, as if each combination were a category.

    Works on the host: on data before a model, or in a model on each batch.

    Args:
        num_bins: Number of bins.
        output_mode: `"int"`: the bin's number; `"one_hot"`: a one at its position.
        sparse: Whether to give a sparse matrix; not with `"int"`.

    Shapes:
        A list of features, strings or integers, each `()`, `(batch,)` or `(batch, 1)` -> the
        same; `"one_hot"`: `(batch, num_bins)`.

    Example:
        >>> crossing = HashedCrossing(5, output_mode="one_hot")
        >>> crossing([np.array(["north", "south"]), np.array([3, 4])]).shape
        (2, 5)
    """

    def __init__(
        self,
        num_bins: int | None,
        output_mode: str = "int",
        sparse: bool = False,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        if output_mode == "int" and dtype is None:
            dtype = "int64"
        super().__init__(name=name, dtype=dtype, **kwargs)
        self.num_bins = positive_int(self, "num_bins", num_bins)
        self.output_mode = one_of(self, "output_mode", output_mode, ("int", "one_hot"))
        if sparse and output_mode == "int":
            raise bad_argument(self, "sparse", "False where `output_mode` is 'int'", sparse)
        self.sparse = sparse

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, list | tuple) or len(inputs) < 2:
            raise bad_argument(self, "inputs", "a list of two features or more", inputs)
        inputs = [x if hasattr(x, "shape") else np.asarray(x) for x in inputs]
        shapes = {tuple(x.shape) for x in inputs}
        (shape,) = shapes if len(shapes) == 1 else (None,)
        if shape is None or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
            wanted = "of one shape: (), (batch,) or (batch, 1)"
            raise bad_argument(self, "inputs", wanted, [x.shape for x in inputs])
        strings = [isinstance(x, HostTensor) for x in inputs]
        if any(strings) and not all(strings):
            # Those that are strings meet the others as fingerprints, in two words of 32 bits.
            inputs = [self._words(x) if s else x for x, s in zip(inputs, strings, strict=True)]
        bins = call_on_host(self, "host_bins", *inputs, shape=shape)
        dtype = real_dtype(self.dtype)
        return encode(jnp.asarray(bins), self.output_mode, self.num_bins, dtype, self.sparse)

    def _words(self, strings):
        return call_on_host(self, "host_words", strings, shape=(*strings.shape, 2), dtype=_WORD)

    @property
    def host_version(self) -> tuple | None:
        """Nothing that changes, unless the class is the user's."""
        return version_of(self)

    def host_words(self, strings: Any) -> np.ndarray:
        """Fingerprints of strings, each as two words, as NumPy's.

        Args:
            strings: The strings.
        """
        found = fingerprints(as_strings(self, strings))
        return np.ascontiguousarray(found).view(_WORD).reshape(*found.shape, 2)

    def host_bins(self, *inputs: Any) -> np.ndarray:
        """The bins of features, as NumPy's.

        Args:
            *inputs: The strings or integers.
        """
        features = [self._numbers(x) for x in inputs]
        rows = zip(*(x.ravel().tolist() for x in features), strict=True)
        # TensorFlow's key of crossings.
        bins = [functools.reduce(join, row, 0xDECAFCAFFE) % self.num_bins for row in rows]
        return np.array(bins, "int32").reshape(features[0].shape)

    def _numbers(self, feature):
        x = np.asarray(feature)
        if x.dtype == _WORD and x.shape[-1:] == (2,):
            return np.ascontiguousarray(x).view("uint64")[..., 0]
        if x.dtype.kind in "iu":
            return x.astype("int64").astype("uint64")
        return fingerprints(as_strings(self, x))

    def get_config(self) -> dict:
        config = {**super().get_config(), "dtype": self.dtype}
        del config["trainable"]
        return config
