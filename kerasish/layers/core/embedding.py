"""Embeddings: vectors for integers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.masking import set_mask
from kerasish.core.symbolic.keras_tensor import MaskOrigin
from kerasish.layers.base.arguments import Named, make_weight, positive_int, set_weight_options
from kerasish.layers.base.lora import LoRALayer


class Embedding(LoRALayer):
    """Trainable vectors, one for each integer from 0 to `input_dim - 1`.

    An integer out of this range is an error where its value is known. Compiled functions (`fit`,
    `predict`, `keras.jit`) cannot raise: there its vector is NaN, and the table gets no gradient.

    Args:
        input_dim: Number of vectors.
        output_dim: Size of a vector.
        embeddings_initializer: Initializer of the `(input_dim, output_dim)` table, or its name.
        embeddings_regularizer: Regularizer of the table.
        embeddings_constraint: Constraint on the table.
        mask_zero: Whether 0 means "nothing here", and is masked out in the layers that follow.
        weights: The table to start from.
        lora_rank: Train a correction of this rank instead of the table: see `enable_lora`.
        lora_alpha: The correction is scaled by `lora_alpha / lora_rank`.
        quantization_config: How `quantize` quantizes the table.

    Shapes:
        Integers `(batch, ...)` -> `(batch, ..., output_dim)`.

    Example:
        >>> layer = Embedding(3, 2, weights=np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
        >>> layer(np.array([2, 1]))
        Array([[3., 4.],
               [1., 2.]], dtype=float32)
    """

    adapted = "embeddings"

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Named = "uniform",
        embeddings_regularizer: Named = None,
        embeddings_constraint: Named = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ):
        # Keras' old files carry it; the length is no longer needed.
        kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        self.input_dim = positive_int(self, "input_dim", input_dim)
        self.output_dim = positive_int(self, "output_dim", output_dim)
        rules = embeddings_initializer, embeddings_regularizer, embeddings_constraint
        set_weight_options(self, "embeddings", *rules)
        self.mask_zero = mask_zero
        self.supports_masking = bool(mask_zero)
        self.set_lora_options(lora_rank, lora_alpha)
        self.quantization_config = quantization_config
        self.autocast = False
        self._start_from(weights)

    def _start_from(self, weights):
        if weights is not None:
            self.build()
            own = isinstance(weights, list) and len(weights) == len(self.weights)
            self.set_weights(weights if own else [weights])

    def build(self, input_shape: tuple | None = None) -> None:
        if self.built:
            return
        self.embeddings = make_weight(self, "embeddings", (self.input_dim, self.output_dim))
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def call(self, inputs: jax.Array) -> jax.Array:
        ids = inputs
        known = not isinstance(ids, jax.core.Tracer) and ids.is_fully_addressable
        if known:
            self._check_range(np.asarray(ids))
        elif dtypes.is_float(ids.dtype):  # NaN would become 0
            ids = jnp.where(jnp.isfinite(ids), ids, self.input_dim)
        if ids.dtype not in (jnp.int32, jnp.int64):
            ids = ids.astype("int32")
        table = self.adapted_weight()
        if known:
            rows = jnp.take(table, ids, axis=0)
        else:
            rows = table.at[ids].get(mode="fill", wrap_negative_indices=False)
        return rows.astype(self.compute_dtype)

    def _check_range(self, ids):
        """Raise a `ValueError` for ids without a vector."""
        if not ids.size:
            return
        least, most = ids.min(), ids.max()
        if not (least >= 0 and most < self.input_dim):
            far = least if not least >= 0 else most
            wanted = f"from 0 to `input_dim` - 1, {self.input_dim - 1}"
            raise bad_argument(self, "inputs", wanted, far.item())

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where the integers are not 0, if `mask_zero`.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return jnp.not_equal(inputs, 0) if self.mask_zero else None

    def _origin_of_mask(self, inputs, masks):
        return MaskOrigin(inputs[0].ndim, ((inputs[0], 1),)) if self.mask_zero else None

    def _argument(self, parameter, given):
        # The attribute `weights` is the list of Variables, as in every layer.
        return None if parameter.name == "weights" else super()._argument(parameter, given)

    def get_config(self) -> dict:
        config = {"activity_regularizer": None, **super().get_config()}
        config.pop("weights", None)
        return config


class ReversibleEmbedding(Embedding):
    """`Embedding` that also goes back: from vectors to a score for each number.

    Called with `reverse=True`, it multiplies by the transposed table, as language models do at
    their end.

    Args:
        input_dim: Number of vectors.
        output_dim: Size of a vector.
        tie_weights: Whether the way back uses the same table; otherwise it has one of its own.
        embeddings_initializer: Initializer of the tables, or its name.
        embeddings_regularizer: Regularizer of the `(input_dim, output_dim)` table.
        embeddings_constraint: Constraint on that table.
        mask_zero: Whether 0 means "nothing here", and is masked out in the layers that follow.
        reverse_dtype: Dtype that the way back computes in; `None`: that of what it is given.
        logit_soft_cap: Bound on the scores' size, `cap * tanh(scores / cap)`; `None`: none.

    Shapes:
        Integers `(batch, ...)` -> `(batch, ..., output_dim)`; with `reverse`, floats
        `(batch, ..., output_dim)` -> `(batch, ..., input_dim)`.

    References:
        Press and Wolf, 2017, "Using the Output Embedding to Improve Language Models".

    Example:
        >>> layer = ReversibleEmbedding(9, 4)
        >>> vectors = layer(np.array([[2, 1, 5]]))
        >>> layer(vectors, reverse=True).shape
        (1, 3, 9)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Named = "uniform",
        embeddings_regularizer: Named = None,
        embeddings_constraint: Named = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ):
        weights = kwargs.pop("weights", None)
        rules = embeddings_initializer, embeddings_regularizer, embeddings_constraint
        super().__init__(input_dim, output_dim, *rules, mask_zero=mask_zero, **kwargs)
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        self._start_from(weights)

    def build(self, input_shape: tuple | None = None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            shape = self.output_dim, self.input_dim
            rule = self.embeddings_initializer
            self.reverse_embeddings = self.add_weight(shape, rule, "reverse_embeddings")

    def call(self, inputs: jax.Array, reverse: bool = False) -> jax.Array:
        """Vectors of integers, or scores of vectors.

        Args:
            inputs: Integers; if `reverse`, vectors.
            reverse: Whether to go from vectors back to a score for each integer.
        """
        if not reverse:
            vectors = super().call(inputs)
            if self.mask_zero:
                set_mask(vectors, super().compute_mask(inputs))
            return vectors
        tied = self.tie_weights
        table = self.adapted_weight().T if tied else self.reverse_embeddings.value
        table = table.astype(self.compute_dtype)
        if self.reverse_dtype is not None:
            inputs, table = inputs.astype(self.reverse_dtype), table.astype(self.reverse_dtype)
        scores, cap = jnp.matmul(inputs, table), self.logit_soft_cap
        return scores if cap is None else jnp.tanh(scores / cap) * cap

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """`None`: `call` puts a mask on what it returns.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return None  # `call` sets it: only one of its two ways has one
