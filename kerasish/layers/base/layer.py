"""`Layer`: what holds weights and computes with them. Models are layers too."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from kerasish import regularizers
from kerasish.core import dtypes, processes
from kerasish.core.errors import bad_argument, no_super, see
from kerasish.core.names import auto_name, current_path, name_scope, next_serial
from kerasish.core.state.changes import changes
from kerasish.core.state.scope import Scope
from kerasish.core.state.trace_list import TraceList
from kerasish.core.state.tracking import parts
from kerasish.core.state.variable import Variable, values_of
from kerasish.core.symbolic.graph import node_of, record
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import KerasTensor, MaskOrigin, any_symbolic
from kerasish.core.symbolic.operation import Operation
from kerasish.core.tracebacks import short_tracebacks
from kerasish.layers.base import calling, losses, messages
from kerasish.layers.base import weights as weights_of
from kerasish.layers.base.arguments import Named, boolean, without_old_arguments
from kerasish.layers.base.calling import context, symbolic_leaves
from kerasish.layers.base.input_spec import check_inputs
from kerasish.layers.base.remat import current_remat
from kerasish.layers.base.signatures import (
    as_tuples,
    build_arguments,
    known_sizes,
    map_shapes,
    signature_of,
    tensor_arguments,
)


def _bookkept(build):
    """Wrap a `build` so that direct calls too name the weights, keep the shapes and set `built`."""

    @functools.wraps(build)
    def wrapped(self, *args, **kwargs):
        with name_scope(self.name, owner=self), dtypes.autocast(None):
            self._own_policy = self._policy.at(current_path())
            before, self._building = self._building, True
            try:
                build(self, *args, **kwargs)
            finally:
                self._building = before
        bound = inspect.signature(build).bind(self, *args, **kwargs)
        self._built_with = dict(list(bound.arguments.items())[1:])
        self.built = True

    return wrapped


# What parts of the library ask of layers and models, and users need not: `dir` leaves it out.
BETWEEN_PARTS = {
    "adapted_weight",
    "old_arguments",
    "place_in_data",
    "resume_from",
    "set_lora_options",
}


# Attributes that are set again and again while models train, in turns or at all.
_OF_TRAINING = frozenset(("trainable", "_trainable", "_frozen", "stop_training", "history"))


class Layer(Operation):
    """Weights, and a computation with them.

    Subclass it with `build`, which makes weights once the input's shape is known, and `call`, the
    computation, in plain `jax.numpy` or `keras.ops`. Layers, Variables and lists or dicts of them
    held as attributes are found, and count as parts of this layer.

    Args:
        activity_regularizer: Regularizer of the output, or its name.
        trainable: Whether its weights are trained.
        dtype: A dtype's name or a `DTypePolicy`. `None`: the global policy.
        autocast: Whether float inputs are cast to the compute dtype.
        name: Name; made from the class's name if not given.

    Example:
        >>> class Scale(Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> layer = Scale()
        >>> layer(np.ones((2, 3))).shape, layer.count_params()
        ((2, 3), 3)
    """

    _set_by_init = "_initialized"
    _building = False
    # Arguments in Keras' older configs, with the values that may be dropped; `None`: any.
    old_arguments: ClassVar[dict[str, tuple | None]] = {}
    # Whether a layer of kerasish's makes numbers of strings, on the host, or lets them pass.
    takes_strings = False
    passes_strings = False
    _not_parts = ("_built_with", "_frozen", "_set_at")
    _not_saved = ("activity_regularizer", "input_spec", "_added_losses", "_frozen", "_weights")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _bookkept(cls.build)

    def __init__(
        self,
        *,
        activity_regularizer: Named = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            shape = (kwargs.pop("input_dim"),)
        batch_size = kwargs.pop("batch_size", None)
        if "batch_input_shape" in kwargs:  # Keras 2
            batch_size, *shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ValueError(messages.unknown_arguments(type(self), kwargs))
        object.__setattr__(self, "_initialized", True)
        self._serial = next_serial()
        self.name = auto_name(type(self).__name__) if name is None else name
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument(type(self), "name", "a string without '/'", name)
        self.dtype_policy = dtype
        self._remat = current_remat()
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = self._makes_no_weights()
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self.input_spec = None
        self._trainable = boolean(self, "trainable", trainable)
        self._weights = []
        self._frozen = []
        self._added_losses = TraceList()
        self._loss_functions: list[Callable] = []
        self._locked = False
        self._built_with = None
        self._output_shapes = []
        self._input_shape_arg = None if shape is None else (batch_size, *shape)

    def __new__(cls, *args, **kwargs):
        known = signature_of(cls, "__init__")
        if not known.takes_any and not kwargs.keys() <= known.parameters.keys():
            raise TypeError(messages.unknown_arguments(cls, kwargs))
        return super().__new__(cls, *args, **kwargs)

    def _makes_no_weights(self):
        """Whether it is a layer of kerasish's that has nothing to build."""
        return type(self).build is Layer.build and type(self).call.__module__.startswith(
            "kerasish.layers"
        )

    # -- dtype and identity

    @property
    def dtype_policy(self) -> Any:
        """What it computes in and what it keeps its weights in."""
        return self._policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._policy = dtypes.get_policy(value)
        self._own_policy = self._policy

    @property
    def dtype(self) -> str:
        """The dtype of its weights."""
        return self._own_policy.variable_dtype

    variable_dtype = dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype it computes in."""
        return self._own_policy.compute_dtype

    input_dtype = compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How its weights are quantized, as its dtype policy says; `None`: they are not."""
        return getattr(self._policy, "quantization_mode", None)

    @property
    def path(self) -> str:
        """Where it stands: the open name scopes, then its name."""
        return "/".join(part for part in (current_path(), self.name) if part)

    def _argument(self, parameter, given):
        if parameter.name == "dtype":
            return self._policy
        return super()._argument(parameter, given)

    def get_config(self) -> dict:
        """The arguments that make this layer again, as plain data."""
        config = super().get_config()
        config.pop("autocast", None)
        takes_it = "activity_regularizer" in signature_of(type(self), "__init__").parameters
        if config.get("activity_regularizer") is None and not takes_it:
            config.pop("activity_regularizer", None)
        return config

    @classmethod
    def from_config(cls, config: dict) -> "Layer":
        """Make the layer that `get_config` described, also in an older version of Keras.

        Args:
            config: Arguments of `__init__`, as plain data.
        """
        return super().from_config(without_old_arguments(cls, config))

    def get_build_config(self) -> dict | None:
        """The shapes it was built with, for files."""
        shapes = self._built_with
        if shapes and len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)} if shapes else None

    def build_from_config(self, config: dict) -> None:
        """Build with the shapes that `get_build_config` gave.

        Args:
            config: What it gave: shapes by the names of `build`'s arguments.
        """
        if self.built or not config:
            return
        shapes = config.get("shapes_dict") or {"input_shape": config.get("input_shape")}
        shapes = {name: as_tuples(shape) for name, shape in shapes.items()}
        if len(shapes) > 1:
            self.build(**shapes)
        elif None not in shapes.values():
            self.build(*shapes.values())

    # -- weights

    # `Metric`, set where that is defined.
    _metric_class: type | tuple = ()

    def add_weight(
        self,
        shape: Sequence[int] | int | None = None,
        initializer: Any = None,
        name: str | None = None,
        *,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        synchronization: str = "auto",
    ) -> Variable:
        """Make a Variable that belongs to this layer.

        Args:
            shape: Its shape; a scalar by default.
            initializer: Initializer, its name, or a function `(shape, dtype)`. `None`: Glorot
                uniform for floats, zeros otherwise.
            name: Its name.
            dtype: Its dtype; `None`: the policy's variable dtype.
            trainable: Whether it is trained while the layer is.
            autocast: Whether it is read in the compute dtype inside `call`.
            regularizer: Penalty added to the layer's losses.
            constraint: Function applied to it after each update.
            aggregation: Kept for Keras' sake, as `synchronization`.
            synchronization: Kept for Keras' sake.

        Raises:
            ValueError: If a size is unknown.
            RuntimeError: If the layer has been called before.
        """
        self._check_initialized()
        options = {"trainable": trainable, "autocast": autocast}
        options |= {"aggregation": aggregation, "synchronization": synchronization}
        rules = dtype, regularizer, constraint
        variable = weights_of.new_weight(self, shape, initializer, name, *rules, **options)
        self._weights.append(variable)
        return variable

    def add_variable(
        self,
        shape: Sequence[int] | int,
        initializer: Any,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Same as `add_weight`, with the arguments in another order.

        Args:
            shape: As of `add_weight`, like all others.
            initializer: As there.
            dtype: As there.
            trainable: As there.
            autocast: As there.
            regularizer: As there.
            constraint: As there.
            name: As there.
        """
        options = {"dtype": dtype, "trainable": trainable, "autocast": autocast}
        rules = {"regularizer": regularizer, "constraint": constraint}
        return self.add_weight(shape, initializer, name, **options, **rules)

    def _own_variables(self) -> list[Variable]:
        return weights_of.in_keras_order(parts(self, Variable))

    def _sublayers(self) -> list["Layer"]:
        return list(parts(self, Layer))

    def _flatten_layers(self, include_self=True, recursive=True) -> list["Layer"]:
        return list(weights_of.flatten_layers(self, include_self, recursive))

    def _passing_variables(self) -> list[Variable]:
        """Variables that no file holds: random states."""
        return weights_of.random_states(self)

    @property
    def variables(self) -> list[Variable]:
        """All Variables of the layer and those inside it, random states included."""
        return weights_of.all_variables(self, with_seeds=True)

    @property
    def weights(self) -> list[Variable]:
        """All Variables that files hold: trained and not, without random states."""
        return weights_of.all_variables(self, with_seeds=False)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that training changes: those of layers that are not frozen."""
        found: dict[int, Variable] = {}
        weights_of.collect_trainable(self, Layer, found)
        return list(found.values())

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """All other Variables: statistics, frozen weights, random states."""
        return weights_of.without(self.variables, self.trainable_variables)

    @property
    def trainable_weights(self) -> list[Variable]:
        """Same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """As `non_trainable_variables`, without random states."""
        return weights_of.without(self.weights, self.trainable_variables)

    @property
    def metrics(self) -> list:
        """Metrics that the layer and those inside it hold."""
        held = (parts(layer, self._metric_class) for layer in self._flatten_layers())
        return list(dict.fromkeys(metric for metrics in held for metric in metrics))

    @property
    def _metrics(self) -> list:
        """The layer's own metrics: libraries made for Keras read and set them by this name."""
        held = vars(self).get("_metrics")
        return list(parts(self, self._metric_class)) if held is None else held

    @_metrics.setter
    def _metrics(self, metrics):
        vars(self)["_metrics"] = metrics

    @property
    def metrics_variables(self) -> list[Variable]:
        """Variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer. Setting it sets it for the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: Any) -> None:
        weights_of.set_trainable(self, bool(value))

    def get_weights(self) -> list[np.ndarray]:
        """NumPy copies of `weights`, in order."""
        return [np.array(processes.gather_to_host(v.read())) for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assign arrays to `weights`, in order; all of them or none.

        Args:
            weights: As many arrays as the layer has weights, each of its weight's shape.

        Raises:
            ValueError: If their number or a shape does not match.
        """
        weights_of.assign_weights(self, weights)

    def count_params(self) -> int:
        """Number of elements in all weights; a `ValueError` before there are any."""
        if not self.built:
            raise ValueError(
                f"Layer {self.name!r} has no weights yet, so none to count. Build it first: call "
                f"it on data, or `build(input_shape)`. {see('E05')}"
            )
        return sum(v.size for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Put the layer's own weights (not those of layers inside) into a dict of arrays.

        Args:
            store: The dict; keys are "0", "1" and so on.
        """
        for i, variable in enumerate(self._own_variables()):
            store[str(i)] = variable.read()

    def load_own_variables(self, store: Any) -> None:
        """Take them back from such a dict.

        Args:
            store: What `save_own_variables` filled.

        Raises:
            ValueError: If it holds another number of arrays than the layer has weights.
        """
        weights_of.load_variables(self, store)

    # -- building and calling

    @_bookkept
    def build(self, input_shape: tuple) -> None:
        """Make the weights, for inputs of this shape. Overridden by layers that have any.

        Args:
            input_shape: Shape of the input, `None` where a size may vary.
        """
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute. Overridden by every layer.

        Args:
            *args: What is computed from, mostly one argument called `inputs`: an array or pytree of
                arrays, symbolic tensors while a model is made.
            **kwargs: Further arguments of the layer's own. If it has one called `training`, it is
                told there whether this is training; if it has one called `mask`, the mask that
                comes with the inputs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no `call`: define `call(self, inputs)` with its "
            "computation."
        )

    @short_tracebacks
    def __call__(self, *args, **kwargs):
        self._check_initialized()
        signature = signature_of(type(self), "call")
        bound = calling.bind(self, signature, args, kwargs)
        is_outermost = context.outermost is None
        before = context.outermost, context.training
        training = calling.resolve_training(signature, bound, kwargs)
        try:
            if is_outermost:
                context.outermost = self
                self._clear_losses()
            if training is not None:
                context.training = training
            with name_scope(self.name, owner=self):
                if any_symbolic(bound.args, bound.kwargs):
                    return self._call_symbolically(args, kwargs, bound)
                return calling.compute(self, bound)
        finally:
            context.outermost, context.training = before

    def _needs_arrays(self):
        builds = type(self).build is not Layer.build and not hasattr(self, "fit")
        return self.input_spec is not None or (builds and not self.built)

    def _run_call(self, bound):
        if self._remat is not None:
            return self._remat.run(self, bound)
        return self.call(*bound.args, **bound.kwargs)

    def _call_symbolically(self, args, kwargs, bound):
        tensors = tensor_arguments(bound)
        if self.input_spec is not None and tensors:
            check_inputs(self, self.input_spec, next(iter(tensors.values())))
        self._ensure_built(tensors)
        outputs = self.compute_output_spec(*args, **kwargs)
        record(self, args, kwargs, outputs)
        if jax.tree.leaves(outputs):
            self._trace_masks(bound, tensors, outputs)
        return outputs

    def _trace_masks(self, bound, tensors, outputs):
        parameters = signature_of(type(self), "call").parameters
        node = node_of(jax.tree.leaves(outputs)[0])
        for name, x in tensors.items():
            target = "mask" if len(tensors) == 1 else f"{name}_mask"
            if target in parameters and bound.arguments.get(target) is None:
                node.masks += [t._mask_origin for t in symbolic_leaves(x) if t._mask_origin]
        inputs = symbolic_leaves(next(iter(tensors.values()), None))
        if inputs and self.supports_masking:
            masks = [t._mask_origin for t in inputs]
            node.outputs[0]._mask_origin = self._origin_of_mask(inputs, masks)

    def _origin_of_mask(self, inputs, masks) -> MaskOrigin | None:
        """How Keras' graph would compute the first output's mask: what `compute_mask` does."""
        return masks[0] if type(self).compute_mask is Layer.compute_mask else None

    @property
    def _float_inputs_become(self):
        """Dtype that float inputs are cast to, if any."""
        return self.compute_dtype if self.autocast else None

    def _ensure_built(self, tensors):
        if self.built:
            return
        shapes = {k: jax.tree.map(lambda x: known_sizes(x.shape), x) for k, x in tensors.items()}
        with dtypes.autocast(None):
            self._call_build(shapes)
        self.built = True

    def _call_build(self, shapes):
        """Call `build` with the shapes of the call's tensors, by name."""
        args, kwargs = build_arguments(type(self), shapes)
        self.build(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The output's mask, from the inputs and theirs. By default the inputs' own.

        Args:
            inputs: The layer's first argument.
            previous_mask: Its mask, or a pytree of masks.
        """
        return previous_mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The output as symbolic tensors, for inputs that are.

        Args:
            *args: Arguments of `call`, symbolic tensors for arrays.
            **kwargs: Arguments of `call` by name.
        """
        call = calling.shapes_of(self, context.training)
        try:
            return infer(call, *args, **kwargs)
        except Exception:
            if type(self).compute_output_shape is Layer.compute_output_shape:
                raise
            shapes = jax.tree.map(lambda x: x.shape, args[0])
            return KerasTensor(self.compute_output_shape(shapes), self.compute_dtype)

    symbolic_call = compute_output_spec

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shape (or pytree of shapes) of the output for inputs of the given shape or shapes.

        Args:
            *args: Shapes of the arguments of `call`.
            **kwargs: Shapes of arguments of `call` by name.
        """
        shapes = [*args, *kwargs.values()]
        tensors = [map_shapes(lambda s: KerasTensor(s, self.compute_dtype), s) for s in shapes]
        with name_scope(self.name, owner=self):
            names = signature_of(type(self), "call").parameters
            self._ensure_built(dict(zip(names, tensors, strict=False)))
            outputs = Layer.compute_output_spec(self, *tensors)
        return jax.tree.map(lambda t: t.shape, outputs)

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple:
        """Call with values given from outside, changing nothing.

        Args:
            trainable_variables: Values for `self.trainable_variables`, in order.
            non_trainable_variables: Values for `self.non_trainable_variables`, in order.
            *args: What the layer is called on.
            return_losses: Whether to return the losses too.
            **kwargs: What it is called with, by name.

        Returns:
            `(outputs, new values of the non-trainable variables)`, then the losses if asked for.
        """
        self._check_initialized()
        if not self.built and (type(self).build is not Layer.build or self._sublayers()):
            raise ValueError(f"Layer {self.name!r} must be built before `stateless_call`.")
        given = weights_of.pair_values(self, trainable_variables, non_trainable_variables)
        with Scope(given) as scope:
            outputs = values_of(self(*args, **kwargs))
            penalties = self.losses if return_losses else None
        new = [scope.values[v] for v in self.non_trainable_variables]
        return (outputs, new, penalties) if return_losses else (outputs, new)

    # -- losses

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """What Keras no longer has: raises, saying what to do instead.

        Args:
            *args: Anything.
            **kwargs: Anything.
        """
        raise NotImplementedError(
            f"Layer {self.name!r} ({type(self).__name__}): there is no `add_metric`. Give metrics "
            "to `compile(metrics=...)`, or hold a metric as an attribute of the layer and call its "
            "`update_state`: `fit` finds it."
        )

    def add_loss(self, loss: Any) -> None:
        """Add scalars (or arrays, summed) that `fit` adds to the loss it minimises.

        Args:
            loss: Inside `call`: a value, or several in a list; they count until the next call.
                Elsewhere: a function without arguments, called whenever `losses` are asked for.

        Raises:
            TypeError: If it is a symbolic tensor.

        Example:
            >>> layer = keras.layers.Dense(1, kernel_initializer="ones")
            >>> layer.build((None, 2))
            >>> layer.add_loss(lambda: 0.1 * keras.ops.sum(layer.kernel))
            >>> [round(float(loss), 3) for loss in layer.losses]
            [0.2]
        """
        losses.add(self, loss, in_call=context.outermost is not None and not self._building)

    def _clear_losses(self):
        for layer in self._flatten_layers():
            layer._added_losses.clear()

    @property
    def losses(self) -> list:
        """Losses added in the last call, and the penalties of regularized weights."""
        return losses.of(self)

    # -- guards

    def _check_initialized(self):
        if "_initialized" not in self.__dict__:
            raise no_super(self)

    def __setattr__(self, name, value):
        if isinstance(value, Variable | Layer) and self._locked_for(name, value):
            raise AttributeError(messages.adds_state(self, name))
        if self.__dict__.get(name) is not value:
            # Attributes may be set before `super().__init__()` is called.
            self.__dict__.setdefault("_set_at", {})[name] = next_serial()
            changes.count += 1
            changes.structure += name not in _OF_TRAINING
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            raise AttributeError(messages.is_property(self, name)) from None

    def __delattr__(self, name):
        changes.count += 1
        changes.structure += 1
        object.__delattr__(self, name)

    def _locked_for(self, name, value):
        known = parts(self, type(value))
        return self.__dict__.get("_locked") and not any(value is one for one in known)

    def __dir__(self):
        return sorted(set(super().__dir__()) - BETWEEN_PARTS)

    def __repr__(self):
        return messages.description(self)
