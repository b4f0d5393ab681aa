"""Losses that layers add themselves: in a call, or by functions that are kept."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.symbolic.keras_tensor import KerasTensor


def add(layer: Any, loss: Any, in_call: bool) -> None:
    """Keep values until the next call and, outside of `call`, functions for good.

    Args:
        layer: The layer.
        loss: A value or a function, or several in a list.
        in_call: Whether the layer's `call` is running.

    Raises:
        TypeError: If a loss is a symbolic tensor.
    """
    who = f"Layer {layer.name!r} ({type(layer).__name__})"
    for one in jax.tree.leaves(loss, is_leaf=callable):
        if isinstance(one, KerasTensor):
            raise TypeError(
                f"{who}: `add_loss` takes values; got the symbolic tensor {one!r}. Call "
                "`self.add_loss(...)` inside the `call` of a layer of your own, and call that "
                "layer on the tensor."
            )
        if callable(one) and not in_call:
            layer._loss_functions.append(one)
            continue
        if not in_call:
            warnings.warn(
                f"{who}: a value given to `add_loss` outside of `call` is forgotten at the next "
                "call. Give a function: `add_loss(lambda: ...)`.",
                stacklevel=3,
            )
        layer._added_losses.append(jnp.asarray(one() if callable(one) else one))


def of(layer: Any) -> list[jax.Array]:
    """What a layer and those inside it added, and the penalties of regularized weights.

    Args:
        layer: The layer.
    """
    layers = list(layer._flatten_layers())
    added = [loss for inner in layers for loss in inner._added_losses.items()]
    kept = [jnp.asarray(function()) for inner in layers for function in inner._loss_functions]
    penalties = [
        v.regularizer(v.value) for v in layer.trainable_variables if v.regularizer is not None
    ]
    return [*added, *kept, *penalties]
