"""Scaled dot-product attention."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.kernels.attention import attention
from kerasish.ops.wrappers import as_array, as_float

__all__ = ["dot_product_attention"]


@symbolic
def dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    bias: TensorLike | None = None,
    mask: TensorLike | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> jax.Array:
    """`softmax(query @ key * scale + bias) @ value`, per head.

    Args:
        query: `(batch, time, heads, depth)`.
        key: The same; fewer heads are shared by those of the query.
        value: The same; as many heads as `key` has.
        bias: Added to the logits, broadcast to `(batch, heads, query time, key time)`.
        mask: Whether an element counts, broadcast likewise.
        scale: Factor of the logits; `1 / sqrt(depth)` unless given.
        is_causal: Whether an element sees only those before it and itself.
        flash_attention: `True` for cuDNN's fused kernel, an error where there is none; `None` for
            it where it is, if `keras.config.enable_flash_attention()` was called.
        attn_logits_soft_cap: Must be `None`: JAX's attention has no cap.

    Shapes:
        `(batch, time, heads, depth)` three times -> that of the query.

    References:
        Vaswani et al., 2017, "Attention Is All You Need".

    Example:
        >>> keras.ops.dot_product_attention(*[np.ones((1, 5, 2, 4))] * 3).shape
        (1, 5, 2, 4)
    """
    if attn_logits_soft_cap is not None:
        name = "attn_logits_soft_cap"
        raise bad_argument("dot_product_attention", name, "None", attn_logits_soft_cap)
    query, key, value = (as_float(x) for x in (query, key, value))
    if not query.ndim == key.ndim == value.ndim == 4:
        shapes = query.shape, key.shape, value.shape
        raise bad_argument("dot_product_attention", "query, key, value", "of 4 axes each", shapes)
    dtype = jnp.result_type(query, key, value)
    query, key, value = (x.astype(dtype) for x in (query, key, value))
    if flash_attention is None:
        flash_attention = bool(settings.is_flash_attention_enabled()) and _has_fused_kernel(dtype)
    bias = None if bias is None else as_array(bias).astype(dtype)
    mask = None if mask is None else as_array(mask).astype(bool)
    by_jax = functools.partial(
        jax.nn.dot_product_attention,
        bias=bias,
        mask=mask,
        scale=scale,
        is_causal=is_causal,
        implementation="cudnn" if flash_attention else None,
    )
    if flash_attention or bias is not None or key.shape != value.shape or _heads_differ(query, key):
        return by_jax(query, key, value)
    return attention(query, key, value, mask, scale, is_causal, default=by_jax)


def _has_fused_kernel(dtype):
    return jax.default_backend() == "gpu" and dtype in (jnp.float16, jnp.bfloat16)


def _heads_differ(query, key):
    return query.shape[2] != key.shape[2]
