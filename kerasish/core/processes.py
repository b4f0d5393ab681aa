"""This process among those that train together: who it is, and how they agree.

They talk through JAX's coordination service, which process 0 holds: short strings, without a device
computation, so nothing is compiled and the order of collectives is not touched. With one process
every function answers at once.
"""

import collections
import contextlib
import itertools
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax._src import distributed

_service: Any = distributed.global_state  # the only way to JAX's coordination service
PATIENCE = 300  # seconds for a process that is late; a dead one is noticed sooner
SAME_CALLS = "Every process must make the same calls in the same order."
_GRACE = 8  # seconds in which those that live say so after a failure
_ENDS = "kerasish/ends/"
_PULSES = "kerasish/pulse/"

_exchanges = itertools.count()  # every process counts the same ones
_reports: collections.Counter = collections.Counter()
_names: dict[int, str] = {}
_positions = [""]  # of this process in its run
_neighbours: dict[int, int] = {}  # processes of this machine to their ids there


def count() -> int:
    """How many processes train together; without touching any device."""
    return _service.num_processes if _service.client is not None else 1


def index() -> int:
    """Which of them this is, from 0."""
    return _service.process_id if _service.client is not None else 0


def is_first() -> bool:
    """Whether this is the process that writes files and prints."""
    return index() == 0


def name_of(process: int) -> str:
    """A process in words: its number, and where it runs as far as it has said.

    Args:
        process: Number of the process.
    """
    return f"process {process}{_names.get(process, '')}"


def introduce() -> None:
    """Tell the others where this process runs, and learn it of them."""
    said = exchange("initialize", f"{socket.gethostname()}\t{os.getpid()}\t{_machine()}")
    for process, text in enumerate(said):
        host, pid, machine = text.split("\t")
        _names[process] = f" (host {host}, pid {pid})"
        if machine == _machine() != "" and _runs(int(pid)):
            _neighbours[process] = int(pid)


def _machine():
    """What processes have in common that see each other in `/proc`; empty where there is none."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def gone() -> list[int]:
    """Processes of this machine that have ended. (Of others JAX notices that, but later.)"""
    return [process for process, pid in _neighbours.items() if not _runs(pid)]


def _runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
    except OSError:  # too many open files, say: no reason to give a process up
        return True


def is_stopped(process: int) -> bool:
    """Whether a process of this machine is stopped, by a signal or a debugger.

    Args:
        process: Number of the process.
    """
    pid = _neighbours.get(process)
    return pid is not None and _state_of(pid) in ("T", "t")


def _state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gather_to_host(array: Any) -> np.ndarray:
    """An array as NumPy has it, gathered if other processes have parts of it.

    Where parts do, every process must ask for the same arrays in the same order.

    Args:
        array: A JAX array.
    """
    if not isinstance(array, jax.Array) or is_readable_here(array):
        return np.asarray(array)
    gather = jax.jit(_same, out_shardings=jax.sharding.NamedSharding(array.sharding.mesh, _NOWHERE))
    return np.asarray(gather(array).addressable_data(0))


def is_readable_here(array: jax.Array) -> bool:
    """Whether this process has all of an array.

    Args:
        array: A JAX array.
    """
    return array.is_fully_addressable or array.is_fully_replicated


_NOWHERE = jax.sharding.PartitionSpec()


def _same(x):  # at the top level, so that JAX compiles it once for each shape
    return x


# -- agreeing


def exchange(what: str, said: str = "", patience: float = PATIENCE) -> list[str]:
    """Wait until every process is here; returns what each of them said.

    Args:
        what: What they come together for, in words; the same on all.
        said: What this process has to say.
        patience: Seconds to wait.
    """
    if count() == 1:
        return [said]
    client, turn = _service.client, next(_exchanges)
    prefix = f"kerasish/meeting/{turn}/"
    if turn > 1:  # all have read what was said there, or they would not have come to the last one
        client.key_value_delete(f"kerasish/meeting/{turn - 2}/{index():06}")
    client.key_value_set(f"{prefix}{index():06}", f"{what}\n{said}")
    try:
        client.wait_at_barrier(prefix, int(patience * 1000))
    except jax.errors.JaxRuntimeError as error:
        absent = _absent(prefix)
        raise RuntimeError(
            f"{what}: {absent} did not come to {name_of(index())} within {patience:.0f} s. "
            f"{SAME_CALLS}"
        ) from error
    found = [text.split("\n", 1) for _, text in sorted(client.key_value_dir_get(prefix))]
    _check(what, [{"call": theirs} for theirs, _ in found])
    return [text for _, text in found]


def compare(what: str, facts: Mapping[str, Any]) -> None:
    """Raise on every process unless all of them have the same facts.

    Args:
        what: Who compares, in words for the error.
        facts: Names to what is compared by its text.
    """
    if count() > 1:
        lines = [f"{name}\t{value}".replace("\n", " ") for name, value in facts.items()]
        said = exchange(what, "\n".join(lines))
        _check(what, [dict(line.split("\t", 1) for line in text.splitlines()) for text in said])


def _check(what, facts):
    for process, theirs in enumerate(facts):
        for name in {**facts[0], **theirs}:
            first, other = facts[0].get(name, "none"), theirs.get(name, "none")
            if first != other:
                raise ValueError(
                    f"{what}: {name_of(process)} is not doing what process 0 does. Its {name}: "
                    f"{other}; process 0's: {first}. Run the same program on the same data "
                    "everywhere."
                )


def _absent(prefix):
    """The processes that left no word under a key."""
    came = {int(key.rpartition("/")[2]) for key, _ in _service.client.key_value_dir_get(prefix)}
    return " and ".join(name_of(i) for i in range(count()) if i not in came) or "a process"


# -- signs of life


def say_position(text: str) -> None:
    """Note where this process is, `"epoch 3"`, for those that wait for it.

    Args:
        text: Words for it.
    """
    _positions[:] = [text]


def position() -> str:
    """What `say_position` noted last."""
    return _positions[0]


def exchange_pulse(text: str) -> dict[int, str]:
    """Leave a sign of life; gives the last one of each process. Nobody is waited for.

    Args:
        text: Words for it.
    """
    try:
        _service.client.key_value_set(f"{_PULSES}{index():06}", text, allow_overwrite=True)
        return {int(k[-6:]): said for k, said in _service.client.key_value_dir_get(_PULSES)}
    except jax.errors.JaxRuntimeError:  # process 0, who keeps them, is gone
        return {}


# -- what process 0 does and the others wait for


def publish_outcome(what: str, error: BaseException | None = None) -> None:
    """Tell the others, who are in `wait_for_first`, that process 0 did this, or failed.

    Args:
        what: What was done, in the words of `wait_for_first`.
        error: Why it failed, if it did.
    """
    if count() > 1:
        text = "" if error is None else f"{type(error).__name__}: {error}"
        _service.client.key_value_set(_report_key(what), text)


def wait_for_first(what: str, patience: float = 6 * PATIENCE) -> None:
    """Wait until process 0 reports that it did this; raise if it failed.

    Args:
        what: What process 0 does, in words.
        patience: Seconds to wait.
    """
    try:
        text = _service.client.blocking_key_value_get(_report_key(what), int(patience * 1000))
    except jax.errors.JaxRuntimeError as error:
        raise RuntimeError(
            f"{name_of(index())} waited {patience:.0f} s for process 0 to {what}. {SAME_CALLS}"
        ) from error
    if text:
        raise RuntimeError(f"Process 0 could not {what}: {text}")


def first_says(what: str, ask: Callable[[], Any]) -> str:
    """What process 0 answers, as text, on all of them.

    Args:
        what: What is asked, in words; the same on all.
        ask: Function that process 0 calls.
    """
    if count() == 1:
        return str(ask())
    key = _report_key(what)
    if is_first():
        _service.client.key_value_set(key, str(ask()))
    return _service.client.blocking_key_value_get(key, PATIENCE * 1000)


def _report_key(what):
    _reports[what] += 1
    return f"kerasish/report/{what}/{_reports[what]}"


# -- failures


def say_end(process: int, failure: str = "") -> None:
    """Leave word for the others that a process has come to its end, or why it failed.

    Args:
        process: The process.
        failure: Why it failed; empty if it did not.
    """
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # said before, or nobody is left
        _service.client.key_value_set(f"{_ENDS}{process:06}", failure)


def ends() -> dict[int, str]:
    """The processes that left word of their end, and why if they failed."""
    try:
        words = _service.client.key_value_dir_get(_ENDS)
    except jax.errors.JaxRuntimeError:
        return {}  # process 0, who keeps the words, is gone
    return {int(key[-6:]): text for key, text in words}


def failures() -> str:
    """What processes that failed left word of; empty if none did."""
    return "; ".join(f"{name_of(process)} {text}" for process, text in ends().items() if text)


def first_listens() -> bool | None:
    """Whether process 0 is there: nobody listens at its address if not; `None`: no telling."""
    host, _, port = _service.coordinator_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return None
    return True


def who_failed() -> str:
    """After a failed collective: which processes do not answer, or what they left word of."""
    client, prefix = _service.client, "kerasish/alive/"
    try:
        client.key_value_set(f"{prefix}{index():06}", "", allow_overwrite=True)
        end = time.monotonic() + _GRACE
        while time.monotonic() < end:
            if words := failures():
                return words
            time.sleep(0.2)
        lost = _absent(prefix)
    except jax.errors.JaxRuntimeError:  # process 0, who keeps the words, is the one
        lost = name_of(0)
    return f"{lost} does not answer any more: it was killed, or its machine is gone"


@contextlib.contextmanager
def failures_named(what: str) -> Iterator[None]:
    """Inside, an error that comes of another process' end is raised as one that names it.

    Args:
        what: What is being done, in words.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if count() == 1:
            raise
        raise RuntimeError(f"{what}: {who_failed()}. This is {name_of(index())}.") from error
