"""Attention of many heads, each with projections of its own."""

import operator
import string
from collections.abc import Sequence
from typing import Any

from kerasish import regularizers
from kerasish.core.errors import bad_argument
from kerasish.layers.attention.base_multi_head import (
    BaseMultiHeadAttention,
    attention_equations,
    without_mask,
)
from kerasish.layers.base.arguments import Named, positive_int


class MultiHeadAttention(BaseMultiHeadAttention):
    """Attention by several heads at once, each with projections of its own.

    Call arguments: `query`, `value`, `key` (the values if not given), their masks, `attention_mask`
    (which queries see which keys), `return_attention_scores`, `training`, and `use_causal_mask`
    (whether a query sees only the keys up to its own position).

    Args:
        num_heads: Number of heads.
        key_dim: Size of a head's queries and keys.
        value_dim: Size of a head's values; `None`: as of the keys.
        dropout: Probability of an attention weight to become 0 in training, from 0 to 1.
        use_bias: Whether the projections have biases.
        output_shape: Size or sizes of an output; `None`: the size of a query.
        attention_axes: Axes of the inputs that attention runs over; `None`: all but the first and
            the last.
        sliding_window: Number: a query sees keys less than so many positions away. `None`: all.
        flash_attention: `True` for cuDNN's fused kernel, an error where there is none.
        kernel_initializer: Initializer of the projections' kernels, or its name.
        bias_initializer: Initializer of their biases, or its name.
        kernel_regularizer: Regularizer of the kernels.
        bias_regularizer: Regularizer of the biases.
        activity_regularizer: Regularizer of the projections' outputs.
        kernel_constraint: Constraint on the kernels.
        bias_constraint: Constraint on the biases.
        use_gate: Whether to multiply each head's output by a gate that depends on the query.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        Queries `(batch, queries, size)`, values and keys `(batch, keys, any size)`, masks
        `(batch, queries)`, `(batch, keys)`, `(batch, queries, keys)` -> `(batch, queries, size)`;
        with `return_attention_scores` also the weights `(batch, heads, queries, keys)`.

    References:
        Vaswani et al., 2017, "Attention Is All You Need".
        Qiu et al., 2025, "Gated Attention for Large Language Models".

    Example:
        >>> x = np.ones((2, 5, 8))
        >>> MultiHeadAttention(num_heads=2, key_dim=4)(x, x, use_causal_mask=True).shape
        (2, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: int | Sequence[int] | None = None,
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
        super().__init__(**kwargs)
        self.num_heads = positive_int(self, "num_heads", num_heads)
        self.key_dim = positive_int(self, "key_dim", key_dim)
        self.value_dim = (
            key_dim if value_dim is None else positive_int(self, "value_dim", value_dim)
        )
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        if not isinstance(output_shape, list | tuple | None):
            wanted = "an integer, a list of integers, or None"
            raise bad_argument(self, "output_shape", wanted, output_shape)
        self._output_shape = tuple(output_shape) if output_shape else None
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        self.attention_axes: Any = tuple(attention_axes) if attention_axes else None
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self.set_attention_options(
            head_size=key_dim,
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

    # Keras' own attributes, which subclasses read.
    _query_dense = property(operator.attrgetter("query_dense"))
    _key_dense = property(operator.attrgetter("key_dense"))
    _value_dense = property(operator.attrgetter("value_dense"))
    _output_dense = property(operator.attrgetter("output_dense"))

    def build(self, query_shape: tuple, value_shape: tuple, key_shape: tuple | None = None) -> None:
        """Make the projections.

        Args:
            query_shape: Shape of the queries.
            value_shape: Shape of the values.
            key_shape: Shape of the keys, if they are not the values.
        """
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            wanted = f"like that of the values, {tuple(value_shape)}, but for the last axis"
            raise bad_argument(self, "key_shape", wanted, tuple(key_shape))
        keys, values = ({"y": self.num_heads, "z": size} for size in (self.key_dim, self.value_dim))
        self.query_dense = self._made("query", keys, query_shape)
        self.key_dense = self._made("key", keys, key_shape)
        if self.use_gate:
            self._gate_dense = self._made("gate", values, query_shape, "sigmoid")
        self.value_dense = self._made("value", values, value_shape)
        rank = len(value_shape)
        axes = self.attention_axes or range(1, rank - 1)
        self.attention_axes = tuple(axis % rank for axis in axes)
        self._equations = attention_equations(rank + 1, self.attention_axes)
        self.make_softmax(len(self.attention_axes))
        outs = self._output_shape or (query_shape[-1],)
        letters = string.ascii_uppercase[: len(outs)]
        sizes = {"free": len(query_shape) - 1, **dict(zip(letters, outs, strict=True))}
        self.output_dense = self.projection(
            "attention_output", "yz", letters, sizes, self._activity_regularizer
        )
        self.output_dense.build((*query_shape[:-1], self.num_heads, self.value_dim))

    def _made(self, name, sizes, shape, activation=None):
        sizes = {"free": len(shape) - 1, **sizes}
        dense = self.projection(name, "x", "yz", sizes, self._activity_regularizer, activation)
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
        # A subclass that attends in its own way is given the causal mask with the others.
        own_way = type(self)._compute_attention is not MultiHeadAttention._compute_attention
        masks = (query_mask, value_mask, key_mask, attention_mask, self.sliding_window)
        causal_only = use_causal_mask and not own_way and all(m is None for m in masks)
        mask = self._compute_attention_mask(
            query, value, *masks[:4], use_causal_mask=use_causal_mask and not causal_only
        )
        gate = self._gate_dense(query) if self.use_gate else None
        projected = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        options = {"use_causal_mask": True} if causal_only else {}
        outputs, weights = self._compute_attention(
            *projected, mask, training, return_attention_scores, **options
        )
        outputs = self.output_dense(outputs if gate is None else outputs * gate)
        return (outputs, weights) if return_attention_scores else outputs

    def _compute_attention(
        self,
        query,
        key,
        value,
        attention_mask=None,
        training=None,
        return_attention_scores=False,
        use_causal_mask=False,
    ):
        """Outputs and weights from projected inputs: what a subclass may replace."""
        return self.attend(
            self._equations,
            len(self.attention_axes),
            (query, key, value),
            attention_mask,
            training,
            return_attention_scores,
            use_causal_mask,
        )

    def _argument(self, parameter, given):
        if parameter.name in ("output_shape", "activity_regularizer"):
            return getattr(self, f"_{parameter.name}")
        return super()._argument(parameter, given)
