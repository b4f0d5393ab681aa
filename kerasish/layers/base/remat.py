"""Computing again for the gradient what takes memory to keep, layer by layer."""

import math
import threading
from typing import Any

import jax

from kerasish.core.errors import bad_argument
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.state.functional import capture
from kerasish.core.state.transforms import remat

_MODES = ("full", "activations", "larger_than", "list_of_layers", None)


class _Local(threading.local):
    scopes: tuple = ()
    inside = False  # of a layer whose values are computed again


_local = _Local()


class RematScope:
    """Layers made inside forget what they compute and compute it again for the gradient.

    Training then takes less memory and more time; results stay what they were. What such a layer
    keeps is its inputs. Scopes nest; the innermost one counts, `RematScope(None)` for nothing.

    Args:
        mode: `"full"`: every layer; of layers inside layers the outer one, and of a model each of
            its layers. `"activations"`: only the `activation` of layers that have one.
            `"larger_than"`: layers with larger outputs than the threshold. `"list_of_layers"`:
            layers of the given names. `None`: no layer.
        output_size_threshold: For `"larger_than"`, in numbers, the batch's axis included.
        layer_names: For `"list_of_layers"`.

    References:
        Chen, Xu, Zhang and Guestrin, 2016, "Training Deep Nets with Sublinear Memory Cost".

    Example:
        >>> with RematScope("larger_than", output_size_threshold=2048):
        ...     layer = keras.layers.Dense(1024, "gelu")
        >>> layer(np.ones((8, 16))).shape
        (8, 1024)
    """

    def __init__(self, mode="full", output_size_threshold=1024, layer_names=None):
        if mode not in _MODES:
            raise bad_argument(self, "mode", f"one of {_MODES}", mode)
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or [])

    def __enter__(self):
        _local.scopes = (*_local.scopes, self)
        return self

    def __exit__(self, *error):
        _local.scopes = _local.scopes[:-1]

    def run(self, layer: Any, bound: Any) -> Any:
        """The layer's call on bound arguments, as this scope wants it."""
        if self.mode == "activations" and callable(getattr(layer, "activation", None)):
            return _with_light_activation(layer, bound)
        if self._wants(layer, bound):
            return _forgetting(layer, bound)
        return layer.call(*bound.args, **bound.kwargs)

    def _wants(self, layer, bound):
        if self.mode == "list_of_layers":
            return layer.name in self.layer_names
        # To forget a whole model is to compute the whole again, and to save nothing.
        if _local.inside or hasattr(layer, "fit"):
            return False
        if self.mode == "larger_than":
            return _output_size(layer, bound) > self.output_size_threshold
        return self.mode == "full"


def current_remat() -> RematScope | None:
    """The scope for layers made now, if any."""
    scope = _local.scopes[-1] if _local.scopes else None
    return scope if scope is not None and scope.mode is not None else None


def _output_size(layer, bound):
    arrays = [x for x in jax.tree.leaves((bound.args, bound.kwargs)) if isinstance(x, jax.Array)]
    if not all(isinstance(n, int) for x in arrays for n in x.shape):
        return 0  # only shapes are asked for
    result = capture(lambda: layer.call(*bound.args, **bound.kwargs)).result
    return sum(math.prod(y.shape) for y in jax.tree.leaves(result))


def _with_light_activation(layer, bound):
    held = vars(layer)
    kept = held["activation"]
    held["activation"] = remat(kept)
    try:
        return layer.call(*bound.args, **bound.kwargs)
    finally:
        held["activation"] = kept


def _forgetting(layer, bound):
    """The call through `jax.checkpoint`, with the masks that travel beside arrays."""

    def run(args, kwargs, masks):
        for x, mask in zip(jax.tree.leaves((args, kwargs)), masks, strict=True):
            if mask is not None:
                set_mask(x, mask)
        before, _local.inside = _local.inside, True
        try:
            outputs = layer.call(*args, **kwargs)
        finally:
            _local.inside = before
        return outputs, [get_mask(y) for y in jax.tree.leaves(outputs)]

    masks = [get_mask(x) for x in jax.tree.leaves((bound.args, bound.kwargs))]
    outputs, masks = remat(run)(bound.args, bound.kwargs, masks)
    for y, mask in zip(jax.tree.leaves(outputs), masks, strict=True):
        if mask is not None:
            set_mask(y, mask)
    return outputs
