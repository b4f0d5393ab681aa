"""Output shapes by tracing with symbolic dimensions: no operation or layer states its own."""

import contextlib
import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.export import SymbolicScope, symbolic_shape

from kerasish.core.dict_order import in_order, map_in_order
from kerasish.core.errors import hints
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.host_tensor import HostTensor, Shapes
from kerasish.core.symbolic.keras_tensor import KerasTensor

# One symbol per axis position: the same unknown axis of two inputs is taken to be the same size.
_scope = SymbolicScope()


@functools.cache
def _symbol(axis):
    return symbolic_shape("b" if axis == 0 else f"d{axis}", scope=_scope)[0]


# Two sizes no window reaches and nothing else has: what differs between them is unknown.
_TRIAL_SIZES = (83, 89)


def infer(call: Callable, *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of `call(*args, **kwargs)`, as a pytree of new symbolic tensors.

    Nothing is computed, and whatever `call` assigns to Variables is forgotten.

    Args:
        call: Function of arrays.
        *args: Its arguments, symbolic tensors among them.
        **kwargs: Keyword arguments, likewise.
    """
    leaves, tree = jax.tree.flatten(
        (in_order(args), {key: in_order(value) for key, value in kwargs.items()}),
        is_leaf=is_variable,
    )
    tensors = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]
    numbers = [t for t in tensors if t.dtype != "string"]

    def run(sizes):
        strings, shapes = [], Shapes(sizes or _symbol)

        def stand_in(leaf, rest):
            if not isinstance(leaf, KerasTensor):
                return leaf
            return shapes.tensor(leaf.shape) if leaf.dtype == "string" else next(rest)

        def fresh(*values):
            rest = iter(values)
            inner_args, inner_kwargs = jax.tree.unflatten(
                tree, [stand_in(leaf, rest) for leaf in leaves]
            )
            with Scope():
                result = in_order(call(*inner_args, **inner_kwargs))
            strings[:] = [isinstance(leaf, HostTensor) for leaf in jax.tree.leaves(result)]
            if not any(strings):
                return result
            return jax.tree.map(
                lambda x: jnp.zeros(x.shape, "bool") if isinstance(x, HostTensor) else x, result
            )

        found = jax.eval_shape(fresh, *(_shape_struct(t, sizes) for t in numbers))
        if not any(strings):
            return found
        found, structure = jax.tree.flatten(found)
        pairs = zip(found, strings, strict=True)
        return structure.unflatten([_Strings(x.shape) if s else x for x, s in pairs])

    if all(None not in t.shape for t in tensors):
        with hints():
            return map_in_order(_as_tensor, run(None))
    # A comparison that symbols cannot decide, or a real mistake: the trials tell.
    with contextlib.suppress(Exception):
        return map_in_order(_as_tensor, run(_symbol))
    with hints():
        first, second = _two_trials(run, tensors)
    return jax.tree.map(_as_tensor, in_order(first), in_order(second))


class _Strings:
    """The shape of strings, as `jax.ShapeDtypeStruct` tells that of numbers."""

    class dtype:  # noqa: N801, read as an array's is
        name = "string"

    def __init__(self, shape):
        self.shape = shape


def _two_trials(run, tensors):
    found, errors = [], []
    for size in _TRIAL_SIZES:
        try:
            found.append(run(lambda axis, size=size: size))
        except Exception as error:
            errors.append(error)
    if not errors:
        return found
    error, others = errors[0], errors[1:]
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (_without_trial_sizes(error.args[0], [str(e) for e in others]),)
    notes = [getattr(e, "__notes__", []) for e in errors]
    for i, note in enumerate(notes[0]):
        notes[0][i] = _without_trial_sizes(note, [own[i] for own in notes[1:] if i < len(own)])
    shapes = ", ".join(str(t.shape) for t in tensors)
    if shapes not in "".join((str(error), *notes[0])):
        error.add_note(f"Called on symbolic tensors of shape {shapes}.")
    raise error


_NUMBER = re.compile(r"(?<![\w.])(\d+)(?![\w.]*\d)")


def _without_trial_sizes(message, others):
    """The message of a failed trial, `None` for the numbers that the other trial has otherwise."""
    parts = _NUMBER.split(message)
    for other in others:
        theirs = _NUMBER.split(other)
        if theirs[::2] == parts[::2]:
            return "".join(a if a == b else "None" for a, b in zip(parts, theirs, strict=True))
    first = str(_TRIAL_SIZES[0])
    return "".join("None" if part == first else part for part in parts)


def _shape_struct(tensor, sizes):
    shape = tuple(sizes(i) if n is None else n for i, n in enumerate(tensor.shape))
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(tensor.dtype))


def _as_tensor(found, other=None):
    other = found if other is None else other
    same = zip(found.shape, other.shape, strict=True)
    shape = tuple(n if isinstance(n, int) and n == m else None for n, m in same)
    return KerasTensor(shape, found.dtype.name)
