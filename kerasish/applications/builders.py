"""How a builder is made from what its model is: the usual arguments, a name, a docstring."""

import inspect
from collections.abc import Callable
from typing import Any

from kerasish.applications.pretrained import WeightFiles
from kerasish.applications.request import Request
from kerasish.models import Model

_ARGUMENTS = {
    "input_shape": "Shape of one image, without the batch axis. With `include_top=False`, height\n"
    "and width may be `None`. ImageNet's weights need 3 channels.",
    "alpha": "Factor of the number of filters.",
    "minimalistic": "Whether to do without what is slow on small devices: squeeze-and-excitation,\n"
    "hard swish, and filters of 5 by 5.",
    "depth_multiplier": "Filters that a depthwise convolution has for each channel.",
    "dropout": "Rate of the dropout before the classifier.",
    "dropout_rate": "Rate of the dropout before the classifier.",
    "include_top": "Whether to end in the classifier, or in the features before it.",
    "include_preprocessing": "Whether the model itself scales images of 0 to 255.",
    "weights": '`"imagenet"`, the path of a file of weights, or `None`: random ones. Files that\n'
    "are not in `~/.keras/models` are downloaded into it.",
    "input_tensor": "Symbolic tensor to start from instead of a new `keras.Input`.",
    "pooling": 'With `include_top=False`, `"avg"` or `"max"` over height and width; or `None`.',
    "classes": "Number of classes; 1000 with ImageNet's weights.",
    "classifier_activation": "Activation of the classifier, or its name; `None` gives logits.",
    "name": "Name of the model; `None`: its kind, `alpha` and height.",
}
_DOC = """{title}, an image classifier.

{scaling}

Args:
{arguments}

Shapes:
    `(batch, height, width, channels)` -> `(batch, classes)`; with `include_top=False` features of
    `(batch, rows, columns, filters)`, pooled `(batch, filters)`.

Returns:
    A functional model.

Raises:
    ValueError: If an argument is none of those said above.
    RuntimeError: If ImageNet's weights are not in the cache and cannot be downloaded.

References:
    {reference}.

Example:
    >>> build = keras.applications.{title}
    >>> build(weights=None, input_shape=(128, 128, 3), classes=10).output_shape
    (None, 10)
"""
SCALED = "It scales its images, from 0 to 255, itself."


def describe(build: Callable, title: str, module: str, scaling: str, reference: str) -> None:
    """Give a builder made by a function its name, its module and its docstring.

    Args:
        build: The function.
        title: Name of the network.
        module: Name of the public module.
        scaling: What it expects of pixels.
        reference: Authors, year, title.
    """
    build.__name__ = build.__qualname__ = title
    build.__module__ = module
    lines = []
    for name in inspect.signature(build).parameters:
        text = f"{name}: {_ARGUMENTS[name]}".replace("\n", "\n        ")
        lines.append(f"    {text}")
    arguments = "\n".join(lines)
    build.__doc__ = _DOC.format(
        title=title, scaling=scaling, arguments=arguments, reference=reference
    )


def scaling(module: str) -> str:
    """What to say of a model whose images the caller scales.

    Args:
        module: Name of the public module.
    """
    return f"Its images come from `keras.applications.{module.split('.')[-1]}.preprocess_input`."


def builder(
    title: str,
    module: str,
    reference: str,
    features: Callable[[Any], Any],
    files: WeightFiles,
    name: str | None = None,
    default_size: int = 224,
    min_size: int = 32,
    scale: Callable[[Request, Any], Any] | None = None,
    head: Callable[[Request, Any], Any] = Request.head,
    channels_first: bool = True,
) -> Callable:
    """The builder of a model that takes the usual arguments and no others.

    Args:
        title: Its name.
        module: `__name__` of the module it is in.
        reference: Author, year and title of the paper.
        features: From the (scaled) image to the features before the classifier.
        files: ImageNet's weights.
        name: The model's usual name; `None`: the title in lower case.
        default_size: Height and width of ImageNet's images.
        min_size: The least height and width.
        scale: From the caller's arguments and the image to a scaled one, or `None`.
        head: From the caller's arguments and the features to the outputs.
        channels_first: Whether images may have their channels first.
    """

    usual_name = name or title.lower()

    def build(
        include_top: bool = True,
        weights="imagenet",
        input_tensor=None,
        input_shape=None,
        pooling=None,
        classes: int = 1000,
        classifier_activation="softmax",
        name: str | None = usual_name,
    ) -> Model:
        request = Request(
            title, name, include_top, weights, input_tensor, input_shape, pooling, classes,
            classifier_activation,
        )  # fmt: skip
        if not channels_first:
            request.refuse_channels_first()
        image = request.image(default_size, min_size)
        x = image if scale is None else scale(request, image)
        return request.model(image, head(request, features(x)), files)

    describe(build, title, module, scaling(module) if scale is None else SCALED, reference)
    return build
