"""The start of a process that trains together with others, and its end when one of them fails."""

import atexit
import ctypes
import errno
import faulthandler
import os
import pathlib
import random
import signal
import socket
import sys
import threading
import time
from typing import Any

import jax
from jax._src import compiler

from kerasish.core import processes
from kerasish.core.errors import bad_argument
from kerasish.core.state import seeds
from kerasish.distribution.waiting import Waiting

# Long enough for a machine that is busy, short enough that nobody waits long for the dead.
_HEARTBEAT_SECONDS = 30
_SHUTDOWN_SECONDS = 60
_LOOK_SECONDS = 1  # between two looks at whether another process failed
_GRACE_SECONDS = 3  # in which it may end by its own error
_LATE_SECONDS = 2  # for process 0 to answer; that it does not may be the end of it
_GLANCE_SECONDS = 0.02  # before the first look, at the end, at whether the others are done too
_STILL_SECONDS = 30  # of standing still, when another process is done, that tell a wait for it
# Where a process waits for others: in code of these, but not while it compiles.
_LIBRARIES = str(pathlib.Path(jax.__file__).parent), str(pathlib.Path(__file__).parent.parent)
_COMPILER = compiler.__file__


def initialize(
    job_addresses: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    patience: float | None = None,
    **options: Any,
) -> None:
    """Join the other processes of this program. Call it first, before anything uses a device.

    Under `python -m kerasish.launch`, SLURM, Open MPI, Kubernetes and on TPU pods no argument is
    needed. Where there are no other processes it does nothing, so the same script runs by itself.

    Afterwards all have the same random seed (that of process 0), and devices of all are listed. A
    process that fails leaves word, and then all of them end with an error that names it.

    Args:
        job_addresses: Address and port of process 0, `"10.0.0.1:1234"`, or those of all processes,
            separated by commas. `None`: what `KERAS_DISTRIBUTION_JOB_ADDRESSES` says.
        num_processes: How many there are. `None`: what `KERAS_DISTRIBUTION_NUM_PROCESSES` says.
        process_id: Which this is, from 0. `None`: what `KERAS_DISTRIBUTION_PROCESS_ID` says.
        patience: Seconds that a process waits for one that hangs before it ends with an error.
            `None`: what `KERAS_DISTRIBUTION_PATIENCE` says, or else as long as it takes. Who waits
            for whom is said after 10 seconds, on stderr.
        **options: Others of `jax.distributed.initialize`, such as `local_device_ids`,
            `cluster_detection_method`, `initialization_timeout` (300 seconds) and
            `heartbeat_timeout_seconds` (30 here, after which one not heard of is taken for dead).

    Raises:
        ValueError: If the arguments do not fit each other, or `patience` is no positive number.
        RuntimeError: If the processes do not find each other, or the port is in use.

    Example:
        >>> keras.distribution.initialize()  # doctest: +SKIP
    """
    addresses = _setting(job_addresses, "JOB_ADDRESSES")
    number = _setting(num_processes, "NUM_PROCESSES")
    index = _setting(process_id, "PROCESS_ID")
    _check(addresses, number)
    patience = _seconds(_setting(patience, "PATIENCE"))
    given = {
        "coordinator_address": addresses and addresses.split(",")[0].strip(),
        "num_processes": number and int(number),
        "process_id": index and int(index),
        "heartbeat_timeout_seconds": _HEARTBEAT_SECONDS,
        "shutdown_timeout_seconds": _SHUTDOWN_SECONDS,
    }
    if None not in (addresses, number, index):
        # Or a node's scheduler would leave each process one device, which it may not have started.
        given["cluster_detection_method"] = "deactivate"
    if given["coordinator_address"]:
        _check_port(given["coordinator_address"], given["process_id"])
    try:
        jax.distributed.initialize(**{**given, **options})
    except ValueError as error:
        no_setting = addresses is number is index is None
        if not no_setting or "coordinator_address should be defined" not in str(error):
            raise
        _check_mpi()
        return
    processes.introduce()
    _share_seed()
    if processes.count() > 1:
        _slow_down_aborts()
        _Watch({**given, **options}["heartbeat_timeout_seconds"], patience).start()


def _setting(value, name):
    value = os.environ.get(f"KERAS_DISTRIBUTION_{name}") if value is None else value
    return None if value is None else str(value)


def _seconds(text):
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise bad_argument("initialize", "patience", "a positive number of seconds", text)
    return seconds


def _check_port(address, index):
    """Raise if this is to be process 0 and another program has its port."""
    host, _, port = address.rpartition(":")
    if index != 0 or not port.isdecimal():
        return
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", int(port)))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return  # JAX knows better
            raise RuntimeError(
                f"initialize: port {port} of {host} is in use by another program, perhaps an "
                "earlier run that has not ended. End it, or give another port in "
                "`job_addresses` (`--port` of the launcher)."
            ) from None


def _check(addresses, number):
    listed = len(addresses.split(",")) if addresses else 1
    if listed > 1 and number is not None and listed != int(number):
        raise ValueError(
            f"initialize: `job_addresses` lists {listed} processes; `num_processes` is {number}. "
            "Give only process 0's address, or one for each process."
        )


def _check_mpi():
    """Raise if MPI started several processes: JAX does not find the others under all of them."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if os.environ.get(name, "1") != "1":
            raise RuntimeError(
                f"initialize: MPI started {os.environ[name]} processes ({name}), but does not tell "
                "JAX where process 0 is. Call `initialize(cluster_detection_method='mpi4py')`, or "
                "give `job_addresses`, `num_processes` and `process_id`."
            )


def _share_seed():
    """Let all that were given no seed draw the same random numbers, as process 0 does."""
    own = seeds.chosen_seed()
    seed = random.SystemRandom().randrange(2**32) if own is None else own
    said = processes.exchange("initialize", str(seed))
    if own is None:
        seeds.set_random_seed(int(said[0]))


# -- failures


def _slow_down_aborts():
    """Let an abort wait for some seconds, in which `_Watch` says what the matter is.

    When process 0 is gone JAX aborts the others at once, from a thread of its own. C's `sleep` may
    handle the signal, as it asks nothing of Python; the signal's number, 6, is its seconds.
    """
    if os.name == "posix" and not faulthandler.is_enabled():
        c = ctypes.CDLL(None)
        c.signal.argtypes = ctypes.c_int, ctypes.c_void_p
        c.signal.restype = ctypes.c_void_p
        c.signal(signal.SIGABRT, ctypes.cast(c.sleep, ctypes.c_void_p))


class _Watch:
    """Says to the others when this process fails; ends it when another one does.

    Args:
        heartbeat: Seconds after which JAX takes one not heard of for dead.
        patience: Seconds to wait for one that hangs; `None`: as long as it takes.
    """

    def __init__(self, heartbeat, patience):
        self.heartbeat = heartbeat
        self.waiting = Waiting(patience, self.give_up)
        self.ended = threading.Event()
        self.heard = time.monotonic()  # when process 0 answered last
        self.words = ""  # of those that failed
        self.position, self.since = None, self.heard  # where the main thread is, and since when

    def start(self):
        """Watch until this process ends."""
        self.show, sys.excepthook = sys.excepthook, self.fail
        for look in (self.ask, self.guard):
            threading.Thread(target=look, name="failures of other processes", daemon=True).start()
        atexit.register(self.stay)

    def is_running(self, seconds):
        """Whether, after some seconds, this process is still one of several."""
        return not self.ended.wait(seconds) and processes.count() > 1

    def stay(self):
        """Wait, at the end, for others: they may have work of their own, and JAX is impatient."""
        if processes.count() > 1:
            processes.say_end(processes.index())
        pause = _GLANCE_SECONDS
        while self.is_running(pause):
            pause = min(2 * pause, _LOOK_SECONDS)
            if list(processes.ends().values()).count("") == processes.count():
                self.ended.set()  # had one failed, `ask` would end this process

    def fail(self, kind, error, trace):
        """Leave word of an error of this process, and end it."""
        self.show(kind, error, trace)
        if isinstance(error, jax.errors.JaxRuntimeError):
            print(f"{_self()}: {processes.who_failed()}.", file=sys.stderr)
        self.ended.set()
        status = 130 if issubclass(kind, KeyboardInterrupt) else 1
        self.tell(f"failed: {kind.__name__}: {error}", status)

    def tell(self, why, status=1):
        """Leave word of why this process ends, and end it."""
        processes.say_end(processes.index(), why)
        # Without JAX's own end, which waits for all processes; process 0 holds what they read.
        time.sleep(2 * _LOOK_SECONDS if processes.is_first() else 0)
        _end(status)

    def ask(self):
        """Ask process 0, who keeps the words, whether one has failed, or come to its end."""
        while self.is_running(_LOOK_SECONDS):
            for lost in processes.gone():
                processes.say_end(lost, "is gone: it was killed, or crashed")
            ends, self.heard = processes.ends(), time.monotonic()
            self.words = processes.failures() if any(ends.values()) else ""
            if self.words and not self.ended.wait(_GRACE_SECONDS):
                self.leave(self.words)
            self.waiting.look(self.still())
            if ends and processes.index() not in ends and self.still() > _STILL_SECONDS:
                why = f"waits for {processes.name_of(min(ends))}, which has come to its end"
                print(f"{_self()} {why}. {processes.SAME_CALLS}", file=sys.stderr)
                self.tell(why)

    def give_up(self, why):
        """End this process, which has waited for too long."""
        print(f"{_self()} ends: its patience is at an end.", file=sys.stderr)
        self.tell(f"ended: {why}")

    def still(self):
        """For how many seconds the main thread has been at one place in JAX or kerasish."""
        frame = sys._current_frames()[threading.main_thread().ident]  # pyright: ignore[reportArgumentType]
        position, now = (id(frame), frame.f_lasti), time.monotonic()
        if position != self.position:
            self.position, self.since = position, now
        path = frame.f_code.co_filename
        return now - self.since if path.startswith(_LIBRARIES) and path != _COMPILER else 0

    def guard(self):
        """Look whether process 0 is there: JAX, about to abort, answers `ask` no more."""
        while self.is_running(_LOOK_SECONDS):
            silent = time.monotonic() - self.heard
            there = silent < _LATE_SECONDS or processes.first_listens()
            lost = there is False or (there is None and silent > self.heartbeat)
            if not self.words and (lost or 0 in processes.gone()):
                self.leave(f"{processes.name_of(0)} is gone: it was killed, or crashed")

    def leave(self, why):
        """End this process because of another one."""
        print(f"{_self()} ends: {why}", file=sys.stderr)
        _end(1)


def _self():
    return processes.name_of(processes.index())


def _end(status):
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
