"""The conditions under which a network of SELU layers keeps mean 0 and variance 1."""

import warnings
from typing import Any

import numpy as np

from kerasish import activations, initializers, layers

# How far a feature's mean and standard deviation may be from 0 and 1.
_TOLERANCE = 0.3
_PASSIVE = (layers.InputLayer, layers.Flatten, layers.Reshape, layers.AlphaDropout)
_WEIGHTED = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
_DROPPING = (layers.Dropout, layers.GaussianDropout, layers.GaussianNoise)


def check_self_normalizing(model: Any, x: Any = None) -> list[str]:
    """Warn of all that keeps a SELU network from normalizing itself.

    It does so if it is a plain stack of dense layers (convolutions do well too), their weights
    start from LeCun's normal distribution, and its inputs are standardised; dropout must be
    `AlphaDropout`. The last layer, which gives the output, may be any.

    Args:
        model: A `Sequential` or functional model.
        x: Inputs as for `fit`, a single array, to see whether they are standardised. `None` does
            not look. Features that never change may have any mean.

    Returns:
        The warnings, each of which names the layer; none if all is well.

    References:
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks".

    Example:
        >>> model = keras.Sequential([
        ...     keras.Input((8,)),
        ...     layers.Dense(16, "selu", kernel_initializer="lecun_normal"),
        ...     layers.AlphaDropout(0.1),
        ...     layers.Dense(1),
        ... ])
        >>> check_self_normalizing(model)
        []
    """
    stack = [layer for layer in model._flatten_layers(include_self=False) if not layer._sublayers()]
    found = [*_input_troubles(model, x, stack), *_branches(model)]
    hidden = stack[: _last_weighted(stack)]
    for layer, after in zip(hidden, stack[1:], strict=False):
        found += _layer_troubles(layer, after)
    if not any(map(_is_selu, stack)):
        found.append(f"model {model.name!r}: no layer has the activation SELU.")
    for trouble in found:
        warnings.warn(f"check_self_normalizing: {trouble}", stacklevel=2)
    return found


def _last_weighted(stack):
    weighted = [i for i, layer in enumerate(stack) if isinstance(layer, _WEIGHTED)]
    return weighted[-1] if weighted else len(stack)


def _is_selu(layer):
    activation = getattr(layer, "activation", None)
    return activation is activations.selu


def _layer_troubles(layer, after):
    who = f"layer {layer.name!r}"
    if isinstance(layer, _WEIGHTED):
        if not _is_selu(layer) and not (_is_linear(layer) and _is_selu(after)):
            name = getattr(layer.activation, "__name__", layer.activation)
            yield f"{who}: its activation is {name}, not SELU."
        if not _is_lecun_normal(layer.kernel_initializer):
            kind = type(layer.kernel_initializer).__name__
            yield f"{who}: its kernel starts from {kind}; make it 'lecun_normal'."
        start = layer.bias_initializer
        if layer.use_bias and not isinstance(start, initializers.Zeros):
            yield f"{who}: its bias starts from {type(start).__name__}, not from zeros."
    elif isinstance(layer, _DROPPING):
        yield f"{who}: {type(layer).__name__} changes mean and variance; use AlphaDropout."
    elif isinstance(layer, layers.Activation):
        if not _is_selu(layer):
            yield f"{who}: its activation is not SELU."
    elif not isinstance(layer, (*_PASSIVE, layers.Normalization)):
        yield f"{who}: {type(layer).__name__} is no part of a plain stack of dense layers."


def _is_linear(layer):
    return layer.activation in (None, activations.linear)


def _is_lecun_normal(initializer):
    """LeCun's normal distribution, by whichever name: variance 1 / fan-in, normal."""
    if not isinstance(initializer, initializers.VarianceScaling):
        return False
    form = initializer.scale, initializer.mode
    return form == (1.0, "fan_in") and initializer.distribution != "uniform"


def _branches(model):
    """Operations of a graph, other than layers, that join paths: skip connections and the like."""
    function = getattr(model, "_function", None)
    for operation in function.operations if function is not None else []:
        nodes = vars(operation).get("_inbound_nodes", [])
        joins = any(len(node.inputs) > 1 for node in nodes)
        if joins and not isinstance(operation, layers.Layer):
            yield f"operation {operation.name!r}: it joins several paths: no plain stack."


def _input_troubles(model, x, stack):
    if x is None or any(isinstance(layer, layers.Normalization) for layer in stack):
        return
    x = np.asarray(x, "float64")
    name = stack[0].name if stack else model.name
    axis = tuple(range(x.ndim - 1))
    mean, std = x.mean(axis), x.std(axis)
    varying = std > 0
    if not varying.all():
        mean, std = mean[varying], std[varying]
    wide = (np.abs(mean) > _TOLERANCE) | (std > 1 + _TOLERANCE)
    narrow = std < 1 / (1 + _TOLERANCE)
    far = wide | narrow
    # Some that hardly ever vary do no harm; a single one of great size does.
    if wide.any() or narrow.mean() > 0.25:
        shown = f"mean {mean.mean():.3g}, standard deviation {std.mean():.3g} on average"
        yield (
            f"layer {name!r}: {far.sum()} of {len(far)} input features are not standardised "
            f"({shown}); put a Normalization layer first, or scale them."
        )
