"""Checkpoints of whole runs with orbax: written while training goes on, as the arrays lie."""

import contextlib
import json
import math
import os
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from kerasish.callbacks import run_state
from kerasish.callbacks.checksums import checksums_of
from kerasish.callbacks.keeper import Keeper
from kerasish.callbacks.monitor import MonitorCallback
from kerasish.callbacks.screens import announce
from kerasish.core import processes
from kerasish.core.errors import bad_argument


class OrbaxCheckpoint(Keeper):
    """Keeps checkpoints of the whole run; a `fit` that finds some goes on from the latest.

    A checkpoint holds what `BackupAndRestore` keeps: weights, optimizer, metrics, random states,
    the epoch, the batch, the data's place and the states of the other callbacks. So a run that was
    killed and started again ends with the same weights as one that was not, bit for bit.

    Arrays are written as they lie on their devices, by each process its own, while training goes
    on; they are read onto the devices of the model that is there then, be they more or fewer.
    A checkpoint that was not finished does not count. Each is in a folder named for its step: the
    number of batches trained in all.

    On SIGTERM it saves at once, and ends the process with exit status 143. Of several processes
    all do so, once JAX has told them.

    Needs orbax: `pip install kerasish[checkpoint]`.

    Args:
        directory: Folder for the checkpoints, of this run alone.
        monitor: Name of the result that tells the best.
        verbose: 1 to say when it saves.
        save_best_only: Whether to save only if `monitor` is better than ever before.
        mode: `"min"`, `"max"` or `"auto"`: whether less or more is better.
        save_freq: `"epoch"`, or a number of batches. Batches run fused all the same, so it saves
            at the end of the call in which it is due; 1 runs and saves every batch. `False` saves
            on SIGTERM alone.
        initial_value_threshold: Value to beat at first, with `save_best_only`.
        max_to_keep: How many of the latest checkpoints to keep; `None`: all.
        save_on_background: Whether training goes on while files are written.
        save_weights_only: Whether to save the weights alone. A `fit` cannot go on from those.
        keep_best: How many of the best checkpoints to keep besides the latest ones.
        resume: Whether `fit` goes on from the latest checkpoint.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((2,)), layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> keeper = OrbaxCheckpoint(tempfile.mkdtemp(), monitor="loss", max_to_keep=2)
        >>> x, y = np.ones((4, 2)), np.ones((4, 1))
        >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=keeper)
        >>> keeper.steps
        [2, 3]
        >>> keeper.restore(model, "best")
        3
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: str | int | bool = "epoch",
        initial_value_threshold: float | None = None,
        max_to_keep: int | None = 1,
        save_on_background: bool = True,
        save_weights_only: bool = False,
        keep_best: int = 0,
        resume: bool = True,
    ):
        super().__init__(save_freq)
        self._orbax = _import_orbax()
        if not directory:
            raise bad_argument(self, "directory", "a folder's path", directory)
        for name, value, least in (("max_to_keep", max_to_keep, 1), ("keep_best", keep_best, 0)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise bad_argument(self, name, f"an integer of at least {least}", value)
        self.directory = os.fspath(directory)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.mode = mode
        self.max_to_keep = max_to_keep
        self.save_on_background = save_on_background
        self.save_weights_only = save_weights_only
        self.keep_best = max(keep_best, int(save_best_only))
        self.resume = resume
        self._watch = MonitorCallback(monitor, mode, initial_value_threshold)
        self._step = 0
        self._manager: Any = None

    @property
    def best(self) -> float | None:
        """The best value so far of what it monitors, with `save_best_only`."""
        return self._watch.best

    @property
    def steps(self) -> list[int]:
        """The steps of which there are checkpoints."""
        with self._open() as manager:
            return sorted(manager.all_steps())

    def restore(self, model: Any, step: int | str | None = None) -> int:
        """Put a checkpoint into a model: weights, optimizer, metrics and random states.

        Args:
            model: The model, built; compiled for more than weights.
            step: Number of the step, `"best"`, or `None` for the latest.

        Returns:
            The step.
        """
        self._watch.set_model(model)
        with self._open() as manager:
            known = sorted(manager.all_steps())
            found = {None: manager.latest_step, "best": manager.best_step}.get(step, lambda: step)()
            if found not in known or (step == "best" and not manager.metrics(found)):
                raise bad_argument(self, "step", f"one of {known}, 'best' or None", step)
            where = f"OrbaxCheckpoint: step {found} in {self.directory}"
            run_state.build(model, where)
            meta = self._read_meta(manager, found)
            run_state.set_variables(model, self._read(manager, found, meta, model), where)
        return found

    def wait_until_finished(self) -> None:
        """Wait until all that was saved is on the disk."""
        if self._manager is not None:
            self._manager.wait_until_finished()

    # -- hooks

    def set_model(self, model):
        """Take the model to watch."""
        super().set_model(model)
        self._watch.set_model(model)

    def on_train_begin(self, logs=None):
        """Look for checkpoints, and listen for SIGTERM."""
        self._manager = self._make_manager()
        self._step = self._manager.latest_step() or 0
        super().on_train_begin(logs)
        if processes.count() > 1:
            self._stop_listening()  # JAX does, and sees to it that all stop at the same step

    def get_state(self) -> dict:
        """The batches trained in all, and the best value so far."""
        return {"step": self._step, "best": self._watch.best}

    def set_state(self, state: dict) -> None:
        """Take over the numbers of the interrupted run."""
        self._step, self._watch.best = state["step"], state["best"]

    def release(self):
        """Finish what is being written."""
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.close()
        super().release()

    def _count(self, batches):
        super()._count(batches)
        self._step += batches

    def _must_end(self):
        several = processes.count() > 1
        return self._terminated or (several and self._manager.reached_preemption(self._step))

    # -- the checkpoints

    def _make_manager(self):
        orbax = self._orbax
        policies = orbax.checkpoint_managers
        kept: list = [policies.LatestN(self.max_to_keep)]
        if self.keep_best:
            kept.append(policies.BestN(n=self.keep_best, get_metric_fn=self._goodness))
        options = orbax.CheckpointManagerOptions(
            best_fn=self._goodness,
            best_mode="max",
            preservation_policy=policies.AnyPreservationPolicy(kept),
            enable_async_checkpointing=self.save_on_background,
            cleanup_tmp_directories=True,
        )
        is_url = "://" in self.directory
        path = self.directory if is_url else os.path.abspath(self.directory)
        with self._naming("what is"):
            return orbax.CheckpointManager(path, options=options)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        if self._manager is not None:
            self._manager.wait_until_finished()
            yield self._manager
        else:
            manager = self._make_manager()
            try:
                yield manager
            finally:
                manager.close()

    def _goodness(self, metrics):
        value = metrics.get("value", math.nan)
        if math.isnan(value):
            return -math.inf
        return value if self._watch.improves(1.0, 0.0) else -value

    def _describe(self):
        return f"OrbaxCheckpoint: the checkpoint in {self.directory}"

    def _write(self, epoch, batch, logs):
        value = logs.get(self.monitor)
        if self.save_best_only and not self._is_better(value) and not self._must_end():
            return
        if self._manager.latest_step() == self._step:
            return  # nothing was trained since
        self._manager.save(
            self._step,
            args=self._arguments(epoch, batch),
            metrics={} if value is None else {"value": float(value)},
            force=True,
        )
        if self.verbose > 0:
            announce(f"Epoch {epoch if batch == 0 else epoch + 1}: saved step {self._step}")

    def _is_better(self, value):
        if value is None:
            warnings.warn(
                f"OrbaxCheckpoint: `monitor` {self.monitor!r} is not among the results, so nothing "
                "can be the best.",
                stacklevel=6,
            )
            return False
        better = self._watch.improves(value, self._watch.best)
        if better:
            self._watch.best = value
        return better

    def _arguments(self, epoch, batch):
        if self.save_weights_only:
            meta, arrays = {}, run_state.model_arrays(self.model)
            arrays = {name: value for name, value in arrays.items() if name.startswith("model/")}
        else:
            meta, arrays = run_state.collect(self.model, self.companions, epoch, batch)
        sums = checksums_of(arrays)
        meta["arrays"] = {
            name: [list(value.shape), value.dtype.name, sums[name]]
            for name, value in arrays.items()
        }
        tree = {_key(name): _copy(value) for name, value in arrays.items() if value.size}
        save, text = self._orbax.args, json.dumps(meta)
        run = {"meta": text, "checksum": zlib.crc32(text.encode())}
        return save.Composite(pytree=save.StandardSave(tree), run=save.JsonSave(run))

    def _find(self):
        step = self._manager.latest_step()
        if step is None or not self.resume or self.save_weights_only:
            return None
        meta = self._read_meta(self._manager, step)
        if "epoch" not in meta:
            raise ValueError(
                f"OrbaxCheckpoint: {self.directory} holds weights alone, from which `fit` cannot "
                "go on. `restore` them first, and say `resume=False`."
            )
        return meta, lambda: self._read(self._manager, step, meta, self.model)

    def _read_meta(self, manager, step):
        args = self._orbax.args.Composite(run=self._orbax.args.JsonRestore())
        with self._naming(f"step {step}"):
            run = manager.restore(step, args=args)["run"]
            if zlib.crc32(run["meta"].encode()) != run["checksum"]:
                raise ValueError("its checksum does not fit")
            return json.loads(run["meta"])

    def _read(self, manager, step, meta, model):
        """The arrays of a checkpoint: those of Variables on the devices where these are now."""
        now = run_state.model_arrays(model)
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
            read = manager.restore(step, args=args)["pytree"]
            found = {name: read.get(_key(name), value) for name, value in found.items()}
            if checksums_of(found) != {name: sum for name, (*_, sum) in meta["arrays"].items()}:
                raise ValueError("its checksums do not fit")
        return found

    @contextlib.contextmanager
    def _naming(self, what):
        try:
            yield
        except Exception as error:
            raise ValueError(
                f"OrbaxCheckpoint: {what} in {self.directory} cannot be read: {error}. If it is "
                "damaged, delete that step's folder to go on from the one before."
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


def _copy(value):
    # On the CPU orbax would write from the very memory that the next step is to work in.
    if isinstance(value, jax.Array) and next(iter(value.devices())).platform == "cpu":
        return jax.device_put(value, value.sharding, may_alias=False)
    return value
