"""Reading label sequences off the output of a network trained with CTC."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import as_array

__all__ = ["ctc_decode"]

_END = -1  # fills a path after its last label


@symbolic
def ctc_decode(
    inputs: TensorLike,
    sequence_lengths: TensorLike,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """The likeliest label sequences.

    Args:
        inputs: Logits, `(batch, time, classes)`.
        sequence_lengths: How many steps count, `(batch,)`.
        strategy: `"greedy"` takes the likeliest class of each step; `"beam_search"` keeps the
            `beam_width` likeliest prefixes, each with all its alignments.
        beam_width: Prefixes kept at each step of a beam search.
        top_paths: Sequences returned by a beam search.
        merge_repeated: Whether the greedy strategy counts repeated classes as one label.
        mask_index: The class that stands for no label; `None` is the last.

    Shapes:
        `(batch, time, classes)` -> `(paths, batch, time)` and `(batch, paths)`.

    Returns:
        Sequences, `(paths, batch, time)`, filled up with -1, and `(batch, paths)`: log
        probabilities of a beam search, minus the sum of the greedy choices' logits.

    References:
        Graves et al., 2006, "Connectionist Temporal Classification"; Hannun et al., 2014,
        "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
        Recurrent DNNs".

    Example:
        >>> print(keras.ops.ctc_decode(np.eye(3)[None, [1, 1, 0, 2]], [4], mask_index=0)[0])
        [[[ 1  2 -1 -1]]]
    """
    inputs = as_array(inputs)
    inputs = inputs.astype(jnp.promote_types(inputs.dtype, jnp.float32))
    counts = jnp.arange(inputs.shape[1]) < as_array(sequence_lengths)[:, None]
    blank = inputs.shape[-1] - 1 if mask_index is None else mask_index
    if strategy == "greedy":
        return _greedy(inputs, counts, blank, merge_repeated)
    if strategy != "beam_search":
        raise bad_argument("ctc_decode", "strategy", "'greedy' or 'beam_search'", strategy)
    search = functools.partial(_beam_search, blank=blank, width=beam_width, top=top_paths)
    paths, scores = jax.vmap(search)(jax.nn.log_softmax(inputs), counts)
    return jnp.swapaxes(paths, 0, 1), scores


def _greedy(inputs, counts, blank, merge_repeated):
    labels = jnp.where(counts, jnp.argmax(inputs, axis=-1), blank)
    scores = -jnp.sum(jnp.where(counts, jnp.max(inputs, axis=-1), 0.0), axis=1, keepdims=True)
    if merge_repeated:
        again = labels[:, 1:] == labels[:, :-1]
        labels = labels.at[:, 1:].set(jnp.where(again, blank, labels[:, 1:]))
    empty = labels == blank
    order = jnp.argsort(empty, axis=-1, stable=True)
    labels = jnp.take_along_axis(jnp.where(empty, _END, labels), order, axis=-1)
    return labels[None], scores


def _beam_search(log_probs, counts, blank, width, top):
    """One sequence; a prefix scores alignments that end in a blank separately from others."""
    steps, classes = log_probs.shape
    paths = jnp.full((width, steps), _END, "int32")
    nothing = jnp.full(width, -jnp.inf, log_probs.dtype)
    start = paths, jnp.zeros(width, "int32"), nothing.at[0].set(0.0), nothing

    def step(beam, now):
        x, used = now
        return jax.tree.map(
            lambda new, old: jnp.where(used, new, old), advance(beam, x), beam
        ), None

    def advance(beam, x):
        paths, lengths, blank_score, label_score = beam
        total = jnp.logaddexp(blank_score, label_score)
        rows = jnp.arange(width)
        last = jnp.where(lengths > 0, paths[rows, lengths - 1], _END)
        # A repeated label is a new one only after a blank.
        longer = x + jnp.where(
            jnp.arange(classes) == last[:, None], blank_score[:, None], total[:, None]
        )
        longer = longer.at[:, blank].set(-jnp.inf)
        same = label_score + jnp.where(last == _END, -jnp.inf, x[last])
        # A prefix that grows into another one of the beam adds to it instead.
        parent = paths.at[rows, lengths - 1].set(jnp.where(lengths > 0, _END, paths[:, 0]))
        grows = (parent[None] == paths[:, None]).all(-1) & (lengths[None] == lengths[:, None] + 1)
        grows &= jnp.isfinite(total)[None] & jnp.isfinite(total)[:, None]
        gained = jnp.where(grows, longer[:, last], -jnp.inf)
        same = jnp.logaddexp(same, jax.nn.logsumexp(gained, axis=0))
        taken = jnp.zeros((width, classes), bool).at[rows[:, None], last[None]].max(grows)
        longer = jnp.where(taken, -jnp.inf, longer)
        return prune(paths, lengths, total + x[blank], same, longer)

    def prune(paths, lengths, blank_score, label_score, longer):
        kept = jnp.logaddexp(blank_score, label_score)
        _, best = jax.lax.top_k(jnp.concatenate([kept, longer.ravel()]), width)
        new = best >= width
        row = jnp.where(new, (best - width) // classes, best)
        label = (best - width) % classes
        length = lengths[row]
        position = jnp.where(new, length, steps)  # out of range: nothing is written
        paths = paths[row].at[jnp.arange(width), position].set(label, mode="drop")
        blank_score = jnp.where(new, -jnp.inf, blank_score[row])
        label_score = jnp.where(new, longer.ravel()[best - width], label_score[row])
        return paths, length + new, blank_score, label_score

    (paths, _, blank_score, label_score), _ = jax.lax.scan(step, start, (log_probs, counts))
    scores, order = jax.lax.top_k(jnp.logaddexp(blank_score, label_score), top)
    return paths[order], scores
