"""Data sets that make each batch when asked for it, here, in threads or in processes."""

import collections
import concurrent.futures
import functools
import hashlib
import itertools
import multiprocessing
import pathlib
import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

import jax

from kerasish.core.errors import bad_argument
from kerasish.core.state.seeds import make_default_seed
from kerasish.data.array_batches import Batches, epoch_generator
from kerasish.data.stream_batches import make_batch


class PyDataset:
    """Base of data sets that make a whole batch from its number.

    A subclass gives `__getitem__(index)`, the batch as `x`, `(x,)`, `(x, y)` or
    `(x, y, sample_weight)`, and `__len__()`, the number of batches (or a `num_batches` property;
    `None` for an endless one). `fit` asks for each batch once an epoch.

    Args:
        workers: Threads or processes that make batches ahead; 1 thread is none: batches are made
            as they are asked for.
        use_multiprocessing: Whether workers are processes. They are started afresh, never forked
            (a fork of a process that runs JAX may hang), so the class must be importable, and a
            script must start its work under `if __name__ == "__main__":`.
        max_queue_size: Most batches to hold ready.

    Example:
        >>> class Squares(PyDataset):
        ...     def __len__(self):
        ...         return 2
        ...     def __getitem__(self, index):
        ...         x = np.arange(3.0) + 3 * index
        ...         return x, x**2
        >>> [float(y.sum()) for x, y in Squares()]
        [5.0, 50.0]
    """

    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch of that number."""
        raise NotImplementedError(f"{type(self).__name__} must define `__getitem__(index)`.")

    def __iter__(self):
        tells = hasattr(self, "__len__") or type(self).num_batches is not PyDataset.num_batches
        count = self.num_batches if tells else None
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    @property
    def num_batches(self) -> int | None:
        """Number of batches, `None` if there is no end of them."""
        if hasattr(self, "__len__"):
            return len(self)  # pyright: ignore[reportArgumentType]
        raise NotImplementedError(f"{type(self).__name__} must define `__len__` or `num_batches`.")

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch, for instance to shuffle."""


class PyDatasetBatches(Batches):
    """Batches of a `PyDataset`, in order whoever makes them.

    Args:
        dataset: The `PyDataset`.
        shuffle: Whether to ask for the batches in a new order in each epoch (unless endless).
        class_weight: Class number to weight, made into the batches' sample weights.
        seed: Integer that, with the epoch, fixes the order; `None` draws one.
    """

    def __init__(
        self,
        dataset: PyDataset,
        shuffle: bool = False,
        class_weight: Any = None,
        seed: int | None = None,
    ):
        self.dataset = dataset
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.seed = make_default_seed() if shuffle and seed is None else seed
        self._workers = None
        if dataset.num_batches == 0:
            raise bad_argument("data", "x", "a PyDataset of at least one batch", dataset)

    @property
    def num_batches(self) -> int | None:
        """Batches in one epoch; a data set may change its length between epochs."""
        return self.dataset.num_batches

    def epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches of that epoch.

        Args:
            epoch: Number of the epoch, from 0.
        """
        for batch in self._ask(self._order(epoch)):
            yield make_batch(batch, self.class_weight, self.strings)

    def _order(self, epoch):
        total = self.dataset.num_batches
        if total is None:
            return itertools.count()
        if not self.shuffle:
            return range(total)
        return epoch_generator(self.seed, epoch).permutation(total).tolist()

    def _ask(self, indices):
        dataset = self.dataset
        if dataset.use_multiprocessing and dataset.workers > 0:
            self._workers = self._workers or _Processes(dataset.workers)
        elif dataset.workers > 1:
            self._workers = self._workers or _Threads(dataset.workers)
        else:
            return (get_batch(dataset, index) for index in indices)
        self._workers.send(dataset)
        return self._workers.ask(indices, max(dataset.max_queue_size, dataset.workers))

    def on_epoch_begin(self) -> None:
        """Tell the data set."""
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the data set."""
        self.dataset.on_epoch_end()

    def close(self) -> None:
        """Stop the threads or processes."""
        if self._workers is not None:
            self._workers.stop()
            self._workers = None


def get_batch(dataset: PyDataset, index: int) -> Any:
    """The data set's batch of that number, with a `StopIteration` from its code made an error.

    A `StopIteration` would end the loop that asks for batches as if there were no more.

    Args:
        dataset: The data set.
        index: Number of the batch.

    Raises:
        RuntimeError: `__getitem__` raised `StopIteration`.
    """
    try:
        return dataset[index]
    except StopIteration as error:
        raise RuntimeError(
            f"{type(dataset).__name__}: `__getitem__({index})` raised StopIteration; it must "
            "return a batch for every index below the length. (A `next(...)` in it on something "
            "that is used up?)"
        ) from error


class _Threads:
    """Threads that make batches ahead, handed out in the order asked for."""

    def __init__(self, workers):
        self.pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="PyDataset")

    def send(self, dataset):
        self.make = functools.partial(get_batch, dataset)

    def ask(self, indices, ahead):
        indices = iter(indices)
        waiting = collections.deque()
        try:
            while True:
                for index in itertools.islice(indices, ahead - len(waiting)):
                    waiting.append(self.pool.submit(self.make, index))
                if not waiting:
                    return
                yield self.result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def result(self, future):
        return future.result()

    def stop(self):
        self.pool.shutdown(cancel_futures=True)


class _Processes(_Threads):
    """Processes that make batches ahead; the data set travels to them in a file."""

    def __init__(self, workers):
        # Spawned: a forked copy of a process that has started JAX's threads may hang.
        context = multiprocessing.get_context("spawn")
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, context, _start_worker)
        self.folder = tempfile.TemporaryDirectory(prefix="kerasish_")
        self.file = None

    def send(self, dataset):
        data = pickle.dumps(dataset, protocol=pickle.HIGHEST_PROTOCOL)
        file = pathlib.Path(self.folder.name, hashlib.blake2b(data, digest_size=16).hexdigest())
        if file != self.file:  # the first time, or changed since, by `on_epoch_end` for instance
            if self.file is not None:
                self.file.unlink()
            file.write_bytes(data)
            self.file = file
        self.make = functools.partial(_make_in_worker, file)

    def result(self, future):
        try:
            return future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise RuntimeError(
                "A worker process of the PyDataset died. In a script, start the work under "
                "`if __name__ == '__main__':`, as processes read the script again; look above for "
                "what the worker wrote; or use threads with `use_multiprocessing=False`."
            ) from error

    def stop(self):
        super().stop()
        self.folder.cleanup()


class _Held:
    """The data set a worker process has read last."""

    file = None
    dataset: Any = None


def _start_worker():
    # Batches are made for the host: a worker must not take a share of the accelerator's memory.
    jax.config.update("jax_platforms", "cpu")


def _make_in_worker(file, index):
    if _Held.file != file:
        try:
            _Held.dataset = pickle.loads(file.read_bytes())
        except (AttributeError, ImportError) as error:
            raise RuntimeError(
                f"A worker process cannot import the PyDataset's class: {error}. Put the class in "
                "a module (not in a notebook or a function), or use `use_multiprocessing=False`."
            ) from error
        _Held.file = file
    return get_batch(_Held.dataset, index)
