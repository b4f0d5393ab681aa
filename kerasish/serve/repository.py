"""The models of a server by name, and the folders that they come from."""

import dataclasses
import logging
import pathlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.serve.batching import Batcher
from kerasish.serve.errors import not_found, unavailable
from kerasish.serve.served_model import ServedModel, load_served

log = logging.getLogger("kerasish.serve")


@dataclasses.dataclass(frozen=True)
class Options:
    """How models are run.

    Attributes:
        max_batch: Rows of a batch, at most.
        max_wait: Seconds that a request waits for others, at most.
        max_queue: Rows that may wait for each model.
        poll: Seconds between looks at folders of versions.
        allow_nan: Whether inputs may hold NaN and infinities.
    """

    max_batch: int = 64
    max_wait: float = 0.002
    max_queue: int = 1024
    poll: float = 2.0
    allow_nan: bool = False


class Version:
    """A loaded model that takes requests."""

    def __init__(self, number: str, served: ServedModel, options: Options, observe: Callable):
        self.number, self.served = number, served
        served.warm_up(options.max_batch)
        sizes = served.sizes(options.max_batch)
        self.batcher = Batcher(served.run, sizes, options.max_wait, options.max_queue, observe)
        self.since = time.time()


class RepositoryModel:
    """One name: the version that takes its requests now.

    Args:
        name: The name.
        source: A model, a `ServedModel`, or the path of a model or of a folder of versions.
        options: How it is run.
        observe: Called with the name, and the rows and seconds of each batch.
    """

    def __init__(self, name: str, source: Any, options: Options, observe: Callable):
        self.name, self._options = name, options
        self._observe = lambda rows, seconds: observe(name, rows, seconds)
        self.current: Version | None = None
        self.folder: pathlib.Path | None = None
        self._refused: dict[int, Any] = {}  # what versions that do not load look like
        self._seen: dict[int, Any] = {}
        if isinstance(source, str | pathlib.Path):
            path = pathlib.Path(source)
            if is_versioned(path):
                self.folder = path
                self.look(settle=False)
                return
            served = load_served(path, options.allow_nan)
        elif isinstance(source, ServedModel):
            served = source
        else:
            served = ServedModel(source, allow_nan=options.allow_nan)
        self._take_over("1", served)

    def _take_over(self, number, served):
        """Warm up beside the present version; then let new requests go to the new one."""
        version = Version(number, served, self._options, self._observe)
        before, self.current = self.current, version
        if before is not None:
            before.batcher.close()
        log.info("Model %r: version %s is ready.", self.name, number)

    def version(self, number: str | None = None) -> Version:
        """The version that takes requests, if it is that one.

        Args:
            number: Number of the version, or `None`.
        """
        current = self.current
        if current is None:
            raise unavailable(f"Model {self.name!r} has no whole version yet: try again later.", 2)
        if number is not None and number != current.number:
            raise not_found(
                f"Model {self.name!r} has no version {number!r} loaded; it has {current.number!r}."
            )
        return current

    def look(self, settle: bool = True) -> None:
        """Take the newest version in the folder that loads, if it is not the present one.

        Args:
            settle: Whether to leave alone what has changed since the last look: someone may still
                be writing it.
        """
        assert self.folder is not None
        states = {number: _state(path) for number, path in versions_in(self.folder).items()}
        before, self._seen = self._seen, states
        for number in sorted(states, reverse=True):
            if self.current is not None and self.current.number == str(number):
                return
            if self._refused.get(number) == states[number]:
                continue
            if settle and before.get(number) != states[number]:
                return  # look again before an older one is taken in its stead
            try:
                served = load_served(self.folder / str(number), self._options.allow_nan)
                self._take_over(str(number), served)
                return
            except Exception as error:
                self._refused[number] = states[number]
                log.error(
                    "Model %r: version %d is not taken, as it does not load: %s: %s",
                    self.name,
                    number,
                    type(error).__name__,
                    error,
                )

    def close(self) -> None:
        """Compute what waits, and take no more."""
        if self.current is not None:
            self.current.batcher.close()


def is_versioned(path: pathlib.Path) -> bool:
    """Whether a path is a folder of numbered versions, or an empty one that awaits them.

    Args:
        path: The path.
    """
    if not path.is_dir() or (path / "config.json").is_file():
        return False
    return bool(versions_in(path)) or not any(path.iterdir())


def versions_in(folder: pathlib.Path) -> dict[int, pathlib.Path]:
    """The numbered folders in a folder.

    Args:
        folder: Path of the folder.
    """
    try:
        found = [p for p in folder.iterdir() if re.fullmatch("0|[1-9][0-9]{0,17}", p.name)]
    except OSError:
        return {}
    return {int(p.name): p for p in found if p.is_dir()}


def _state(folder):
    """What changes whenever a file in the folder does."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            stat = path.stat()
        except OSError:  # it has just gone
            continue
        found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return found


class Repository:
    """The models of a server.

    Args:
        models: Sources by name, as of `RepositoryModel`.
        options: How they are run.
        observe: Called with a model's name, and the rows and seconds of each batch.
    """

    def __init__(
        self,
        models: Mapping[str, Any],
        options: Options,
        observe: Callable[[str, int, float], None] = lambda *_: None,
    ):
        if not models:
            raise bad_argument("serve", "models", "one or more models by name", dict(models))
        for name in models:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", str(name)):
                raise bad_argument("serve", "name", "letters, digits and `_.-`", name)
        self.models: dict[str, RepositoryModel] = {}
        for name, source in models.items():
            self.models[name] = RepositoryModel(name, source, options, observe)
        self._ended = threading.Event()
        watched = [model for model in self.models.values() if model.folder is not None]
        if watched:
            arguments = (watched, options.poll)
            threading.Thread(target=self._watch, args=arguments, daemon=True).start()

    def _watch(self, models, poll):
        while not self._ended.wait(poll):
            for model in models:
                try:
                    model.look()
                except Exception:
                    log.exception("Model %r: its folder could not be looked at.", model.name)

    def model(self, name: str) -> RepositoryModel:
        """The model of that name.

        Args:
            name: Name of the model.
        """
        if name not in self.models:
            raise not_found(f"There is no model {name!r}; there are {sorted(self.models)}.")
        return self.models[name]

    @property
    def ready(self) -> bool:
        """Whether every model takes requests."""
        return all(model.current is not None for model in self.models.values())

    def close(self) -> None:
        """Stop looking at folders, and compute what waits."""
        self._ended.set()
        for model in self.models.values():
            model.close()
