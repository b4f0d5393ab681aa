"""Optimizers around others: dynamic loss scaling, and several at once."""

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.state.variable import Variable
from kerasish.optimizers.arguments import parameters
from kerasish.optimizers.clipping import choose
from kerasish.optimizers.optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    """Another optimizer, with a loss scale that halves when a gradient overflows and doubles else.

    A step with an infinite or NaN gradient changes no weight.

    Args:
        inner_optimizer: The optimizer that updates the weights.
        initial_scale: First loss scale.
        dynamic_growth_steps: Steps without overflow after which the scale doubles.
        name: Name; generated if not given.

    References:
        Micikevicius et al., 2018, "Mixed Precision Training".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> from kerasish.optimizers import SGD
        >>> optimizer, weight = LossScaleOptimizer(SGD(0.5), initial_scale=4.0), Variable([1.0])
        >>> optimizer.apply([jnp.array([4.0])], [weight])
        >>> optimizer.apply([jnp.array([jnp.inf])], [weight])
        >>> weight.numpy(), float(optimizer.dynamic_scale)
        (array([0.5], dtype=float32), 2.0)
    """

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        # Keras takes the base's arguments too, as long as they change nothing.
        idle = {n: p.default for n, p in parameters(Optimizer.__init__).items()} | {"dynamic": True}
        for argument, value in kwargs.items():
            if argument not in idle or value != idle[argument]:
                hint = f"Set it on the inner optimizer, {inner_optimizer.name}."
                raise bad_argument("LossScaleOptimizer", argument, "left out", value, hint)
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Iterable[Variable]) -> None:
        if self.built:
            return
        self.step_counter = self._own.make(0, "step_counter", "int32")
        self.dynamic_scale = self._own.make(self.initial_scale, "dynamic_scale", "float32")
        self.inner_optimizer.build(variables)
        super().build(variables)

    def _follow(self, variables):
        self.inner_optimizer._follow(variables)
        self._remember(variables)

    @property
    def variables(self) -> list[Variable]:
        return self._own.variables + self.inner_optimizer.variables

    @property
    def iterations(self) -> Any:
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def scale_learning_rates(self, factors: Mapping[str, float]) -> None:
        """Let the inner optimizer give weights a part of the learning rate.

        Args:
            factors: Factors of the learning rate by path.
        """
        self.inner_optimizer.scale_learning_rates(factors)

    @property
    def learning_rate_factors(self) -> dict[str, float]:
        """The inner optimizer's."""
        return self.inner_optimizer.learning_rate_factors

    def apply(self, grads: Iterable, trainable_variables: Iterable | None = None) -> None:
        """Update weights by gradients of the scaled loss, unless one is infinite or NaN.

        Args:
            grads: Gradients, in the order of the weights.
            trainable_variables: The weights; by default those it was built for.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        scale = self.dynamic_scale.read()
        finite = [jnp.all(jnp.isfinite(g)) for g in grads if g is not None]

        def update():
            pairs = zip(grads, variables, strict=True)
            keep = [g is None or v.overwrite_with_gradient for g, v in pairs]
            unscaled = [g if k else g / scale for g, k in zip(grads, keep, strict=True)]
            self.inner_optimizer.apply(unscaled, variables)
            count = self.step_counter.read() + 1
            grown = count == self.dynamic_growth_steps
            self.step_counter.assign(jnp.where(grown, 0, count))
            self.dynamic_scale.assign(jnp.where(grown, scale * 2, scale))

        def skip():
            self.step_counter.assign(0)
            self.dynamic_scale.assign(scale * 0.5)

        choose(jnp.all(jnp.stack(finite)) if finite else True, update, skip)

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale: what to differentiate.

        Args:
            loss: The loss.
        """
        return loss * (self.dynamic_scale.read() if self.built else self.initial_scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Let the inner optimizer replace weights by their averages.

        Args:
            var_list: The weights.
        """
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict:
        """Its own arguments: it has none of the base's."""
        names = ("name", "inner_optimizer", "initial_scale", "dynamic_growth_steps")
        return {name: serialize_keras_object(getattr(self, name)) for name in names}


class OptimizerMap(MutableMapping, Configurable):
    """Optimizers by the paths of the weights they are for, and one for all the rest.

    Args:
        default_optimizer: For weights whose path no key matches.
        optimizer_map: Regular expressions, which must match all of a path, to optimizers.

    Example:
        >>> from kerasish.optimizers import SGD, Adam
        >>> optimizers = OptimizerMap(Adam(), {"head/.*": SGD()})
        >>> type(optimizers["head/kernel"]).__name__, type(optimizers["body/kernel"]).__name__
        ('SGD', 'Adam')
    """

    def __init__(self, default_optimizer: Any, optimizer_map: Any = None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                f"OptimizerMap: `default_optimizer` must be an optimizer; "
                f"got {default_optimizer!r}."
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: `optimizer_map` must be a dict; got {optimizer_map!r}.")
        self.default_optimizer = default_optimizer
        self.optimizer_map = optimizer_map or {}

    def __getitem__(self, path):
        if path in self.optimizer_map:
            return self.optimizer_map[path]
        fitting = [pattern for pattern in self.optimizer_map if re.fullmatch(pattern, path)]
        if len(fitting) > 1:
            raise ValueError(f"OptimizerMap: {fitting} all match {path!r}. Make one narrower.")
        return self.optimizer_map[fitting[0]] if fitting else self.default_optimizer

    def __setitem__(self, pattern, optimizer):
        if not isinstance(pattern, str):
            raise bad_argument(self, "key", "a string", pattern)
        if pattern in self.optimizer_map:
            raise bad_argument(self, "key", "new; delete the old one first", pattern)
        self.optimizer_map[pattern] = _plain(self, optimizer)

    def __delitem__(self, pattern):
        del self.optimizer_map[pattern]

    def __len__(self):
        return len(self.optimizer_map)

    def __iter__(self):
        return iter(self.optimizer_map)

    def __call__(self, variable):
        """The optimizer for a Variable."""
        return self[variable.path]

    @classmethod
    def from_config(cls, config: dict) -> "OptimizerMap":
        """Make the map that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        return cls(**{name: deserialize_keras_object(value) for name, value in config.items()})


def _plain(owner, optimizer):
    wrapper = isinstance(optimizer, LossScaleOptimizer | MultiOptimizer)
    if wrapper or not isinstance(optimizer, Optimizer):
        wanted = "an optimizer, neither LossScaleOptimizer nor MultiOptimizer"
        raise bad_argument(owner, "optimizer", wanted, optimizer)
    return optimizer


class MultiOptimizer(Optimizer):
    """Several optimizers at once, each for its own weights.

    Args:
        optimizer_map: An `OptimizerMap`, or a function of a Variable that returns its optimizer.
        loss_scale_factor: As in `Optimizer`, for all of them.
        name: Name; generated if not given.

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> from kerasish.optimizers import SGD
        >>> body, head = Variable([1.0], name="body"), Variable([1.0], name="head")
        >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.5), {"head": SGD(0.25)}))
        >>> optimizer.apply([jnp.ones(1), jnp.ones(1)], [body, head])
        >>> float(body[0]), float(head[0])
        (0.5, 0.75)
    """

    def __init__(
        self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None
    ):
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self.optimizer_map = optimizer_map
        self.optimizers = []
        if isinstance(optimizer_map, OptimizerMap):
            for optimizer in (*optimizer_map.values(), optimizer_map.default_optimizer):
                self._join(optimizer)

    def _join(self, optimizer):
        """The optimizer's number among all."""
        known = [i for i, other in enumerate(self.optimizers) if other is optimizer]
        if known:
            return known[0]
        _plain(self, optimizer).loss_scale_factor = self.loss_scale_factor
        self.optimizers.append(optimizer)
        return len(self.optimizers) - 1

    def _shares(self, variables, *columns):
        """Split lists that run along with the weights by optimizer."""
        shares = [tuple([] for _ in columns) for _ in self.optimizers]
        for variable, *row in zip(variables, *columns, strict=True):
            for column, item in zip(shares[self._owner[variable]], row, strict=True):
                column.append(item)
        return [(o, *s) for o, s in zip(self.optimizers, shares, strict=True) if s[0]]

    def build(self, variables: Iterable[Variable]) -> None:
        if self.built:
            return
        self._owner = {v: self._join(self.optimizer_map(v)) for v in variables}
        for optimizer, own in self._shares(variables, variables):
            optimizer.build(own)
        super().build(variables)

    def _follow(self, variables):
        self._owner = {v: self._join(self.optimizer_map(v)) for v in variables}
        for optimizer, own in self._shares(variables, variables):
            optimizer._follow(own) if optimizer.built else optimizer.build(own)
        self._remember(variables)

    @property
    def variables(self) -> list[Variable]:
        return [*self._own.variables, *(v for o in self.optimizers for v in o.variables)]

    @property
    def learning_rate(self) -> Any:
        """None of its own: each of `optimizers` has one."""
        raise AttributeError(f"{self.name}: has no learning rate; see its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(f"{self.name}: has no learning rate; see its `optimizers`.")

    def scale_learning_rates(self, factors: Mapping[str, float]) -> None:
        """Always an error: each of `optimizers` has a learning rate of its own.

        Args:
            factors: Factors of the learning rate by path.
        """
        raise TypeError(f"{self.name}: has no learning rate; scale those of its `optimizers`.")

    def apply(self, grads: Iterable, trainable_variables: Iterable | None = None) -> None:
        """Let each optimizer update its weights.

        Args:
            grads: Gradients, in the order of the weights.
            trainable_variables: The weights; by default those it was built for.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        for optimizer, own_grads, own in self._shares(variables, grads, variables):
            optimizer.apply(own_grads, own)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Let each optimizer replace weights by their averages.

        Args:
            var_list: The weights.
        """
        for optimizer, own in self._shares(var_list, var_list):
            optimizer.finalize_variable_values(own)
