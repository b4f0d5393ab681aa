"""The `logs` that hooks receive: a dict whose values stay on the device until someone looks."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np


class Logs(dict):
    """A dict of results that are read from the device when first looked at, all at once.

    Looking at a value waits for the device; asking for the names, the length or whether there are
    any does not. Numbers are read as Python floats, other arrays as NumPy arrays; anything else
    stays as it is. Names are in alphabetical order, and dicts among the values are spread out.

    Args:
        values: Names to arrays or numbers.

    Example:
        >>> logs = Logs({"loss": jax.numpy.float32(0.5), "accuracy": 1})
        >>> logs.pending
        True
        >>> logs
        {'accuracy': 1.0, 'loss': 0.5}
        >>> logs.pending
        False
    """

    __slots__ = ("_unread",)

    def __init__(self, values: Mapping[str, Any] | Iterable = ()):
        super().__init__(_flat(values))
        self._unread = list(self.keys())

    @property
    def pending(self) -> bool:
        """Whether looking at a value would read from the device."""
        return bool(self._unread)

    def read(self) -> "Logs":
        """Read what is pending, in one transfer; return the logs themselves."""
        if self._unread:
            values = jax.device_get([super(Logs, self).__getitem__(name) for name in self._unread])
            for name, value in zip(self._unread, values, strict=True):
                super().__setitem__(name, _plain(value))
            self._unread = []
        return self

    def __setitem__(self, name, value):
        self.update({name: value})

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add or replace values; arrays among them are pending.

        Args:
            *args: As for a dict.
            **kwargs: As for a dict.
        """
        new = dict(*args, **kwargs)
        arrays = [name for name, value in new.items() if isinstance(value, jax.Array)]
        self._unread = [n for n in self._unread if n not in new] + arrays
        super().update(new)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value of that name, after adding it if there was none.

        Args:
            name: The name.
            default: The value to add.
        """
        if name not in self:
            self[name] = default
        return self[name]

    def __delitem__(self, name):
        super().__delitem__(name)
        self._unread = [n for n in self._unread if n != name]

    def __ior__(self, other):
        self.update(other)
        return self

    def clear(self) -> None:
        """Remove everything."""
        super().clear()
        self._unread = []

    # A dict's own `__iter__` lets C code, `dict(logs)` and `**logs` among it, copy past `read`.
    def __iter__(self):
        return super().__iter__()

    def __reduce__(self):
        return dict, (dict(self),)

    def __copy__(self):
        return dict(self)


def _flat(values):
    raw = dict.items(values if isinstance(values, dict) else dict(values))
    found = {}
    for name, value in sorted(raw):
        found.update(_flat(value) if isinstance(value, dict) else {name: value})
    return found


def _plain(value):
    if isinstance(value, bool | int):
        return float(value)
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        return value.item() if np.iscomplexobj(value) else float(value)
    return value


def _reading(name):
    plain = getattr(dict, name)

    def method(self, *args):
        return plain(self.read(), *args)

    method.__name__, method.__doc__ = name, plain.__doc__
    return method


_LOOKING = "get items values pop popitem copy".split()
_LOOKING += [f"__{name}__" for name in "getitem eq ne or ror repr".split()]
for _name in _LOOKING:
    setattr(Logs, _name, _reading(_name))
