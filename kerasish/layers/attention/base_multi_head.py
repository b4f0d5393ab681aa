"""What attention layers with heads share: projections, masks, and the attention itself."""

import math
import string
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasish import constraints, initializers, regularizers
from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask
from kerasish.core.serialization.live_objects import copy_by_config
from kerasish.layers.attention.attention import causal_mask
from kerasish.layers.base.arguments import Named, fraction, positive_int
from kerasish.layers.base.layer import Layer
from kerasish.layers.core.activation import Softmax
from kerasish.layers.core.dense import EinsumDense
from kerasish.layers.regularization import Dropout
from kerasish.ops.nn import attention


class BaseMultiHeadAttention(Layer):
    """Base of attention layers with heads: projections, masks, and the attention itself."""

    old_arguments: ClassVar = {
        **dict.fromkeys(("query_shape", "key_shape", "value_shape")),
        "softmax_robust_masking": None,
    }

    def set_attention_options(
        self,
        *,
        head_size: int,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Named,
        bias_initializer: Named,
        kernel_regularizer: Named,
        bias_regularizer: Named,
        kernel_constraint: Named,
        bias_constraint: Named,
        use_gate: bool,
        seed: int | None,
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

    def projection(
        self,
        name: str | None,
        ins: str,
        outs: str,
        axes: dict,
        activity_regularizer: Named,
        activation: Named = None,
    ) -> Any:
        """A dense layer from the last axes `ins` to `outs`, letters whose sizes `axes` tells.

        Args:
            name: The layer's name.
            ins: Letters of the axes that are summed over.
            outs: Letters of the axes that come instead.
            axes: Sizes by letter; `"free"`: the number of the axes before them.
            activity_regularizer: Regularizer of the output.
            activation: Function of the output.
        """
        free = string.ascii_lowercase[: axes["free"]]
        sizes = [axes[letter] for letter in outs]
        return EinsumDense(
            f"{free}{ins},{ins}{outs}->{free}{outs}",
            output_shape=[None] * (len(free) - 1) + sizes,
            bias_axes=outs if self.use_bias else None,
            activation=activation,
            name=name,
            # Copies, so that the projections do not start alike.
            kernel_initializer=copy_by_config(self.kernel_initializer),
            bias_initializer=copy_by_config(self.bias_initializer),
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
        masks += [
            jnp.expand_dims(m.astype(bool), -2) for m in (value_mask, key_mask) if m is not None
        ]
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

    def attend(
        self,
        equations: tuple[str, str],
        axes: int,
        projected: tuple,
        mask: Any,
        training: bool | None,
        wants_scores: bool,
        is_causal: bool,
    ) -> tuple:
        """Projected queries, keys and values to `(outputs, weights or None)`.

        Args:
            equations: The einsums of `attention_equations`.
            axes: The number of axes that attention runs over.
            projected: Queries, keys and values.
            mask: Which queries see which keys; `None`: all.
            training: Whether it is a call of training.
            wants_scores: Whether the weights are asked for.
            is_causal: Whether a query sees only keys up to its own position.

        Raises:
            ValueError: If flash attention is to give weights.
        """
        query, key, value = projected
        plain = query.ndim == 4 and key.shape[-1] == value.shape[-1]
        plain = plain and self.dropout == 0 and not wants_scores
        if self.flash_attention and wants_scores:
            raise bad_argument(self, "return_attention_scores", "False with flash attention", True)
        if plain:
            mask = None if mask is None else _with_heads(mask, 4, axes)
            options = {"mask": mask, "scale": self._factor, "is_causal": is_causal}
            options["flash_attention"] = self.flash_attention
            return attention.dot_product_attention(*projected, **options), None
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

    def make_softmax(self, axes: int) -> None:
        """Add the softmax over the last `axes` axes, and the dropout after it.

        Args:
            axes: Their number.
        """
        self._softmax = Softmax(axis=tuple(range(-axes, 0)), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, seed=self.seed, dtype=self.dtype_policy)

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("flash_attention", None)
        return config


def attention_equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """Einsums for the scores, and for the outputs from the weights, of inputs of `rank` axes.

    The last two axes are heads and a head's elements; scores have the others that attention does
    not run over, the heads, the queries' axes and the keys'.

    Args:
        rank: Number of axes of a projected input.
        axes: The axes that attention runs over.

    Example:
        >>> attention_equations(4, (1,))
        ('abcd,aBcd->acbB', 'acbB,aBcd->abcd')
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


def without_mask(x: jax.Array) -> Any:
    """The same array without a mask: projections pass none on.

    Args:
        x: An array.
    """
    return x if get_mask(x) is None else jnp.copy(x)
