"""How much work something takes, counted, so that no test depends on how fast a machine is."""

import sys
from collections.abc import Callable


def python_calls(fn: Callable, *args) -> int:
    """How many Python functions are called while `fn(*args)` runs, in this thread."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        fn(*args)
    finally:
        sys.setprofile(before)
    return calls
