"""Attention of many heads, groups of which share keys and values."""

from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.layers.attention.base_multi_head import (
    BaseMultiHeadAttention,
    attention_equations,
    without_mask,
)
from kerasish.layers.base.arguments import Named, positive_int


class GroupedQueryAttention(BaseMultiHeadAttention):
    """`MultiHeadAttention` in which groups of query heads share one head of keys and values.

    Call arguments are those of `MultiHeadAttention`.

    Args:
        head_dim: Size of a head.
        num_query_heads: Number of query heads.
        num_key_value_heads: Number of key and value heads, a divisor of the former.
        dropout: Probability of an attention weight to become 0 in training, from 0 to 1.
        use_bias: Whether the projections have biases.
        sliding_window: Number: a query sees keys less than so many positions away. `None`: all.
        flash_attention: `True` for cuDNN's fused kernel, an error where there is none.
        kernel_initializer: Initializer of the projections' kernels, or its name.
        bias_initializer: Initializer of their biases, or its name.
        kernel_regularizer: Regularizer of the kernels.
        bias_regularizer: Regularizer of the biases.
        activity_regularizer: Regularizer of the output, and of the projections' outputs.
        kernel_constraint: Constraint on the kernels.
        bias_constraint: Constraint on the biases.
        use_gate: Whether to multiply each head's output by a gate that depends on the query.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        As of `MultiHeadAttention`.

    References:
        Ainslie et al., 2023, "GQA: Training Generalized Multi-Query Transformer Models from
        Multi-Head Checkpoints".

    Example:
        >>> x = np.ones((2, 5, 8))
        >>> GroupedQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
        (2, 5, 8)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Named = "glorot_uniform",
        bias_initializer: Named = "zeros",
        kernel_regularizer: Named = None,
        bias_regularizer: Named = None,
        activity_regularizer: Named = None,
        kernel_constraint: Named = None,
        bias_constraint: Named = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.head_dim = positive_int(self, "head_dim", head_dim)
        self.num_query_heads = positive_int(self, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive_int(self, "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            wanted = f"a divisor of `num_query_heads`, {num_query_heads}"
            raise bad_argument(self, "num_key_value_heads", wanted, num_key_value_heads)
        self.set_attention_options(
            head_size=head_dim,
            dropout=dropout,
            use_bias=use_bias,
            sliding_window=sliding_window,
            flash_attention=flash_attention,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            use_gate=use_gate,
            seed=seed,
        )

    def build(self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None) -> None:
        """Make the projections.

        Args:
            query_shape: Shape of the queries.
            value_shape: Shape of the values.
            key_shape: Shape of the keys, if they are not the values.
        """
        key_shape = value_shape if key_shape is None else key_shape
        self._query_dense = self._made("query", self.num_query_heads, query_shape)
        self._key_dense = self._made("key", self.num_key_value_heads, key_shape)
        if self.use_gate:
            self._gate_dense = self._made("gate", self.num_query_heads, query_shape, "sigmoid")
        self._value_dense = self._made("value", self.num_key_value_heads, value_shape)
        self.make_softmax(1)
        sizes = {"free": 2, "x": query_shape[-1]}
        name, regularizer = "attention_output", self.activity_regularizer
        self._output_dense = self.projection(name, "yz", "x", sizes, regularizer)
        self._output_dense.build((None, None, self.num_query_heads, self.head_dim))

    def _made(self, name, heads, shape, activation=None):
        sizes = {"free": 2, "y": heads, "z": self.head_dim}
        dense = self.projection(name, "x", "yz", sizes, self.activity_regularizer, activation)
        dense.build(shape)
        return dense

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attend: for each query the values, weighted by how well their keys fit.

        Args:
            query: `(batch, queries, size)`.
            value: `(batch, keys, any size)`.
            key: As `value`, which it is unless given.
            query_mask: `(batch, queries)`: whether a query is to be computed.
            value_mask: `(batch, keys)`: whether a value may be attended to.
            key_mask: `(batch, keys)`: whether a key may be attended to.
            attention_mask: `(batch, queries, keys)`: which query may attend to which key.
            return_attention_scores: Whether to return the weights as well.
            training: Whether this is training, so that `dropout` applies.
            use_causal_mask: Whether no query attends to keys after its own position.
        """
        key = value if key is None else key
        query, value, key = (without_mask(x) for x in (query, value, key))
        masks = (query_mask, value_mask, key_mask, attention_mask, self.sliding_window)
        causal_only = use_causal_mask and all(m is None for m in masks)
        mask = self._compute_attention_mask(
            query, value, *masks[:4], use_causal_mask=use_causal_mask and not causal_only
        )
        gate = self._gate_dense(query) if self.use_gate else None
        projected = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        equations = attention_equations(4, (1,))
        outputs, weights = self.attend(
            equations, 1, projected, mask, training, return_attention_scores, causal_only
        )
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, weights) if return_attention_scores else outputs
