"""A model as a pure function and its values, for loops in plain jax and optax."""

from typing import Any, NamedTuple

import jax

from kerasish.core.errors import bad_argument, see
from kerasish.core.state.scope import Scope
from kerasish.core.state.tracking import parts
from kerasish.core.state.variable import Variable, values_of
from kerasish.layers import Layer
from kerasish.metrics import Metric


class Values(NamedTuple):
    """What a model's Variables hold, as dicts by path: a tree that any JAX function takes.

    Attributes:
        trainable: The weights that training changes.
        state: All others: statistics, frozen weights, random states, metrics of the model's own.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> _, values = functionalize(model)
        >>> sorted(value.shape for value in values.trainable.values())
        [(2, 3), (3,)]
    """

    trainable: dict[str, jax.Array]
    state: dict[str, jax.Array]


class PureCall:
    """A layer's call as a pure function: `apply(values, *inputs) -> (outputs, new values)`.

    It depends only on its arguments and changes nothing, so `jax.jit`, `jax.grad`, `jax.vmap`,
    `jax.lax.scan` and `optax` do what they like with it.

    Args:
        layer: The model or layer, built.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> apply, values = functionalize(model)
        >>> y, state = apply(values, np.ones((5, 2)))
        >>> y.shape
        (5, 3)
    """

    def __init__(self, layer: Layer):
        self.layer = layer
        self._trainable = _by_path(layer.trainable_variables)
        inside = [m for part in layer._flatten_layers() for m in parts(part, Metric)]
        watched = [variable for metric in inside for variable in metric.variables]
        self._state = _by_path([*layer.non_trainable_variables, *watched])
        self._known = {*self._trainable.values(), *self._state.values()}

    def values(self) -> Values:
        """Copies of what the layer holds now: training the layer does not reach them."""
        trainable, state = (
            {path: jax.numpy.copy(v.read()) for path, v in group.items()}
            for group in (self._trainable, self._state)
        )
        return Values(trainable, state)

    def __call__(self, values, *args, training=False, return_losses=False, **kwargs) -> tuple:
        """Outputs and new values, from values and inputs.

        Args:
            values: `Values`, or a pair `(trainable, state)`.
            *args: What the layer is called on.
            training: Whether it behaves as in training. Part of the program, not traced.
            return_losses: Whether to return the losses too: penalties, and what `add_loss` added.
            **kwargs: Further arguments of the layer's call.
        """
        trainable, state = values
        pairs = [*_pairs(self, "trainable", self._trainable, trainable)]
        pairs += _pairs(self, "state", self._state, state)
        with Scope(pairs) as scope:
            outputs = values_of(self.layer(*args, training=training, **kwargs))
            losses = self.layer.losses if return_losses else None
        strays = [v.path for v in scope.written if v not in self._known]
        if strays:
            raise RuntimeError(
                f"apply: {self.layer.name!r} wrote {strays}, which are not its own. Hold Variables "
                "as attributes of the layer that writes them, and call `functionalize` again."
            )
        new = Values(
            {path: scope.values[v] for path, v in self._trainable.items()},
            {path: scope.values[v] for path, v in self._state.items()},
        )
        return (outputs, new, losses) if return_losses else (outputs, new)

    def assign(self, values: Any) -> None:
        """Let the layer hold these values: after training, to save or evaluate it.

        Args:
            values: `Values`, as a call returned them.
        """
        trainable, state = values
        for variable, value in [
            *_pairs(self, "trainable", self._trainable, trainable),
            *_pairs(self, "state", self._state, state),
        ]:
            variable.assign(value)

    def __repr__(self):
        return f"<PureCall of {self.layer!r}>"


def functionalize(model: Layer) -> tuple[PureCall, Values]:
    """A built model (or layer) as a pure function, and the values it is called on.

    The values are two dicts by path, `values.trainable` and `values.state`, so gradients go by
    the first, and optax masks and labels by name. `apply.assign(values)` puts them back.

    Args:
        model: A model or layer that is built.

    Returns:
        `(apply, values)`, with `apply(values, x, training=False) -> (y, new_values)`.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> apply, values = functionalize(model)
        >>> def loss(trainable, x, y):
        ...     y_pred, _ = apply((trainable, values.state), x, training=True)
        ...     return ((y - y_pred) ** 2).mean()
        >>> grads = jax.jit(jax.grad(loss))(values.trainable, np.ones((4, 3)), np.ones((4, 1)))
        >>> [path.split("/")[-1] for path in sorted(grads)]
        ['bias', 'kernel']
    """
    if not isinstance(model, Layer):
        raise bad_argument("functionalize", "model", "a model or layer", model)
    if not model.built:
        raise ValueError(
            f"functionalize: {model.name!r} has no weights yet. Build it first: call it on data, "
            f"or `build(input_shape)`. {see('E05')}"
        )
    apply = PureCall(model)
    return apply, apply.values()


def _by_path(variables) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for variable in variables:
        path, number = variable.path, 1
        while path in found:  # two layers of one name
            path, number = f"{variable.path}_{number}", number + 1
        found[path] = variable
    return found


def _pairs(apply, kind, variables: dict[str, Variable], given: Any):
    missing = [path for path in variables if path not in given]
    strange = [path for path in given if path not in variables]
    if missing or strange:
        raise ValueError(
            f"apply: `values.{kind}` must hold the arrays of {apply.layer.name!r} by path; missing "
            f"{missing}, unknown {strange}."
        )
    return [(variable, given[path]) for path, variable in variables.items()]
