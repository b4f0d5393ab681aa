"""Any optax transformation as an optimizer."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.state.variable import Variable
from kerasish.optimizers.optimizer import Optimizer


class OptaxOptimizer(Optimizer):
    """Any optax transformation as an optimizer; its state is held in Variables.

    The transformation sees the weights as a dict by path, so masks and labels can go by name:
    `optax.masked(tx, lambda params: {path: "kernel" in path for path in params})`.
    `learning_rate` is the one in the state of `optax.inject_hyperparams`, if that is used.

    Args:
        transformation: The optax transformation.
        name: Name; generated if not given.
        **kwargs: As in `Optimizer`, but for `learning_rate` and `weight_decay`.

    Example:
        >>> import optax
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> optimizer = OptaxOptimizer(optax.chain(optax.clip(1.0), optax.sgd(0.5)))
        >>> optimizer.apply([jnp.array([9.0, -9.0])], [weight])
        >>> weight.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    def __init__(self, transformation: Any, name: str | None = None, **kwargs: Any):
        if kwargs.get("weight_decay") is not None:
            raise ValueError("OptaxOptimizer: for weight decay, use `optax.add_decayed_weights`.")
        super().__init__(None, name=name, **kwargs)
        self.transformation = transformation
        self._state: list[Variable] = []

    def _held_learning_rate(self, value):
        return None

    def build(self, variables: Iterable[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._keys = [v.path for v in self._trainable_variables]
        if len(set(self._keys)) < len(self._keys):
            self._keys = [f"{key}_{i}" for i, key in enumerate(self._keys)]
        # One compiled call, on what the weights are now even where a trace is going on.
        with jax.core.eval_context():
            weights = self._keyed(v._value for v in self._trainable_variables)
            state = jax.jit(self.transformation.init)(weights)
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(state)
        owners = self._keyed(self._trainable_variables)
        self._state = [
            self._own.make(leaf, _leaf_name(path), layout=_weight_like(leaf, path, owners))
            for path, leaf in leaves
        ]

    def _keyed(self, values):
        return dict(zip(self._keys, values, strict=True))

    def _update(self, grads, variables):
        import optax  # noqa: PLC0415  (loaded already, as the transformation is its)

        everything = self._trainable_variables
        held_weights = self._keyed(v.read() for v in everything)
        found = dict(zip(variables, self._clip_gradients(grads), strict=True))
        # A weight without a gradient counts as one with none to follow, and stays as it is.
        grads = self._keyed(found.get(v, jnp.zeros(v.shape)).astype(v.dtype) for v in everything)
        held = jax.tree.unflatten(self._structure, [v.read() for v in self._state])
        updates, state = self.transformation.update(grads, held, held_weights)
        weights: Any = optax.apply_updates(held_weights, updates)
        for key, variable in zip(self._keys, everything, strict=True):
            if variable in found:
                variable.assign(weights[key])
        for variable, value in zip(self._state, jax.tree.leaves(state), strict=True):
            variable.assign(value)

    @property
    def learning_rate(self) -> Variable:
        """The Variable that `optax.inject_hyperparams` made of the learning rate."""
        found = [v for v in self._state if v.name.endswith("hyperparams_learning_rate")]
        if len(found) != 1:
            raise AttributeError(
                f"{self.name}: its transformation shows no learning rate. Make it with "
                "`optax.inject_hyperparams`, and build the optimizer first."
            )
        return found[0]

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.learning_rate.assign(value)

    def scale_learning_rates(self, factors: Mapping[str, float]) -> None:
        """Always an error: what a transformation does to each weight is its own affair.

        Args:
            factors: Factors of the learning rate by path.
        """
        raise TypeError(
            f"{self.name}: an optax transformation applies its learning rate itself. Give groups "
            "of weights one each with `optax.multi_transform`."
        )

    def lend_learning_rate(self, fn: Callable) -> Callable[[], None]:
        """Follow another learning rate for a while; returns the function that ends it.

        Args:
            fn: Function of the step.
        """
        update, rate = self._update, self.learning_rate

        def follow(grads, variables):
            rate.assign(fn())
            update(grads, variables)

        self._update = follow
        return lambda: delattr(self, "_update")

    def as_optax(self) -> Any:
        """The transformation itself."""
        return self.transformation

    def get_config(self) -> dict:
        """What can be written: not the transformation, which is code."""
        config = {n: getattr(self, n) for n in _WRITTEN}
        return {**config, "transformation": type(self.transformation).__name__}

    @classmethod
    def from_config(cls, config: Mapping) -> "OptaxOptimizer":
        """Always an error: a transformation is code, and code is never read from a file.

        Args:
            config: What `get_config` gave.
        """
        raise ValueError(
            "OptaxOptimizer: an optax transformation cannot be read from a file. Load the model "
            "with `compile=False`, and compile it with the transformation again."
        )


_WRITTEN = (
    *("name", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum"),
    *("ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"),
)


def _weight_like(leaf, path, owners):
    """The weight that a piece of state belongs to, if it has that one's shape."""
    keys = [getattr(part, "key", None) for part in path]
    found = [owners[key] for key in keys if isinstance(key, str) and key in owners]
    return found[0] if found and found[0].shape == leaf.shape else None


def _leaf_name(path):
    name = jax.tree_util.keystr(path, simple=True, separator="_")
    return re.sub(r"\W+", "_", name) or "state"
