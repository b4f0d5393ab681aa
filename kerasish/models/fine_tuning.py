"""Training a trained model further: what is frozen, and how fast each depth learns."""

import numbers
from typing import Any

from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.layers.base.layer import Layer
from kerasish.optimizers import Optimizer
from kerasish.training.trainer import Trainer


def freeze_up_to(model: Any, layer: Any) -> None:
    """See `Model.freeze_up_to`.

    Args:
        model: The model.
        layer: The last layer to freeze: itself, its name or its index; `None` freezes none.
    """
    order = list(model._flatten_layers(include_self=False))
    model.trainable = True
    if layer is None:
        return
    last = _found(model, order, layer)
    inside = {id(one) for one in last._flatten_layers()}
    around = {id(one) for one in order if id(last) in {id(s) for s in one._flatten_layers()}}
    around.discard(id(last))
    before = order.index(last)
    for i, one in enumerate(order):
        if id(one) not in around:
            one.trainable = id(one) not in inside and i > before
    for i, one in enumerate(order):  # a layer used at two depths is frozen by the first
        if id(one) in inside or (i < before and id(one) not in around):
            one.trainable = False


def _found(model, order, layer):
    if isinstance(layer, numbers.Integral) and not isinstance(layer, bool):
        return model.get_layer(index=int(layer))
    if isinstance(layer, Layer):
        found = [one for one in order if one is layer]
    else:
        found = [one for one in order if one.name == layer]
    if len(found) == 1:
        return found[0]
    names = [one.name for one in order]
    wanted = "a layer of the model, its name, its index or None"
    hint = did_you_mean(str(layer), names)
    if found:
        wanted, hint = "the name of one layer, not of several", "Give the layer itself."
    raise bad_argument("freeze_up_to", "layer", wanted, layer, hint)


def rates_by_depth(model: Any, optimizer: Any, first: float) -> Optimizer:
    """See `Model.rates_by_depth`.

    Args:
        model: The model.
        optimizer: The optimizer, not used yet.
        first: The part of the learning rate that the first layer has.
    """
    who = "rates_by_depth"
    if isinstance(first, bool) or not isinstance(first, numbers.Real) or not 0 < first <= 1:
        raise bad_argument(who, "first", "a number above 0 and at most 1", first)
    if not isinstance(optimizer, Optimizer):
        wanted = "an optimizer: `keras.optimizers.Adam(1e-3)`, say"
        raise bad_argument(who, "optimizer", wanted, optimizer)
    if not model.built:
        raise ValueError(
            f"{who}: the model {model.name!r} has no weights yet. Build it first: call it on data, "
            "or `build(input_shape)`."
        )
    groups = list(_by_depth(model))
    factors: dict[str, float] = {}
    for depth, layer in enumerate(groups):
        factor = float(first) ** (1 - depth / (len(groups) - 1)) if len(groups) > 1 else 1.0
        for weight in layer.weights:
            # Not the whole path, which is another one in a model that was loaded.
            path = f"/{weight.path}".rpartition(f"/{layer.name}/")
            path = f"{layer.name}/{path[2]}" if path[1] else weight.path
            if factors.setdefault(path, factor) != factor:
                raise ValueError(
                    f"{who}: two layers of {model.name!r}, at different depths, have a weight "
                    f"{path!r}. Give them different names."
                )
    optimizer.scale_learning_rates(factors)
    return optimizer


def _by_depth(model):
    """The layers with weights, in order; models inside are gone into, other layers are not."""
    seen = set()
    for layer in model.layers:
        inner = _by_depth(layer) if isinstance(layer, Trainer) else [layer]
        for one in inner:
            if one.weights and id(one) not in seen:
                seen.add(id(one))
                yield one
