"""When Python looks for garbage."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def gc_paused() -> Iterator[None]:
    """No search for unused objects until the end, if there is one otherwise.

    What an import makes stays in use. Python would look through all of it again and again, for a
    twentieth to a tenth of the time that importing JAX and kerasish takes.
    """
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()
