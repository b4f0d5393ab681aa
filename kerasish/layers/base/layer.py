"""`Layer`: what holds weights and computes with them. Models are layers too."""

import contextlib
import functools
import inspect
import threading
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import regularizers
from kerasish.core import dtypes, partitioning, settings
from kerasish.core.dict_order import map_in_order
from kerasish.core.errors import bad_argument, no_super
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.names import auto_name, current_path, name_scope, next_serial
from kerasish.core.state.scope import Scope, current_scope
from kerasish.core.state.trace_list import TraceList, nan_flags
from kerasish.core.state.tracking import parts
from kerasish.core.state.variable import Variable, is_variable, values_of
from kerasish.core.symbolic.graph import node_of, record
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import KerasTensor, MaskOrigin, any_symbolic
from kerasish.core.tracebacks import short_tracebacks
from kerasish.layers.base.input_spec import check_inputs
from kerasish.layers.base.remat import current_remat
from kerasish.layers.base.signatures import (
    as_tuples,
    known_sizes,
    map_shapes,
    signature_of,
    tensor_arguments,
)
from kerasish.layers.base.weights import VariableContainer


class _Context(threading.local):
    """What the outermost layer call going on in this thread says to those inside it."""

    entry: Any = None
    training: bool | None = None


_context = _Context()
_no_scope = contextlib.nullcontext()


def training_here() -> bool | None:
    """Whether the layer call going on is one of training; `None` if nobody said."""
    return _context.training


def _bookkept(build):
    """Wrap a `build` so that direct calls too name the weights, keep the shapes and set `built`."""

    @functools.wraps(build)
    def wrapped(self, *args, **kwargs):
        with name_scope(self.name, owner=self), dtypes.autocast(None):
            self._own_policy = self._policy.at(current_path())
            build(self, *args, **kwargs)
        bound = inspect.signature(build).bind(self, *args, **kwargs)
        self._built_with = dict(list(bound.arguments.items())[1:])
        self.built = True

    return wrapped


class Layer(VariableContainer):
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
    _not_parts = ("_built_with", "_frozen", "_set_at")
    _not_saved = ("activity_regularizer", "input_spec", "_added_losses", "_frozen", "_weights")

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _bookkept(cls.build)

    def __init__(
        self,
        *,
        activity_regularizer=None,
        trainable=True,
        dtype=None,
        autocast=True,
        name=None,
        **kwargs,
    ):
        shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            shape = (kwargs.pop("input_dim"),)
        batch_size = kwargs.pop("batch_size", None)
        if kwargs:
            raise ValueError(
                f"{type(self).__name__}: unknown argument(s) {sorted(kwargs)}. Every layer takes "
                "`name`, `dtype`, `trainable`, `autocast` and `activity_regularizer`."
            )
        object.__setattr__(self, "_initialized", True)
        self._serial = next_serial()
        self.name = auto_name(type(self).__name__) if name is None else name
        if not isinstance(self.name, str) or "/" in self.name:
            raise bad_argument(type(self), "name", "a string without '/'", name)
        self.dtype_policy = dtype
        self._remat = current_remat()
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = False
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self.input_spec = None
        self._trainable = _boolean(self, "trainable", trainable)
        self._weights = []
        self._frozen = []
        self._added_losses = TraceList()
        self._locked = False
        self._built_with = None
        self._output_shapes = []
        self._input_shape_arg = None if shape is None else (batch_size, *shape)

    # -- dtype and identity

    @property
    def dtype_policy(self):
        """What it computes in and what it keeps its weights in."""
        return self._policy

    @dtype_policy.setter
    def dtype_policy(self, value):
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

    def get_build_config(self) -> dict | None:
        """The shapes it was built with, for files."""
        shapes = self._built_with
        if not shapes:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict) -> None:
        """Build with the shapes that `get_build_config` gave."""
        if self.built or not config:
            return
        shapes = config.get("shapes_dict") or {"input_shape": config.get("input_shape")}
        shapes = {name: as_tuples(shape) for name, shape in shapes.items()}
        if len(shapes) == 1:
            (shape,) = shapes.values()
            if shape is not None:
                self.build(shape)
        else:
            self.build(**shapes)

    # -- building and calling

    @_bookkept
    def build(self, input_shape) -> None:
        """Make the weights, for inputs of this shape. Overridden by layers that have any."""
        self.built = True

    def call(self, *args, **kwargs):
        """Compute. Overridden by every layer."""
        raise NotImplementedError(
            f"{type(self).__name__} has no `call`: define `call(self, inputs)` with its "
            "computation."
        )

    @short_tracebacks
    def __call__(self, *args, **kwargs):
        self._check_initialized()
        signature = signature_of(type(self), "call")
        bound = self._bind(signature, args, kwargs)
        is_entry = _context.entry is None
        before = _context.entry, _context.training
        training = self._resolve_training(signature, bound, kwargs)
        try:
            if is_entry:
                _context.entry = self
                self._clear_losses()
            if training is not None:
                _context.training = training
            with name_scope(self.name, owner=self):
                if any_symbolic(bound.args, bound.kwargs):
                    return self._call_symbolically(args, kwargs, bound)
                return self._compute(bound)
        finally:
            _context.entry, _context.training = before

    def _bind(self, signature, args, kwargs):
        kwargs = dict(kwargs)
        for name in ("training", "mask"):
            if name not in signature.parameters and not signature.takes_any:
                kwargs.pop(name, None)
        try:
            return signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(
                f"Layer {self.name!r} ({type(self).__name__}): {error}; "
                f"its call is `call{signature.text}`."
            ) from None

    def _resolve_training(self, signature, bound, kwargs):
        training = kwargs.get("training", bound.arguments.get("training"))
        if training is None:
            training = _context.training
        if "training" in signature.parameters:
            if training is None:
                default = signature.parameters["training"].default
                training = None if default is inspect.Parameter.empty else default
            if training is not None:
                bound.arguments["training"] = training
        return training

    def _compute(self, bound):
        """The steps of every call on real arrays: convert, mask, check, build, call, note."""
        if not self.built:
            self._own_policy = self._policy.at(current_path())
        self._take_numbers(bound)
        tensors = tensor_arguments(bound)
        masks = {name: jax.tree.map(get_mask, x) for name, x in tensors.items()}
        first = next(iter(tensors), None)
        self._give_masks(bound, masks)
        for name in tensors:
            bound.arguments[name] = self._convert(bound.arguments[name])
        if first is not None and self.input_spec is not None:
            check_inputs(self, self.input_spec, bound.arguments[first])
        elif first is None and bound.arguments and self._needs_arrays():
            name, value = next(iter(bound.arguments.items()))
            raise bad_argument(self, name, "an array, or a nest of arrays", value)
        self._ensure_built({name: bound.arguments[name] for name in tensors})
        # Profilers show the names that a program was traced under.
        named = _no_scope if current_scope() is None else jax.named_scope(self.name)
        with named, dtypes.autocast(self.compute_dtype if self.autocast else None):
            try:
                outputs = self._run_call(bound)
            except Exception as error:
                _say_where(error, self, tensors)
                raise
        if not self._locked:
            self._output_shapes = [known_sizes(np.shape(y)) for y in jax.tree.leaves(outputs)]
            self._locked = True
        self._regularize(outputs)
        if partitioning.state.distribution is not None:
            held = self._weights
            path = held[0].path.rpartition("/")[0] if held else current_path()
            outputs = partitioning.lay_out(f"{path}/output", outputs)
        if first is not None:
            given = bound.arguments.get("mask")
            previous = masks[first] if given is None else given
            self._mask_outputs(bound.arguments[first], outputs, previous)
        if settings.nan_checks_enabled() and current_scope() is not None:
            _watch_for_nan(current_path(), outputs)
        return outputs

    def _needs_arrays(self):
        builds = type(self).build is not Layer.build and not hasattr(self, "fit")
        return self.input_spec is not None or (builds and not self.built)

    def _take_numbers(self, bound):
        """Let a list of numbers be an array, in the first argument."""
        name = next(iter(bound.arguments), None)
        if isinstance(bound.arguments.get(name), list):
            value = bound.arguments[name]
            if all(isinstance(leaf, int | float) for leaf in jax.tree.leaves(value)):
                bound.arguments[name] = dtypes.to_array(value)

    def _run_call(self, bound):
        if self._remat is not None:
            return self._remat.run(self, bound)
        return self.call(*bound.args, **bound.kwargs)

    def _call_symbolically(self, args, kwargs, bound):
        tensors = tensor_arguments(bound)
        if self.input_spec is not None and tensors:
            check_inputs(self, self.input_spec, next(iter(tensors.values())))
        self._ensure_built(tensors)
        outputs = record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))
        if jax.tree.leaves(outputs):
            self._trace_masks(bound, tensors, outputs)
        return outputs

    def _trace_masks(self, bound, tensors, outputs):
        parameters = signature_of(type(self), "call").parameters
        node = node_of(jax.tree.leaves(outputs)[0])
        for name, x in tensors.items():
            target = "mask" if len(tensors) == 1 else f"{name}_mask"
            if target in parameters and bound.arguments.get(target) is None:
                node.masks += [t._mask_origin for t in _symbolic(x) if t._mask_origin]
        inputs = _symbolic(next(iter(tensors.values()), None))
        if inputs and self.supports_masking:
            masks = [t._mask_origin for t in inputs]
            node.outputs[0]._mask_origin = self._origin_of_mask(inputs, masks)

    def _origin_of_mask(self, inputs, masks) -> MaskOrigin | None:
        """How Keras' graph would compute the first output's mask: what `compute_mask` does."""
        return masks[0] if type(self).compute_mask is Layer.compute_mask else None

    def _give_masks(self, bound, masks):
        parameters = signature_of(type(self), "call").parameters
        for name, mask in masks.items():
            target = "mask" if len(masks) == 1 else f"{name}_mask"
            missing = target in parameters and bound.arguments.get(target) is None
            if missing and jax.tree.leaves(mask):
                bound.arguments[target] = mask

    def _convert(self, x):
        """Arrays of JAX's, floats in the compute dtype."""
        dtype = self._float_inputs_become

        def convert(leaf):
            if isinstance(leaf, np.ndarray | np.generic | Variable):
                leaf = dtypes.to_array(leaf.value if isinstance(leaf, Variable) else leaf)
            is_float = isinstance(leaf, jax.Array) and dtypes.is_float(leaf.dtype)
            cast = is_float and dtype and dtypes.is_float(dtype) and leaf.dtype != dtype
            return leaf.astype(dtype) if cast else leaf

        return map_in_order(convert, x, is_leaf=is_variable)

    @property
    def _float_inputs_become(self):
        """Dtype that float inputs are cast to, if any."""
        return self.compute_dtype if self.autocast else None

    def _ensure_built(self, tensors):
        if self.built:
            return
        shapes = {
            name: jax.tree.map(lambda x: known_sizes(x.shape), x) for name, x in tensors.items()
        }
        with dtypes.autocast(None):
            self._call_build(shapes)
        self.built = True

    def _call_build(self, shapes):
        """Call `build` with the shapes of the call's tensors, by name."""
        wanted = signature_of(type(self), "build").parameters
        if len(wanted) <= 1:
            self.build(next(iter(shapes.values()), None))
        else:
            names = [n for n in wanted if wanted[n].kind is not inspect.Parameter.VAR_KEYWORD]
            given = {n: shapes.get(n.removesuffix("_shape")) for n in names}
            needed = [n for n in names if wanted[n].default is inspect.Parameter.empty]
            self.build(**{n: s for n, s in given.items() if s is not None or n in needed})

    def _regularize(self, outputs):
        if self.activity_regularizer is not None:
            for y in jax.tree.leaves(outputs):
                penalty = self.activity_regularizer(y)
                # Per sample, so that it weighs the same whatever the batch's size.
                self.add_loss(penalty / jnp.maximum(y.shape[0], 1) if y.ndim else penalty)

    def _mask_outputs(self, inputs, outputs, previous):
        if not jax.tree.leaves(previous):
            previous = None
        if not self.supports_masking:
            if previous is not None and "mask" not in signature_of(type(self), "call").parameters:
                warnings.warn(
                    f"Layer {self.name!r} ({type(self).__name__}) was given an input with a mask, "
                    "but does not support masking, so the mask ends here. Set "
                    "`self.supports_masking = True` in its `__init__` to pass it on.",
                    stacklevel=4,
                )
            return
        leaves = jax.tree.leaves(outputs)
        if any(get_mask(y) is not None for y in leaves):
            return
        computed = self.compute_mask(inputs, previous)
        if computed is None:
            return
        masks = jax.tree.leaves(computed, is_leaf=lambda m: m is None)
        for y, mask in zip(leaves, masks, strict=False):
            if mask is not None:
                set_mask(y, mask)

    def compute_mask(self, inputs, previous_mask=None):
        """The output's mask, from the inputs and theirs. By default the inputs' own."""
        return previous_mask

    def compute_output_spec(self, *args, **kwargs) -> Any:
        """The output as symbolic tensors, for inputs that are."""
        training = _context.training

        def call(*args, **kwargs):
            before = _context.entry, _context.training
            _context.entry, _context.training = self, training
            signature = signature_of(type(self), "call")
            try:
                bound = self._bind(signature, args, kwargs)
                self._resolve_training(signature, bound, kwargs)
                return self._compute(bound)
            finally:
                _context.entry, _context.training = before

        try:
            return infer(call, *args, **kwargs)
        except Exception:
            if type(self).compute_output_shape is Layer.compute_output_shape:
                raise
            shapes = jax.tree.map(lambda x: x.shape, args[0])
            return KerasTensor(self.compute_output_shape(shapes), self.compute_dtype)

    symbolic_call = compute_output_spec

    def compute_output_shape(self, *args, **kwargs):
        """Shape (or nest of shapes) of the output for inputs of the given shape or shapes."""
        shapes = [*args, *kwargs.values()]
        tensors = [map_shapes(lambda s: KerasTensor(s, self.compute_dtype), s) for s in shapes]
        with name_scope(self.name, owner=self):
            self._ensure_built(
                dict(zip(signature_of(type(self), "call").parameters, tensors, strict=False))
            )
            outputs = Layer.compute_output_spec(self, *tensors)
        return jax.tree.map(lambda t: t.shape, outputs)

    def stateless_call(
        self, trainable_variables, non_trainable_variables, *args, return_losses=False, **kwargs
    ):
        """Call with values given from outside, changing nothing.

        Args:
            trainable_variables: Values for `self.trainable_variables`, in order.
            non_trainable_variables: Values for `self.non_trainable_variables`, in order.
            return_losses: Whether to return the losses too.

        Returns:
            `(outputs, new values of the non-trainable variables)`, then the losses if asked for.
        """
        self._check_initialized()
        if not self.built and not self._has_nothing_to_build():
            raise ValueError(f"Layer {self.name!r} must be built before `stateless_call`.")
        trained, others = self.trainable_variables, self.non_trainable_variables
        given = [
            (trained, trainable_variables, "trainable"),
            (others, non_trainable_variables, "non_trainable"),
        ]
        pairs = []
        for variables, values, kind in given:
            values = list(values)
            if len(values) != len(variables):
                raise ValueError(
                    f"Layer {self.name!r}: `{kind}_variables` must hold {len(variables)} "
                    f"values; got {len(values)}."
                )
            pairs += zip(variables, values_of(list(values)), strict=True)
        with Scope(pairs) as scope:
            outputs = values_of(self(*args, **kwargs))
            losses = self.losses if return_losses else None
        new = [scope.values[v] for v in others]
        return (outputs, new, losses) if return_losses else (outputs, new)

    def _has_nothing_to_build(self):
        return type(self).build is Layer.build and not self._sublayers()

    # -- losses

    def add_metric(self, *args, **kwargs) -> None:
        """What Keras no longer has: raises, saying what to do instead."""
        raise NotImplementedError(
            f"Layer {self.name!r} ({type(self).__name__}): there is no `add_metric`. Give metrics "
            "to `compile(metrics=...)`, or hold a metric as an attribute of the layer and call its "
            "`update_state`: `fit` finds it."
        )

    def add_loss(self, loss) -> None:
        """Add scalars (or arrays, summed) that `fit` adds to the loss it minimises."""
        for one in jax.tree.leaves(loss, is_leaf=callable):
            if callable(one):
                one = one()
            self._added_losses.append(jnp.asarray(one))

    def _clear_losses(self):
        for layer in self._flatten_layers():
            layer._added_losses.clear()

    @property
    def losses(self) -> list:
        """Losses added in the last call, and the penalties of regularized weights."""
        added = [loss for layer in self._flatten_layers() for loss in layer._added_losses.items()]
        penalties = [
            v.regularizer(v.value) for v in self.trainable_variables if v.regularizer is not None
        ]
        return [*added, *penalties]

    # -- guards

    def _check_initialized(self):
        if "_initialized" not in self.__dict__:
            raise no_super(self)

    def __setattr__(self, name, value):
        if isinstance(value, Variable | Layer) and self._locked_for(name, value):
            raise AttributeError(
                f"Layer {self.name!r} ({type(self).__name__}) is built; `{name}` would add state "
                "to it. Set layers and weights in `__init__` or `build`."
            )
        if self.__dict__.get(name) is not value:
            # Attributes may be set before `super().__init__()` is called.
            self.__dict__.setdefault("_set_at", {})[name] = next_serial()
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            raise AttributeError(
                f"Layer {self.name!r} ({type(self).__name__}): `{name}` is a property that every "
                f"{'model' if hasattr(self, 'fit') else 'layer'} has, and cannot be set. Use "
                "another name."
            ) from None

    def _locked_for(self, name, value):
        return self.__dict__.get("_locked") and not any(
            value is known for known in parts(self, type(value))
        )

    def __repr__(self):
        args, kwargs = self._given
        names = list(signature_of(type(self), "__init__").parameters)
        shown = {**dict(zip(names, args, strict=False)), **kwargs, "name": self.name}
        inside = ", ".join(
            f"{k}={getattr(v, '__name__', None) or repr(v)}" for k, v in shown.items()
        )
        return f"<{type(self).__name__}({inside}), {'built' if self.built else 'not built'}>"


def _boolean(layer, name, value):
    if not isinstance(value, bool | np.bool_ | int):
        raise bad_argument(layer, name, "True or False", value)
    return bool(value)


def _watch_for_nan(path, outputs):
    for y in jax.tree.leaves(outputs):
        if dtypes.is_float(y.dtype):
            nan_flags.append({path: jnp.isnan(y).any()})


def _symbolic(nest):
    return [leaf for leaf in jax.tree.leaves(nest) if isinstance(leaf, KerasTensor)]


def _say_where(error, layer, tensors):
    shapes = {name: jax.tree.map(lambda x: known_sizes(x.shape), x) for name, x in tensors.items()}
    note = f"In layer {layer.name!r} ({type(layer).__name__}), called on shapes {shapes}."
    error.add_note(note + _HINTS.get(type(error), ""))


_HINTS = {
    jax.errors.TracerArrayConversionError: " NumPy functions take no traced arrays: use "
    "`jax.numpy` or `keras.ops`.",
    jax.errors.TracerBoolConversionError: " Python's `if` and `while` take no traced arrays: use "
    "`keras.ops.where` or `keras.ops.cond`.",
}
