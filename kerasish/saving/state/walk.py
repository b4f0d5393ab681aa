"""A model's parts with state, and where files keep each of them."""

import contextlib
import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from kerasish.core import processes
from kerasish.core.errors import see
from kerasish.core.names import snake_case
from kerasish.core.state.tracking import declared
from kerasish.layers.base.layer import Layer
from kerasish.optimizers.optimizer import Optimizer
from kerasish.saving.io.file_window import BadFile

_CONTAINERS = (list, tuple, dict)


class Source(Protocol):
    """Something that holds the arrays of each part."""

    where: Any

    def part(self, path: str) -> Mapping:
        """The arrays of the part at a path, by name; none if it holds no such part.

        Arrays that nobody else holds: variables take them over, as they are where they can.

        Args:
            path: Path in the file.
        """
        ...

    def stored_parts(self) -> Iterable[str]:
        """Paths of the parts that it holds arrays of."""
        ...

    def verify(self) -> None:
        """Raise if what was read is damaged."""
        ...


def parts_of(saveable: Any) -> Iterator[tuple[str, Any]]:
    """Parts with state of their own and containers of them, each with the name files use.

    Args:
        saveable: The model, layer or optimizer.
    """
    if getattr(saveable, "_function", None) is not None or hasattr(saveable, "_stack"):
        yield "layers", saveable.layers
    optimizer = getattr(saveable, "optimizer", None)
    if optimizer is not None:
        yield "optimizer", optimizer
    # As Keras has it: private ones last, so that what has two names is under the public one.
    for name in sorted(_names_of(saveable), key=lambda name: (name.startswith("_"), name)):
        value = vars(saveable).get(name)
        if value is None:
            try:
                value = getattr(saveable, name)
            except Exception:  # a property of the user's, which need not work now
                continue
        if _is_saveable(value) or (isinstance(value, _CONTAINERS) and value):
            yield name, value


def _names_of(saveable):
    """Attributes that may hold parts; properties of users' classes among them."""
    users = (c for c in type(saveable).__mro__ if not c.__module__.startswith("kerasish."))
    names = {name for c in users for name in vars(c) if not name.startswith("__")}
    if hasattr(type(saveable), "layers"):
        names.add("layers")  # a model's: what comes after it in the alphabet is found there
    return (
        (names | set(vars(saveable)))
        - declared(type(saveable), "_not_saved")
        - vars(saveable).get("_untracked", set())
    )


def _is_saveable(x):
    return hasattr(x, "save_own_variables") and not isinstance(x, type)


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


def _walk_container(container, path, seen, inside=()):
    if any(container is outer for outer in inside):
        return
    used: dict[str, int] = {}
    for child in container.values() if isinstance(container, dict) else container:
        if not _is_saveable(child) and not isinstance(child, _CONTAINERS):
            continue
        name = snake_case(type(child).__name__) if _is_saveable(child) else "container"
        number = used[name] = used.get(name, -1) + 1
        inner = f"{path}/{name}_{number}" if number else f"{path}/{name}"
        if _is_saveable(child):
            yield from walk(child, inner, seen)
        else:
            yield from _walk_container(child, inner, seen, (*inside, container))


def own_arrays(part: Any) -> dict[str, np.ndarray]:
    """What a part has to save of its own.

    Args:
        part: A layer, optimizer or other part.
    """
    return {key: processes.gather_to_host(value) for key, value in _own_values(part).items()}


def _own_values(part):
    """The same, left on the device."""
    store: dict[str, Any] = {}
    part.save_own_variables(store)
    return store


def name_of(part: Any) -> str:
    """A part's name, or its class's.

    Args:
        part: A layer, optimizer or other part.
    """
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
    variables = {id(v): v for _, part in found for v in _variables_of(part)}
    before = [(v, v.read()) for v in variables.values()]
    naming = functools.partial(_naming, source, skip_mismatch)
    try:
        stored = set(source.stored_parts())
        found = _located(saveable, found, stored)
        # All are begun to be read before the first is waited for.
        ready = [(path, part, _begin(path, part, source, naming)) for path, part in found]
        for path, part, store in ready:
            if store is not None:
                with naming(path, part):
                    part.load_own_variables(store)
        source.verify()
        if not skip_mismatch:
            taken = {path for path, _ in (*walk(saveable), *found)}
            _warn_of_untaken(saveable, source.where, stored - taken)
    except BaseException:
        for variable, value in before:
            variable.assign(value)
        raise


def _located(saveable, found, stored):
    """The parts where the file has them: those it lacks at their first path, at another of theirs.

    Attributes are renamed with the old names kept as properties, and Keras once left out containers
    within containers, whose layers it then held as the model's.
    """
    lacking = {id(p) for path, p in found if path not in stored and _kept_of(p)} if stored else ()
    if not lacking:
        return found
    elsewhere: dict[int, str] = {}
    taken = {path for path, part in found if id(part) not in lacking}
    for path, part in _all_paths(saveable):
        if id(part) in lacking and path in stored and path not in taken:
            elsewhere.setdefault(id(part), path)
    return [(elsewhere.get(id(part), path), part) for path, part in found]


def _kept_of(part):
    users = not type(part).load_own_variables.__module__.startswith("kerasish.")
    return not users and bool(_own_values(part))


def _all_paths(saveable):
    """Every path to every part, but for those that lead through one part twice."""
    stack: list[tuple[str, Any, tuple]] = [("", saveable, ())]
    while stack:
        path, part, inside = stack.pop()
        yield path, part
        within = (*inside, id(part))
        for name, child in parts_of(part):
            inner = f"{path}/{name}" if path else name
            below = [(inner, child)] if _is_saveable(child) else _direct(child, inner)
            stack.extend((at, one, within) for at, one in below if id(one) not in within)


def _direct(container, path):
    """The parts in a container, not those in them."""
    used: dict[str, int] = {}
    for child in container.values() if isinstance(container, dict) else container:
        if _is_saveable(child):
            name = snake_case(type(child).__name__)
            number = used[name] = used.get(name, -1) + 1
            yield f"{path}/{name}_{number}" if number else f"{path}/{name}", child


def _warn_of_untaken(saveable, where, untaken):
    """Say so if a file has weights that no part takes: the model is not the one that was saved."""
    untaken = {path for path in untaken if path.split("/")[0] != "optimizer"}
    if untaken:
        some = sorted(untaken)[:3]
        more = f" and {len(untaken) - 3} more" if len(untaken) > 3 else ""
        warnings.warn(
            f"{where} holds weights that no part of {name_of(saveable)!r} takes: "
            f"{some}{more}. It was saved from another model.",
            stacklevel=4,
        )


def _variables_of(part):
    # The layers in a layer are parts themselves.
    return part._own_variables() if isinstance(part, Layer) else getattr(part, "variables", [])


def _begin(path, part, source, naming):
    """What to load a part from, if it is to be loaded; reading begins."""
    store = source.part(path)
    # A user's own loader knows what it wants, and there may be nothing to save before it ran.
    users = not type(part).load_own_variables.__module__.startswith("kerasish.")
    own = {} if users else _own_values(part)
    if not users and not store and not own:
        return None
    if isinstance(part, Optimizer) and not users:
        chosen = part.fitting_state(store, source.where)
        if not chosen:
            return None
        own = {name: own[name] for name in chosen}
    with naming(path, part):
        _compare(store, own)
        return _Ready(store, own)
    return None  # what is wrong was warned of


@contextlib.contextmanager
def _naming(source, skip_mismatch, path, part):
    """Say of which part an error is; or warn of it, if it is only that something does not fit."""
    try:
        yield
    except BadFile:
        raise
    except (ValueError, KeyError) as error:
        message = f"{source.where} does not fit {name_of(part)!r} (at {path or '/'!r}): {error}"
        if not skip_mismatch:
            raise ValueError(f"{message} {see('E11')}") from error
        warnings.warn(f"Skipped: {message}", stacklevel=6)


def _compare(store, own):
    if hasattr(store, "expect"):
        store.expect({key: np.shape(value) for key, value in own.items()})
    if set(store) != set(own):
        return  # the part itself knows whether that is a mistake
    for key, value in own.items():
        shape = store.shape(key) if hasattr(store, "shape") else np.shape(store[key])
        if shape != np.shape(value):
            raise ValueError(
                f"array {key} must have shape {np.shape(value)}; the file's has {shape}."
            )


class _Ready(Mapping):
    """A part's arrays, on the device already where they are of the type they are for.

    Args:
        store: The arrays.
        own: Those that they are for.
    """

    def __init__(self, store: Mapping, own: Mapping):
        self.store, self.own = store, own

    def __getitem__(self, key):
        value = self.store[key]
        if value.dtype != getattr(self.own.get(key), "dtype", None):
            return value
        return jax.device_put(value)  # no copy on the CPU, as the array is aligned for that

    def __contains__(self, key):
        return key in self.store

    def __iter__(self):
        return iter(self.store)

    def __len__(self):
        return len(self.store)
