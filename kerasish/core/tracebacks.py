"""Short tracebacks: frames of kerasish and JAX are left out where an error reaches the user."""

import contextlib
import functools
import inspect
import os
import pathlib
import re
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from kerasish.core import settings
from kerasish.core.errors import did_you_mean

_Function = TypeVar("_Function", bound=Callable[..., Any])

_OTHERS = pathlib.Path(jax.__file__).parents[1]
_FOLDERS = (pathlib.Path(__file__).parents[1], *(_OTHERS / n for n in ("jax", "jaxlib", "optax")))
# Context managers and wrappers of the standard library are between frames of theirs.
_HIDDEN = (*(f"{folder}{os.sep}" for folder in _FOLDERS), contextlib.__file__, functools.__file__)
_UNKNOWN = re.compile(r"(?P<who>\S+)\(\) got an unexpected keyword argument '(?P<name>\w+)'.*")
_NOTE_OF_JAX = "--------------------\nFor simplicity, JAX has removed its internal frames"


def short_tracebacks(fn: _Function) -> _Function:
    """A public entry point whose errors show the user's frames, and the message last.

    `keras.config.disable_traceback_filtering()` shows all frames.

    Args:
        fn: The function.

    Example:
        >>> @short_tracebacks
        ... def halve(x):
        ...     return x / 2
        >>> halve(3)
        1.5
    """

    @functools.wraps(fn)
    def call(*args, **kwargs):
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            if isinstance(error, TypeError):
                _suggest(fn, error)
            shorten(error)
            raise

    return call  # type: ignore[return-value]


def _suggest(fn, error):
    """Say which argument a misspelt one of the function itself may have meant."""
    found = _UNKNOWN.fullmatch(str(error))
    if found is None or found["who"] != fn.__qualname__:
        return
    hint = did_you_mean(found["name"], inspect.signature(fn).parameters)
    error.args = (f"{fn.__name__}: unknown argument `{found['name']}`. {hint}".rstrip(),)


def shorten(error: BaseException) -> None:
    """Leave frames of kerasish and JAX out of an error's traceback, unless they shall be shown.

    Errors that it came of are left out too if they were raised and caught inside of them.

    Args:
        error: The error.
    """
    if not settings.is_traceback_filtering_enabled():
        return
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = _users_frames(error.__traceback__)
        notes = getattr(error, "__notes__", [])
        notes[:] = [note for note in notes if not note.startswith(_NOTE_OF_JAX)]
        earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        while earlier is not None and _users_frames(earlier.__traceback__) is None:
            earlier = earlier.__cause__ or earlier.__context__
        if earlier is None:
            error.__cause__, error.__suppress_context__ = None, True
            return
        if error.__cause__ is not None:
            error.__cause__ = earlier
        else:
            error.__context__ = earlier
        error = earlier


def _users_frames(traceback):
    kept = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_HIDDEN):
            kept.append(traceback)
        traceback = traceback.tb_next
    found = None
    for tb in reversed(kept):
        found = types.TracebackType(found, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return found
