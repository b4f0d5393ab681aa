"""What a model is given, and what it makes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.data import make_batches, unpack_x_y_sample_weight
from kerasish.visualization.figures import finish, grid_of_panels, is_image, label_of, panels_of


def show_batch(
    x: Any,
    y: Any = None,
    count: int = 9,
    class_names: Sequence | Mapping | None = None,
    vocabulary: Sequence | None = None,
    path: Any = None,
    show: bool | None = None,
) -> Any:
    """Draw some samples as `fit` gets them, with their targets: images, texts, series, numbers.

    Images whose values go from 0 to 1, from -1 to 1 or from 0 to 255 are drawn as these; others
    from their least to their greatest value.

    Args:
        x: Inputs, as for `fit`. Of a generator, one batch is taken.
        y: Targets, when `x` does not bring them.
        count: Number of samples, from the first.
        class_names: Names by class number: a list or a dict.
        vocabulary: Strings by token id, as `TextVectorization.get_vocabulary()` gives them, where
            inputs are token ids.
        path: File to save the figure to.
        show: Whether to open a window. `None`: if there can be one and `path` is not given.

    Returns:
        The figure; a notebook shows it when it is a cell's last value.

    Example:
        >>> figure = show_batch(np.zeros((3, 8, 8)), [0, 1, 0], class_names=["cat", "dog"])
        >>> [axis.get_title() for axis in figure.axes[:3]]
        ['cat', 'dog', 'cat']
    """
    x, y = first_samples("show_batch", x, y, count)
    return finish(draw_samples(x, y, None, class_names, vocabulary), path, show)


def show_results(
    model: Any,
    x: Any,
    y: Any = None,
    count: int = 9,
    class_names: Sequence | Mapping | None = None,
    vocabulary: Sequence | None = None,
    path: Any = None,
    show: bool | None = None,
) -> Any:
    """Draw some samples with their targets and what a model predicts for them.

    Args:
        model: The model.
        x: Inputs, as for `fit`. Of a generator, one batch is taken.
        y: Targets, when `x` does not bring them; `None` where there are none.
        count: Number of samples, from the first.
        class_names: Names by class number: a list or a dict.
        vocabulary: Strings by token id, where inputs are token ids.
        path: File to save the figure to.
        show: Whether to open a window. `None`: if there can be one and `path` is not given.

    Returns:
        The figure; a notebook shows it when it is a cell's last value.

    Example:
        >>> model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
        >>> figure = show_results(model, np.zeros((1, 8, 8)), [1], class_names=["cat", "dog"])
        >>> figure.axes[0].get_title()
        'dog (predicted: cat 0.50)'
    """
    x, y = first_samples("show_results", x, y, count)
    predicted = model.predict(x, verbose=0)
    return finish(draw_samples(x, y, predicted, class_names, vocabulary), path, show)


def first_samples(who: str, x: Any, y: Any, count: int) -> tuple[Any, Any]:
    """The first samples of data, and their targets.

    Args:
        who: Whom errors name.
        x: Inputs, as for `fit`.
        y: Targets, or `None`.
        count: Number of samples.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise bad_argument(who, "count", "a positive number of samples", count)
    if _holds_strings(x):  # which make no batches for JAX
        parts = {**x} if isinstance(x, Mapping) else {"": x}
        parts = {name: np.asarray(part)[:count] for name, part in parts.items()}
        x = parts if isinstance(x, Mapping) else parts[""]
        return x, None if y is None else np.asarray(y)[:count]
    batches = make_batches(x, y, steps=1, batch_size=count) if y is not None else make_batches(x)
    stream = iter(batches.epoch(0))
    batch = next(stream, None)
    if batch is None:
        raise bad_argument(who, "x", "data of at least one batch", type(x))
    x, y, _ = unpack_x_y_sample_weight(batch)
    return jax.tree.map(lambda a: np.asarray(a)[:count], (x, y))


def _holds_strings(x):
    if isinstance(x, Mapping):
        return any(map(_holds_strings, x.values()))
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], str | bytes)
    return getattr(getattr(x, "dtype", None), "kind", "") in tuple("OUST")


def draw_samples(
    x: Any, y: Any, predicted: Any, class_names: Any, vocabulary: Any, notes: Sequence[str] = ()
) -> Any:
    """A figure of samples with their targets and predictions.

    Args:
        x: The samples.
        y: Their targets, or `None`.
        predicted: Predictions of them, or `None`.
        class_names: Names by class number.
        vocabulary: Strings by token id.
        notes: What more to write above each.
    """
    drawn = panels_of(x, vocabulary)
    panels: list[list] = [[(draw, "")] for draw in drawn]
    titles = [""] * len(drawn)
    for kind, data in (("target", y), ("predicted", predicted)):
        if data is None or isinstance(data, Mapping | list | tuple):
            continue  # several outputs say too much for a title
        array = np.asarray(data)
        if is_image(array):
            for own, draw in zip(panels, panels_of(array, None), strict=True):
                own.append((draw, kind))
            continue
        for i, one in enumerate(array):
            text = label_of(one, class_names)
            titles[i] += text if kind == "target" else f" (predicted: {text})" if text else ""
    for i, note in enumerate(notes):
        titles[i] = f"{titles[i]}\n{note}"
    for own, title in zip(panels, titles, strict=True):
        own[0] = (own[0][0], title.strip())
    return grid_of_panels(panels)
