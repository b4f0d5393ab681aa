"""Layers that carry other functions and layers: identity, lambda, masking, wrapper."""

import inspect
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import custom_object_scope, find_function
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.symbolic.keras_tensor import MaskOrigin
from kerasish.layers.base.layer import Layer


class Identity(Layer):
    """Its inputs, as they are.

    Shapes:
        Any pytree of arrays -> the same.

    Example:
        >>> Identity()(np.array([1.0, 2.0]))
        Array([1., 2.], dtype=float32)
    """

    passes_strings = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function as a layer: `function(inputs, **arguments)`.

    The function may be any code on arrays. To save the model, give it a name (`def`) and
    register it; a `lambda` cannot be read back from a file.

    Args:
        function: Called with the inputs; also with `mask` and `training` where it takes them.
        output_shape: Kept for Keras' sake; the shape is inferred by JAX.
        mask: Function `(inputs, mask) -> mask` of the result, or the mask itself.
        arguments: Further keyword arguments of the function.

    Example:
        >>> Lambda(lambda x: x**2)(np.array([1.0, 3.0]))
        Array([1., 9.], dtype=float32)
    """

    passes_strings = True

    def __init__(
        self,
        function: Callable,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise bad_argument(self, "function", "callable", function)
        self.function = function
        self.output_shape = output_shape
        self.mask = mask
        self.arguments = arguments or {}
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """`function` of the inputs.

        Args:
            inputs: Argument of `function`.
            mask: Passed to `function` if it has an argument `mask`.
            training: Passed to `function` if it has an argument `training`.
        """
        offered = {"mask": mask, "training": training}
        wanted = {k: v for k, v in offered.items() if k in _argument_names(self.function)}
        return self.function(inputs, **{**self.arguments, **wanted})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """What the argument `mask` of the layer is, or gives.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    @classmethod
    def from_config(
        cls, config: dict, custom_objects: Any = None, safe_mode: bool | None = None
    ) -> "Lambda":
        """Make the layer again.

        Args:
            config: What `get_config` gave.
            custom_objects: Classes and functions of one's own by name.
            safe_mode: Kept for Keras' sake: no code in a config is ever run.
        """
        with custom_object_scope(custom_objects or {}):
            if isinstance(config.get("function"), str):
                config = {**config, "function": find_function(config["function"])}
            made: Any = super().from_config(config)
        return made

    def get_config(self) -> dict:
        config = super().get_config()
        config["function"] = serialize_keras_object(self.function)  # a name alone is no function
        unused = [name for name in ("output_shape", "mask") if config[name] is None]
        return {k: v for k, v in config.items() if k not in unused}


def _argument_names(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:  # some functions written in C do not tell
        return ()


class Masking(Layer):
    """Marks the time steps whose features all equal `mask_value`, and sets them to 0.

    Layers after it skip these steps where they support masks.

    Args:
        mask_value: The value that stands for "nothing here".

    Shapes:
        `(batch, steps, features)` -> the same, with a mask `(batch, steps)`.

    Example:
        >>> Masking().compute_mask(np.array([[[1.0, 0.0], [0.0, 0.0]]]))
        Array([[ True, False]], dtype=bool)
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Where a step has another value than `mask_value`.

        Args:
            inputs: What the layer is called on.
            mask: Mask of the inputs, or one for each of them; `None` where there is none.
        """
        return jnp.any(inputs != self.mask_value, axis=-1)

    def _origin_of_mask(self, inputs, masks):
        return MaskOrigin(inputs[0].ndim - 1, ((inputs[0], 2),))

    def call(self, inputs: Any) -> Any:
        return jnp.where(jnp.any(inputs != self.mask_value, axis=-1, keepdims=True), inputs, 0)


class Wrapper(Layer):
    """Base of layers that hold another one in `layer`, and build it with themselves.

    Args:
        layer: The layer to hold.

    Example:
        >>> class Doubled(Wrapper):
        ...     def call(self, inputs):
        ...         return 2 * self.layer(inputs)
        >>> print(Doubled(Identity())(np.array([1.0, 2.0])))
        [2. 4.]
    """

    def __init__(self, layer: Any, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise bad_argument(self, "layer", "a layer", layer)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True

    @classmethod
    def from_config(cls, config: dict) -> Any:
        config = dict(config)
        return cls(deserialize_keras_object(config.pop("layer")), **config)
