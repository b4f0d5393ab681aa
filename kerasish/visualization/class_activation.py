"""Where in an image a classifier sees a class: Grad-CAM."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import activations
from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.state.transforms import grad
from kerasish.layers import Activation, Softmax
from kerasish.visualization.figures import finish, grid_of_panels, name_of, panels_of

_SQUASHING = (activations.softmax, activations.sigmoid)


class GradCAM:
    """Which positions of images speak for a class.

    Attributes:
        heatmaps: `(n, height, width)` of the layer's outputs, at least 0: as the formula has it.
        classes: The class of each, `(n,)`.
        layer: Name of the layer.
        images: The images.

    Args:
        heatmaps, classes, layer, images: As the attributes.
        names: Names of the classes, by number; `None`: the numbers.

    Example:
        >>> found = GradCAM(np.ones((1, 2, 2)), np.array([1]), "conv", np.ones((1, 8, 8, 1)), None)
        >>> found.layer
        'conv'
    """

    def __init__(self, heatmaps: Any, classes: Any, layer: str, images: Any, names: Any):
        self.heatmaps, self.classes, self.layer, self.images = heatmaps, classes, layer, images
        self._names = names

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw the images, and beside each the positions over it, the strongest yellow.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        size = self.images.shape[1:3]
        panels = []
        for draw, heat, number in zip(
            panels_of(self.images, None), self.heatmaps, self.classes, strict=True
        ):
            large = np.asarray(jax.image.resize(heat / max(heat.max(), 1e-12), size, "bilinear"))

            def over(axis, draw=draw, large=large):
                draw(axis)
                axis.imshow(large, cmap="inferno", alpha=0.55, vmin=0, vmax=1)

            panels.append([(draw, name_of(int(number), self._names)), (over, self.layer)])
        return finish(grid_of_panels(panels), path, show)

    def __repr__(self):
        shape = "x".join(map(str, self.heatmaps.shape[1:]))
        return f"<GradCAM of {len(self.heatmaps)} images, {shape}, from {self.layer!r}>"


def grad_cam(
    model: Any,
    images: Any,
    class_index: int | Sequence[int] | None = None,
    layer: Any = None,
    class_names: Any = None,
) -> GradCAM:
    """Find the positions of images that speak for a class, by the gradient of its score.

    The heatmap is the sum of a layer's channels, weighted with the mean over all positions of the
    gradient of the class's score by them; what speaks against the class counts as 0. The score is
    the output before its softmax or sigmoid, if that is the last layer's activation or the last
    layer; otherwise the output itself.

    Args:
        model: A classifier of images; also one with models inside, or a subclass.
        images: The images, as the model takes them.
        class_index: The class, or one for each image. `None`: the predicted ones. Of a model with
            one output unit, classes are 0 and 1.
        layer: The layer, or its name. `None`: the last one whose outputs have positions.
        class_names: Names by class number, for the figure: a list or a dict.

    Shapes:
        `images` `(n, height, width, channels)`; an image without the first axis counts as one.

    Returns:
        The heatmaps, with `plot()`.

    Raises:
        ValueError: If the layer's outputs have no positions, or outputs are not `(n, classes)`.

    References:
        Selvaraju et al., 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization".

    Example:
        >>> from kerasish import layers
        >>> model = keras.Sequential([
        ...     layers.Conv2D(4, 3, name="conv"),
        ...     layers.GlobalAveragePooling2D(),
        ...     layers.Dense(3, "softmax"),
        ... ])
        >>> grad_cam(model, np.ones((2, 8, 8, 1)))
        <GradCAM of 2 images, 6x6, from 'conv'>
    """
    images = np.asarray(images)
    images = images[None] if images.ndim == 3 else images
    if images.ndim != 4:
        wanted = "images of shape (n, height, width, channels)"
        raise bad_argument("grad_cam", "images", wanted, images.shape)
    scores, maps = _outputs_of_layers(model, images)
    layer = _chosen(model, layer, maps)
    numbers = _classes(scores, class_index, len(images))

    def total(added):
        with _before_activation(model), _watched([layer], lambda _, out: out + added) as seen:
            outputs = model(images, training=False)
        rows = outputs.astype("float32")
        if rows.shape[1] == 1:
            rows = jnp.concatenate([-rows, rows], 1)
        return jnp.take_along_axis(rows, numbers[:, None], 1).sum(), seen[layer]

    start = jnp.zeros(maps[layer].shape, maps[layer].dtype)
    slopes, features = grad(total, has_aux=True)(start)
    slopes, features = slopes.astype("float32"), features.astype("float32")
    first = getattr(layer, "data_format", settings.image_data_format()) == "channels_first"
    positions, channels = ((2, 3), 1) if first else ((1, 2), 3)
    weights = slopes.mean(positions, keepdims=True)
    heatmaps = jax.nn.relu((weights * features).sum(channels))
    shown = np.moveaxis(images, 1, -1) if first and images.shape[1] in (1, 3, 4) else images
    return GradCAM(np.asarray(heatmaps), np.asarray(numbers), layer.name, shown, class_names)


@contextlib.contextmanager
def _watched(layers, change) -> Iterator[dict]:
    """Let outputs of layers be changed on the way; gives the outputs by layer, before changes."""
    seen: dict = {}
    own = [vars(layer).get("call") for layer in layers]

    def watch(layer, call):
        def watching(*args, **kwargs):
            out = call(*args, **kwargs)
            if layer in seen and len(layers) == 1:
                raise ValueError(f"grad_cam: the layer {layer.name!r} is called several times.")
            seen[layer] = out
            return change(layer, out)

        return watching

    for layer in layers:
        vars(layer)["call"] = watch(layer, layer.call)
    try:
        yield seen
    finally:
        for layer, call in zip(layers, own, strict=True):
            del vars(layer)["call"]
            if call is not None:
                vars(layer)["call"] = call


@contextlib.contextmanager
def _before_activation(model) -> Iterator[None]:
    """Let a model give what its last softmax or sigmoid gets."""
    last = _last_layer(model)
    if isinstance(last, Softmax) or (
        isinstance(last, Activation) and any(last.activation is one for one in _SQUASHING)
    ):
        with _replaced(last, "call", lambda inputs, *args, **kwargs: inputs):
            yield
    elif any(getattr(last, "activation", None) is one for one in _SQUASHING):
        with _replaced(last, "activation", activations.linear):
            yield
    else:
        yield


@contextlib.contextmanager
def _replaced(layer, name, value):
    absent = name not in vars(layer)
    before = vars(layer).get(name)
    vars(layer)[name] = value
    try:
        yield
    finally:
        if absent:
            del vars(layer)[name]
        else:
            vars(layer)[name] = before


def _last_layer(model):
    """The layer that gives a model's output, of models inside too."""
    while getattr(model, "_function", None) is not None:
        outputs = model.outputs
        if len(outputs) != 1:
            return None
        model = outputs[0]._keras_history.operation
    return model


def _outputs_of_layers(model, images):
    """The model's outputs, and those of its innermost layers, in order of their calls."""
    model(images[:1], training=False)  # builds what is built by a call
    layers = [one for one in model._flatten_layers(include_self=False) if not one._sublayers()]
    with _watched(layers, lambda _, out: out) as seen:
        outputs = model(images, training=False)
    if getattr(outputs, "ndim", 0) != 2:
        wanted = "a classifier, with outputs of shape (n, classes)"
        found = getattr(outputs, "shape", type(outputs))
        raise bad_argument("grad_cam", "model", wanted, found)
    return np.asarray(outputs), seen


def _has_places(layer, output):
    first = getattr(layer, "data_format", settings.image_data_format()) == "channels_first"
    if getattr(output, "ndim", 0) != 4:
        return False
    return max(output.shape[2:] if first else output.shape[1:3]) > 1


def _chosen(model, layer, maps):
    if layer is None:
        fitting = [one for one, out in maps.items() if _has_places(one, out)]
        inputs = [one for one in fitting if type(one).__name__ != "InputLayer"]
        if not inputs:
            wanted = "a model with a layer whose outputs are (n, height, width, channels)"
            raise bad_argument("grad_cam", "model", wanted, model.name)
        return inputs[-1]
    names = [one.name for one in maps]
    found = [one for one in maps if one is layer or one.name == layer]
    if len(found) != 1:
        wanted = f"one of the layers that are called: {names}"
        raise bad_argument("grad_cam", "layer", wanted, getattr(layer, "name", layer))
    if not _has_places(found[0], maps[found[0]]):
        wanted = "a layer whose outputs are (n, height, width, channels)"
        got = f"{found[0].name!r} of shape {getattr(maps[found[0]], 'shape', None)}"
        raise bad_argument("grad_cam", "layer", wanted, got)
    return found[0]


def _classes(scores, class_index, count):
    classes = max(scores.shape[1], 2)
    if class_index is None:
        single = scores.shape[1] == 1
        return jnp.ones(count, int) if single else jnp.asarray(scores.argmax(-1))
    numbers = np.asarray(class_index)
    is_good = numbers.dtype.kind in "iu" and numbers.shape in ((), (count,))
    if not is_good or numbers.min() < 0 or numbers.max() >= classes:
        wanted = f"a class from 0 to {classes - 1}, or one for each of {count} images"
        raise bad_argument("grad_cam", "class_index", wanted, class_index)
    return jnp.broadcast_to(jnp.asarray(numbers), (count,))
