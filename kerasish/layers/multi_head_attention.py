"""Attention of many heads, each with projections of its own, or sharing keys and values."""

import math
import operator
import string

import jax.numpy as jnp

from kerasish import constraints, initializers, regularizers
from kerasish.core.errors import bad_argument
from kerasish.core.masks import get_mask
from kerasish.layers.activation import Softmax
from kerasish.layers.arguments import fraction, positive_int
from kerasish.layers.attention import causal_mask
from kerasish.layers.dense import EinsumDense
from kerasish.layers.layer import Layer
from kerasish.layers.regularization import Dropout
from kerasish.ops import network


class HeadedAttention(Layer):
    """Base of attention layers with heads: projections, masks, and the attention itself."""

    def keep_rules(
        self,
        head_size,
        dropout,
        use_bias,
        sliding_window,
        flash_attention,
        kernel_initializer,
        bias_initializer,
        kernel_regularizer,
        bias_regularizer,
        kernel_constraint,
        bias_constraint,
        use_gate,
        seed,
    ) -> None:
        """Store the arguments that both layers have."""
        self.dropout = fraction(self, "dropout", dropout)
        self.use_bias = use_bias
        if sliding_window is not None:
            positive_int(self, "sliding_window", sliding_window)
        self.sliding_window = sliding_window
        self.flash_attention = flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.use_gate = use_gate
        self.seed = seed
        self.supports_masking = True
        self._factor = 1.0 / math.sqrt(head_size)
        if flash_attention and dropout:
            raise bad_argument(self, "flash_attention", "None or False with dropout", True)

    # -- projections

    def projection(self, name, ins, outs, axes, activity_regularizer, activation=None):
        """A dense layer from the last axes `ins` to `outs` (letters), `axes` their sizes by letter."""
        free = string.ascii_lowercase[: axes["free"]]
        sizes = [axes[letter] for letter in outs]
        return EinsumDense(
            f"{free}{ins},{ins}{outs}->{free}{outs}",
            output_shape=[None] * (len(free) - 1) + sizes,
            bias_axes=outs if self.use_bias else None,
            activation=activation,
            name=name,
            # Copies, so that the projections do not start alike.
            kernel_initializer=_copy(self.kernel_initializer),
            bias_initializer=_copy(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
        )

    # -- masks

    def _compute_attention_mask(
        self,
        query,
        value,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        use_causal_mask=False,
    ):
        """All masks in one, `(batch, queries, keys)` or what broadcasts to it; `None` for none."""
        masks = []
        if query_mask is not None:
            masks.append(jnp.expand_dims(query_mask.astype(bool), -1))
        masks += [jnp.expand_dims(m.astype(bool), -2) for m in (value_mask, key_mask) if m is not None]
        queries, keys = query.shape[1], value.shape[1]
        if use_causal_mask:
            masks.append(causal_mask(queries, keys)[None])
        if self.sliding_window is not None:
            distance = jnp.arange(queries)[:, None] - jnp.arange(keys)
            masks.append(jnp.abs(distance)[None] < self.sliding_window)
        if attention_mask is not None:
            masks.append(jnp.asarray(attention_mask).astype(bool))
        if not masks:
            return None
        mask = masks[0]
        for other in masks[1:]:
            mask = mask & other
        return mask

    # -- attention

    def attend(self, equations, axes, projected, mask, training, wants_scores, is_causal):
        """Projected queries, keys and values to `(outputs, weights or None)`."""
        query, key, value = projected
        plain = query.ndim == 4 and key.shape[-1] == value.shape[-1]
        plain = plain and self.dropout == 0 and not wants_scores
        if self.flash_attention and wants_scores:
            raise bad_argument(self, "return_attention_scores", "False with flash attention", True)
        if plain:
            mask = None if mask is None else _with_heads(mask, 4, axes)
            options = {"mask": mask, "scale": self._factor, "is_causal": is_causal}
            flash = bool(self.flash_attention)
            return network.dot_product_attention(*projected, **options, flash_attention=flash), None
        if is_causal:
            causal = causal_mask(query.shape[1], key.shape[1])[None]
            mask = causal if mask is None else mask.astype(bool) & causal
        groups = query.shape[-2] // key.shape[-2]
        if groups > 1:
            key, value = (jnp.repeat(x, groups, axis=-2) for x in (key, value))
        scores = jnp.einsum(equations[0], query * jnp.asarray(self._factor, query.dtype), key)
        mask = None if mask is None else _with_heads(mask, scores.ndim, axes)
        weights = self._softmax(scores, mask=mask)
        dropped = self._dropout_layer(weights, training=training) if self.dropout else weights
        return jnp.einsum(equations[1], dropped, value), weights

    def make_softmax(self, axes):
        """Add the softmax over the last `axes` axes, and the dropout after it."""
        self._softmax = Softmax(axis=tuple(range(-axes, 0)), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)

    def get_config(self):
        config = super().get_config()
        config.pop("flash_attention", None)
        return config


class MultiHeadAttention(HeadedAttention):
    """Attention by several heads at once, each with its own projections of queries, keys and values.

    Call arguments: `query`, `value`, `key` (the values if not given), their masks, `attention_mask`
    (which queries see which keys), `return_attention_scores`, `training`, and `use_causal_mask`
    (whether a query sees only the keys up to its own place).

    Args:
        num_heads: Number of heads.
        key_dim: Size of a head's queries and keys.
        value_dim: Size of a head's values; `None`: as of the keys.
        dropout: Chance of an attention weight to become 0 in training, from 0 to 1.
        use_bias: Whether the projections have biases.
        output_shape: Size or sizes of an output; `None`: the size of a query.
        attention_axes: Axes of the inputs that attention runs over; `None`: all but the first and
            the last.
        sliding_window: Number: a query sees keys less than so many places away. `None`: all.
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
        `(batch, queries)`, `(batch, keys)` and `(batch, queries, keys)` -> `(batch, queries, size)`;
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
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = positive_int(self, "num_heads", num_heads)
        self.key_dim = positive_int(self, "key_dim", key_dim)
        self.value_dim = positive_int(self, "value_dim", value_dim) if value_dim else key_dim
        if isinstance(output_shape, int):
            output_shape = (output_shape,)
        self._output_shape = tuple(output_shape) if output_shape else None
        if isinstance(attention_axes, int):
            attention_axes = (attention_axes,)
        self.attention_axes = tuple(attention_axes) if attention_axes else None
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self.keep_rules(
            key_dim,
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            use_gate,
            seed,
        )

    # Keras' own attributes, which subclasses read.
    _query_dense = property(operator.attrgetter("query_dense"))
    _key_dense = property(operator.attrgetter("key_dense"))
    _value_dense = property(operator.attrgetter("value_dense"))
    _output_dense = property(operator.attrgetter("output_dense"))

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            wanted = f"like that of the values, {tuple(value_shape)}, but for the last axis"
            raise bad_argument(self, "key_shape", wanted, tuple(key_shape))
        keys, values = (
            {"y": self.num_heads, "z": size} for size in (self.key_dim, self.value_dim)
        )
        self.query_dense = self._made("query", keys, query_shape)
        self.key_dense = self._made("key", keys, key_shape)
        if self.use_gate:
            self._gate_dense = self._made("gate", values, query_shape, "sigmoid")
        self.value_dense = self._made("value", values, value_shape)
        rank = len(value_shape)
        axes = self.attention_axes or range(1, rank - 1)
        self.attention_axes = tuple(axis % rank for axis in axes)
        self._equations = _attention_equations(rank + 1, self.attention_axes)
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
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        query, value, key = (_without_mask(x) for x in (query, value, key))
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


class GroupedQueryAttention(HeadedAttention):
    """`MultiHeadAttention` in which groups of query heads share one head of keys and values.

    Call arguments are those of `MultiHeadAttention`.

    Args:
        head_dim: Size of a head.
        num_query_heads: Number of query heads.
        num_key_value_heads: Number of key and value heads, a divisor of the former.
        dropout: Chance of an attention weight to become 0 in training, from 0 to 1.
        use_bias: Whether the projections have biases.
        sliding_window: Number: a query sees keys less than so many places away. `None`: all.
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
        head_dim,
        num_query_heads,
        num_key_value_heads,
        dropout=0.0,
        use_bias=True,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.head_dim = positive_int(self, "head_dim", head_dim)
        self.num_query_heads = positive_int(self, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive_int(self, "num_key_value_heads", num_key_value_heads)
        if num_query_heads % num_key_value_heads:
            wanted = f"a divisor of `num_query_heads`, {num_query_heads}"
            raise bad_argument(self, "num_key_value_heads", wanted, num_key_value_heads)
        self.keep_rules(
            head_dim,
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            use_gate,
            seed,
        )

    def build(self, query_shape, value_shape, key_shape=None):
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
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        query, value, key = (_without_mask(x) for x in (query, value, key))
        masks = (query_mask, value_mask, key_mask, attention_mask, self.sliding_window)
        causal_only = use_causal_mask and all(m is None for m in masks)
        mask = self._compute_attention_mask(
            query, value, *masks[:4], use_causal_mask=use_causal_mask and not causal_only
        )
        gate = self._gate_dense(query) if self.use_gate else None
        projected = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        equations = _attention_equations(4, (1,))
        outputs, weights = self.attend(
            equations, 1, projected, mask, training, return_attention_scores, causal_only
        )
        outputs = self._output_dense(outputs if gate is None else outputs * gate)
        return (outputs, weights) if return_attention_scores else outputs


def _attention_equations(rank, axes):
    """Einsums for the scores, and for the outputs from the weights, of inputs of `rank` axes.

    The last two axes are heads and a head's entries; scores have the others that attention does
    not run over, the heads, the queries' axes and the keys'.
    """
    query = string.ascii_lowercase[:rank]
    key = "".join(letter.upper() if i in axes else letter for i, letter in enumerate(query))
    shared = "".join(query[i] for i in range(rank - 1) if i not in axes)
    scores = shared + "".join(query[i] for i in axes) + "".join(key[i] for i in axes)
    return f"{query},{key}->{scores}", f"{scores},{key}->{query}"


def _with_heads(mask, rank, axes):
    """A mask with axes of size 1 for the heads, and for all else that it lacks."""
    for _ in range(rank - mask.ndim):
        mask = jnp.expand_dims(mask, -2 * axes - 1)
    return mask.astype(bool)


def _copy(initializer):
    return type(initializer).from_config(initializer.get_config())


def _without_mask(x):
    """The same array without a mask: projections pass none on."""
    return x if get_mask(x) is None else jnp.copy(x)
