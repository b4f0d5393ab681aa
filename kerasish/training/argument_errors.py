"""Errors that name the argument of `fit` which is at fault, not one of a function inside."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def in_argument(who: str, name: str) -> Iterator[None]:
    """Let errors about what was given for an argument begin with its name.

    Args:
        who: The method it was given to: "fit".
        name: The argument.

    Example:
        >>> with in_argument("fit", "validation_data"):
        ...     raise ValueError("data: `x` must be numbers; got strings.")
        Traceback (most recent call last):
        ValueError: fit: `validation_data`: `x` must be numbers; got strings.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if error.args and isinstance(error.args[0], str):
            text = error.args[0].removeprefix("data: ").removeprefix(f"{who}: ")
            error.args = (f"{who}: `{name}`: {text}", *error.args[1:])
        raise
