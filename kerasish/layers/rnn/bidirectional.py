"""A recurrent layer run both ways."""

from typing import Any

import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.live_objects import live_objects
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.layers.base.layer import Layer

_MERGE = {
    "concat": lambda y, z: jnp.concatenate([y, z], axis=-1),
    "sum": jnp.add,
    "ave": lambda y, z: (y + z) / 2,
    "mul": jnp.multiply,
    None: lambda y, z: (y, z),
}


class Bidirectional(Layer):
    """Runs a recurrent layer forwards and a twin of it backwards, and merges their outputs.

    Both are made from the config of the layer given, which is left as it is. With
    `return_sequences`, outputs of masked steps are 0.

    Args:
        layer: Recurrent layer, or another one with `go_backwards`, `return_sequences`,
            `return_state` and `stateful`.
        merge_mode: How the two outputs become one: `"concat"` along the last axis, `"sum"`,
            `"mul"`, `"ave"`; `None` for both as a tuple.
        weights: Arrays to start from, the forward layer's first.
        backward_layer: Layer to run backwards, used as it is. `None` makes one like `layer`.

    Shapes:
        As of `layer`, with twice the last axis for `"concat"`. States: the forward layer's, then
        the backward one's; so in `initial_state` too.

    References:
        Schuster and Paliwal, 1997, "Bidirectional Recurrent Neural Networks".

    Example:
        >>> Bidirectional(keras.layers.LSTM(4))(np.ones((2, 5, 3))).shape
        (2, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise bad_argument(self, "layer", "a layer", layer)
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise bad_argument(self, "backward_layer", "a layer or None", backward_layer)
        if merge_mode not in _MERGE:
            raise bad_argument(self, "merge_mode", f"one of {tuple(_MERGE)}", merge_mode)
        self.merge_mode = merge_mode
        self.forward_layer = _twin(layer, "forward")
        self.backward_layer = backward_layer or _twin(layer, "backward", go_backwards=True)
        self._check_pair()
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = one.return_sequences
        self._start = weights
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self):
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            wanted = f"a layer with go_backwards={not forward.go_backwards}"
            raise bad_argument(self, "backward_layer", wanted, backward)
        for name in ("stateful", "return_sequences", "return_state"):
            value = getattr(forward, name)
            if getattr(backward, name) != value:
                raise bad_argument(self, "backward_layer", f"a layer with {name}={value}", backward)

    def build(self, sequences_shape: tuple, initial_state_shape: Any = None) -> None:
        """Build both layers.

        Args:
            sequences_shape: Shape of the sequences: `(batch, steps, ...)`.
            initial_state_shape: Shapes of the initial states, unused.
        """
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._start:
            self.set_weights(self._start)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        """Run both layers, and merge what they give.

        Args:
            sequences: `(batch, steps, ...)`.
            initial_state: States before the first step; zeros unless given, or what the last batch
                left where `stateful`.
            mask: `(batch, steps)`: steps to take; others leave output and states as they were.
            training: Whether this is training, so that dropout applies.
        """
        both = self.forward_layer, self.backward_layer
        options = [{"mask": mask, "training": training} for _ in both]
        if initial_state is not None:
            half = len(initial_state) // 2
            options[0]["initial_state"] = initial_state[:half]
            options[1]["initial_state"] = initial_state[half:]
        y, z = (layer(sequences, **o) for layer, o in zip(both, options, strict=True))
        states = ()
        if self.return_state:
            (y, *first), (z, *second) = y, z
            states = (*first, *second)
        y, z = y.astype(self.compute_dtype), z.astype(self.compute_dtype)
        if self.return_sequences:
            z = jnp.flip(z, axis=1)
        output = _MERGE[self.merge_mode](y, z)
        if not self.return_state:
            return output
        return (*output, *states) if self.merge_mode is None else (output, *states)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the steps, if the output has them.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        mask = mask if self.return_sequences else None
        # States have none: masks go to as many outputs as there are masks.
        return (mask, mask) if self.merge_mode is None else mask

    def _origin_of_mask(self, inputs, masks):
        return masks[0] if self.return_sequences else None

    @property
    def states(self) -> tuple | None:
        """Both layers' states; `None` if they are not stateful."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Let the next batch start from the initial states again."""
        if not self.stateful:
            raise AttributeError(f"{self.name}: only a stateful layer has states to reset.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def _argument(self, parameter, given):
        # The attribute `weights` is the list of Variables, as in every layer.
        return None if parameter.name == "weights" else super()._argument(parameter, given)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["weights"]
        return {
            **config,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }


def _twin(layer, direction, **changes):
    """A new layer of the same config."""
    with live_objects():
        data = serialize_keras_object(layer)
    name = f"{direction}_{layer.name.removeprefix(f'{direction}_')}"
    data["config"] = {**data["config"], **changes, "name": name}
    return deserialize_keras_object(data)
