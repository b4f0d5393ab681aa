"""`Model`: a layer that can be trained, saved and looked at."""

import inspect
import json
import warnings
from collections.abc import Mapping
from typing import Any

import jax

from kerasish import saving
from kerasish.core.errors import did_you_mean
from kerasish.core.serialization.live_objects import live_objects
from kerasish.core.serialization.registry import custom_object_scope
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.state.scope import innermost
from kerasish.core.symbolic.host_tensor import is_string
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers.base.calling import context
from kerasish.layers.base.layer import Layer
from kerasish.layers.base.signatures import as_tuples, map_shapes
from kerasish.models.fine_tuning import freeze_up_to, rates_by_depth
from kerasish.models.graph.graph import Function, starting_at_inputs
from kerasish.models.graph.graph_config import graph_config, rebuild_graph
from kerasish.models.graph.input_matching import arrange_inputs
from kerasish.models.inspection.batch_size import BatchSizes, find_batch_size
from kerasish.models.inspection.memory import MemoryEstimate, estimate_memory
from kerasish.models.inspection.profile import Profile, profile
from kerasish.models.inspection.summary import as_html_table, summarize
from kerasish.models.repeated_calls import MISSED, RepeatedCalls, is_possible
from kerasish.models.state_tree import set_state_tree, state_tree
from kerasish.saving.state.keras_2 import is_older, modernized, modernized_arguments
from kerasish.saving.state.keras_2_graph import is_older_config
from kerasish.training.trainer import Trainer


class Model(Trainer, Layer):
    """A layer with `fit`, `evaluate`, `predict`, `save` and `summary`.

    Made in three ways: from symbolic tensors, `Model(inputs, outputs)`; by subclassing, with
    layers made in `__init__` and used in `call`; or as a `Sequential`.

    Args:
        inputs: Symbolic tensors, from `keras.Input`, in any pytree of lists, tuples and dicts.
        outputs: Symbolic tensors computed from them, in any pytree.
        name: Name; generated if not given.

    Example:
        >>> from kerasish.layers import Dense, Input
        >>> x = Input((3,))
        >>> model = Model(x, Dense(2)(x))
        >>> model.output_shape, model.count_params()
        ((None, 2), 8)
    """

    def __new__(cls, *args, **kwargs):
        is_graph = cls is Model and (_are_tensors(args) or "outputs" in kwargs)
        return super().__new__(Model._graph_class if is_graph else cls, *args, **kwargs)  # pyright: ignore[reportArgumentType]

    _graph_class: type  # `Functional`, set where that is defined
    _not_saved = ("_function", "_graph_layers", "_calls", "_string_inputs")
    _calls: Any = None  # `RepeatedCalls` after the first
    _fixed_sizes = True  # whether inputs must have the sizes of the graph's own

    def __init__(self, inputs: Any = None, outputs: Any = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._function: Function | None = None
        if (inputs is None) != (outputs is None):
            given, missing = ("inputs", "outputs") if outputs is None else ("outputs", "inputs")
            raise ValueError(f"Model {self.name!r}: `{missing}` must be given with `{given}`.")
        if outputs is not None:
            self._set_graph(inputs, outputs)

    def __call__(self, *args, **kwargs):
        outside = innermost.scope is None and context.outermost is None
        if outside and vars(self).get("built") and is_possible() and not self.run_eagerly:
            calls: Any = self._calls
            if calls is None:
                calls = vars(self)["_calls"] = RepeatedCalls(self, super().__call__)
            result = calls(args, kwargs)
            if result is not MISSED:
                return result
        return super().__call__(*args, **kwargs)

    def _set_graph(self, inputs, outputs):
        """Let `call` run the graph between symbolic tensors."""
        inputs, outputs = starting_at_inputs(inputs, outputs)
        self._function = Function(inputs, outputs, name=self.name)
        self._graph_layers = [op for op in self._function.operations if isinstance(op, Layer)]
        self.built = True

    def _require_graph(self, what):
        if self._function is None:
            raise AttributeError(
                f"Model {self.name!r} has no `{what}`: it was not made from symbolic inputs and "
                "outputs."
            )
        return self._function

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """Run the graph; subclasses without one override this.

        Args:
            inputs: Array or pytree of arrays.
            training: Whether this is training; what the caller does, unless given.
            mask: Mask of the inputs, if there is one.
        """
        if self._function is None:
            raise NotImplementedError(
                f"Model {type(self).__name__} has no `call`: define `call(self, inputs)`, or make "
                "it from symbolic `inputs` and `outputs`."
            )
        outputs = self._function.run(arrange_inputs(self, inputs, mask))
        return _without_list(outputs)

    @property
    def _float_inputs_become(self):
        # In a graph, each input is cast to its own dtype when it is matched.
        return super()._float_inputs_become if self._function is None else None

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of a subclassed model, for inputs of this shape, by a trial call.

        Args:
            input_shape: Shape of the inputs with the batch axis, or pytree of shapes.
        """
        if self._has_no_build() and input_shape is not None:
            Layer.compute_output_shape(self, input_shape)

    def build_from_config(self, config: dict) -> None:
        """Build with the shapes that `get_build_config` gave.

        Args:
            config: What `get_build_config` gave.
        """
        if self.built or not config:
            return
        if not self._has_no_build():
            super().build_from_config(config)
            if all(layer.built for layer in self._flatten_layers()):
                return
        # What the layers inside are built by is a call.
        shapes = config.get("shapes_dict") or {"input_shape": config.get("input_shape")}
        try:
            if "string_inputs" in config:
                self._trial_call(shapes, config["string_inputs"])
            else:
                Layer.compute_output_shape(self, **shapes)
        except Exception as error:
            warnings.warn(
                f"Model {self.name!r} ({type(self).__name__}) could not be built for the shapes "
                f"{shapes} that its config names: {error} Call it on data before loading weights.",
                stacklevel=2,
            )

    def get_build_config(self) -> dict | None:
        """The shapes it was built with, for files, and which of its inputs are strings."""
        config = super().get_build_config()
        strings = vars(self).get("_string_inputs")
        return {**config, "string_inputs": strings} if config and strings else config

    def _ensure_built(self, tensors):
        if not self.built and any(map(is_string, jax.tree.leaves(tensors))):
            self._string_inputs = jax.tree.map(is_string, tensors)
        super()._ensure_built(tensors)

    def _trial_call(self, shapes, strings):
        """Build what is inside by a call on symbolic tensors."""
        flags = jax.tree.leaves(strings)
        shapes = list(map(as_tuples, shapes.values()))
        dtypes = iter("string" if flag else self.compute_dtype for flag in flags)
        tensors = [map_shapes(lambda shape: KerasTensor(shape, next(dtypes)), s) for s in shapes]
        self._ensure_built(dict(zip(strings, tensors, strict=True)))
        Layer.compute_output_spec(self, *tensors)

    def _has_no_build(self):
        return self._function is None and type(self).build is Model.build

    def _call_build(self, shapes):
        # A call follows, and builds the layers inside, so it needs no trial before it.
        if self._has_no_build():
            self._built_with = {f"{name}_shape": shape for name, shape in shapes.items()}
        else:
            super()._call_build(shapes)

    # -- parts

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self._sublayers() if self._function is None else list(self._graph_layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that index of `layers`.

        Args:
            name: Name of the layer.
            index: Its index.
        """
        if (name is None) == (index is None):
            raise ValueError("get_layer: give either `name` or `index`.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"get_layer: `index` must be below {len(layers)}; got {index}.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        raise ValueError(
            f"Model {self.name!r} has no layer {name!r}; it has {names}. "
            f"{did_you_mean(name, names)}".rstrip()
        )

    @property
    def _functional(self) -> Any:
        """The model itself if it has a graph; Keras' name for that inside of a `Sequential`."""
        return None if self._function is None else self

    @property
    def operations(self) -> list:
        """Layers and ops of the graph."""
        return self._require_graph("operations").operations

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in order."""
        return self._require_graph("inputs").inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in order."""
        return self._require_graph("outputs").outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs as symbolic tensors, for inputs that are.

        Where the whole graph cannot be traced at once, each layer says what it makes.

        Args:
            *args: Arguments of `call`, symbolic tensors for arrays.
            **kwargs: Arguments of `call` by name.
        """
        try:
            return super().compute_output_spec(*args, **kwargs)
        except Exception:
            if self._function is None:
                raise
            inputs = args[0] if args else kwargs["inputs"]
            return _without_list(self._function.run(arrange_inputs(self, inputs, None), _specs_of))

    @property
    def input(self) -> Any:
        """The symbolic input, or the pytree of them."""
        return super().input if self._function is None else self._function._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic output, or the pytree of them."""
        return super().output if self._function is None else self._function._outputs_struct

    @property
    def input_shape(self) -> Any:
        """Shape of the input, or the list of shapes of all inputs."""
        return _without_list([t.shape for t in self._require_graph("input_shape").inputs])

    @property
    def output_shape(self) -> Any:
        """Shape of the output, or the list of shapes of all outputs."""
        return _without_list([t.shape for t in self._require_graph("output_shape").outputs])

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [t.name for t in self.inputs]

    @property
    def output_names(self) -> list[str] | None:
        """Names of the outputs, by which losses and metrics are given: those of the last layers."""
        if self._function is None:
            return None
        return [t._keras_history.operation.name for t in self.outputs]

    # -- fine-tuning

    def freeze_up_to(self, layer: Any) -> None:
        """Freeze all layers up to one, that one too, and train all that come after it.

        A compiled model notices it when the next epoch begins, and the optimizer keeps the state of
        the weights that it continues to train: compiling again is not needed.

        Args:
            layer: The last layer to freeze: the layer itself, its name, also within a model inside
                this one, or its index in `layers`. `None` freezes none.

        Raises:
            ValueError: If the model has no such layer, or several of that name.

        Example:
            >>> from kerasish.layers import Dense, Input
            >>> model = keras.Sequential([Input((8,)), Dense(4), Dense(4, name="top"), Dense(2)])
            >>> model.freeze_up_to("top")
            >>> [layer.trainable for layer in model.layers]
            [False, False, True]
        """
        freeze_up_to(self, layer)

    def rates_by_depth(self, optimizer: Any, first: float = 0.01) -> Any:
        """Let an optimizer change the first layers by less than the last.

        Learning rates grow by equal factors from layer to layer; the last one has the optimizer's
        own. Schedules, and callbacks that set the learning rate, keep their proportions.

        Args:
            optimizer: The optimizer, not used yet.
            first: The part of the learning rate that the first layer with weights has, above 0 and
                at most 1.

        Returns:
            The optimizer, for `compile`.

        Raises:
            ValueError: If the model is not built.
            TypeError: For optimizers that do not apply a learning rate of their own, like those
                from optax.

        References:
            Howard and Ruder, 2018, "Universal Language Model Fine-tuning for Text Classification".

        Example:
            >>> from kerasish.layers import Dense, Input
            >>> model = keras.Sequential([Input((8,)), Dense(4), Dense(4), Dense(2)])
            >>> model.compile(model.rates_by_depth(keras.optimizers.Adam(1e-3)), "mse")
            >>> rates = model.optimizer.learning_rate_factors
            >>> [round(rates[f"{layer.name}/kernel"], 3) for layer in model.layers]
            [0.01, 0.1, 1.0]
        """
        return rates_by_depth(self, optimizer, first)

    # -- state

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict:
        """Values of all Variables: weights, the optimizer's and the metrics', by path.

        Args:
            value_format: `"backend_tensor"` for JAX's arrays, `"numpy_array"` for NumPy's.

        Returns:
            Nested dicts under `trainable_variables`, `non_trainable_variables`,
            `optimizer_variables` and `metrics_variables`.

        Example:
            >>> from kerasish.layers import Dense, Input
            >>> model = keras.Sequential([Input((8,)), Dense(4, name="head")], name="model")
            >>> list(model.get_state_tree()["trainable_variables"]["model"]["head"])
            ['kernel', 'bias']
        """
        return state_tree(self, value_format)

    def set_state_tree(self, state_tree: dict) -> None:
        """Assign what `get_state_tree` gave, or a part of it. The optimizer is built for its part.

        A warning names paths that the model does not have.

        Args:
            state_tree: Values by name, nested as `get_state_tree` has them.
        """
        set_state_tree(self, state_tree)

    # -- looks

    def __repr__(self):
        try:
            layers = self.layers
        except AttributeError:  # `super().__init__` has not run
            return f"<{type(self).__name__}, not initialized>"
        number = f"{len(layers)} layer{'' if len(layers) == 1 else 's'}"
        size = f"{self.count_params():,} params, built" if self.built else "not built"
        return f"<{type(self).__name__} {self.name!r}: {number}, {size}>"

    def _repr_html_(self):
        return as_html_table(self)

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        cost: Any = False,
        batch_size: int = 32,
    ) -> None:
        """Show a table of the layers: a text in the terminal, HTML in a notebook.

        With `cost`, each layer's FLOPs and the bytes it moves are shown beside it, and below the
        table those of the whole, forward and in a training step, for one batch. They are XLA's own
        count: of the arithmetic as written (a product of matrices counts 2 for each pair of
        numbers multiplied, exponentials and the like count nothing), of the bytes as they are read
        and written once XLA has fused each layer. Nothing is run. Ops between layers count in the
        whole only, loops whose length the program decides as one iteration.

        Args:
            line_length: Width of the text in characters. `None`: as wide as its cells need and
                the terminal has; elsewhere 80, or 100 with a column of connections.
            positions: Kept for Keras' sake: relative widths of the columns.
            print_fn: Function that takes the text, instead of showing it.
            expand_nested: Whether to list the layers of models inside.
            show_trainable: Whether to add a column saying what is trained.
            layer_range: Names (or patterns) of the first and last layer to list.
            cost: Whether to add what layers cost. A sample of the inputs does so too, for models
                whose inputs have sizes that are not set.
            batch_size: Rows of the batch that `cost` is for.
        """
        shown = (line_length, print_fn, expand_nested, show_trainable, layer_range)
        summarize(self, *shown, cost, batch_size)

    def estimate_memory(self, batch_size: int = 32, x: Any = None, y: Any = None) -> MemoryEstimate:
        """What training will take on the device, in bytes, before it runs.

        The step is compiled, and XLA asked what it plans for it. Not counted: what JAX and Python
        take themselves, and data that waits elsewhere.

        Args:
            batch_size: Rows of a batch.
            x: A sample of the inputs, for a model that cannot tell what they are like.
            y: A sample of the targets. `None`: like those last trained on; otherwise like the
                outputs, or class numbers where a sparse loss wants them.

        Returns:
            The estimate: `weights`, `optimizer`, `metrics`, `gradients`, `activations`, `data`,
            `program`, and `total`; shown as a table.

        Example:
            >>> from kerasish.layers import Dense, Input
            >>> model = keras.Sequential([Input((8,)), Dense(4)])
            >>> model.compile("adam", "mse")
            >>> model.estimate_memory(32).gradients
            144
        """
        return estimate_memory(self, batch_size, x, y)

    def find_batch_size(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        start: int = 32,
        most: int | None = None,
    ) -> BatchSizes:
        """Find the largest batch that fits: train steps with ever larger ones, and undo it all.

        Sizes are doubled, then narrowed down to an eighth. What XLA plans to take is held against
        what is free on the device before a step runs, so that the machine does not run out of
        memory. Afterwards weights, optimizer, metrics and random states are what they were.

        Args:
            x: Inputs, as for `fit`: arrays, of as many samples as may be put in a batch.
            y: Targets.
            sample_weight: Weight of each sample.
            start: First size to try.
            most: Largest size to try; `None`: all samples.

        Returns:
            `largest`, `fastest` and `trials`, with memory and time of each size; shown as a table.

        Example:
            >>> from kerasish.layers import Dense
            >>> model = keras.Sequential([Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> found = model.find_batch_size(np.ones((256, 3)), np.ones((256, 1)))
            >>> found.largest, found.note
            (256, '256 samples were given')
        """
        return find_batch_size(self, x, y, sample_weight, start, most)

    def profile(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> Profile:
        """Train for an epoch to see where the time goes, layer by layer and as a whole; undo it.

        Each layer's call, and its gradients, are compiled and timed by themselves, on what it is
        called on in the model. As XLA fuses across layers, the model is faster than their sum.
        Afterwards weights, optimizer, metrics and random states are what they were.

        Args:
            x: Inputs, as for `fit`.
            y: Targets.
            sample_weight: Weight of each sample.
            batch_size: Samples in a batch; 32 for arrays.
            steps: Batches to run; `None` for one pass over the data.

        Returns:
            A profile with `layers`, `step` and `times`, shown as a table, and `plot()`.

        Example:
            >>> from kerasish.layers import Dense
            >>> model = keras.Sequential([Dense(8), Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> seen = model.profile(np.ones((64, 3)), np.ones((64, 1)))
            >>> [layer.kind for layer in seen.layers]
            ['Dense', 'Dense']
        """
        return profile(self, x, y, sample_weight, batch_size, steps)

    # -- files

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Save architecture, weights and optimizer; see `keras.saving.save_model`.

        The state of random generators (of `Dropout` and the like) is not in the file, as in Keras.

        Args:
            filepath: Path of the file.
            overwrite: Whether to replace a file that is there.
            zipped: Whether to write one file rather than a folder; by default what the path says.
            **kwargs: Further arguments of `keras.saving.save_model`.
        """
        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Save the weights; see `keras.saving.save_weights`.

        Args:
            filepath: Path of the file.
            overwrite: Whether to replace a file that is there.
            **kwargs: Further arguments of `keras.saving.save_weights`.
        """
        saving.save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Load weights saved here or with Keras; see `keras.saving.load_weights`.

        Args:
            filepath: Path of the file.
            skip_mismatch: Whether to leave out layers that do not fit.
            **kwargs: Further arguments of `keras.saving.load_weights`.
        """
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON; `keras.models.model_from_json` reads it.

        Args:
            **kwargs: Arguments of `json.dumps`.
        """
        return json.dumps(serialize_keras_object(self), **kwargs)

    def get_config(self) -> dict:
        """The graph if there is one, or the arguments that make this model again, as plain data."""
        if self._function is None or not (_takes_tensors(type(self)) or self._given_tensors()):
            return _without_tensors(super().get_config())
        graph = graph_config(self._function)
        return {**self._own_arguments(), "name": self.name, "trainable": self.trainable, **graph}

    def _own_arguments(self):
        """What the class takes beside the graph and what all models take, as plain data."""
        config = super().get_config() if has_own_arguments(type(self)) else {}
        skipped = ("inputs", "outputs", "name", "trainable")
        own = {name: value for name, value in config.items() if name not in skipped}
        tensors = [name for name, value in own.items() if _any_written_tensor(value)]
        if tensors:
            raise TypeError(
                f"Model {self.name!r} ({type(self).__name__}): its graph cannot be written, as "
                f"`__init__` takes the symbolic tensors as {tensors}. Call these arguments "
                "`inputs` and `outputs`, or make the graph in `__init__`."
            )
        return own

    def _with_graph(self, inputs, outputs):
        """Another model of this class and its arguments; `None` if it makes the graph itself."""
        if not (_takes_tensors(type(self)) or self._given_tensors()):
            return None
        with live_objects():
            own = self._own_arguments()
        options = {"name": self.name, **deserialize_keras_object(own)}
        return _made_of_tensors(type(self), inputs, outputs, options)

    def _given_tensors(self):
        """Whether the graph was given to `__init__`, not made in it."""
        args, kwargs = self._given
        return any(map(_any_tensor, (*args, *kwargs.values())))

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict[str, Any] | None = None) -> Any:
        """Make the model again, with new weights.

        Args:
            config: What `get_config` gave.
            custom_objects: Classes and functions by the names that the config has.
        """
        config = modernized_arguments(config, "Functional", custom_objects)
        with custom_object_scope(custom_objects or {}):
            if "input_layers" not in config or "layers" not in config:
                return super().from_config(config)
            inputs, outputs = rebuild_graph(config)
            graph = ("layers", "input_layers", "output_layers", "name", "trainable")
            own = {key: value for key, value in config.items() if key not in graph}
            own = deserialize_keras_object(own) if has_own_arguments(cls) else {}
        made = _made_of_tensors(cls, inputs, outputs, {"name": config.get("name"), **own})
        if not config.get("trainable", True):
            made.trainable = False
        return made


def _are_tensors(args):
    return len(args) >= 1 and (len(args) >= 2 or _any_tensor(args[0]))


def _any_tensor(x):
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, list | tuple):
        return any(map(_any_tensor, x))
    return isinstance(x, KerasTensor)


def _any_written_tensor(value):
    if isinstance(value, dict):
        is_tensor = value.get("class_name") == "__keras_tensor__"
        return is_tensor or any(map(_any_written_tensor, value.values()))
    return isinstance(value, list | tuple) and any(map(_any_written_tensor, value))


def _specs_of(operation, args, kwargs):
    """What a layer or op of a graph makes of symbolic tensors, the call not being recorded."""
    if isinstance(operation, Layer):
        return operation.compute_output_spec(*args, **kwargs)
    return operation(*args, **kwargs)


def _takes_tensors(cls):
    """Whether a class is made as `Model(inputs, outputs)` is."""
    parameters = _parameters_of(cls)
    kinds = [p.kind for p in parameters]
    handed_on = kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]
    return handed_on or [p.name for p in parameters[:2]] == ["inputs", "outputs"]


def _parameters_of(cls):
    return list(inspect.signature(cls.__init__).parameters.values())[1:]


_OF_MODELS = ("inputs", "outputs", "layers", "name", "trainable", "dtype")
_STARS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def has_own_arguments(cls: type) -> bool:
    """Whether a class takes more than a functional model does.

    Args:
        cls: The class.
    """
    return any(p.kind not in _STARS and p.name not in _OF_MODELS for p in _parameters_of(cls))


def _without_tensors(config):
    return {name: value for name, value in config.items() if name not in ("inputs", "outputs")}


def _made_of_tensors(cls, inputs, outputs, options):
    """A model of that class from a graph, by name where it takes names, else in order."""
    name, options = options.get("name"), taken_by(cls, options)
    parameters = _parameters_of(cls)
    names, kinds = [p.name for p in parameters], [p.kind for p in parameters]
    by_name = "outputs" in names or inspect.Parameter.VAR_KEYWORD in kinds
    if by_name and names[:1] != ["inputs"] and inspect.Parameter.VAR_POSITIONAL not in kinds:
        made = cls(inputs=inputs, outputs=outputs, **options)
    else:
        first = parameters[: kinds.index(_STARS[0])] if _STARS[0] in kinds else []
        made = cls(*(options.pop(p.name) for p in first), inputs, outputs, **options)
    made.name = name or made.name  # where `__init__` takes none
    return made


def taken_by(cls: type, options: dict[str, Any]) -> dict[str, Any]:
    """The options without a name and a dtype that the class does not take.

    Args:
        cls: The class.
        options: Arguments by name.
    """
    parameters = _parameters_of(cls)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(options)
    names = {p.name for p in parameters}
    return {k: v for k, v in options.items() if k in names or k not in _OF_MODELS}


def _without_list(items):
    """The only item of a list or tuple of one; anything else as it is."""
    return items[0] if isinstance(items, list | tuple) and len(items) == 1 else items


def model_from_json(
    json_string: str | bytes, custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """A model of what `model.to_json()` gave, here or in Keras, with new weights.

    Args:
        json_string: The JSON. `hard_sigmoid` has its older slope if a `keras_version` before 3
            stands in it.
        custom_objects: Names to classes and functions of one's own that the model uses.

    Returns:
        The model, not compiled unless the config says how.

    Raises:
        TypeError: If the config names a class or function that is not known.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model_from_json(model.to_json()).output_shape
        (None, 1)
    """
    config = json.loads(json_string)
    says_so = isinstance(config, dict) and "keras_version" in config
    if (says_so and is_older(config["keras_version"])) or is_older_config(config):
        config = modernized(config, custom_objects)
    return deserialize_keras_object(config, custom_objects=custom_objects)
