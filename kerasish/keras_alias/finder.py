"""The finder behind `import keras`, and the modules that stand for those under `keras.src`."""

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator
from typing import Any

import kerasish
from kerasish.keras_alias.source_names import EXTRAS

KERAS_VERSION = "3.15.1"
_SOURCE = "keras.src"
# The folders of Keras' source: a path under any other is an error, as it is there.
_FOLDERS = frozenset(
    "activations api_export applications backend callbacks config constraints datasets "
    "distillation distribution dtype_policies export initializers layers legacy losses metrics "
    "models ops optimizers quantizers random regularizers saving testing trainers tree utils "
    "version visualization wrappers".split()
)


def _public_namespaces() -> Iterator[types.ModuleType]:
    """kerasish's modules that hold public names."""
    yield kerasish
    for name in kerasish.__all__:
        item = getattr(kerasish, name)
        if isinstance(item, types.ModuleType):
            yield item
    yield from (kerasish.optimizers.schedules, kerasish.utils.bounding_boxes)


class SourceModule(types.ModuleType):
    """A module under `keras.src`: names mean what they mean in kerasish's public modules."""

    def __init__(self, name: str):
        super().__init__(name, f"What {name} has in Keras, found among kerasish's public names.")
        self.__path__: list = []

    def __getattr__(self, name: str) -> Any:
        own = _own_module(self.__name__) if name == "__all__" else None
        if own is not None:
            return own.__all__
        if name.startswith("__"):
            raise AttributeError(name)
        found = _in_source(self.__name__, name)
        setattr(self, name, found)
        return found


def _in_source(path: str, name: str) -> Any:
    """What `name` is in the module `path` under `keras.src`."""
    extras = EXTRAS.get(path.removeprefix(f"{_SOURCE}.").removeprefix(_SOURCE), {})
    if name in extras:
        return extras[name]
    inside = f"{path}.{name}"
    if inside in _NAMED or (path == _SOURCE and name in _FOLDERS):
        return importlib.import_module(inside)
    near = _own_module(path)
    folder = path.split(".")[2:3]
    first = [getattr(kerasish, folder[0])] if folder and folder[0] in kerasish.__all__ else []
    for module in ([] if near is None else [near]) + first + list(_public_namespaces()):
        if name in vars(module) or name in getattr(module, "__all__", ()):
            return getattr(module, name)
    raise AttributeError(
        f"module {path!r} has no attribute {name!r}: kerasish stands for Keras here, and has no "
        "public class or function of that name."
    )


def _own_module(path: str) -> types.ModuleType | None:
    """kerasish's module of the same path, if it has one."""
    found: Any = kerasish
    for name in path.split(".")[2 if path.startswith(_SOURCE) else 1 :]:
        found = vars(found).get(name) if isinstance(found, types.ModuleType) else None
    return found if isinstance(found, types.ModuleType) else None


# Modules under `keras.src` that have names of their own, and the folders that lead to them.
_NAMED = frozenset(
    ".".join((_SOURCE, *parts[:count]))
    for parts in (path.split(".") for path in EXTRAS if path)
    for count in range(1, len(parts) + 1)
)


def _module(name: str) -> types.ModuleType | None:
    """What a dotted name that begins with `keras` means; `None`: there is no such module."""
    if name == _SOURCE:
        return SourceModule(name)
    if not name.startswith(f"{_SOURCE}."):
        return _own_module(name)
    # Never a module of kerasish's own: importing what is in it would set attributes of that one.
    return SourceModule(name) if name.split(".")[2] in _FOLDERS else None


class AbsentModule(types.ModuleType):
    """Stands for a part of Keras that kerasish lacks: libraries import, and calls say so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = AbsentModule(f"{self.__name__}.{name}")
        setattr(self, name, found)
        return found

    def __call__(self, *args, **kwargs):
        raise NotImplementedError(f"{self.__name__} is not part of kerasish.")


class _Loader(importlib.abc.Loader):
    """Gives a module that is there already, and leaves it as it is."""

    def __init__(self, module):
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec):
        return self.module

    def exec_module(self, module):
        if self.spec is not None:  # the import system has put another in its place
            module.__spec__ = self.spec


class KerasFinder(importlib.abc.MetaPathFinder):
    """Finds `keras` and what is in it among kerasish's modules."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a module under Keras' name; `None` for others.

        Args:
            fullname: Name of the module.
            path: Where its package looks.
            target: The module, if it is loaded again.
        """
        if fullname != "keras" and not fullname.startswith("keras."):
            return None
        module = _module(fullname)
        if module is None:
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: kerasish stands for Keras here, and has no such "
                "module.",
                name=fullname,
            )
        return importlib.machinery.ModuleSpec(fullname, _Loader(module), is_package=True)


def install() -> None:
    """Let `keras` mean kerasish from now on.

    Raises:
        RuntimeError: Keras itself has been imported before.
    """
    there = sys.modules.get("keras")
    if there is kerasish:
        return
    if there is not None:
        where = getattr(there, "__file__", None)
        raise RuntimeError(
            f"kerasish.as_keras: Keras itself was imported before, from {where}. Import "
            "`kerasish.as_keras` first, or run the program as `python -m kerasish run`."
        )
    sys.meta_path.insert(0, KerasFinder())
    kerasish.__version__ = KERAS_VERSION
    sys.modules["keras"] = kerasish
    source = importlib.import_module(_SOURCE)
    kerasish.src = source
    for name in ("applications", "quantizers"):
        if name not in vars(kerasish):
            sys.modules[f"keras.{name}"] = absent = AbsentModule(f"keras.{name}")
            setattr(kerasish, name, absent)
            kerasish.__all__.append(name)  # for `from keras import *`
    for path in sorted(_NAMED):  # so that they are reached as attributes too
        importlib.import_module(path)
