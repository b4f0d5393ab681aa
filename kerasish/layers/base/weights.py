"""What a layer holds: its Variables and the layers inside it, in Keras' order."""

from collections.abc import Iterator

import numpy as np

from kerasish import constraints, initializers, regularizers
from kerasish.core import dtypes, processes
from kerasish.core.errors import bad_argument
from kerasish.core.names import name_scope
from kerasish.core.state.seeds import SeedGenerator
from kerasish.core.state.tracking import parts
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.operation import Operation


class VariableContainer(Operation):
    """The half of `Layer` that makes, lists, freezes, counts, stores and restores weights."""

    def add_weight(
        self,
        shape=None,
        initializer=None,
        name=None,
        *,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        synchronization="auto",
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
        """
        self._check_initialized()
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = dtypes.standardize_dtype(dtype or self.variable_dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        unknown = [i for i, n in enumerate(shape) if n is None]
        if unknown:
            raise bad_argument(self, "shape", f"known in every axis for weight {name!r}", shape)
        if self._locked:
            raise RuntimeError(
                f"Layer {self.name!r} ({type(self).__name__}) makes weight {name!r} after it was "
                "built. Make weights in `build`, or in the first `call` under a guard."
            )
        with name_scope(self.name, owner=self):
            variable = Variable(
                initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                synchronization=synchronization,
                name=name,
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        self._weights.append(variable)
        return variable

    add_variable = add_weight

    # `Metric`, set where that is defined.
    _metric_class: type | tuple = ()

    def _own_variables(self) -> list[Variable]:
        return _in_order(parts(self, Variable))

    def _sublayers(self) -> list["VariableContainer"]:
        return list(parts(self, VariableContainer))

    def _flatten_layers(self, include_self=True, recursive=True) -> Iterator["VariableContainer"]:
        seen = {id(self)}
        if include_self:
            yield self
        stack = self._sublayers()[::-1]
        while stack:
            layer = stack.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                yield layer
                if recursive:
                    stack.extend(layer._sublayers()[::-1])

    def _passing_variables(self) -> list[Variable]:
        """Variables that no file holds: random states."""
        return [generator.state for generator in parts(self, SeedGenerator)]

    def _collect(self, with_seeds):
        found = {}
        for layer in self._flatten_layers():
            for variable in layer._own_variables():
                found[id(variable)] = variable
            if with_seeds:
                for variable in layer._passing_variables():
                    found[id(variable)] = variable
        return list(found.values())

    @property
    def variables(self) -> list[Variable]:
        """All Variables of the layer and those inside it, random states included."""
        return self._collect(with_seeds=True)

    @property
    def weights(self) -> list[Variable]:
        """All Variables that files hold: trained and not, without random states."""
        return self._collect(with_seeds=False)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that training changes: those of layers that are not frozen."""
        found = {}
        self._collect_trainable(found)
        return list(found.values())

    def _collect_trainable(self, found):
        if not self.trainable:
            return
        held = list(parts(self, (Variable, VariableContainer)))
        for variable in _in_order(v for v in held if isinstance(v, Variable)):
            if variable.trainable:
                found[id(variable)] = variable
        for layer in held:
            if not isinstance(layer, Variable):
                layer._collect_trainable(found)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """All other Variables: statistics, frozen weights, random states."""
        trained = _Identities(self.trainable_variables)
        return [v for v in self.variables if v not in trained]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """As `non_trainable_variables`, without random states."""
        trained = _Identities(self.trainable_variables)
        return [v for v in self.weights if v not in trained]

    @property
    def metrics(self) -> list:
        """Metrics that the layer and those inside it hold."""
        held = (parts(layer, self._metric_class) for layer in self._flatten_layers())
        return list(dict.fromkeys(metric for metrics in held for metric in metrics))

    @property
    def metrics_variables(self) -> list[Variable]:
        """Variables of all metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer. Setting it sets it for the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        value = bool(value)
        self._trainable = value
        if value:
            for variable in self._frozen:
                variable.trainable = True
            self._frozen = []
        else:
            frozen = [v for v in parts(self, Variable) if v.trainable]
            for variable in frozen:
                variable.trainable = False
            self._frozen = [*self._frozen, *frozen]
        for layer in self._sublayers():
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """NumPy copies of `weights`, in order."""
        return [np.array(processes.gather_to_host(v.read())) for v in self.weights]

    def set_weights(self, weights) -> None:
        """Assign arrays to `weights`, in order; all of them or none."""
        own, weights = self.weights, list(weights)
        who = f"Layer {self.name!r}"
        if len(own) != len(weights):
            raise ValueError(f"{who}: `weights` must hold {len(own)} arrays; got {len(weights)}.")
        for variable, value in zip(own, weights, strict=True):
            if variable.shape != np.shape(value):
                raise ValueError(
                    f"{who}: weight {variable.path!r} has shape {variable.shape}; "
                    f"cannot set shape {np.shape(value)}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Number of entries in all weights."""
        if not self.built:
            raise ValueError(
                f"Layer {self.name!r} has no weights yet, so none to count. Build it first: call "
                "it on data, or `build(input_shape)`."
            )
        return sum(v.size for v in self.weights)

    def save_own_variables(self, store) -> None:
        """Put the layer's own weights (not those of layers inside) into a dict of arrays."""
        for i, variable in enumerate(self._own_variables()):
            store[str(i)] = variable.read()

    def load_own_variables(self, store) -> None:
        """Take them back from such a dict."""
        own = self._own_variables()
        if len(store.keys()) != len(own):
            raise ValueError(
                f"Layer {self.name!r} ({type(self).__name__}) has {len(own)} weights; the file has "
                f"{len(store.keys())} for it. "
                + ("" if self.built else "The layer is not built yet: call it on data first.")
            )
        for i, variable in enumerate(own):
            variable.assign(store[str(i)])


def _in_order(variables):
    """Those made trainable first, as in Keras' files."""
    return sorted(variables, key=lambda v: not v._made_trainable)


class _Identities:
    """Membership by identity, since `==` on Variables compares values."""

    def __init__(self, items):
        self.ids = {id(item) for item in items}

    def __contains__(self, item):
        return id(item) in self.ids
