"""A folder of orbax checkpoints: of each step data and arrays, which checksums hold together."""

import contextlib
import json
import math
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.callbacks.checkpoint.checksums import checksums_of


class OrbaxFolder:
    """Checkpoints by step, the latest and the best of which are kept.

    Args:
        directory: Path or URL of the folder.
        max_to_keep: How many of the latest to keep; `None`: all.
        keep_best: How many of the best to keep besides.
        goodness: Function of a checkpoint's value: greater is better.
        on_background: Whether writing returns before all is on the disk.
    """

    def __init__(
        self,
        directory: str,
        max_to_keep: int | None,
        keep_best: int,
        goodness: Callable[[float], float],
        on_background: bool,
    ):
        self._orbax = _import_orbax()
        self.directory = directory
        self.max_to_keep = max_to_keep
        self.keep_best = keep_best
        self.goodness = goodness
        self.on_background = on_background
        self._manager: Any = None

    # -- open and closed

    def open(self) -> None:
        """Start to work with the folder; what was not finished there is removed."""
        policies = self._orbax.checkpoint_managers
        kept: list = [policies.LatestN(self.max_to_keep)]
        if self.keep_best:
            kept.append(policies.BestN(n=self.keep_best, get_metric_fn=self._rank))
        options = self._orbax.CheckpointManagerOptions(
            best_fn=self._rank,
            best_mode="max",
            preservation_policy=policies.AnyPreservationPolicy(kept),
            enable_async_checkpointing=self.on_background,
            cleanup_tmp_directories=True,
        )
        is_url = "://" in self.directory
        path = self.directory if is_url else os.path.abspath(self.directory)
        with self._naming("what is"):
            self._manager = self._orbax.CheckpointManager(path, options=options)

    def close(self) -> None:
        """Finish what is being written."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.close()

    def wait(self) -> None:
        """Wait until all that was written is on the disk."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open inside, as long as that if it was closed; all that was written is on the disk."""
        if self._manager is not None:
            self.wait()
            yield
            return
        self.open()
        try:
            yield
        finally:
            self.close()

    # -- while it is open

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints."""
        return sorted(self._manager.all_steps())

    def latest(self) -> int | None:
        """The last of them."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """The one with the best value, of those that have one."""
        step = self._manager.best_step()
        return step if step is not None and self._manager.metrics(step) else None

    def must_end(self, step: int) -> bool:
        """Whether any of several processes was told to end; all learn it at the same step.

        Args:
            step: Number of the step.
        """
        return self._manager.reached_preemption(step)

    def write(self, step: int, meta: dict, arrays: Mapping[str, Any], value: float | None) -> None:
        """Write the checkpoint of a step.

        Args:
            step: Its number.
            meta: Plain data.
            arrays: Arrays by name.
            value: What tells the best, if there is such a number.
        """
        sums = checksums_of(arrays)
        meta["arrays"] = {
            name: [list(array.shape), array.dtype.name, sums[name]]
            for name, array in arrays.items()
        }
        tree = {_key(name): _copy(array) for name, array in arrays.items() if array.size}
        args, text = self._orbax.args, json.dumps(meta)
        run = {"meta": text, "checksum": zlib.crc32(text.encode())}
        self._manager.save(
            step,
            args=args.Composite(pytree=args.StandardSave(tree), run=args.JsonSave(run)),
            metrics={} if value is None else {"value": float(value)},
            force=True,
        )

    def read_meta(self, step: int) -> dict:
        """The plain data of a checkpoint.

        Args:
            step: Number of the step.
        """
        args = self._orbax.args.Composite(run=self._orbax.args.JsonRestore())
        with self._naming(f"step {step}"):
            run = self._manager.restore(step, args=args)["run"]
            if zlib.crc32(run["meta"].encode()) != run["checksum"]:
                raise ValueError("its checksum does not fit")
            return json.loads(run["meta"])

    def read_arrays(self, step: int, meta: dict, now: Mapping[str, Any]) -> dict[str, Any]:
        """The arrays of a checkpoint by name.

        Args:
            step: Its number.
            meta: What `read_meta` gave.
            now: Arrays by name: the successor of each goes to the same devices.
        """
        wanted, found = {}, {}
        for name, (shape, dtype, _) in meta["arrays"].items():
            dtype = jax.numpy.dtype(dtype)
            found[name] = np.zeros(shape, dtype)
            here = now.get(name)
            if here is not None and here.committed and here.shape == tuple(shape):
                found[name] = jax.ShapeDtypeStruct(shape, dtype, sharding=here.sharding)
            if math.prod(shape):
                wanted[_key(name)] = found[name]
        args = self._orbax.args.Composite(pytree=self._orbax.args.StandardRestore(wanted))
        with self._naming(f"step {step}"):
            read = self._manager.restore(step, args=args)["pytree"]
            found = {name: read.get(_key(name), array) for name, array in found.items()}
            if checksums_of(found) != {name: sum for name, (*_, sum) in meta["arrays"].items()}:
                raise ValueError("its checksums do not fit")
        return found

    def _rank(self, metrics):
        value = metrics.get("value", math.nan)
        return -math.inf if math.isnan(value) else self.goodness(value)

    @contextlib.contextmanager
    def _naming(self, what):
        try:
            yield
        except Exception as error:
            raise ValueError(
                f"OrbaxCheckpoint: {what} in {self.directory} cannot be read: {error}. If it is "
                "damaged, delete that step's folder to resume from the one before."
            ) from error


def _import_orbax():
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise ImportError(
            "OrbaxCheckpoint needs orbax: `pip install kerasish[checkpoint]`."
        ) from error
    return orbax.checkpoint


def _key(name):
    return name.replace("/", ".")


def _copy(array):
    # On the CPU orbax would write from the very memory that the next step is to work in.
    if isinstance(array, jax.Array) and next(iter(array.devices())).platform == "cpu":
        return jax.device_put(array, array.sharding, may_alias=False)
    return array
