"""JAX functions and Flax modules as layers."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import NEEDS_A_VALUE, bad_argument
from kerasish.core.serialization.serialize import deserialize_keras_object
from kerasish.core.state.scope import current_scope
from kerasish.core.state.seeds import SeedGenerator, draw_seed, make_default_seed
from kerasish.core.state.variable import Variable
from kerasish.layers.base.layer import Layer

_CALLED_WITH = ("params", "state", "rng", "inputs", "training")
_BEGUN_WITH = ("rng", "inputs", "training")
_JAX_LAYER_S_OWN = ("call_fn", "init_fn", "params", "state", "native_serialization_platforms")


class JaxLayer(Layer):
    """A pure JAX function as a layer, with its parameters and its state in Variables.

    `call_fn` takes some of these arguments, by these names and in any order: `params`, which are
    trained; `state`, which is not; `rng`, a key in training and `None` otherwise; `inputs`, an
    array or a pytree of arrays, which it must take; and `training`. It returns the outputs, or
    `(outputs, new state)` if it takes a `state`.

    `init_fn` takes `inputs`, ones in the inputs' shapes, and may take `rng` and `training`, which
    is then True. It returns the first parameters, or `(parameters, state)` if `call_fn` takes a
    `state`. So `apply` and `init` of a transformed Haiku module fit as they are.

    Parameters and state are pytrees of arrays and numbers; whatever else is in them stays as it is.

    Args:
        call_fn: The function.
        init_fn: What makes the first parameters and state, when the layer is built.
        params: The parameters, instead of `init_fn`.
        state: The state, instead of `init_fn`.
        seed: Integer from which keys for `call_fn` are drawn.
        native_serialization_platforms: Kept for Keras' sake.

    Raises:
        ValueError: If a function takes other arguments, there is nothing to begin from, or a new
            state is built in another way than the first.

    Example:
        >>> def scaled(params, inputs):
        ...     return inputs * params["scale"]
        >>> layer = JaxLayer(scaled, params={"scale": np.float32(3)})
        >>> layer(np.ones((1, 2))), len(layer.trainable_weights)
        (Array([[3., 3.]], dtype=float32), 1)
    """

    _not_in_configs: tuple = ("params", "state")

    def __init__(
        self,
        call_fn: Callable,
        init_fn: Callable | None = None,
        params: Any = None,
        state: Any = None,
        seed: int | None = None,
        native_serialization_platforms: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.call_fn = call_fn
        self.init_fn: Any = init_fn
        self.native_serialization_platforms = native_serialization_platforms
        self._takes = self._arguments_of("call_fn", call_fn, _CALLED_WITH)
        begins = init_fn is not None or params is not None or state is not None
        if not begins and {"params", "state"} & set(self._takes):
            wanted = "given, or `params` and `state`, for a `call_fn` that takes them"
            raise bad_argument(self, "init_fn", wanted, None)
        if init_fn is not None:
            self._begins_with = self._arguments_of("init_fn", init_fn, _BEGUN_WITH)
        self.seed_generator: Any = SeedGenerator(seed) if "rng" in self._takes else None
        self.params = self._as_variables(params, trainable=True)
        self.state = self._as_variables(state, trainable=False)

    def _arguments_of(self, name, fn, known):
        names = list(inspect.signature(fn).parameters)
        if "inputs" not in names or not set(names) <= set(known):
            wanted = f"a function of `inputs` and any of {', '.join(known)}"
            raise bad_argument(self, name, wanted, f"one of {', '.join(names)}")
        return names

    # -- keys, for subclasses to change

    def _get_init_seed(self):
        if current_scope() is None:
            return draw_seed(None)
        return np.array([make_default_seed(), 0], "uint32")  # weights start from concrete values

    def _get_init_rng(self):
        """What `init_fn` gets as `rng`: a key, or several in a dict."""
        return self._get_init_seed()

    def _get_call_seed(self):
        return self.seed_generator.next()

    def _get_call_rng(self, training):
        """What `call_fn` gets as `rng`: a key, or several in a dict, or `None`."""
        return self._get_call_seed() if training else None

    # -- building and calling

    def build(self, input_shape: tuple) -> None:
        needs = {"params", "state"} & set(self._takes)
        if self.params is None and self.state is None and needs:
            params, state = self._begin(_ones(input_shape))
            self.params = self._as_variables(params, trainable=True)
            self.state = self._as_variables(state, trainable=False)

    def _begin(self, inputs):
        rng = self._get_init_rng() if "rng" in self._begins_with else None
        around: list = []

        def arrays(rng, inputs):
            given = {"rng": rng, "inputs": inputs, "training": True}
            result = self.init_fn(*(given[name] for name in self._begins_with))
            leaves, structure = jax.tree.flatten(result)
            around[:] = [structure, [None if _is_number(x) else x for x in leaves]]
            return [jnp.asarray(x) for x in leaves if _is_number(x)]

        with jax.core.eval_context():
            try:
                found = jax.jit(arrays)(rng, inputs)
            except NEEDS_A_VALUE:  # slower by seconds: each draw is compiled by itself
                found = arrays(rng, inputs)
        found = iter(jax.device_get(found))
        structure, others = around
        result = structure.unflatten([next(found) if x is None else x for x in others])
        return result if "state" in self._takes else (result, None)

    def _as_variables(self, values, trainable):
        def variable(value):
            if not _is_number(value):
                return value
            value = np.asarray(value)
            dtype = None if jnp.issubdtype(value.dtype, jnp.floating) else value.dtype
            dtype = dtypes.standardize_dtype(dtype or self.variable_dtype)
            first = lambda shape, dtype: value.astype(dtype)  # noqa: E731
            return self.add_weight(value.shape, first, dtype=dtype, trainable=trainable)

        return jax.tree.map(variable, values)

    def call(self, inputs: Any, training: bool = False) -> Any:
        given: dict[str, Any] = {"inputs": inputs, "training": bool(training)}
        for name in ("params", "state"):
            given[name] = _map(lambda v: v.value, getattr(self, name))
        if "rng" in self._takes:
            given["rng"] = self._get_call_rng(training)
        result = self.call_fn(*(given[name] for name in self._takes))
        if "state" not in self._takes:
            return result
        outputs, state = result
        before, after = jax.tree.structure(given["state"]), jax.tree.structure(state)
        if before != after:
            wanted = f"a function whose new state is built as the first, {before}"
            raise bad_argument(self, "call_fn", wanted, after)
        _map(lambda variable, value: variable.assign(value), self.state, state)
        return outputs

    def _arguments(self):
        found = super()._arguments()
        return {name: value for name, value in found.items() if name not in self._not_in_configs}


class FlaxLayer(JaxLayer):
    """A `flax.linen` module as a layer.

    The module's method takes `inputs`, an array or a pytree of arrays, and may take `training`. All
    its collections but `params` are state. In training it has a key named `dropout`, and `params`
    and `dropout` when it begins.

    Args:
        module: The module.
        method: A method of the module, or a function of the module and the inputs; `None` calls
            the module.
        variables: What the module's `init` gives, to begin from.
        **kwargs: As for other layers.

    Example:
        >>> import flax.linen as nn
        >>> class Twice(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, inputs):
        ...         return nn.Dense(2)(inputs) * 2
        >>> layer = FlaxLayer(Twice())
        >>> layer(np.ones((1, 3))).shape, [w.shape for w in layer.weights]
        ((1, 2), [(2,), (3, 2)])
    """

    _not_in_configs = ("variables", *_JAX_LAYER_S_OWN)

    def __init__(self, module: Any, method: Any = None, variables: Any = None, **kwargs: Any):
        everything_but = _flax_linen().DenyList
        self.module, self.method = module, method
        takes_mode = "training" in inspect.signature(method or module.__call__).parameters

        def mode(training):
            return {"method": method} | ({"training": training} if takes_mode else {})

        def apply(params, state, rng, inputs, training):
            joined, mutable = {**(params or {}), **(state or {})}, everything_but(["params"])
            return module.apply(joined, inputs, rngs=rng, mutable=mutable, **mode(training))

        def init(rng, inputs, training):
            return _split(module.init(rng, inputs, **mode(training)))

        params, state = _split(variables)
        super().__init__(apply, init, params, state, **kwargs)

    def _get_init_rng(self):
        return {"params": self._get_init_seed(), "dropout": self._get_init_seed()}

    def _get_call_rng(self, training):
        return {"dropout": self._get_call_seed()} if training else {}

    def _argument(self, parameter, given):
        if parameter.name == "method" and getattr(self.method, "__self__", None) is self.module:
            return self.method.__name__  # the module's own
        return super()._argument(parameter, given)

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """Make the layer that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        config = {name: deserialize_keras_object(value) for name, value in config.items()}
        if isinstance(config["method"], str):
            config["method"] = getattr(config["module"], config["method"])
        return cls(**config)


def _flax_linen():
    try:
        import flax.linen
    except ImportError:
        raise ImportError(
            'FlaxLayer needs Flax: run `pip install "kerasish[flax]"` (or `pip install flax`).'
        ) from None
    return flax.linen


def _split(variables):
    """A module's variables as parameters and state, each with its collections' names."""
    if variables is None:
        return None, None
    params = {k: v for k, v in variables.items() if k == "params"}
    return params, {k: v for k, v in variables.items() if k != "params"}


def _map(fn, *trees):
    """`fn` of each Variable in the first tree, and of what stands there in the others."""
    return jax.tree.map(
        lambda v, *others: fn(v, *others) if isinstance(v, Variable) else v,
        *trees,
        is_leaf=lambda v: isinstance(v, Variable),
    )


def _is_number(value):
    return isinstance(value, jax.Array | np.ndarray | np.generic | bool | int | float)


def _ones(shapes):
    """Ones in each of a pytree of shapes, 1 where a size is unknown."""
    is_shape = lambda s: not isinstance(s, dict) and all(n is None or isinstance(n, int) for n in s)  # noqa: E731
    ones = lambda shape: np.ones([n or 1 for n in shape], settings.floatx())  # noqa: E731
    return jax.tree.map(ones, shapes, is_leaf=is_shape)
