"""What a layer holds: its Variables and the layers inside it, in Keras' order."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasish import constraints, initializers, regularizers
from kerasish.core import dtypes
from kerasish.core.errors import bad_argument
from kerasish.core.names import current_path, name_scope
from kerasish.core.state.seeds import SeedGenerator
from kerasish.core.state.tracking import parts
from kerasish.core.state.variable import Variable, values_of
from kerasish.layers.base.arguments import Named


def new_weight(
    layer: Any,
    shape: Sequence[int] | int | None,
    initializer: Named,
    name: str | None,
    dtype: Any,
    regularizer: Named,
    constraint: Named,
    **options: Any,
) -> Variable:
    """A Variable for a layer, by the arguments of `Layer.add_weight`.

    Args:
        layer: The layer.
        shape: Its shape; `None`: a scalar.
        initializer: What it starts from; `None`: Glorot uniform for floats, zeros otherwise.
        name: Its name.
        dtype: Its dtype; `None`: the layer's.
        regularizer: Its penalty.
        constraint: What it is held to.
        **options: More arguments of `Variable`.

    Raises:
        RuntimeError: If the layer was called before.
    """
    shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    dtype = dtypes.standardize_dtype(dtype or layer.variable_dtype)
    if initializer is None:
        initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
    if None in shape:
        raise bad_argument(layer, "shape", f"known in every axis for weight {name!r}", shape)
    if layer._locked:
        raise RuntimeError(
            f"Layer {layer.name!r} ({type(layer).__name__}) makes weight {name!r} after it was "
            "built. Make weights in `build`, or in the first `call` under a guard."
        )
    # Made later, on its own, it stands where the weights stand that the layer has already.
    earlier = (
        layer._weights[0].path.split("/")[:-2] if layer._weights and not current_path() else []
    )
    with contextlib.ExitStack() as scopes:
        for part in earlier:
            scopes.enter_context(name_scope(part))
        scopes.enter_context(name_scope(layer.name, owner=layer))
        variable = Variable(
            initializers.get(initializer), shape=shape, dtype=dtype, name=name, **options
        )
    variable.regularizer = regularizers.get(regularizer)
    variable.constraint = constraints.get(constraint)
    return variable


def flatten_layers(layer: Any, include_self: bool = True, recursive: bool = True) -> Iterator:
    """A layer, the layers directly inside it and, if `recursive`, those inside them: each once.

    Args:
        layer: The layer.
        include_self: Whether it comes first itself.
        recursive: Whether layers inside layers come too.
    """
    seen = {id(layer)}
    if include_self:
        yield layer
    stack = layer._sublayers()[::-1]
    while stack:
        inner = stack.pop()
        if id(inner) not in seen:
            seen.add(id(inner))
            yield inner
            if recursive:
                stack.extend(inner._sublayers()[::-1])


def all_variables(layer: Any, with_seeds: bool) -> list[Variable]:
    """The Variables of a layer and of those inside it, with or without random states.

    Args:
        layer: The layer.
        with_seeds: Whether random states count.
    """
    found = {}
    for inner in flatten_layers(layer):
        for variable in inner._own_variables():
            found[id(variable)] = variable
        if with_seeds:
            for variable in inner._passing_variables():
                found[id(variable)] = variable
    return list(found.values())


def random_states(layer: Any) -> list[Variable]:
    """The states of the seed generators that a layer holds itself.

    Args:
        layer: The layer.
    """
    return [generator.state for generator in parts(layer, SeedGenerator)]


def collect_trainable(layer: Any, layer_class: type, found: dict[int, Variable]) -> None:
    """Add to `found`, by `id`, the Variables that training changes; none of a frozen layer's.

    Args:
        layer: The layer.
        layer_class: The class of layers, `Layer`.
        found: The dict to add to.
    """
    if not layer.trainable:
        return
    held = list(parts(layer, (Variable, layer_class)))
    for variable in in_keras_order(v for v in held if isinstance(v, Variable)):
        if variable.trainable:
            found[id(variable)] = variable
    for inner in held:
        if not isinstance(inner, Variable):
            collect_trainable(inner, layer_class, found)


def without(variables: list[Variable], others: list[Variable]) -> list[Variable]:
    """The variables that are not among the others: by identity, as `==` compares values.

    Args:
        variables: Variables.
        others: Those to leave out.
    """
    left_out = {id(v) for v in others}
    return [v for v in variables if id(v) not in left_out]


def in_keras_order(variables: Any) -> list[Variable]:
    """Those made trainable first, as in Keras' files.

    Args:
        variables: Variables, in the order in which they were made.
    """
    return sorted(variables, key=lambda v: not v._made_trainable)


def set_trainable(layer: Any, value: bool) -> None:
    """Freeze the Variables that a layer holds itself, or thaw those that were frozen with it.

    Args:
        layer: The layer.
        value: Whether training changes it.
    """
    layer._trainable = value
    if value:
        for variable in layer._frozen:
            variable.trainable = True
        layer._frozen = []
    else:
        frozen = [v for v in parts(layer, Variable) if v.trainable]
        for variable in frozen:
            variable.trainable = False
        layer._frozen = [*layer._frozen, *frozen]
    for inner in layer._sublayers():
        inner.trainable = value


def assign_weights(layer: Any, values: Any) -> None:
    """Assign arrays to `layer.weights`, in order; all of them or none.

    Args:
        layer: The layer.
        values: The arrays.

    Raises:
        ValueError: If their number or a shape does not match.
    """
    own, values = layer.weights, list(values)
    who = f"Layer {layer.name!r}"
    if len(own) != len(values):
        raise ValueError(f"{who}: `weights` must hold {len(own)} arrays; got {len(values)}.")
    for variable, value in zip(own, values, strict=True):
        if variable.shape != np.shape(value):
            raise ValueError(
                f"{who}: weight {variable.path!r} has shape {variable.shape}; "
                f"cannot set shape {np.shape(value)}."
            )
    for variable, value in zip(own, values, strict=True):
        variable.assign(value)


def load_variables(layer: Any, store: Any) -> None:
    """Assign what a file holds for a layer to the Variables that it holds itself.

    Args:
        layer: The layer.
        store: A dict of arrays: keys are "0", "1" and so on.

    Raises:
        ValueError: If it holds another number of arrays than the layer has weights.
    """
    own = layer._own_variables()
    if len(store.keys()) != len(own):
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) has {len(own)} weights; the file has "
            f"{len(store.keys())} for it. "
            + ("" if layer.built else "The layer is not built yet: call it on data first.")
        )
    for i, variable in enumerate(own):
        variable.assign(store[str(i)])


def pair_values(
    layer: Any, trained: Sequence[Any], others: Sequence[Any]
) -> list[tuple[Variable, Any]]:
    """Each trainable and non-trainable Variable of a layer with the value given for it.

    Args:
        layer: The layer.
        trained: Values of `layer.trainable_variables`, in order.
        others: Values of `layer.non_trainable_variables`, in order.

    Raises:
        ValueError: If there are more or fewer values.
    """
    given = [
        (layer.trainable_variables, trained, "trainable"),
        (layer.non_trainable_variables, others, "non_trainable"),
    ]
    pairs = []
    for variables, values, kind in given:
        values = list(values)
        if len(values) != len(variables):
            raise ValueError(
                f"Layer {layer.name!r}: `{kind}_variables` must hold {len(variables)} "
                f"values; got {len(values)}."
            )
        pairs += zip(variables, values_of(values), strict=True)
    return pairs
