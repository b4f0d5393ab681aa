"""Learning curves, drawn with matplotlib."""

from typing import Any

from kerasish.core.errors import bad_argument, did_you_mean

_PANEL = (4.5, 3.2)  # inches
_COLUMNS = 3


def draw(points: Any, path: Any = None, metrics: Any = None, show: bool | None = None) -> Any:
    """Draw one panel for each result, with its training and validation curves.

    Args:
        points: Names to pairs `(epochs counted from 0, values)`.
        path: File to save to, or `None`.
        metrics: Names of the panels without `val_`; `None` for all.
        show: Whether to open a window. `None`: if there can be one and `path` is not given.

    Returns:
        The figure.
    """
    import matplotlib.pyplot as plt

    names = _panels(points, metrics)
    columns = min(len(names), _COLUMNS)
    rows = -(-len(names) // columns)
    size = (columns * _PANEL[0], rows * _PANEL[1])
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for name, axis in zip(names, axes.flat, strict=False):
        _draw_panel(axis, name, points)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    if path is not None:
        figure.savefig(path)
    if show is None:
        show = path is None and figure.canvas.required_interactive_framework is not None
    if show:
        plt.show()
    else:
        plt.close(figure)  # or a notebook shows it twice
    return figure


def _panels(points, metrics):
    known = dict.fromkeys(name.removeprefix("val_") for name in points)
    if not known:
        raise RuntimeError("History: there are no results to plot yet. Call `fit` first.")
    if metrics is None:
        return sorted(known, key=lambda name: name != "loss")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known)
            raise bad_argument("History", "metrics", f"among {list(known)}", name, hint)
    return names


def _draw_panel(axis, name, points):
    for key, label in ((name, "training"), (f"val_{name}", "validation")):
        if key in points:
            epochs, values = points[key]
            marker = "o" if len(values) < 15 else None
            axis.plot([e + 1 for e in epochs], values, label=label, marker=marker, markersize=3)
    axis.set_xlabel("epoch")
    axis.set_title(name)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    if f"val_{name}" in points:
        axis.legend()
