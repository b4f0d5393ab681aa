"""Output shapes by tracing with symbolic dimensions: no operation or layer states its own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.export import SymbolicScope, symbolic_shape

from kerasish.core.errors import hints
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.keras_tensor import KerasTensor

# One symbol per axis position: the same unknown axis of two inputs is taken to be the same size.
_scope = SymbolicScope()


@functools.cache
def _symbol(axis):
    return symbolic_shape("b" if axis == 0 else f"d{axis}", scope=_scope)[0]


# Two sizes no window reaches and nothing else has: what differs between them is unknown.
_TRIAL_SIZES = (83, 89)


def infer(call: Callable, *args, **kwargs) -> Any:
    """Shapes and dtypes of `call(*args, **kwargs)`, as a nest of new symbolic tensors.

    Nothing is computed, and whatever `call` assigns to Variables is forgotten.
    """
    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_variable)
    tensors = [leaf for leaf in leaves if isinstance(leaf, KerasTensor)]

    def run(sizes):
        def fresh(*values):
            rest = iter(values)
            filled = [next(rest) if isinstance(leaf, KerasTensor) else leaf for leaf in leaves]
            inner_args, inner_kwargs = jax.tree.unflatten(tree, filled)
            with Scope():
                return call(*inner_args, **inner_kwargs)

        return jax.eval_shape(fresh, *(_shape_struct(t, sizes) for t in tensors))

    if all(None not in t.shape for t in tensors):
        with hints():
            return jax.tree.map(_as_tensor, run(None))
    try:
        return jax.tree.map(_as_tensor, run(_symbol))
    except Exception:  # a comparison that symbols cannot decide, or a real mistake: the trial tells
        with hints():
            first, second = _two_trials(run, tensors)
    return jax.tree.map(_as_tensor, first, second)


def _two_trials(run, tensors):
    try:
        return [run(lambda axis, size=size: size) for size in _TRIAL_SIZES]
    except Exception as error:
        shapes = ", ".join(str(t.shape) for t in tensors)
        error.add_note(f"Called on symbolic tensors of shape {shapes}; above, 83 stands for None.")
        raise


def _shape_struct(tensor, sizes):
    shape = tuple(sizes(i) if n is None else n for i, n in enumerate(tensor.shape))
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(tensor.dtype))


def _as_tensor(found, other=None):
    other = found if other is None else other
    same = zip(found.shape, other.shape, strict=True)
    shape = tuple(n if isinstance(n, int) and n == m else None for n, m in same)
    return KerasTensor(shape, found.dtype.name)
