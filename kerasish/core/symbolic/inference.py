"""Output shapes by tracing with symbolic dimensions: no operation or layer states its own."""

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.export import SymbolicScope, symbolic_shape

from kerasish.core.dict_order import in_order, map_in_order
from kerasish.core.errors import hints
from kerasish.core.sparse import densify, is_sparse
from kerasish.core.state.scope import Scope
from kerasish.core.state.variable import is_variable
from kerasish.core.symbolic.host_tensor import HostTensor, Shapes
from kerasish.core.symbolic.keras_tensor import KerasTensor

# One symbol per axis position: the same unknown axis of two inputs is taken to be the same size.
_scope = SymbolicScope()


def _symbol(_tensor, axis):
    return _symbols(axis)


@functools.cache
def _symbols(axis):
    return symbolic_shape("b" if axis == 0 else f"d{axis}", scope=_scope)[0]


# Two sizes no window reaches and nothing else has: what differs between them is unknown. The
# second pair is tried where the first fails: it can be cut into equal parts.
_TRIAL_SIZES = (83, 89)
_DIVISIBLE_SIZES = (27720, 55440)


class _Trial(threading.local):
    """Sizes that depend on values: what they are taken to be, and whether one was asked for."""

    size: int | None = None
    asked: bool = False


_trial = _Trial()


def size_by_value() -> int | None:
    """The size of what depends on values, such as the number of nonzero elements.

    While shapes are found by tracing it is a trial's, so that the axis comes out as unknown;
    `None` elsewhere.
    """
    _trial.asked = True
    return _trial.size


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
    sparse: list = []

    def run(sizes):
        strings, shapes = [], Shapes(functools.partial(sizes, None))

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
            if not isinstance(result, jax.Array):
                sparse[:] = [is_sparse(x) for x in jax.tree.leaves(result, is_leaf=is_sparse)]
                result = in_order(densify(result))
            strings[:] = [isinstance(leaf, HostTensor) for leaf in jax.tree.leaves(result)]
            if not any(strings):
                return result
            return jax.tree.map(
                lambda x: jnp.zeros(x.shape, "bool") if isinstance(x, HostTensor) else x, result
            )

        structs = [_shape_struct(i, tensor, sizes) for i, tensor in enumerate(numbers)]
        found = jax.eval_shape(fresh, *structs)
        if not any(strings):
            return found
        found, structure = jax.tree.flatten(found)
        pairs = zip(found, strings, strict=True)
        return structure.unflatten([_Strings(x.shape) if s else x for x, s in pairs])

    known = all(None not in t.shape for t in tensors)
    with contextlib.ExitStack() as stack:
        # A comparison that symbols cannot decide, or a real mistake: the trials tell.
        if not known:
            stack.enter_context(contextlib.suppress(Exception))
        stack.enter_context(_as_value_error())
        stack.enter_context(hints())
        found, asked = _try(run, _symbol, _TRIAL_SIZES[0])
        if not asked:
            return _say_sparse(map_in_order(_as_tensor, found), sparse)
    with _as_value_error(), hints():
        first, second = _two_trials(run, tensors, numbers)
    return _say_sparse(jax.tree.map(_as_tensor, in_order(first), in_order(second)), sparse)


def _say_sparse(tensors, sparse):
    """The same tensors, each knowing whether it stands for a sparse matrix."""
    if any(sparse):
        for tensor, is_one in zip(jax.tree.leaves(tensors), sparse, strict=True):
            tensor.sparse = is_one
    return tensors


class _Strings:
    """The shape of strings, as `jax.ShapeDtypeStruct` tells that of numbers."""

    class dtype:  # noqa: N801, read as an array's is
        name = "string"

    def __init__(self, shape):
        self.shape = shape


def _try(run, sizes, by_value):
    """The outputs, unknown sizes being given, and whether one of them depends on values."""
    before = _trial.size, _trial.asked
    _trial.size, _trial.asked = by_value, False
    try:
        return run(sizes), _trial.asked
    finally:
        _trial.size, _trial.asked = before


def _two_trials(run, tensors, numbers):
    found, errors = _trials_of(run, {}, _TRIAL_SIZES)
    if not errors:
        return found
    for sizes, pair in _guesses(numbers):
        found, failed = _trials_of(run, sizes, pair)
        if not failed:
            return found
    error, others = errors[0], errors[1:]
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (_without_trial_sizes(error.args[0], [str(e) for e in others]),)
    notes = [getattr(e, "__notes__", []) for e in errors]
    for i, note in enumerate(notes[0]):
        notes[0][i] = _without_trial_sizes(note, [own[i] for own in notes[1:] if i < len(own)])
    shapes = ", ".join(str(t.shape) for t in tensors)
    told = "".join((str(error), *notes[0]))
    if shapes not in told and "`call` returned None" not in told:
        error.add_note(f"Called on symbolic tensors of shape {shapes}.")
    raise error


def _trials_of(run, sizes, pair):
    found, errors = [], []
    for size in pair:
        try:
            found.append(_try(run, lambda i, axis, size=size: sizes.get((i, axis), size), size)[0])
        except Exception as error:
            errors.append(error)
    return found, errors


def _guesses(tensors):
    """What unknown sizes may be where not every size is right: by tensor and axis; and a pair.

    First all may be divisible, then an axis has the size that another tensor has there, counted
    from the last axis or from the first, and then one axis has any size that another tensor has.
    """
    yield {}, _DIVISIBLE_SIZES
    holes = [(i, a) for i, t in enumerate(tensors) for a, n in enumerate(t.shape) if n is None]
    for from_end in (True, False):
        yield _aligned(tensors, holes, from_end), _TRIAL_SIZES
    for i, axis in holes:
        others = {n for j, t in enumerate(tensors) if j != i for n in t.shape if n is not None}
        yield from (({(i, axis): size}, _TRIAL_SIZES) for size in sorted(others)[:4])


def _aligned(tensors, holes, from_end):
    sizes = {}
    for i, axis in holes:
        there = axis - len(tensors[i].shape) if from_end else axis
        shapes = [t.shape for t in tensors if -len(t.shape) <= there < len(t.shape)]
        known = [shape[there] for shape in shapes if shape[there] not in (None, 1)]
        if known:
            sizes[i, axis] = known[0]
    return sizes


_SHAPES = re.compile(r"shapes?\b.*(broadcast|same|differ|match|got)|Incompatible", re.IGNORECASE)


@contextlib.contextmanager
def _as_value_error() -> Iterator[None]:
    """Raise JAX's errors about shapes as a `ValueError`, as Keras does for symbolic tensors."""
    try:
        yield
    except TypeError as error:
        if not _SHAPES.search(str(error)):
            raise
        found = ValueError(str(error))
        for note in getattr(error, "__notes__", ()):
            found.add_note(note)
        raise found.with_traceback(error.__traceback__) from None  # with the user's frames


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


def _shape_struct(i, tensor, sizes):
    shape = tuple(sizes(i, axis) if n is None else n for axis, n in enumerate(tensor.shape))
    return jax.ShapeDtypeStruct(shape, jax.dtypes.canonicalize_dtype(tensor.dtype))


def _as_tensor(found, other=None):
    other = found if other is None else other
    same = zip(found.shape, other.shape, strict=True)
    shape = tuple(n if isinstance(n, int) and n == m else None for n, m in same)
    return KerasTensor(shape, found.dtype.name)
