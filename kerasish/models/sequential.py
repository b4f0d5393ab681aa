"""Models that are a plain stack of layers."""

from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name, name_scope
from kerasish.core.serialization.live_objects import live_objects
from kerasish.core.serialization.registry import custom_object_scope
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.symbolic.graph import node_of
from kerasish.core.symbolic.host_tensor import is_string
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.layer import Layer
from kerasish.layers.core.input_layer import Input, InputLayer
from kerasish.models.functional import Functional
from kerasish.models.graph.graph import Function
from kerasish.models.model import Model, has_own_arguments, taken_by
from kerasish.saving.state.keras_2 import modernized_arguments

_OF_STACKS = ("layers", "name", "trainable", "dtype")


class Sequential(Model):
    """Layers one after the other, each with one input and one output.

    Args:
        layers: The layers, in order. The first may be a `keras.Input`, which builds the model at
            once; otherwise it is built when it first sees data.
        trainable: Whether training changes it.
        name: Name; generated if not given.

    Example:
        >>> from kerasish.layers import Dense
        >>> model = Sequential([Input((8,)), Dense(30, "relu"), Dense(10)])
        >>> model.output_shape
        (None, 10)
    """

    _not_saved = ("_stack",)

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ):
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._stack: list[Layer] = []
        if layers is None:
            layers = []
        for layer in layers if isinstance(layers, list | tuple) else [layers]:
            self._append(layer)
        self._try_to_build()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top.

        Args:
            layer: The layer.
            rebuild: Whether to build the model again at once.
        """
        before = self._stack, self._function, self.built
        self._append(layer)
        if not rebuild:
            return
        try:
            if before[1] is None:
                self._try_to_build()
            else:
                self._extend(before[1])
        except Exception:
            self._stack, self._function, self.built = before  # what does not fit is not kept
            raise

    def _extend(self, function):
        with name_scope(self.name, owner=self):
            self._set_function(function.inputs[0], self._stack[-1](function.outputs[0]))

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off, and return it.

        Args:
            rebuild: Whether to build the model again at once.
        """
        if not self._stack or (len(self._stack) == 1 and isinstance(self._stack[0], InputLayer)):
            raise ValueError(f"Sequential {self.name!r} has no layer to take off.")
        function, (*self._stack, layer) = self._function, self._stack
        self._unbuild()
        if rebuild and function is not None and self.layers:
            self._set_function(function.inputs[0], node_of(function.outputs[0]).inputs[0])
        return layer

    def _append(self, layer):
        if isinstance(layer, KerasTensor) and layer._keras_history is not None:
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            hint = "Wrap a function in `keras.layers.Lambda`." if callable(layer) else ""
            raise ValueError(
                f"Sequential {self.name!r}: only layers can be added; got {layer!r} "
                f"of type {type(layer).__name__}. {hint}".rstrip()
            )
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError(
                f"Sequential {self.name!r} already has layers: an Input must come first."
            )
        if any(layer.name == other.name and layer is not other for other in self._stack):
            raise ValueError(
                f"Sequential {self.name!r}: all layers need different names; {layer.name!r} is "
                "there already."
            )
        shape = layer._input_shape_arg
        if not self._stack and shape is not None:
            self._stack = [InputLayer(batch_shape=shape, dtype=layer.compute_dtype)]
        self._stack = [*self._stack, layer]
        self._unbuild()

    def _unbuild(self):
        self._function, self.built, self._locked = None, False, False

    def _try_to_build(self):
        if len(self._stack) < 2 and not (self._stack and isinstance(self._stack[0], Model)):
            return
        first = self._stack[0]
        if isinstance(first, InputLayer):
            self.build(first.batch_shape)
        elif isinstance(first, Model) and first._function is not None and len(first.inputs) == 1:
            self.build(first.inputs[0].shape)

    def build(self, input_shape: Any = None) -> None:
        """Build every layer for inputs of this shape (batch axis included).

        Args:
            input_shape: Shape of the inputs with the batch axis, or pytree of shapes.
        """
        if self.built:
            self._check_shape(input_shape)
            return
        if not self._stack:
            raise ValueError(
                f"Sequential {self.name!r} has no layers yet; `add` some before building."
            )
        if input_shape is None:
            raise ValueError(f"Sequential {self.name!r}: `build` needs the input's shape.")
        self._build_on(tuple(input_shape), self._input_dtype())

    def _build_on(self, shape, dtype):
        if isinstance(self._stack[0], InputLayer):
            tensor = self._stack[0].output
        else:
            tensor = Input(batch_shape=shape, dtype=dtype)
        x = tensor
        for layer in self.layers:
            x = layer(x)
        self._set_function(tensor, x)

    def _check_shape(self, shape):
        if shape is None or not isinstance(self._stack[0], InputLayer):
            return
        own, shape = self.input_shape, tuple(shape)
        fits = len(own) == len(shape) and all(
            n is None or m is None or n == m for n, m in zip(own, shape, strict=True)
        )
        if not fits:
            raise bad_argument(self, "input_shape", f"that of its Input, {own}", shape)

    def _set_function(self, inputs, outputs):
        # Named as Keras names the functional model inside, so that later ones get equal names.
        self._function = Function(inputs, outputs, name=auto_name("functional"))
        self.built = True

    def _ensure_built(self, tensors):
        if not self.built and self._stack:
            (x, *_) = tensors.values()
            if isinstance(x, dict | list | tuple):
                self.built = True  # without a graph, which starts at a single tensor
                return
            shape = (None, *x.shape[1:])  # the next batch may have another size
            try:
                self._build_on(shape, "string" if is_string(x) else self._input_dtype())
            except NotImplementedError:  # a layer of the user's that cannot tell its shape
                self.built = True

    @property
    def _fixed_sizes(self):
        # Without an Input of the user's, sizes are only those of the first data seen.
        return isinstance(self._stack[0], InputLayer)

    def _input_dtype(self):
        wanted = getattr(self.layers[0], "input_dtype", None)
        return wanted or self.compute_dtype

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input's."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The layers, one after the other.

        Args:
            inputs: What the first layer takes.
            training: Whether this is training; what the caller does, unless given.
            mask: Mask of the inputs, if there is one.
        """
        if not self.built:
            raise ValueError(f"Sequential {self.name!r} has no layers yet.")
        if self._function is None:
            for layer in self.layers:
                inputs = layer(inputs)
            return inputs
        return super().call(inputs, training=training, mask=mask)

    @property
    def _functional(self) -> Any:
        """A functional model of the same layers, once there is a graph; the name is Keras'."""
        if self._function is None:
            return None
        return Functional(self._function._inputs_struct, self._function._outputs_struct)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape after the last layer.

        Args:
            input_shape: Shape of the input, or pytree of shapes.
        """
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict:
        """Keras' form: the layers in order."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy}
        config = {k: serialize_keras_object(v) for k, v in config.items()} | self._own_arguments()
        stack = self._stack
        if self._function is not None and not isinstance(stack[0], InputLayer):
            stack = [self.inputs[0]._keras_history.operation, *stack]
        config["layers"] = [serialize_keras_object(layer) for layer in stack]
        if self._function is not None:
            config["build_input_shape"] = self.input_shape
        return config

    def _own_arguments(self):
        """What a subclass takes beside the layers and what all models take, as plain data."""
        config = super(Model, self).get_config() if has_own_arguments(type(self)) else {}
        return {name: value for name, value in config.items() if name not in _OF_STACKS}

    def _with_layers(self, layers):
        """Another model of this class and its arguments; `None` if it makes layers itself."""
        with live_objects():
            own = self._own_arguments()
        options = {"name": self.name, "dtype": self.dtype_policy, **deserialize_keras_object(own)}
        made = type(self)(**taken_by(type(self), options))
        if made._stack:
            return None
        made.name = self.name
        for layer in layers:
            made.add(layer, rebuild=False)
        made._try_to_build()
        return made

    def get_build_config(self) -> dict | None:
        """The input's shape."""
        return {"input_shape": self.input_shape} if self._function is not None else None

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict[str, Any] | None = None) -> Any:
        """Make the model again, with new weights.

        Args:
            config: What `get_config` gave.
            custom_objects: Classes and functions by the names that the config has.
        """
        config = modernized_arguments(config, "Sequential", custom_objects)
        own = {k: v for k, v in config.items() if k not in (*_OF_STACKS, "build_input_shape")}
        with custom_object_scope(custom_objects or {}):
            own = deserialize_keras_object(own)
        options = {"name": config.get("name"), "dtype": config.get("dtype"), **own}
        made = cls(**taken_by(cls, options))
        made.name = config.get("name") or made.name  # where `__init__` takes none
        known: dict[str, Layer] = {}  # a layer may stand at several positions
        for element in config["layers"][len(made._stack) :]:  # a subclass may make some itself
            layer = deserialize_keras_object(element, custom_objects=custom_objects)
            made.add(known.setdefault(layer.name, layer), rebuild=False)
        made._try_to_build()
        shape = config.get("build_input_shape")
        if not made.built and shape and made._stack:
            made.build(tuple(shape))
        if not config.get("trainable", True):
            made.trainable = False
        return made
