"""Attention without projections: by products of vectors, or by their sums."""

from typing import Any

import jax
import jax.numpy as jnp

from kerasish import random
from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import SeedGenerator
from kerasish.layers.base.arguments import fraction, known_size, one_of
from kerasish.layers.base.layer import Layer
from kerasish.layers.regularization import dropping, shared_pattern


class Attention(Layer):
    """For each query, the mean of the values, weighted by how well their keys match it.

    Weights are `softmax(scores)`; scores are `query @ key.T`, or with `"concat"`
    `w * sum(tanh(query + key))`.

    Call arguments besides the inputs: `mask`, a list of a query mask and a value mask;
    `return_attention_scores`, whether to return the weights too; `use_causal_mask`, whether a query
    sees only the values up to its own position.

    Args:
        use_scale: Whether scores have a trainable factor.
        score_mode: `"dot"` or `"concat"`.
        dropout: Probability of a weight to become 0 in training, from 0 to 1.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        A list of queries `(batch, queries, size)`, values `(batch, values, value size)` and, if
        they differ from the values, keys `(batch, values, size)` -> `(batch, queries, value size)`,
        and weights `(batch, queries, values)`. Masks are `(batch, queries)` and `(batch, values)`.

    References:
        Luong, Pham and Manning, 2015, "Effective Approaches to Attention-based Neural Machine
        Translation".

    Example:
        >>> x = np.ones((2, 5, 3))
        >>> Attention()([x, x]).shape
        (2, 5, 3)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = one_of(self, "score_mode", score_mode, ("dot", "concat"))
        self.dropout = fraction(self, "dropout", dropout)
        self.seed = seed
        if dropout > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self._check_list("inputs", input_shape)
        self.scale = self._factor("scale") if self.use_scale else None
        if self.score_mode == "concat":
            self.concat_score_weight = self._factor("concat_score_weight")

    def _factor(self, name, shape=(), initializer="ones"):
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _check_list(self, name, value):
        if not isinstance(value, list | tuple) or len(value) not in (2, 3):
            wanted = "a list of a query, a value and perhaps a key"
            given = len(value) if isinstance(value, list | tuple) else value
            raise bad_argument(self, name, wanted, given)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attend: for each query the values, weighted by how well their keys fit.

        Args:
            inputs: List of queries `(batch, queries, size)`, values `(batch, keys, size)` and,
                unless the values are the keys too, keys `(batch, keys, size)`.
            mask: List of the masks of queries and values, `(batch, queries)` and `(batch, keys)`.
            training: Whether this is training, so that `dropout` applies.
            return_attention_scores: Whether to return the weights as well.
            use_causal_mask: Whether no query attends to keys after its own position.
        """
        self._check_list("inputs", inputs)
        if mask is not None:
            self._check_list("mask", mask)
        query, value, key = inputs if len(inputs) == 3 else (*inputs, inputs[1])
        of_query, of_value = (None, None) if mask is None else mask[:2]
        scores = self._calculate_scores(query, key)
        seen = None if of_value is None else of_value.astype(bool)[..., None, :]
        if use_causal_mask:
            causal = causal_mask(*scores.shape[-2:])
            seen = causal if seen is None else seen & causal
        weights = self._softmax_weights(scores, seen, training)
        output = jnp.matmul(weights, value)
        if of_query is not None:
            output = jnp.where(of_query.astype(bool)[..., None], output, 0)
        return (output, weights) if return_attention_scores else output

    def _calculate_scores(self, query, key):
        if self.score_mode == "dot":
            scores = jnp.matmul(query, jnp.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale.value
        sums = query[..., :, None, :] + key[..., None, :, :]
        sums = sums if self.scale is None else sums * self.scale.value
        return self.concat_score_weight.value * jnp.sum(jnp.tanh(sums), axis=-1)

    def _softmax_weights(self, scores, seen, training):
        if seen is not None:
            # Finite, so that a query that sees nothing gives no NaN.
            far = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(seen, scores, scores - far)
        weights = jax.nn.softmax(scores, axis=-1)
        if self.dropout == 0 or not dropping(training):
            return weights
        pattern = shared_pattern(None, weights)
        return random.dropout(weights, self.dropout, pattern, seed=self.seed_generator)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the queries: the output has their steps.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return None if mask is None else mask[0]

    def _origin_of_mask(self, inputs, masks):
        return masks[0] and masks[0].further(1)


class AdditiveAttention(Attention):
    """`Attention` whose scores are `sum(scale * tanh(query + key))`.

    Args:
        use_scale: Whether to have a trainable factor for each element of a key.
        dropout: Probability of a weight to become 0 in training, from 0 to 1.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        As of `Attention`.

    References:
        Bahdanau, Cho and Bengio, 2015, "Neural Machine Translation by Jointly Learning to Align and
        Translate".

    Example:
        >>> x = np.ones((2, 5, 3))
        >>> AdditiveAttention()([x, x]).shape
        (2, 5, 3)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: tuple) -> None:
        self._check_list("inputs", input_shape)
        size = known_size(self, input_shape[0], -1)
        self.scale = self._factor("scale", (size,), "glorot_uniform") if self.use_scale else None

    def _calculate_scores(self, query, key):
        sums = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        return jnp.sum(sums if self.scale is None else sums * self.scale.value, axis=-1)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["score_mode"]
        return config


def causal_mask(queries: int, keys: int) -> jax.Array:
    """`(queries, keys)` booleans: whether a key stands at the query's position or before it.

    Args:
        queries: Number of queries.
        keys: Number of keys.

    Example:
        >>> causal_mask(2, 2)
        Array([[ True, False],
               [ True,  True]], dtype=bool)
    """
    return jnp.arange(queries)[:, None] >= jnp.arange(keys)
