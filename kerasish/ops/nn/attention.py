"""Scaled dot-product attention."""

import functools

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.lowering import platform_dependent
from kerasish.core.symbolic.keras_tensor import symbolic
from kerasish.ops.wrappers import as_array, as_float

__all__ = ["dot_product_attention"]


@symbolic
def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    """`softmax(query @ key * scale + bias) @ value`, per head.

    Args:
        query, key, value: `(batch, time, heads, depth)`; fewer heads of key and value are shared.
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
    on_cpu = functools.partial(_attend_by_heads, mask=mask, scale=scale, is_causal=is_causal)
    return platform_dependent(query, key, value, cpu=on_cpu, default=by_jax)


def _has_fused_kernel(dtype):
    return jax.default_backend() == "gpu" and dtype in (jnp.float16, jnp.bfloat16)


def _heads_differ(query, key):
    return query.shape[2] != key.shape[2]


def _attend_by_heads(query, key, value, mask, scale, is_causal):
    """Attention with the heads in front: XLA's CPU backend multiplies such batches faster."""
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    wide = jnp.promote_types(query.dtype, jnp.float32)
    keys = jnp.swapaxes(key, 2, 3)
    logits = jnp.matmul(query * jnp.asarray(scale, query.dtype), keys, preferred_element_type=wide)
    if is_causal:
        causal = jnp.tri(query.shape[2], key.shape[2], dtype=bool)
        mask = causal if mask is None else mask & causal
    if mask is not None:
        logits = jnp.where(mask, logits, -0.7 * jnp.finfo(wide).max)
    top = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    weights = jnp.exp(logits - top)
    # Divided by their sum once the values are added up, which are fewer.
    total = jnp.sum(weights, axis=-1, keepdims=True).astype(key.dtype)
    return jnp.swapaxes(jnp.matmul(weights.astype(key.dtype), value) / total, 1, 2)
