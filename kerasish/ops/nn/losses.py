"""Cross-entropies and other distances between targets and outputs."""

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.keras_tensor import symbolic
from kerasish.ops.wrappers import as_array, in_32_bits

# fmt: off
__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "ctc_loss", "psnr",
    "sparse_categorical_crossentropy",
]
# fmt: on


def _same_shape(op, target, output):
    target, output = as_array(target), as_array(output)
    if target.shape != output.shape:
        raise bad_argument(op, "target", f"of shape {output.shape}, as `output`", target.shape)
    return target, output


def clip_probabilities(p) -> jax.Array:
    """Keep probabilities `epsilon()` away from 0 and 1, so that logarithms are finite."""
    return jnp.clip(p, settings.epsilon(), 1.0 - settings.epsilon())


def class_probabilities(scores, axis) -> jax.Array:
    """Scores divided by their sum over the classes, and clipped; a row of zeros stays that."""
    total = jnp.sum(scores, axis=axis, keepdims=True)
    return clip_probabilities(scores / jnp.where(total == 0, 1, total))


def log_probabilities(output, from_logits, axis) -> jax.Array:
    """Logarithms of the classes' probabilities."""
    if from_logits:
        return jax.nn.log_softmax(output, axis=axis)
    return jnp.log(class_probabilities(output, axis))


def times_log(p, log) -> jax.Array:
    """`p * log`, which is 0 where `p` is 0 and the logarithm minus infinity."""
    return p * jnp.where((p == 0) & jnp.isneginf(log), 0, log)


@symbolic
def binary_crossentropy(target, output, from_logits=False):
    """`-target * log(output) - (1 - target) * log(1 - output)`, entry by entry."""
    target, output = _same_shape("binary_crossentropy", target, output)
    if from_logits:
        yes, no = jax.nn.log_sigmoid(output), jax.nn.log_sigmoid(-output)
    else:
        output = clip_probabilities(output)
        yes, no = jnp.log(output), jnp.log(1.0 - output)
    return -(times_log(target, yes) + times_log(1.0 - target, no))


@symbolic
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """`-sum(target * log(output))` over an axis of classes."""
    target, output = _same_shape("categorical_crossentropy", target, output)
    if output.ndim < 1:
        raise bad_argument("categorical_crossentropy", "output", "of at least 1 axis", output.shape)
    return -jnp.sum(times_log(target, log_probabilities(output, from_logits, axis)), axis=axis)


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
    return -jnp.sum(times_log(hot, log_probabilities(output, from_logits, axis)), axis=axis)


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
    target, output = as_array(target).astype("int32"), in_32_bits(as_array(output))
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
