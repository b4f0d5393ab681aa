"""Objects as plain data: config from the signature, registration, Keras 3's config form.

An object is written as `{"module", "class_name", "config", "registered_name"}`. Reading one never
imports a module or runs code that the data names: a class is found among kerasish's own, the
registered ones and the `custom_objects` in force, or it is an error.
"""

import contextlib
import functools
import inspect
import threading
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument, did_you_mean, no_super
from kerasish.core.names import snake_case

_builtins: dict[str, dict[str, Any]] = {}  # public module -> name -> class or function
_registered_names: dict[Any, str] = {}


class _Custom(threading.local):
    objects: Mapping = {}
    lambdas: bool = False  # whether `objects` may stand for lambdas


_custom = _Custom()
_global_custom: dict[str, Any] = {}  # "package>Name", or any name -> class or function


def publish(module: str, objects: Mapping[str, Any]) -> None:
    """Make kerasish's own classes and functions known under the module name Keras writes."""
    _builtins.setdefault(module, {}).update(objects)


def published(module: str) -> dict[str, Any]:
    """The classes and functions published under a module name."""
    return _builtins.get(module, {})


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Class or function decorator: makes files that use it load without `custom_objects`.

    Example:
        >>> @register_keras_serializable("my_package")
        ... def halve(x):
        ...     return x / 2
        >>> get_registered_object("my_package>halve") is halve
        True
    """

    def decorate(obj):
        key = f"{package}>{name or obj.__name__}"
        if inspect.isclass(obj) and not hasattr(obj, "get_config"):
            raise ValueError(
                f"register_keras_serializable: {obj.__name__} has no `get_config`, so it cannot "
                "be written to a file."
            )
        _global_custom[key] = obj
        _registered_names[obj] = key
        return obj

    return decorate


def get_registered_name(obj: Any) -> str:
    """The name a class or function was registered under, or its own."""
    return _registered_names.get(obj, getattr(obj, "__name__", str(obj)))


def get_registered_object(name: str, custom_objects=None, module_objects=None) -> Any:
    """The class or function of that name, given, in scope or registered; or `None`."""
    tables = (custom_objects or {}, _custom.objects, _global_custom)
    for table in (*tables, module_objects or {}):
        if name in table:
            return table[name]
    return None


def get_custom_objects() -> dict:
    """The process-wide table of custom and registered objects, to add to or to clear."""
    return _global_custom


@contextlib.contextmanager
def custom_object_scope(custom_objects: Mapping):
    """Let names in files mean these classes and functions inside the `with` block."""
    before = _custom.objects
    _custom.objects = {**before, **(custom_objects or {})}
    try:
        yield
    finally:
        _custom.objects = before


# Keras spells it both ways: a function and a class.
CustomObjectScope = custom_object_scope


class Configurable:
    """Base of everything that can be written as data and made again from it.

    Each argument of `__init__` is an attribute of the same name, so the config follows from the
    signature. A class whose attributes do not say it all overrides `get_config`.
    """

    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls)
        # As given: for arguments that the class keeps under no or another name.
        object.__setattr__(instance, "_given", (args, kwargs))
        return instance

    # An attribute that `__init__` sets, in classes that cannot work without its having run.
    _set_by_init: str | None = None

    def __getattr__(self, name):
        mark = type(self)._set_by_init
        if mark is not None and mark not in vars(self) and not name.startswith("__"):
            raise no_super(self)
        return object.__getattribute__(self, name)  # raises; a property's own error if it is one

    def get_config(self) -> dict:
        """The arguments that make this object again, as plain data."""
        return {name: serialize_argument(value) for name, value in self._arguments().items()}

    @classmethod
    def from_config(cls, config: dict):
        """Make the object that `get_config` described."""
        return cls(**{name: _revive(value) for name, value in config.items()})

    def _arguments(self):
        args, kwargs = getattr(self, "_given", ((), {}))
        given = dict(kwargs)
        first = _parameters(type(self).__init__)
        places = [p.name for p in first if p.kind in _BY_POSITION]
        given.update(zip(places, args, strict=False))
        self._check_rest(args[len(places) :])
        bases = [c for c in type(self).__mro__ if "__init__" in vars(c) and c is not object]
        own = bool(bases) and bases[0].__module__.startswith("kerasish.")
        found, passes_on = {}, False
        for base in bases:
            parameters = _parameters(base.__init__)
            ours = base.__module__.startswith("kerasish.")
            for p in parameters:
                if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) or p.name in found:
                    continue
                # A user's class may fix arguments of its base: those were not given to it. One that
                # takes `*args` hands them all on.
                known = p.name in given or p.name in _BASICS or passes_on
                if base is type(self) or own or not ours or known:
                    found[p.name] = self._argument(p, given)
            passes_on = passes_on or any(p.kind == p.VAR_POSITIONAL for p in parameters)
            if not any(p.kind == p.VAR_KEYWORD for p in parameters):
                break
        return {**{k: found[k] for k in _BASICS if k in found}, **found}

    def _check_rest(self, rest):
        """Raise on `*args` that no base takes: they are the class's own, and no config has them."""
        inits = [vars(c)["__init__"] for c in type(self).__mro__ if "__init__" in vars(c)]
        for init in inits[1:]:
            if len(rest) <= sum(p.kind in _BY_POSITION for p in _parameters(init)):
                return
            if not any(p.kind == p.VAR_POSITIONAL for p in _parameters(init)):
                break
        if rest and type(self).get_config.__module__.startswith("kerasish."):
            name = type(self).__name__
            raise ValueError(
                f"{name}: a config names each argument, so it cannot hold the {rest!r} that "
                f"`{name}.__init__` took as `*args`. Take them as one list, or override "
                "`get_config` and `from_config`."
            )

    def _argument(self, parameter, given):
        name = parameter.name
        missing = object()
        value = getattr(self, name, missing)
        if value is missing or (name in given and _is_state(value) and value is not given[name]):
            default = None if parameter.default is parameter.empty else parameter.default
            return given.get(name, default)
        return value


_BASICS = ("name", "trainable", "dtype")
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@functools.lru_cache(4096)
def _parameters(init):
    return tuple(inspect.signature(init).parameters.values())[1:]


def _is_state(value):
    return isinstance(value, jax.Array | types.MethodType) or hasattr(value, "trainable_variables")


def serialize_keras_object(obj: Any) -> Any:
    """Plain data that `deserialize_keras_object` makes the object from again."""
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, list | tuple):
        plain = tuple if isinstance(obj, tuple) else list  # of a named tuple too
        return plain(map(serialize_keras_object, obj))
    if isinstance(obj, Mapping) and not hasattr(obj, "get_config"):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray | jax.Array):
        kind = "__numpy__" if isinstance(obj, np.ndarray) else "__tensor__"
        value = {"value": np.asarray(obj).tolist(), "dtype": obj.dtype.name}
        return {"class_name": kind, "config": value}
    if isinstance(obj, np.dtype) or (isinstance(obj, type) and obj in (np.float32, np.int32)):
        return dtypes.standardize_dtype(obj)
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin-1")}}
    if isinstance(obj, slice):
        return {
            "class_name": "__slice__",
            "config": {"start": obj.start, "stop": obj.stop, "step": obj.step},
        }
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if hasattr(obj, "symbolic_config"):
        return obj.symbolic_config()
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType | type) or not hasattr(
        obj, "get_config"
    ):
        return _serialize_function(obj)
    return _serialize_instance(obj)


def serialize_argument(value: Any) -> Any:
    """As `serialize_keras_object`, but kerasish's own functions by their bare names: `"relu"`."""
    name = getattr(value, "__name__", None)
    if name and any(table.get(name) is value for table in _builtins.values()):
        return name
    return serialize_keras_object(value)


def _serialize_function(fn):
    name = getattr(fn, "__name__", None)
    if name is None:
        raise TypeError(
            f"{type(fn).__name__} object {fn!r} cannot be written to a config: "
            "it has no `get_config`."
        )
    if name == "<lambda>":
        return {"class_name": "__lambda__", "config": {"value": "<lambda>"}}
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(fn),
        "registered_name": "function",
    }


def _serialize_instance(obj):
    cls = type(obj)
    module, registered = module_of(cls), None
    if module is None:
        registered = get_registered_name(cls)
        module = None if cls in _registered_names else cls.__module__
    data = {
        "module": module,
        "class_name": _published_name(cls, module),
        "config": obj.get_config(),
        "registered_name": registered,
    }
    if registered is None and module and module.startswith("keras.src"):
        data["registered_name"] = cls.__name__
    for part in ("build_config", "compile_config"):
        make = getattr(obj, f"get_{part}", None)
        value = make() if make else None
        if value:
            data[part] = serialize_keras_object(value)
    return data


def module_of(cls: type) -> str | None:
    """The module name that Keras writes for one of kerasish's own classes; `None` for others."""
    for module, table in _builtins.items():
        if table.get(cls.__name__) is cls or cls in table.values():
            return module
    return None


def _published_name(cls, module):
    """The name a class is public under: its own, but for a few whose public name is another."""
    table = _builtins.get(module, {})
    if table.get(cls.__name__) is cls:
        return cls.__name__
    return next((name for name, other in table.items() if other is cls), cls.__name__)


def is_serialized(data: Any) -> bool:
    """Whether plain data describes an object rather than being a dict of the user's."""
    return isinstance(data, dict) and "class_name" in data and "config" in data


def _revive(value):
    if is_serialized(value):
        return deserialize_keras_object(value)
    if isinstance(value, list):
        return [_revive(item) for item in value]
    return value


def deserialize_keras_object(
    config: Any, custom_objects=None, safe_mode: bool = True, **kwargs
) -> Any:
    """Make an object from what `serialize_keras_object` wrote.

    Args:
        config: The plain data.
        custom_objects: Names to classes and functions, used before all others.
        safe_mode: Kept for Keras' sake; code is never read from data, whatever it says. With
            `False`, `custom_objects["<lambda>"]`, the caller's own, stands for lambdas.
        **kwargs: `module_objects`, names that a string or config may mean too, the name of a class
            giving an instance; `printable_module_name`, what errors call such an object.
    """
    module_objects = kwargs.get("module_objects")
    if module_objects is not None:
        if isinstance(config, str):
            return _named(config, custom_objects, kwargs)
        custom_objects = {**module_objects, **(custom_objects or {})}
    unsafe = not safe_mode or settings.unsafe_deserialization_enabled()
    if unsafe and not _custom.lambdas:
        _custom.lambdas = True
        try:
            return deserialize_keras_object(config, custom_objects)
        finally:
            _custom.lambdas = False
    if custom_objects:
        with custom_object_scope(custom_objects):
            return deserialize_keras_object(config)
    if config is None or isinstance(config, bool | int | float):
        return config
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, list | tuple):
        return type(config)(deserialize_keras_object(item) for item in config)
    if not isinstance(config, dict):
        raise TypeError(
            f"deserialize_keras_object: cannot read {type(config).__name__} {config!r}."
        )
    if not is_serialized(config):
        return {key: deserialize_keras_object(value) for key, value in config.items()}
    return _make(config)


def _named(name, custom_objects, options):
    """The function of a name, or an instance of the class of that name."""
    found = get_registered_object(name, custom_objects, options["module_objects"])
    if found is None:
        kind = options.get("printable_module_name", "object")
        hint = did_you_mean(name, options["module_objects"])
        raise bad_argument("deserialize_keras_object", kind, "a known name", name, hint)
    return found() if inspect.isclass(found) else found


def _make(data):
    name, inner = data["class_name"], data["config"]
    if name == "__tensor__":
        return dtypes.to_array(np.array(inner["value"]), dtypes.standardize_dtype(inner["dtype"]))
    if name == "__numpy__":
        is_number = np.dtype(inner["dtype"]).kind in "biufc"
        return np.array(inner["value"], dtype=inner["dtype"] if is_number else None)
    if name == "__tuple__":
        return tuple(_revive(item) for item in data.get("items", inner))
    if name == "__bytes__":
        return inner["value"].encode("latin-1")
    if name == "__slice__":
        return slice(inner["start"], inner["stop"], inner["step"])
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__lambda__":
        own = get_registered_object("<lambda>")
        if own is not None and _custom.lambdas:
            return own
        raise ValueError(
            "The config holds a lambda. Code is never read from a file: give the function "
            "yourself, with `safe_mode=False` and `custom_objects={'<lambda>': ...}`, or better "
            "name and register it before saving."
        )
    if name == "function":
        return find_or_fail(inner, "function", data.get("registered_name"))
    cls = find_class(data)
    instance = cls.from_config(inner)
    for part in ("build", "compile"):
        value, act = data.get(f"{part}_config"), getattr(instance, f"{part}_from_config", None)
        if value and act:
            act(value)
    return instance


def find(name: str, module: str | None = None) -> Any:
    """The class or function of that name, `None` if there is none."""
    found = get_registered_object(name)
    if found is not None:
        return found
    tables = [_builtins[module]] if module in _builtins else _builtins.values()
    for table in tables:
        if name in table:
            return table[name]
    return None


def find_or_fail(name, kind, fallback=None):
    found = find(name)
    if found is None and fallback is not None:
        found = find(fallback)
    if found is None:
        hint = did_you_mean(name, (known for table in _builtins.values() for known in table))
        hint = f"{hint} ".lstrip()
        raise TypeError(
            f"Unknown {kind} {name!r}. {hint}If it is your own, pass it in "
            f"`custom_objects={{{name!r}: ...}}` or decorate it with "
            "`@keras.saving.register_keras_serializable()` and import its module before loading."
        )
    return found


def find_class(data: dict) -> type:
    """The class that a serialized object names."""
    name, registered, module = data["class_name"], data.get("registered_name"), data.get("module")
    for key in (registered, name):
        cls = get_registered_object(key) if isinstance(key, str) else None
        if cls is not None:
            return cls
    if isinstance(module, str) and module.split(".")[0] == "keras":
        cls = find(name, module)
        if inspect.isclass(cls):
            return cls
    return find_or_fail(registered or name, "class", None)


def resolve(identifier: Any, known: Mapping[str, Any], kind: str) -> Any:
    """What `initializers.get` and its like do: a name, config, class or callable to the object.

    Args:
        identifier: Name, serialized config, class, instance or function; `None` stays `None`.
        known: Names to classes and functions.
        kind: What it is, for the error: "initializer".
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        if not is_serialized(identifier):
            raise bad_argument(kind, "config", "a serialized object with 'class_name'", identifier)
        cls = known.get(identifier["class_name"])
        own = inspect.isclass(cls) and get_registered_object(identifier["class_name"]) is None
        if cls is not None and own:
            found = cls.from_config(identifier["config"])
        else:
            found = deserialize_keras_object(identifier)
    elif isinstance(identifier, str):
        found = get_registered_object(identifier, module_objects=known)
        if found is None:
            found = known.get(snake_case(identifier))
        if found is None:
            hint = did_you_mean(identifier, known)
            raise ValueError(f"Unknown {kind} {identifier!r}. {hint}".rstrip())
    else:
        found = identifier
    if inspect.isclass(found):
        found = found()
    if not callable(found) and not hasattr(found, "get_config"):
        raise bad_argument(
            kind, "identifier", "a name, a config, a class or a callable", identifier
        )
    return found
