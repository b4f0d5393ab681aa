"""Scaled dot-product attention in the axis order that XLA's CPU backend multiplies fast."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from kerasish.core.lowering import platform_dependent


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    scale: float | None,
    is_causal: bool,
    default: Callable,
) -> jax.Array:
    """`softmax(query @ key * scale) @ value` per head: `default`, with code of its own for CPUs.

    Args:
        query: What the outputs ask for.
        key: What they are matched with.
        value: What they are averages of.
        mask: Which elements of the logits count, if not all do.
        scale: Factor of the logits; `None` for `1 / sqrt(depth)`.
        is_causal: Whether an element sees only itself and those before it.
        default: `default(query, key, value)` on other platforms.

    Shapes:
        `(batch, query time, heads, depth)`, two of `(batch, key time, heads, depth)`, and a mask
        that broadcasts to `(batch, heads, query time, key time)` -> the query's.

    References:
        Vaswani et al., 2017, "Attention Is All You Need".
    """
    on_cpu = functools.partial(heads_first_attention, mask=mask, scale=scale, is_causal=is_causal)
    return platform_dependent(query, key, value, cpu=on_cpu, default=default)


def heads_first_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    scale: float | None = None,
    is_causal: bool = False,
) -> jax.Array:
    """`attention` as batches of matrices with the heads in front. Args, Shapes: as `attention`.

    Args:
        query: Queries.
        key: Keys.
        value: Values.
        mask: Where attention is paid, or `None`.
        scale: Factor of the products.
        is_causal: Whether none looks at what comes later.
    """
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
