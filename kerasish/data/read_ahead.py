"""Reading ahead in a background thread."""

import collections
import threading
from collections.abc import Iterator

_PATIENCE = 5.0  # seconds to wait for the item being read when the consumer stops


class _Shelf:
    """Where the reading thread puts items and the consumer takes them."""

    def __init__(self, depth):
        self.depth = depth
        self.items = collections.deque()
        self.changed = threading.Condition()
        self.ended = False
        self.error = None
        self.abandoned = False

    def put(self, item):
        with self.changed:
            self.changed.wait_for(lambda: self.abandoned or len(self.items) < self.depth)
            self.items.append(item)
            self.changed.notify_all()
            return not self.abandoned

    def end(self, error=None):
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def abandon(self):
        with self.changed:
            self.abandoned = True
            self.items.clear()
            self.changed.notify_all()


def prefetch(iterator: Iterator, depth: int = 2) -> Iterator:
    """The items of an iterator, read up to `depth` ahead by a background thread.

    What the iterator raises is raised here, after the items before it. Closing the generator (or
    dropping it, or an exception in it) stops the thread and closes the iterator; use
    `contextlib.closing` where an interrupt may come between two items.

    Args:
        iterator: Any iterator; only the thread touches it.
        depth: Most items to hold ready, at least 1.

    Example:
        >>> list(prefetch(iter([1, 2, 3])))
        [1, 2, 3]
    """
    shelf = _Shelf(depth)
    thread = threading.Thread(target=_read, args=(iterator, shelf), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            with shelf.changed:
                shelf.changed.wait_for(lambda: shelf.items or shelf.ended)
                if not shelf.items:
                    break
                item = shelf.items.popleft()
                shelf.changed.notify_all()
            yield item
            del item  # so that a consumer who keeps none holds none
        if shelf.error is not None:
            raise shelf.error
    finally:
        shelf.abandon()
        thread.join(_PATIENCE)


def _read(iterator, shelf):
    error = None
    try:
        try:
            for item in iterator:
                if not shelf.put(item):
                    break
        finally:
            if hasattr(iterator, "close"):
                iterator.close()
    except BaseException as raised:  # whatever it is, the consumer must know of it
        error = raised
    shelf.end(error)
