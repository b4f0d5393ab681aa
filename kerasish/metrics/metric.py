"""What all metrics share: state in Variables, and running as a pure function of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from kerasish import initializers
from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument, no_super
from kerasish.core.names import auto_name, name_scope
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.state.functional import pure
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import Variable
from kerasish.layers.base.layer import Layer


class Metric(Configurable):
    """A number that watches training: gathered batch by batch, read when someone looks.

    Subclasses make state with `add_variable`, change it in `update_state` and read it in `result`.
    They are written in plain `jnp`, so that updates compile into the training step; a result
    stays on the device until it is looked at.

    Args:
        dtype: What to compute in, a dtype or a policy. `None` is the global float type.
        name: Key of the result in the logs.

    Example:
        >>> class Largest(Metric):
        ...     def __init__(self, name="largest", dtype=None):
        ...         super().__init__(dtype, name)
        ...         self.seen = self.add_variable((), "zeros", name="seen")
        ...     def update_state(self, values, sample_weight=None):
        ...         self.seen.assign(jnp.maximum(self.seen.value, jnp.max(values)))
        ...     def result(self):
        ...         return self.seen.value
        >>> metric = Largest()
        >>> metric.update_state(np.array([1.0, 3.0]))
        >>> float(metric(np.array([2.0])))
        3.0
    """

    # "up" or "down" where larger or smaller is better: what a callback's mode "auto" goes by.
    _direction: str | None = None

    _set_by_init = "_first_values"

    def __init__(self, dtype: Any = None, name: str | None = None):
        self.name = name or auto_name(type(self).__name__)
        self._dtype = dtypes.get_policy(dtype or settings.floatx()).compute_dtype
        self._first_values: dict[Variable, np.ndarray] = {}

    @property
    def dtype(self) -> str:
        """What it computes in: fixed when it is made."""
        return self._dtype

    def add_variable(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Make a piece of state; `reset_state` gives it its first value again.

        Args:
            shape: Its shape.
            initializer: What makes its first value, that one's name, or an array of that shape.
            dtype: Its dtype. `None` is the global float type.
            aggregation: How replicas would be merged; kept for Keras' sake.
            name: Its name.
        """
        if "_first_values" not in vars(self):
            raise no_super(self)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = dtypes.standardize_dtype(dtype)
        with jax.core.eval_context():
            make = initializers.get("zeros" if initializer is None else initializer)
            first = np.asarray(make(shape, dtype=dtype))
        with name_scope(self.name.replace("/", ">")):
            variable = Variable(
                first,
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation=aggregation,
                synchronization="on_read",
                name=name,
            )
        self._first_values[variable] = first
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "zeros",
        dtype: Any = None,
        name: str | None = None,
    ) -> Variable:
        """As `add_variable`.

        Args:
            shape: Its shape.
            initializer: What makes its initial values.
            dtype: Its type; the metric's own unless given.
            name: Its name.
        """
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        """Its state: its own variables, then those of metrics it holds."""
        inside = [variable for metric in self._metrics() for variable in metric.variables]
        return list(dict.fromkeys([*self._own_variables(), *inside]))

    def _own_variables(self):
        held = (value for value in _held(vars(self)) if isinstance(value, Variable))
        return list(dict.fromkeys([*self._first_values, *held]))

    def _metrics(self):
        return list(dict.fromkeys(m for m in _held(vars(self)) if isinstance(m, Metric)))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Take in a batch; what subclasses implement.

        Args:
            *args: Mostly `y_true` and `y_pred`.
            **kwargs: Mostly `sample_weight`.
        """
        raise NotImplementedError(f"{type(self).__name__}: implement `update_state`.")

    def result(self) -> Any:
        """The value for all that was taken in; what subclasses implement."""
        raise NotImplementedError(f"{type(self).__name__}: implement `result()`.")

    def _results(self, name) -> dict:
        """The result by name, or the results by theirs."""
        value = self.result()
        if value is None:
            raise TypeError(
                f"Metric {name!r} ({type(self).__name__}): `result()` returned None. "
                "Return a number, or a dict of them, computed from the state."
            )
        return value if isinstance(value, dict) else {name: value}

    def reset_state(self) -> None:
        """Forget all that was taken in. Starts no computation on the device."""
        for variable in self._own_variables():
            first = self._first_values.get(variable)
            variable.assign(np.zeros(variable.shape, variable.dtype) if first is None else first)
        for metric in self._metrics():
            metric.reset_state()

    def __call__(self, *args, **kwargs) -> Any:
        """Take in a batch and return the result so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables: Sequence, *args: Any, **kwargs: Any) -> list:
        """The state after a batch, from the state before it, changing nothing.

        Args:
            metric_variables: Values of `variables`, in their order.
            *args: What `update_state` takes.
            **kwargs: What `update_state` takes by name.
        """
        return self._pure(self.update_state, metric_variables)(metric_variables, *args, **kwargs)[1]

    def stateless_result(self, metric_variables: Sequence) -> Any:
        """The result in a given state.

        Args:
            metric_variables: Values of `variables`, in their order.
        """
        return self._pure(self.result, metric_variables)(metric_variables)[0]

    def stateless_reset_state(self) -> list:
        """The state before any batch."""
        with Scope() as scope:
            self.reset_state()
            return [scope.read(variable) for variable in self.variables]

    def _pure(self, fn, values):
        variables = self.variables
        if len(values) != len(variables):
            wanted = f"a list of {len(variables)} arrays, one for each of `variables`"
            raise bad_argument(self, "metric_variables", wanted, f"{len(values)} of them")
        return pure(fn, variables)

    def __repr__(self):
        return f"<{type(self).__name__} name={self.name}>"


def _held(value: Any) -> Iterator:
    """The leaves of lists, tuples and dicts; what `__init__` was given is not held."""
    if isinstance(value, dict):
        value = [item for key, item in value.items() if key != "_given"]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _held(item)
    else:
        yield value


Layer._metric_class = Metric
