"""`Configurable`: objects whose config follows from the signature of their `__init__`."""

import functools
import inspect
import types
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax

from kerasish.core.departed_names import gone
from kerasish.core.errors import did_you_mean, no_super
from kerasish.core.serialization.serialize import revive, serialize_argument
from kerasish.core.short_repr import given_arguments, short_repr


class Configurable:
    """Base of everything that can be written as data and made again from it.

    Each argument of `__init__` is an attribute of the same name, so the config follows from the
    signature. A class whose attributes do not say it all overrides `get_config`.

    Example:
        >>> class Scale(Configurable):
        ...     def __init__(self, factor=2):
        ...         self.factor = factor
        >>> Scale(3).get_config()
        {'factor': 3}
    """

    def __new__(cls, *args, **kwargs):
        if kwargs:
            _check_names(cls, args, kwargs)
        instance = super().__new__(cls)
        # As given: for arguments that the class keeps under no or another name.
        object.__setattr__(instance, "_given", (args, kwargs))
        return instance

    # What `core.state.tracking.declared` collects: attributes that hold no parts of the object, and
    # those that files of its state skip.
    _not_parts: tuple[str, ...] = ("_given",)
    _not_saved: tuple[str, ...] = ("_given",)

    # An attribute that `__init__` sets, in classes that cannot work without its having run.
    _set_by_init: str | None = None

    # Attributes of older Keras that are gone, and what replaced them.
    _departed: Mapping[str, str] = MappingProxyType({})

    def __getattr__(self, name):
        mark = type(self)._set_by_init
        if mark is not None and mark not in vars(self) and not name.startswith("__"):
            raise no_super(self)
        if name in type(self)._departed and name not in dir(type(self)):
            who = type(self).__name__
            raise AttributeError(gone(who, name, type(self)._departed[name]), name=name, obj=self)
        return object.__getattribute__(self, name)  # raises; a property's own error if it is one

    def __repr__(self):
        return short_repr(self, given_arguments(self))

    def get_config(self) -> dict:
        """The arguments that make this object again, as plain data."""
        return {name: serialize_argument(value) for name, value in self._arguments().items()}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """Make the object that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        return cls(**{name: revive(value) for name, value in config.items()})

    def _arguments(self):
        args, kwargs = getattr(self, "_given", ((), {}))
        given = dict(kwargs)
        first = _parameters(type(self).__init__)
        positional = [p.name for p in first if p.kind in _BY_POSITION]
        given.update(zip(positional, args, strict=False))
        self._check_rest(args[len(positional) :])
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


def _check_names(cls, args, kwargs):
    """Say what a misspelt argument may have meant, where Python would only say what is missing."""
    parameters = _parameters(cls.__init__)
    names = [p.name for p in parameters]
    open_ended = any(p.kind == p.VAR_KEYWORD for p in parameters)
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return
    unknown = [name for name in kwargs if name not in names]
    given = {*names[: len(args)], *kwargs}
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    missing = [name for name in needed if name not in given]
    who = cls.__name__
    if missing:
        near = {name: did_you_mean(name, missing) for name in unknown}
        hint = next((f" It was given {name!r}. {said}" for name, said in near.items() if said), "")
        raise TypeError(f"{who}: the argument `{missing[0]}` is missing.{hint}")
    if unknown and not open_ended:
        hint = did_you_mean(unknown[0], names)
        raise TypeError(f"{who}: unknown argument `{unknown[0]}`. {hint}".rstrip())
