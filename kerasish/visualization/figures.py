"""What the figures have in common: samples drawn in panels, saving and showing."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument

_MOST_VALUES = 12  # numbers of a sample that are written; more are drawn as a line
_LEAST_PIXELS = 4  # along each side of what is taken for an image


def finish(figure: Any, path: Any, show: bool | None) -> Any:
    """Save and show a figure as it was asked for.

    Args:
        figure: The figure.
        path: File to save it to, or `None`.
        show: Whether to open a window. `None`: if there can be one and `path` is not given.
    """
    import matplotlib.pyplot as plt

    if path is not None:
        figure.savefig(path, dpi=110)
    if show is None:
        show = path is None and figure.canvas.required_interactive_framework is not None
    if show:
        plt.show()
    else:
        plt.close(figure)  # or a notebook shows it twice
    return figure


def grid_of_panels(panels: Sequence[Sequence[tuple[Callable, str]]]) -> Any:
    """A figure of samples: side by side if each has one panel, else a row for each.

    Args:
        panels: For each sample its panels: a function that draws on an axis, and a title.
    """
    import matplotlib.pyplot as plt

    wide = max(map(len, panels))
    columns = wide if wide > 1 else int(np.ceil(np.sqrt(len(panels))))
    rows = len(panels) if wide > 1 else int(np.ceil(len(panels) / columns))
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 2.1 * rows), squeeze=False, layout="constrained"
    )
    flat = [p for one in panels for p in (*one, *[None] * (wide - len(one)))]
    for axis, panel in zip(axes.flat, [*flat, *[None] * (axes.size - len(flat))], strict=True):
        axis.axis("off")
        if panel is not None:
            draw, title = panel
            draw(axis)
            axis.set_title(title, fontsize=8)
    return figure


def is_image(array: np.ndarray) -> bool:
    """Whether an array of samples is taken for images: `(n, h, w)` or `(n, h, w, channels)`.

    Args:
        array: The array.
    """
    has_channels = array.ndim == 4 and array.shape[-1] in (1, 3, 4)
    return (has_channels or array.ndim == 3) and min(array.shape[1:3]) >= _LEAST_PIXELS


def panels_of(data: Any, vocabulary: Sequence | None) -> list[Callable]:
    """For each sample a function that draws it: an image, a text, lines or numbers.

    Args:
        data: An array of samples, or a dict or list of such arrays.
        vocabulary: Strings by token id, where integers are tokens.
    """
    if not isinstance(data, Mapping | list | tuple):
        return _of_array(np.asarray(data), vocabulary)
    parts = data if isinstance(data, Mapping) else {f"input {i}": a for i, a in enumerate(data)}
    arrays = {name: np.asarray(array) for name, array in parts.items()}
    images = [array for array in arrays.values() if is_image(array)]
    if images:
        return _of_array(images[0], vocabulary)
    count = len(next(iter(arrays.values())))
    return [
        _writes(
            [
                f"{name}: {one}"
                for name, array in arrays.items()
                for one in _values(array[i], vocabulary)[:_MOST_VALUES]
            ]
        )
        for i in range(count)
    ]


def _of_array(array, vocabulary):
    if is_image(array):
        bright = _brightness(array)
        return [
            lambda axis, one=one: axis.imshow(one, cmap="gray", vmin=0, vmax=1) for one in bright
        ]
    is_text = array.dtype.kind in "OUST" or (vocabulary is not None and array.dtype.kind in "iu")
    if is_text or array[0].size <= _MOST_VALUES:
        return [_writes(_values(one, vocabulary), is_text) for one in array]
    if array.ndim > 3:
        wanted = "images, texts, numbers or series"
        raise bad_argument("visualization", "x", wanted, f"shape {array.shape}")
    return [lambda axis, one=one: _draw_lines(axis, one) for one in array]


def _draw_lines(axis, series):
    axis.axis("on")
    axis.plot(series, linewidth=1)
    axis.tick_params(labelsize=6)


def _values(one, vocabulary):
    """The values of a sample as strings."""
    flat = np.asarray(one).reshape(-1)
    if flat.dtype.kind in "OUST":
        return [v.decode() if isinstance(v, bytes) else str(v) for v in flat.tolist()]
    if vocabulary is not None and flat.dtype.kind in "iu":
        known = range(len(vocabulary))
        words = [str(vocabulary[i]) if i in known else f"<{i}>" for i in flat.tolist()]
        return [" ".join(word for word in words if word)]  # padding is the empty string
    return [f"{value:.4g}" for value in flat.tolist()]


def _writes(lines, is_text=False):
    text = "\n".join(line for one in lines for line in textwrap.wrap(one, 26) or [""])
    kept = "\n".join(text.split("\n")[:_MOST_VALUES])
    shown = kept if kept == text else f"{kept} ..."

    def draw(axis):
        family = "sans-serif" if is_text else "monospace"
        axis.text(0, 1, shown, va="top", fontsize=7, family=family, transform=axis.transAxes)

    return draw


# Images that are all darker, such as scikit-learn's digits from 0 to 16, have a range of their own.
_DARKEST_OF_BYTES = 32


def _brightness(images):
    """Images from 0 to 1, by what their values show their range to be."""
    images = images.astype("float32")
    images = images[..., 0] if images.ndim == 4 and images.shape[-1] == 1 else images
    low, high = float(images.min()), float(images.max())
    if low >= 0:
        as_bytes = high > _DARKEST_OF_BYTES
        low, high = 0.0, 1.0 if high <= 1 else max(high, 255.0) if as_bytes else high
    elif low >= -1 and high <= 1:
        low, high = -1.0, 1.0
    return (images - low) / max(high - low, 1e-12)


def label_of(target: Any, class_names: Sequence | Mapping | None) -> str:
    """A target or a prediction of a sample in words; empty if it is too large for that.

    Args:
        target: Class number, number, one-hot row or probabilities of classes, or string.
        class_names: Names by class number.
    """
    array = np.asarray(target)
    if array.dtype.kind in "OUST":
        return ", ".join(_values(array, None))
    flat = array.reshape(-1)
    if flat.size > 1:
        if array.ndim > 1:
            return ""
        if flat.dtype.kind != "f" or abs(float(flat.sum()) - 1) > 1e-2 or flat.min() < 0:
            return ", ".join(f"{v:.3g}" for v in flat.tolist()) if flat.size <= 4 else ""
        best = int(flat.argmax())
        sure = "" if flat[best] == 1 else f" {flat[best]:.2f}"
        return f"{name_of(best, class_names)}{sure}"
    value = flat[0].item()
    is_class = float(value).is_integer() and (array.dtype.kind in "iub" or class_names is not None)
    return name_of(int(value), class_names) if is_class else f"{value:.3g}"


def name_of(number: int, class_names: Sequence | Mapping | None) -> str:
    """The name of a class, or its number where it has none.

    Args:
        number: The class number.
        class_names: Names by class number.
    """
    if class_names is None:
        return str(number)
    if isinstance(class_names, Mapping):
        return str(class_names.get(number, number))
    return str(class_names[number]) if 0 <= number < len(class_names) else str(number)
