"""Whether a call does nothing but compute: no side effects, nothing read that may change unseen.

The call is run as it is, uncompiled, while a profiler notes whose code runs. What kerasish, JAX and
NumPy do is known; code of others is looked at, and refused at the first doubt.
"""

import contextlib
import dis
import functools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from kerasish.core import settings
from kerasish.layers.base.fingerprint import (
    BOOKKEEPING,
    CONTAINERS,
    Fingerprint,
    attributes,
    is_opaque,
    is_own,
    items_of,
    same,
)
from kerasish.layers.base.layer import Layer

_PLACES = pathlib.Path(jax.__file__).parents[1]
_LIBRARIES = (*(_PLACES / name for name in ("jax", "jaxlib")), pathlib.Path(np.__file__).parent)
_TRUSTED = tuple(f"{folder}{os.sep}" for folder in (pathlib.Path(__file__).parents[2], *_LIBRARIES))
_TRUSTED_MODULES = ("jax", "jaxlib", "numpy", "math", "kerasish")
_UNTRUSTED_MODULES = ("numpy.random", "kerasish.config", "kerasish.utils", "kerasish.core.settings")
_STANDARD = f"{pathlib.Path(os.__file__).parent}{os.sep}"
_PACKAGES = "site-packages"
_CONTEXTS = (contextlib.__file__, functools.__file__)

_PURE = (
    *("len isinstance issubclass getattr hasattr sorted sum min max abs round divmod pow".split()),
    *("any all repr callable iter ord chr format".split()),
)
_BY_NAME = ("getattr", "hasattr")  # they read attributes whose names the code does not show
_PURE_METHODS_OF = (str, bytes, int, float, complex, tuple, frozenset, range, np.ndarray)
_READING = frozenset("get items keys values copy count index union intersection".split())
_STORING = frozenset(
    "STORE_ATTR DELETE_ATTR STORE_GLOBAL DELETE_GLOBAL STORE_SUBSCR DELETE_SUBSCR STORE_NAME "
    "STORE_SLICE IMPORT_NAME IMPORT_FROM LOAD_BUILD_CLASS PRINT_EXPR".split()
)
_UNSEEN = frozenset(
    ("__dict__", "__setattr__", "__delattr__", "__setitem__", "__globals__", "__class__")
)
_MISSING = object()


class Impure(Exception):
    """A call does, or may do, more than compute; the text says what."""


class Watch:
    """What is seen of a call while it runs.

    Attributes:
        codes: Code of others that ran.
        changed: Lists, dicts and sets whose methods changed them, by `id`.
        by_name: Whether attributes were read by names that the code does not show.
    """

    def __init__(self):
        self.codes: dict[CodeType, None] = {}
        self.changed: dict[int, Any] = {}
        self.by_name = False
        self.why: str | None = None

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        """What `sys.setprofile` calls."""
        if event == "call":
            if not _is_trusted(frame, self.codes):
                self.codes[frame.f_code] = None
        elif event == "c_call":
            if frame.f_code in self.codes:
                self._built_in(arg)
            elif arg.__name__ == "warn" and arg.__module__ == "_warnings":
                self.why = self.why or "it warns"

    def _built_in(self, function):
        owner, name = getattr(function, "__self__", None), function.__name__
        self.by_name |= name in _BY_NAME
        if isinstance(owner, list | dict | set):
            if name not in _READING:
                self.changed[id(owner)] = owner
            return
        module = function.__module__ or ""
        is_pure = (module == "builtins" and name in _PURE) or module == "math"
        is_pure = is_pure or module.partition(".")[0] in ("jax", "jaxlib")
        of_value = owner is not None and isinstance(owner, (*_PURE_METHODS_OF, jax.Array))
        if not (is_pure or of_value):
            self.why = self.why or f"it calls {name}"


@functools.cache
def _is_trusted_file(path):
    return path.startswith((*_TRUSTED, "<frozen")) or path in _CONTEXTS


def _is_trusted(frame, codes):
    path = frame.f_code.co_filename
    if _is_trusted_file(path):
        return True
    if path == "<string>":  # methods of data classes, named tuples and the like
        home = frame.f_globals.get("__name__", "")
        if home.partition(".")[0] in _TRUSTED_MODULES:
            return True
        if not home.startswith("namedtuple_"):
            return False
        return frame.f_back is None or frame.f_back.f_code not in codes
    # The standard library counts as part of who calls it.
    is_standard = path.startswith(_STANDARD) and _PACKAGES not in path
    return is_standard and (frame.f_back is None or frame.f_back.f_code not in codes)


class Ground:
    """What a model's call stands on besides its arguments and its Variables' values.

    Made before a call that `Watch` looks at, and given what that saw afterwards. From then on
    `holds` says whether all is as it was.

    Args:
        model: The model.
    """

    def __init__(self, model: Any):
        self.layers = list(model._flatten_layers())
        self.fingerprint = Fingerprint([model])
        self.containers: dict[int, tuple[Any, list]] = {}
        self.functions: dict[CodeType, FunctionType] = {}
        self.globals: list[tuple[dict, str, Any]] = []
        self.cells: list[tuple[CellType, Any]] = []
        self.classes = [_class_state(cls) for cls in _classes(self.layers)]
        self.settings = settings.current()
        self.strange: list[tuple[str, str]] = []
        self._seen: set[int] = set()
        for layer in self.layers:
            own = is_own(type(layer))
            for name, value in attributes(layer):
                if name in ("call", "__call__", "_run_call"):
                    raise Impure(f"{layer.name} has a `{name}` of its own")
                self._take(name, value, own)
        for cls in _classes(self.layers):
            if not is_own(cls):
                for name, value in vars(cls).items():
                    if not name.startswith("__"):
                        self._take(name, value, False)

    def _take(self, name, value, own):
        """Note a value that the call may read."""
        if isinstance(value, property | staticmethod | classmethod):
            value = getattr(value, "fget", None) or getattr(value, "__func__", None)
        if isinstance(value, FunctionType):
            self.functions.setdefault(value.__code__, value)
            return
        if isinstance(value, MethodType | functools.partial):
            for part in _parts(value):
                self._take(name, part, own)
            return
        wrapped = getattr(value, "__wrapped__", None) if is_opaque(value) else None
        if isinstance(wrapped, FunctionType):
            self.functions.setdefault(wrapped.__code__, wrapped)
        if isinstance(value, CONTAINERS):
            if id(value) not in self._seen:
                self._seen.add(id(value))
                items = items_of(value)
                if isinstance(value, list | dict | set):
                    self.containers[id(value)] = value, items
                for item in items:
                    self._take(name, item, own)
        elif not is_opaque(value) and not (own and is_own(type(value))):
            if own:
                raise Impure(f"a layer calls on `{name}`, a {type(value).__name__}")
            self.strange.append((name, type(value).__name__))

    def check(self, watch: Watch) -> None:
        """Take in what a call showed.

        Args:
            watch: What was seen of it.

        Raises:
            Impure: The call does more than compute, or reads what may change unseen.
        """
        if watch.why:
            raise Impure(watch.why)
        held = len(self.containers)
        names = self._check_codes(watch.codes)
        for name, kind in self.strange:
            if watch.by_name or name in names or name == _OF_FUNCTIONS:
                raise Impure(f"it may read `{name}`, a {kind}")
        if names & BOOKKEEPING - {"name"}:
            raise Impure(f"it may read {sorted(names & BOOKKEEPING)}")
        if len(self.containers) > held and _IN_PLACE in names:
            raise Impure("it may change a list, dict or set that outlives it")
        for key in watch.changed:
            if key in self.containers:
                raise Impure("it changes a list, dict or set that outlives it")
        if not self.fingerprint.still_holds() or not self.holds():
            raise Impure("it changes attributes")
        if any(layer._added_losses.items() for layer in self.layers):
            raise Impure("it adds losses")

    def _check_codes(self, codes):
        names: set[str] = set()
        checked: set[CodeType] = set()
        waiting = [code for code in codes if code in self.functions]
        while waiting:
            code = waiting.pop()
            if code in checked:
                continue
            for inner in _with_nested(code):
                checked.add(inner)
                names |= _check_code(inner)
            self._take_surroundings(self.functions[code])
            waiting = [c for c in codes if c in self.functions and c not in checked]
        for code in codes:
            if code not in checked:
                raise Impure(f"it runs {code.co_qualname}, of unknown origin")
        return names

    def _take_surroundings(self, function):
        """Note what a function finds in its globals, closure and defaults."""
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._take(_OF_FUNCTIONS, value, False)
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                value = cell.cell_contents
            except ValueError:
                raise Impure(f"`{name}` has no value yet") from None
            self.cells.append((cell, value))
            self._take_from_outside(value)
        known = function.__globals__
        for inner in _with_nested(function.__code__):
            for name, path in _globals_of(inner):
                value = known.get(name, _MISSING)
                self.globals.append((known, name, value))
                if isinstance(value, ModuleType):
                    _check_module(value, path)
                elif value is not _MISSING:
                    self._take_from_outside(value)

    def _take_from_outside(self, value):
        if isinstance(value, Layer) and not any(value is layer for layer in self.layers):
            raise Impure(f"it uses {value.name}, which is no part of the model")
        self._take(_OF_FUNCTIONS, value, False)

    def holds(self) -> bool:
        """Whether all but the layers' attributes is as it was: what may change without a word."""
        if self.settings != settings.current():
            return False
        for state in self.classes:
            if not state():
                return False
        for container, items in self.containers.values():
            now = items_of(container)
            if len(now) != len(items) or not all(map(same, now, items)):
                return False
        for known, name, value in self.globals:
            if known.get(name, _MISSING) is not value:
                return False
        return all(cell.cell_contents is value for cell, value in self.cells)


_OF_FUNCTIONS, _IN_PLACE = "a global or closure", "an operation in place"


def _parts(value):
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    return value.func, value.args, value.keywords


def _classes(layers) -> Iterable[type]:
    return dict.fromkeys(
        cls for layer in layers for cls in type(layer).__mro__ if cls is not object
    )


def _class_state(cls) -> Callable[[], bool]:
    """A function that says whether a class is still what it is now."""
    held = vars(cls)
    if is_own(cls):
        watched = [(name, held[name]) for name in ("call", "__call__", "_run_call") if name in held]
        return lambda: all(held.get(name) is value for name, value in watched)
    seen = list(held.values())

    def unchanged():
        now = list(held.values())
        return len(now) == len(seen) and all(map(lambda a, b: a is b, now, seen))

    return unchanged


def _with_nested(code) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_nested(constant)


def _check_code(code) -> set[str]:
    """Names of attributes that code reads.

    Raises:
        Impure: It stores something that outlives it.
    """
    names = set(code.co_names)
    if names & _UNSEEN:
        raise Impure(f"it uses {sorted(names & _UNSEEN)}")
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name in _STORING or (name == "STORE_DEREF" and instruction.argval in code.co_freevars):
            raise Impure(f"it stores to `{instruction.argval}`")
        if name == "BINARY_OP" and instruction.argrepr.endswith("="):
            names.add(_IN_PLACE)
    return names


def _globals_of(code) -> Iterator[tuple[str, list[str]]]:
    """Global names that code reads, each with the attributes that it reads of it."""
    name, path = None, []
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            if name is not None:
                yield name, path
            name, path = instruction.argval, []
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and name is not None:
            path.append(instruction.argval)
        elif instruction.opname not in ("CACHE", "PUSH_NULL", "PRECALL"):
            if name is not None:
                yield name, path
            name, path = None, []
    if name is not None:
        yield name, path


def _check_module(module, path):
    """Let code use a module, by these attributes, if nothing there has side effects."""
    for name in ("", *path):
        module = getattr(module, name) if name else module
        if not isinstance(module, ModuleType):
            return
        root = module.__name__.partition(".")[0]
        if root not in _TRUSTED_MODULES or module.__name__.startswith(_UNTRUSTED_MODULES):
            raise Impure(f"it uses the module {module.__name__}")
    # The module itself goes somewhere: what is read of it there is not seen.
    if path == []:
        raise Impure(f"it hands on the module {module.__name__}")
