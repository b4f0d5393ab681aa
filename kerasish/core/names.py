"""Names: unique ones for objects, and the scopes that make a variable's path."""

import contextlib
import itertools
import re
import threading
from collections import Counter
from collections.abc import Iterator

_counters: Counter = Counter()
_serials = itertools.count()
_lock = threading.Lock()


class _Path(threading.local):
    parts: tuple = ()
    owners: tuple = ()


_path = _Path()


def snake_case(name: str) -> str:
    """`"MaxPooling2D"` -> `"max_pooling2d"`, as Keras names layers.

    Args:
        name: Name of a class.

    Example:
        >>> snake_case("MaxPooling2D")
        'max_pooling2d'
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def auto_name(prefix: str) -> str:
    """Make a name no one has had since the last `clear_names`: `dense`, `dense_1`, ...

    Args:
        prefix: Class name, or the name's beginning.

    Example:
        >>> auto_name("Dense"), auto_name("Dense")
        ('dense', 'dense_1')
    """
    prefix = snake_case(prefix)
    with _lock:
        number = _counters[prefix]
        _counters[prefix] += 1
    return f"{prefix}_{number}" if number else prefix


def next_serial() -> int:
    """A number greater than any given before: what was made, or set, when.

    Example:
        >>> next_serial() < next_serial()
        True
    """
    return next(_serials)


def clear_names() -> None:
    """Start numbering again, as `keras.utils.clear_session` promises.

    Example:
        >>> _ = auto_name("Dense")
        >>> clear_names()
        >>> auto_name("Dense")
        'dense'
    """
    with _lock:
        _counters.clear()


@contextlib.contextmanager
def name_scope(name: str, owner: object = None) -> Iterator[None]:
    """Prefix the `path` of every Variable made inside with `name/`.

    A scope with an owner that is already the innermost one's is not entered twice.

    Args:
        name: The prefix.
        owner: Object whose scope it is, if any.

    Example:
        >>> with name_scope("encoder"):
        ...     weight = keras.Variable(1.0, name="scale")
        >>> weight.path
        'encoder/scale'
    """
    before = _path.parts, _path.owners
    if owner is None or not _path.owners or _path.owners[-1] is not owner:
        _path.parts, _path.owners = (*before[0], name), (*before[1], owner)
    try:
        yield
    finally:
        _path.parts, _path.owners = before


def current_path() -> str:
    """The open name scopes, joined by slashes.

    Example:
        >>> with name_scope("encoder"):
        ...     current_path()
        'encoder'
    """
    return "/".join(_path.parts)


def current_owner() -> object:
    """Whose name scope is the innermost: the layer that makes something, `None` if no one's.

    Example:
        >>> current_owner() is None
        True
    """
    return _path.owners[-1] if _path.owners else None
