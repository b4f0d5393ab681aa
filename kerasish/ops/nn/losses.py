"""Cross-entropies and other distances between targets and outputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
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


def clip_probabilities(p: jax.Array) -> jax.Array:
    """Keep probabilities `epsilon()` away from 0 and 1, so that logarithms are finite.

    Args:
        p: Probabilities.
    """
    return jnp.clip(p, settings.epsilon(), 1.0 - settings.epsilon())


def class_probabilities(scores: jax.Array, axis: int) -> jax.Array:
    """Scores divided by their sum over the classes, and clipped; a row of zeros stays that.

    Args:
        scores: Scores, not negative.
        axis: Axis of the classes.
    """
    total = jnp.sum(scores, axis=axis, keepdims=True)
    return clip_probabilities(scores / jnp.where(total == 0, 1, total))


def log_probabilities(output: jax.Array, from_logits: bool, axis: int) -> jax.Array:
    """Logarithms of the classes' probabilities.

    Args:
        output: Scores or probabilities.
        from_logits: Whether they are scores.
        axis: Axis of the classes.
    """
    if from_logits:
        return jax.nn.log_softmax(output, axis=axis)
    return jnp.log(class_probabilities(output, axis))


def times_log(p: jax.Array, log: jax.Array) -> jax.Array:
    """`p * log`, which is 0 where `p` is 0 and the logarithm minus infinity.

    Args:
        p: Probabilities.
        log: Logarithms.
    """
    return p * jnp.where((p == 0) & jnp.isneginf(log), 0, log)


@symbolic
def binary_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False
) -> jax.Array:
    """Cross-entropy of labels 0 and 1: `-target * log(output) - (1 - target) * log(1 - output)`.

    Args:
        target: Array of targets.
        output: Array of predictions, of the shape of `target`.
        from_logits: Whether `output` holds logits rather than probabilities.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.binary_crossentropy([1.0, 0.0], [0.9, 0.9])).round(2))
        [0.11 2.3 ]
    """
    target, output = _same_shape("binary_crossentropy", target, output)
    if from_logits:
        yes, no = jax.nn.log_sigmoid(output), jax.nn.log_sigmoid(-output)
    else:
        output = clip_probabilities(output)
        yes, no = jnp.log(output), jnp.log(1.0 - output)
    return -(times_log(target, yes) + times_log(1.0 - target, no))


@symbolic
def categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> jax.Array:
    """Cross-entropy of one-hot labels: `-sum(target * log(output))` over an axis of classes.

    Args:
        target: Array of targets.
        output: Array of predictions, of the shape of `target`.
        from_logits: Whether `output` holds logits rather than probabilities.
        axis: The axis of the classes.

    Shapes:
        `(..., classes)` twice -> `(...)`.

    Example:
        >>> print(np.array(keras.ops.categorical_crossentropy([[0.0, 1.0]], [[0.1, 0.9]])).round(2))
        [0.11]
    """
    target, output = _same_shape("categorical_crossentropy", target, output)
    if output.ndim < 1:
        raise bad_argument("categorical_crossentropy", "output", "of at least 1 axis", output.shape)
    return -jnp.sum(times_log(target, log_probabilities(output, from_logits, axis)), axis=axis)


@symbolic
def sparse_categorical_crossentropy(
    target: TensorLike, output: TensorLike, from_logits: bool = False, axis: int = -1
) -> jax.Array:
    """Cross-entropy of class numbers: `-log(output)` at the class that `target` says.

    Args:
        target: Class numbers.
        output: Predictions, with an axis of classes besides.
        from_logits: Whether `output` holds logits rather than probabilities.
        axis: The axis of the classes.

    Shapes:
        `(...)` or `(..., 1)`, and `(..., classes)` -> `(...)`.

    Example:
        >>> print(np.array(keras.ops.sparse_categorical_crossentropy([1], [[0.1, 0.9]])).round(2))
        [0.11]
    """
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
def ctc_loss(
    target: TensorLike,
    output: TensorLike,
    target_length: TensorLike,
    output_length: TensorLike,
    mask_index: int = 0,
) -> jax.Array:
    """Minus the log probability of label sequences, summed over all their alignments.

    Args:
        target: Labels, `(batch, labels)`.
        output: Logits, `(batch, time, classes)`.
        target_length: How many labels of each row count, `(batch,)`.
        output_length: How many steps of each row count, `(batch,)`.
        mask_index: The class that stands for no label.

    Shapes:
        `(batch, labels)` and `(batch, time, classes)` -> `(batch,)`.

    References:
        Graves et al., 2006, "Connectionist Temporal Classification".

    Example:
        >>> print(np.array(keras.ops.ctc_loss([[1]], np.zeros((1, 2, 3)), [1], [2])).round(2))
        [1.1]
    """
    target, output = as_array(target).astype("int32"), in_32_bits(as_array(output))
    target_length, output_length = as_array(target_length), as_array(output_length)
    unused = _padding(output_length, output.shape[1], output.dtype)
    no_label = _padding(target_length, target.shape[1], output.dtype)
    # Here, because importing it takes as long as half of kerasish.
    import optax  # noqa: PLC0415

    return optax.ctc_loss(output, unused, target, no_label, blank_id=mask_index)


@symbolic
def psnr(x1: TensorLike, x2: TensorLike, max_val: float) -> jax.Array:
    """Peak signal-to-noise ratio in decibels: `20 log10(max_val) - 10 log10(mean((x1 - x2)**2))`.

    Args:
        x1: Array.
        x2: Array.
        max_val: Largest possible value.

    Shapes:
        `(...)` twice -> `()`.

    Example:
        >>> print(keras.ops.psnr([1.0, 0.0], [0.9, 0.1], 1.0).round())
        20.0
    """
    x1, x2 = _same_shape("psnr", x1, x2)
    peak = jnp.asarray(max_val, x2.dtype)
    return 20 * jnp.log10(peak) - 10 * jnp.log10(jnp.mean(jnp.square(x1 - x2)))
