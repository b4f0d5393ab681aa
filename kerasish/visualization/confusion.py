"""Which classes a classifier takes for which others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data import make_batches, unpack_x_y_sample_weight
from kerasish.visualization.figures import finish, name_of

_MOST_NUMBERS = 20  # classes whose numbers are written into the figure


class ConfusionMatrix:
    """Counts of each class's samples by the class that was predicted.

    Attributes:
        counts: `(classes, classes)`: rows are true classes, columns predicted ones.
        accuracy: Part of the samples that were predicted right.

    Args:
        class_names: Names of the classes, by number; the numbers unless given.

    Example:
        >>> matrix = ConfusionMatrix([[3, 1], [0, 4]], class_names=["cat", "dog"])
        >>> matrix.accuracy, matrix.most_confused()
        (0.875, [('cat', 'dog', 1)])
    """

    def __init__(self, counts: Any, class_names: Sequence | Mapping | None = None):
        self.counts = np.asarray(counts)
        self._names = [name_of(i, class_names) for i in range(len(self.counts))]
        self.accuracy = float(np.trace(self.counts) / max(self.counts.sum(), 1))

    def most_confused(self, count: int = 5) -> list[tuple[str, str, int]]:
        """The commonest mistakes: true class, predicted class, number of samples.

        Args:
            count: Most mistakes to name.
        """
        wrong = self.counts * (1 - np.eye(len(self.counts), dtype=self.counts.dtype))
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        pairs = np.stack(np.unravel_index(order, wrong.shape), -1).tolist()
        return [(self._names[i], self._names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the counts; colors go by the part of the true class.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt

        classes = len(self.counts)
        side = min(max(3.2, 0.42 * classes + 1.6), 11)
        figure, axis = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
        parts = self.counts / np.maximum(self.counts.sum(1, keepdims=True), 1)
        image = axis.imshow(parts, cmap="Blues", vmin=0, vmax=1)
        figure.colorbar(image, label="part of the true class", shrink=0.8)
        if classes <= _MOST_NUMBERS:
            for (i, j), number in np.ndenumerate(self.counts):
                color = "white" if parts[i, j] > 0.5 else "black"
                axis.text(j, i, f"{number}" if number else "", ha="center", va="center", c=color)
        step = -(-classes // 40)  # names that overlap say nothing
        ticks = range(0, classes, step)
        names = [self._names[i] for i in ticks]
        rotated = max(map(len, names)) > 2
        axis.set_xticks(ticks, names, rotation=90 if rotated else 0)
        axis.set_yticks(ticks, names)
        axis.set(xlabel="predicted", ylabel="true", title=f"accuracy {self.accuracy:.3f}")
        return finish(figure, path, show)

    def __repr__(self):
        total = int(self.counts.sum())
        return (
            f"<ConfusionMatrix of {total} samples, {len(self.counts)} classes: "
            f"accuracy {self.accuracy:.3f}>"
        )


def confusion_matrix(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int | None = None,
    class_names: Sequence | Mapping | None = None,
) -> ConfusionMatrix:
    """Count which classes a classifier takes for which.

    Of a model with one output unit, the class is 1 where it is above 0.5; above 0 where the loss
    takes logits, or outputs are not all from 0 to 1.

    Args:
        model: The model.
        x: Inputs, as for `evaluate`.
        y: Labels, class numbers or one-hot rows, when `x` does not bring them.
        batch_size: Samples in a batch; 32 for arrays.
        class_names: Names by class number: a list or a dict.

    Returns:
        The counts, with `plot()` and `most_confused()`.

    Raises:
        ValueError: If outputs are not `(n, classes)`, or labels are none of these classes.

    Example:
        >>> model = keras.Sequential([keras.layers.Dense(2, kernel_initializer="identity")])
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> confusion_matrix(model, x, [0, 1, 1]).counts
        array([[1, 0],
               [1, 1]])
    """
    truths, outputs = [], []
    for batch in make_batches(x, y, batch_size=batch_size).epoch(0):
        inputs, labels, _ = unpack_x_y_sample_weight(batch)
        if labels is None:
            raise bad_argument("confusion_matrix", "y", "given", None)
        output = model.predict_on_batch(inputs)
        if not isinstance(output, np.ndarray) or output.ndim != 2:
            found = getattr(output, "shape", type(output))
            wanted = "a classifier, with outputs of shape (n, classes)"
            raise bad_argument("confusion_matrix", "model", wanted, found)
        outputs.append(output)
        truths.append(np.asarray(labels))
    if not outputs:
        raise bad_argument("confusion_matrix", "x", "data of at least one batch", type(x))
    output = np.concatenate(outputs)
    classes = max(output.shape[1], 2)
    truth = _classes_of(np.concatenate(truths), classes)
    if output.shape[1] > 1:
        predicted = output.argmax(-1)
    else:
        in_range = output.min() >= 0 and output.max() <= 1
        logits = getattr(model.loss, "from_logits", False) if model.compiled else False
        predicted = (output[:, 0] > (0.5 if in_range and not logits else 0.0)).astype(int)
    counts = np.bincount(truth * classes + predicted, minlength=classes**2)
    return ConfusionMatrix(counts.reshape(classes, classes), class_names)


def _classes_of(labels, classes):
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        if labels.shape[1] != classes:
            wanted = f"class numbers, or one-hot rows of {classes}"
            raise bad_argument("confusion_matrix", "y", wanted, f"shape {labels.shape}")
        labels = labels.argmax(-1)
    numbers = labels.astype("int64") if labels.dtype.kind in "iubf" else None
    good = numbers is not None and labels.ndim == 1 and bool((numbers == labels).all())
    if numbers is None or not good or numbers.min() < 0 or numbers.max() >= classes:
        found = f"labels from {labels.min()} to {labels.max()}" if good else labels.dtype
        raise bad_argument("confusion_matrix", "y", f"class numbers from 0 to {classes - 1}", found)
    return numbers
