"""The one sentence every argument error is made of, and the hint for a misspelt name."""

import difflib
from collections.abc import Iterable
from typing import Any


def bad_argument(owner: Any, name: str, wanted: str, got: Any, hint: str = "") -> ValueError:
    """Make a `ValueError`: who complains, about what, what was wanted, what came, what to do."""
    who = owner if isinstance(owner, str) else getattr(owner, "name", None)
    who = who or (owner if isinstance(owner, type) else type(owner)).__name__
    return ValueError(f"{who}: `{name}` must be {wanted}; got {got!r}. {hint}".rstrip())


def did_you_mean(word: Any, known: Iterable[str]) -> str:
    """Name the known words nearest to a misspelt one: "Did you mean 'relu'?", or nothing."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""
