"""What networks are made of: encodings, normalisations, cross-entropies, attention."""

import functools

import jax
import jax.numpy as jnp

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.kernels.attention import attention
from kerasish.ops.sparse import to_sparse
from kerasish.ops.wrappers import as_array, as_axes, as_float, real_dtype

# -- encodings


@symbolic
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """A new axis of `num_classes` entries: 1 at the number that was there, else 0."""
    x, dtype = as_array(x), real_dtype(dtype, settings.floatx())
    hot = jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype)
    return to_sparse(hot, x.size) if sparse else hot


@symbolic
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False, **kwargs):
    """Which of `num_classes` numbers occur in each row: 1 or 0."""
    num_classes = kwargs.pop("num_tokens", None) if num_classes is None else num_classes
    if num_classes is None:
        raise bad_argument("multi_hot", "num_classes", "given", None)
    x = as_array(inputs).astype("int32")
    hot = jax.nn.one_hot(x, num_classes, axis=axis, dtype=real_dtype(dtype, settings.floatx()))
    hot = jnp.max(hot, axis=1 if x.ndim > 1 else 0)
    return to_sparse(hot, x.size) if sparse else hot


# -- normalisations


def _in_32_bits(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


@symbolic
def normalize(x, axis=-1, order=2, epsilon=None):
    """`x` divided by its norm of that order along an axis, or by `epsilon` if that is larger."""
    if not isinstance(order, int) or order < 1:
        raise bad_argument("normalize", "order", "an integer of at least 1", order)
    x, axis = jnp.atleast_1d(as_float(x)), as_axes(axis)
    epsilon = settings.epsilon() if epsilon is None else epsilon
    if order == 2:
        square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
        most = min(1.0 / epsilon, float(jnp.finfo(x.dtype).max))
        return x * jnp.minimum(jax.lax.rsqrt(square), most)
    norm = jnp.linalg.norm(x, ord=order, axis=axis, keepdims=True)
    return x / jnp.maximum(norm, epsilon)


@symbolic
def moments(x, axes, keepdims=False, synchronized=False):
    """Mean and variance over some axes; 16-bit floats are added up in 32 bits.

    With a batch sharded over devices JAX takes both over all of it, so `synchronized` has
    nothing to change.
    """
    x, axes = as_array(x), as_axes(axes)
    wide = _in_32_bits(x) if dtypes.is_float(x.dtype) else x
    both = jnp.mean(wide, axes, keepdims=keepdims), jnp.var(wide, axes, keepdims=keepdims)
    if x.dtype not in (jnp.float16, jnp.bfloat16):
        return both
    limit = jnp.finfo(jnp.float16).max
    return tuple(jnp.clip(value, -limit, limit).astype(x.dtype) for value in both)


@symbolic
def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=1e-3):
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, one of each per entry of `axis`.

    References:
        Ioffe and Szegedy, 2015, "Batch Normalization".
    """
    x = as_array(x)

    def along(values):
        sizes = [1] * x.ndim
        sizes[axis] = -1
        return as_array(values).reshape(sizes)

    factor = jax.lax.rsqrt(along(variance) + epsilon)
    factor = factor if scale is None else factor * along(scale)
    rest = -along(mean) * factor
    rest = rest if offset is None else rest + along(offset)
    return x * factor + rest


@symbolic
def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None, **kwargs):
    """`x` with mean 0 and variance 1 over some axes, times `gamma`, plus `beta`.

    References:
        Ba, Kiros and Hinton, 2016, "Layer Normalization".
    """
    rms_scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"layer_normalization: unknown arguments {sorted(kwargs)}.")
    x = as_array(x)
    wide = _in_32_bits(x)
    axes = sorted([axis] if isinstance(axis, int) else axis)
    sizes = [1] * x.ndim
    for n in axes:
        sizes[n] = x.shape[n]

    def along(values):
        values = as_array(values).astype(wide.dtype)
        return values if values.ndim == x.ndim or axes == [x.ndim - 1] else values.reshape(sizes)

    mean, variance = moments(wide, tuple(axes), keepdims=True)
    factor = jax.lax.rsqrt(variance + (settings.epsilon() if epsilon is None else epsilon))
    factor = factor if gamma is None else factor * along(gamma)
    if rms_scaling:
        return (wide * factor).astype(x.dtype)
    rest = -mean * factor
    rest = rest if beta is None else rest + along(beta)
    return (wide * factor + rest).astype(x.dtype)


@symbolic
def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    """`x` divided by its root mean square over some axes, times `scale`.

    References:
        Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization".
    """
    x = as_array(x)
    wide = jnp.atleast_1d(_in_32_bits(x))
    epsilon = settings.epsilon() if epsilon is None else epsilon
    square = jnp.mean(jnp.square(wide), axis=as_axes(axis), keepdims=True)
    wide = wide * jax.lax.rsqrt(square + epsilon)
    wide = wide if scale is None else wide * as_array(scale).astype(wide.dtype)
    return wide.astype(x.dtype)


# -- cross-entropies


def _same_shape(op, target, output):
    target, output = as_array(target), as_array(output)
    if target.shape != output.shape:
        raise bad_argument(op, "target", f"of shape {output.shape}, as `output`", target.shape)
    return target, output


def _log_probabilities(output, from_logits, axis):
    if from_logits:
        return jax.nn.log_softmax(output, axis=axis)
    output = output / jnp.sum(output, axis, keepdims=True)
    return jnp.log(jnp.clip(output, settings.epsilon(), 1.0 - settings.epsilon()))


@symbolic
def binary_crossentropy(target, output, from_logits=False):
    """`-target * log(output) - (1 - target) * log(1 - output)`, entry by entry."""
    target, output = _same_shape("binary_crossentropy", target, output)
    if from_logits:
        yes, no = jax.nn.log_sigmoid(output), jax.nn.log_sigmoid(-output)
    else:
        output = jnp.clip(output, settings.epsilon(), 1.0 - settings.epsilon())
        yes, no = jnp.log(output), jnp.log(1.0 - output)
    return -(target * yes + (1.0 - target) * no)


@symbolic
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`-sum(target * log(output))` over an axis of classes."""
    target, output = _same_shape("categorical_crossentropy", target, output)
    if output.ndim < 1:
        raise bad_argument("categorical_crossentropy", "output", "of at least 1 axis", output.shape)
    return -jnp.sum(target * _log_probabilities(output, from_logits, axis), axis=axis)


@symbolic
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`-log(output)` at the class that `target` numbers."""
    op = "sparse_categorical_crossentropy"
    target, output = as_array(target).astype("int32"), as_array(output)
    if output.ndim < 1:
        raise bad_argument(op, "output", "of at least 1 axis", output.shape)
    if target.ndim == output.ndim and target.shape[-1] == 1:
        target = jnp.squeeze(target, -1)
    if target.shape != output.shape[:-1]:
        raise bad_argument(op, "target", f"of shape {output.shape[:-1]}", target.shape)
    hot = jax.nn.one_hot(target, output.shape[axis], axis=axis)
    return -jnp.sum(hot * _log_probabilities(output, from_logits, axis), axis=axis)


def _padding(lengths, longest, dtype):
    return (jnp.arange(longest) >= lengths[:, None]).astype(dtype)


@symbolic
def ctc_loss(target, output, target_length, output_length, mask_index=0):
    """Minus the log probability of label sequences, summed over all their alignments.

    Args:
        target: Labels, `(batch, labels)`.
        output: Logits, `(batch, time, classes)`.
        target_length, output_length: How many of them count, `(batch,)`.
        mask_index: The class that stands for no label.

    References:
        Graves et al., 2006, "Connectionist Temporal Classification".
    """
    target, output = as_array(target).astype("int32"), _in_32_bits(as_array(output))
    target_length, output_length = as_array(target_length), as_array(output_length)
    unused = _padding(output_length, output.shape[1], output.dtype)
    no_label = _padding(target_length, target.shape[1], output.dtype)
    # Here, because importing it takes as long as half of kerasish.
    import optax  # noqa: PLC0415

    return optax.ctc_loss(output, unused, target, no_label, blank_id=mask_index)


@symbolic
def psnr(x1, x2, max_val):
    """Peak signal-to-noise ratio in decibels: `20 log10(max_val) - 10 log10(mean square error)`."""
    x1, x2 = _same_shape("psnr", x1, x2)
    peak = jnp.asarray(max_val, x2.dtype)
    return 20 * jnp.log10(peak) - 10 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))


# -- attention


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
        mask: Whether an entry counts, broadcast likewise.
        scale: Factor of the logits; `1 / sqrt(depth)` unless given.
        is_causal: Whether an entry sees only those before it and itself.
        flash_attention: `True` for cuDNN's fused kernel, an error where there is none; `None` for
            it where it is, if `keras.config.enable_flash_attention()` was called.
        attn_logits_soft_cap: Must be `None`: JAX's attention has no cap.

    References:
        Vaswani et al., 2017, "Attention Is All You Need".
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
