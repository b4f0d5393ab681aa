"""The samples that a model is most wrong about."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.state.compiled import jit
from kerasish.core.state.scope import Scope
from kerasish.data import make_batches, unpack_x_y_sample_weight
from kerasish.visualization.batches import draw_samples
from kerasish.visualization.figures import finish


class TopLosses:
    """The samples of the greatest losses, the greatest first.

    Attributes:
        losses: The loss of each sample of the data, in its order, without sample weights.
        indices: Positions in the data of the samples shown.
        x: These samples.
        y: Their targets.
        predictions: What the model predicts for them.

    Args:
        losses, indices, x, y, predictions: As the attributes.
        names: Names of the classes, by number; `None`: the numbers.
        words: Words by number, to show samples of word numbers; `None` for others.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(loss="mse")
        >>> x, y = np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]])
        >>> top_losses(model, x, y, 1).indices
        array([1])
    """

    def __init__(
        self, losses: Any, indices: Any, x: Any, y: Any, predictions: Any, names: Any, words: Any
    ):
        self.losses, self.indices = losses, indices
        self.x, self.y, self.predictions = x, y, predictions
        self._names, self._words = names, words

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the samples, with targets, predictions and losses.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        notes = [f"loss {self.losses[i]:.3g}, sample {i}" for i in self.indices]
        given = (self.x, self.y, self.predictions, self._names, self._words)
        return finish(draw_samples(*given, notes), path, show)

    def __repr__(self):
        worst = ", ".join(f"{i}: {self.losses[i]:.3g}" for i in self.indices[:5])
        return f"<TopLosses of {len(self.losses)} samples; sample {worst}>"


def top_losses(
    model: Any,
    x: Any,
    y: Any = None,
    count: int = 9,
    batch_size: int | None = None,
    class_names: Sequence | Mapping | None = None,
    vocabulary: Sequence | None = None,
) -> TopLosses:
    """Find the samples of the greatest losses: the hardest ones, and those with wrong labels.

    Args:
        model: The model, compiled with a loss of one output or several.
        x: Inputs, as for `evaluate`.
        y: Targets, when `x` does not bring them.
        count: Number of samples to keep.
        batch_size: Samples in a batch; 32 for arrays.
        class_names: Names by class number, for the figure: a list or a dict.
        vocabulary: Strings by token id, for the figure, where inputs are token ids.

    Returns:
        The losses of all, and the samples of the greatest, with `plot()`.

    Raises:
        ValueError: If the model has no loss, or the data no targets.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
        >>> model.compile(loss="mse")
        >>> top_losses(model, np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [5.0], [4.0]]), 1)
        <TopLosses of 3 samples; sample 1: 9>
    """
    who = "top_losses"
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise bad_argument(who, "count", "a positive number of samples", count)
    if not model.compiled or model.loss is None:
        raise ValueError(
            f"{who}: the model {model.name!r} has no loss. Call `model.compile(loss=...)` first."
        )
    run, found = _losses_of(model), []
    for batch in make_batches(x, y, batch_size=batch_size).epoch(0):
        inputs, targets, _ = unpack_x_y_sample_weight(batch)
        if targets is None:
            raise bad_argument(who, "y", "given: a loss compares outputs with targets", None)
        losses, predictions = jax.tree.map(np.asarray, run(inputs, targets))
        model._compiled_loss.check_labels(targets)
        kept = np.argsort(-losses, kind="stable")[:count]
        rows = jax.tree.map(
            lambda a, kept=kept: np.asarray(a)[kept], (inputs, targets, predictions)
        )
        found.append((losses, kept, rows))
    if not found:
        raise bad_argument(who, "x", "data of at least one batch", type(x))
    starts = np.cumsum([0, *(len(losses) for losses, _, _ in found)])
    positions = np.concatenate([s + kept for s, (_, kept, _) in zip(starts, found, strict=False)])
    losses = np.concatenate([losses for losses, _, _ in found])
    order = np.argsort(-losses[positions], kind="stable")[:count]
    rows = jax.tree.map(
        lambda *parts: np.concatenate(parts)[order], *(rows for _, _, rows in found)
    )
    return TopLosses(losses, positions[order], *rows, class_names, vocabulary)


def _losses_of(model):
    """A function of a batch that gives each sample's loss, and the outputs."""

    @jit
    def run(inputs, targets):
        outputs = model(inputs, training=False)
        masks = jax.tree.map(get_mask, outputs)

        def one(target, output, mask):
            # As a batch of one sample; the means that losses keep for the logs are let be.
            with Scope():
                target, output = jax.tree.map(lambda a: a[None], (target, output))
                jax.tree.map(lambda a, m: None if m is None else set_mask(a, m[None]), output, mask)
                return jnp.asarray(model._compiled_loss(target, output), "float32")

        return jax.vmap(one)(targets, outputs, masks), outputs

    return run
