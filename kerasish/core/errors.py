"""The one sentence every argument error is made of, and hints for common mistakes."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator
from typing import Any

import jax


def bad_argument(
    owner: Any, name: str, wanted: str, got: Any, hint: str = "", code: str = ""
) -> ValueError:
    """Make a `ValueError`: who complains, about what, what was wanted, what came, what to do.

    Args:
        owner: Who complains: an object with a `name`, its class, or a name.
        name: The argument.
        wanted: What it must be, in words.
        got: What came.
        hint: What to do.
        code: Of a common error, that of its entry in `docs/errors.md`: "E03".

    Example:
        >>> raise bad_argument("dense", "units", "a positive integer", -1)
        Traceback (most recent call last):
            ...
        ValueError: dense: `units` must be a positive integer; got -1.
    """
    who = owner if isinstance(owner, str) else getattr(owner, "name", None)
    who = who or (owner if isinstance(owner, type) else type(owner)).__name__
    said = f"{who}: `{name}` must be {wanted}; got {got!r}. {hint}".rstrip()
    return ValueError(f"{said} {see(code)}" if code else said)


def see(code: str) -> str:
    """What ends the message of a common error: the command that explains it, in `docs/errors.md`.

    Args:
        code: The code.

    Example:
        >>> see("E01")
        '(kerasish explain E01)'
    """
    return f"(kerasish explain {code})"


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Name the known words nearest to a misspelt one: "Did you mean 'relu'?", or nothing.

    Args:
        word: The misspelt word.
        known: The known ones.

    Example:
        >>> print(did_you_mean("rleu", ["relu", "tanh"]))
        Did you mean 'relu'?
    """
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


class NotInitialized(RuntimeError, AttributeError):
    """An object used before its class's `__init__` called its base's.

    An `AttributeError` too, so that `hasattr(self, ...)` before that is an answer, not an error.
    """


def no_super(owner: Any) -> NotInitialized:
    """The error for a class whose `__init__` does not call its base's.

    Args:
        owner: The object.
    """
    return NotInitialized(
        f"{type(owner).__name__}: `super().__init__()` was not called. Make it the first line of "
        "`__init__`."
    )


# What JAX raises where Python or NumPy looks at the value of a traced array.
NEEDS_A_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_WHAT_TO_WRITE = (
    "In a compiled function, Python's `if`, `while`, `range`, `int` and NumPy cannot look at the "
    "value of an array. Choose with `keras.ops.where` or `keras.ops.cond`, loop with "
    "`keras.ops.while_loop` or `keras.ops.fori_loop`, or name the argument in "
    "`keras.jit(static_argnames=...)`. To see a value, use `jax.debug.print`, or run uncompiled: "
    f"`run_eagerly=True` in `compile`. {see('E07')}"
)


@contextlib.contextmanager
def hints() -> Iterator[None]:
    """Add to an error about a traced value what to write instead."""
    try:
        yield
    except (*NEEDS_A_VALUE, TypeError) as error:
        formats = isinstance(error, TypeError) and "Tracer.__format__" in str(error)
        known = _WHAT_TO_WRITE in getattr(error, "__notes__", ())
        if (formats or isinstance(error, NEEDS_A_VALUE)) and not known:
            error.add_note(_WHAT_TO_WRITE)
        raise
