"""A model's parts with state, and where files keep each of them."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from kerasish.core.names import snake_case
from kerasish.saving.hdf5 import BadFile

# Attributes that hold what the tree names otherwise, or that files do not keep.
_SKIPPED = frozenset(
    "activity_regularizer history input_spec loss optimizer _added_losses _compile_arguments "
    "_compiled_loss _compiled_metrics _frozen _function _given _graph_layers _inbound_nodes "
    "_loss_tracker _stack _steps _weights".split()
)


class Source(Protocol):
    """Something that holds the arrays of each part."""

    where: Any

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path, by name; none if it holds no such part."""
        ...

    def verify(self) -> None:
        """Raise if what was read is damaged."""
        ...


def parts_of(saveable: Any) -> Iterator[tuple[str, Any]]:
    """Parts with state of their own and containers of them, each with the name files use."""
    if getattr(saveable, "_function", None) is not None or hasattr(saveable, "_stack"):
        yield "layers", saveable.layers
    optimizer = getattr(saveable, "optimizer", None)
    if optimizer is not None:
        yield "optimizer", optimizer
    for name in sorted(vars(saveable)):
        if name not in _SKIPPED:
            value = vars(saveable)[name]
            if _is_saveable(value) or (isinstance(value, list | dict | tuple | set) and value):
                yield name, value


def _is_saveable(x):
    return hasattr(x, "save_own_variables")


def walk(saveable: Any, path: str = "", seen: set | None = None) -> Iterator[tuple[str, Any]]:
    """Each part once, with its path in the tree, the whole first.

    Args:
        saveable: A model, layer or optimizer.
        path: Its own path.
        seen: `id`s of parts to leave out.
    """
    seen = set() if seen is None else seen
    if id(saveable) in seen:
        return
    seen.add(id(saveable))
    yield path, saveable
    for name, child in parts_of(saveable):
        inner = f"{path}/{name}" if path else name
        if _is_saveable(child):
            yield from walk(child, inner, seen)
        else:
            yield from _walk_container(child, inner, seen)


def _walk_container(container, path, seen):
    used: dict[str, int] = {}
    for child in container.values() if isinstance(container, dict) else container:
        if _is_saveable(child):
            name = snake_case(type(child).__name__)
            number = used[name] = used.get(name, -1) + 1
            yield from walk(child, f"{path}/{name}_{number}" if number else f"{path}/{name}", seen)


def own_arrays(part: Any) -> dict[str, np.ndarray]:
    """What a part has to save of its own."""
    store: dict[str, Any] = {}
    part.save_own_variables(store)
    return {key: np.asarray(value) for key, value in store.items()}


def name_of(part: Any) -> str:
    """A part's name, or its class's."""
    return getattr(part, "name", type(part).__name__)


def load(
    saveable: Any, source: Source, skip_mismatch: bool = False, skipped: Iterable = ()
) -> None:
    """Load all parts from a source; on an error nothing is changed.

    Args:
        saveable: A model, layer or optimizer.
        source: Where from.
        skip_mismatch: Whether to warn about parts that do not fit, instead of failing.
        skipped: Parts to leave as they are.
    """
    found = list(walk(saveable, seen={id(part) for part in skipped}))
    variables = {id(v): v for _, part in found for v in getattr(part, "variables", [])}
    before = [(v, v.read()) for v in variables.values()]
    try:
        for path, part in found:
            _load_part(path, part, source, skip_mismatch)
        source.verify()
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def _load_part(path, part, source, skip_mismatch):
    store, own = source.part(path), own_arrays(part)
    if not store and not own:
        return
    if path == "optimizer" and not store:
        warnings.warn(
            f"{source.where} holds no optimizer state; the optimizer starts anew.", stacklevel=5
        )
        return
    if path == "optimizer" and len(own) > len(store) and set(store) <= {"0", "1"}:
        # It had not been used yet: there are only its iterations and learning rate.
        for key in store:
            part.variables[int(key)].assign(np.asarray(store[key]))
        return
    try:
        _compare(store, own)
        part.load_own_variables(store)
    except BadFile:
        raise
    except (ValueError, KeyError) as error:
        message = f"{source.where} does not fit {name_of(part)!r} (at {path or '/'!r}): {error}"
        if not skip_mismatch:
            raise ValueError(message) from error
        warnings.warn(f"Skipped: {message}", stacklevel=5)


def _compare(store, own):
    if hasattr(store, "expect"):
        store.expect({key: value.shape for key, value in own.items()})
    if set(store) != set(own):
        return  # the part itself knows whether that is a mistake
    for key, value in own.items():
        shape = store.shape(key) if hasattr(store, "shape") else np.shape(store[key])
        if shape != value.shape:
            raise ValueError(f"array {key} must have shape {value.shape}; the file's has {shape}.")
