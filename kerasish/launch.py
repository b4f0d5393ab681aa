"""Start a script as several processes on this machine, which train together.

    python -m kerasish.launch --processes 2 train.py --epochs 3
    python -m kerasish.launch --processes 2 --devices-per-process 4 train.py

The script calls `keras.distribution.initialize()` first; without the launcher it runs by itself.
"""

import argparse
import collections
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

_NOISE = "[Gloo] Rank "  # a line for each group of devices that JAX connects on the CPU
_LAST_LINES = 15  # of a process that failed, repeated at the end


def arguments(args: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says.

    Args:
        args: The words; those of the process unless given.
    """
    first, *rest = (__doc__ or "").split("\n", 1)
    parser = argparse.ArgumentParser(
        prog="python -m kerasish.launch",
        description=first,
        epilog="".join(rest),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return parser.parse_args(args)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the launcher takes to a parser.

    Args:
        parser: The parser.
    """

    def number(name, **kwargs):
        parser.add_argument(name, type=_positive, metavar="N", **kwargs)

    number("--processes", default=2, help="how many to start (2)")
    number(
        "--devices-per-process",
        action=_OneKind,
        help="give each that many virtual CPU devices; without it, each has what JAX finds",
    )
    number(
        "--gpus-per-process",
        action=_OneKind,
        help="share the visible GPUs out, that many to each",
    )
    number("--port", help="port of process 0; a free one if not given")
    parser.add_argument(
        "--quiet", action="store_true", help="of others than process 0, show stderr only"
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="for the others to end when one failed, before they are killed (10)",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is a module's name")
    parser.add_argument("script", help="the script")
    parser.add_argument("args", nargs=argparse.REMAINDER, help="its arguments")


class _OneKind(argparse.Action):
    """Devices of one kind: CPUs or GPUs."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        if namespace.devices_per_process and namespace.gpus_per_process:
            parser.error("--devices-per-process is for CPUs, --gpus-per-process for GPUs: give one")


def _check_port(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise SystemExit(
                f"kerasish.launch: port {port} cannot be used: {error.strerror}. Give another "
                "`--port`, or none: then a free one is taken."
            ) from None


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer, at least 1; got {text!r}")
    return int(text)


def environment(options: argparse.Namespace, port: int, index: int) -> dict[str, str]:
    """The environment of one of the processes.

    Args:
        options: Parsed arguments.
        port: Port of the coordinator.
        index: Number of the process.
    """
    address = f"127.0.0.1:{port}"
    found = {
        **os.environ,
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(options.processes),
        "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
        "JAX_COORDINATOR_BIND_ADDRESS": address,  # or the whole network could reach it
        "PYTHONUNBUFFERED": "1",
    }
    if options.devices_per_process:
        found |= {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(options.devices_per_process),
        }
    if options.gpus_per_process:
        found["CUDA_VISIBLE_DEVICES"] = _gpus(options.gpus_per_process, index)
    return found


def _gpus(each, index):
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    first, end = index * each, (index + 1) * each
    if visible is None:
        return ",".join(map(str, range(first, end)))
    chosen = visible.split(",")[first:end]
    if len(chosen) < each:
        raise SystemExit(
            f"kerasish.launch: process {index} would need GPUs {first} to {end - 1} of "
            f"CUDA_VISIBLE_DEVICES={visible}. Start fewer processes, or give each fewer."
        )
    return ",".join(chosen)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """One of the processes; its lines are shown as they come, with its number before them.

    Args:
        index: Its number.
        command: What it runs.
        env: Its environment.
        quiet: Whether to show process 0's lines as they are, and of others stderr only.
        ended: Queue that it is put in when it has ended.
    """

    def __init__(self, index: int, command: Sequence[str], env: Mapping, quiet: bool, ended: Any):
        self.index = index
        self.last = collections.deque(maxlen=_LAST_LINES)
        # A session of its own: Ctrl-C comes through the launcher, and what it started ends with it.
        self.popen = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        prefix = "" if quiet and index == 0 else f"[{index}] "
        streams = [(self.popen.stdout, sys.stdout), (self.popen.stderr, sys.stderr)]
        self.readers = [
            threading.Thread(
                target=self._show,
                args=(pipe, None if quiet and index and to is sys.stdout else to, prefix),
                daemon=True,
            )
            for pipe, to in streams
        ]
        for reader in self.readers:
            reader.start()
        threading.Thread(target=self._wait, args=(ended,), daemon=True).start()

    def _show(self, pipe, to, prefix):
        with pipe:
            for line in pipe:
                text = line.decode(errors="replace").rstrip("\r\n")
                if text.startswith(_NOISE):
                    continue
                self.last.append(text)
                if to is not None:
                    to.write(f"{prefix}{text}\n")
                    to.flush()

    def _wait(self, ended):
        self.popen.wait()
        ended.put(self)

    def signal(self, number: int) -> None:
        """Send a signal to the process and to those it started.

        Args:
            number: Number of the signal.
        """
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            return

    def how_it_ended(self) -> str:
        """In words."""
        code = self.popen.returncode
        if code >= 0:
            return f"exit status {code}"
        return f"signal {-code} ({signal.Signals(-code).name})"

    def status(self) -> int:
        """Its exit status, as a shell gives it."""
        code = self.popen.returncode
        return code if code >= 0 else 128 - code

    def drain(self) -> None:
        """Show what it wrote last."""
        for reader in self.readers:
            reader.join(timeout=2)  # longer only if something it started still holds the pipe


def run(options: argparse.Namespace) -> int:
    """Start the processes, wait for them, and give the exit status: the first failed one's.

    Args:
        options: Parsed arguments.
    """
    if options.port:
        _check_port(options.port)
    port = options.port or free_port()
    script = ["-m", options.script] if options.module else [options.script]
    command = [sys.executable, *script, *options.args]
    environments = [environment(options, port, i) for i in range(options.processes)]
    events: queue.SimpleQueue = queue.SimpleQueue()  # signals may put into it at any moment
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: events.put(n)) for number in signals}
    running = {
        i: Process(i, command, env, options.quiet, events) for i, env in enumerate(environments)
    }
    try:
        return _watch(running, events, options.grace)
    finally:
        for process in running.values():
            process.signal(signal.SIGKILL)
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(running, events, grace):
    """Wait until all have ended; the first that fails, or a signal, ends the others."""
    status, patience = 0, None
    while running:
        try:
            event = events.get(timeout=patience)
        except queue.Empty:
            _say(f"{_listed(running)} did not end within {grace:g} s: killed.")
            _send(running, signal.SIGKILL)
            patience = None
            continue
        if isinstance(event, int):
            _say(f"{signal.Signals(event).name}: passed on to {_listed(running)}.")
            _send(running, event)
            status, patience = status or 128 + event, grace
            continue
        del running[event.index]
        event.signal(signal.SIGKILL)  # what it may have started
        event.drain()
        if event.popen.returncode and not status:
            status, patience = event.status(), grace
            _tell(event)
            if running:
                _say(f"Ending {_listed(running)}.")
                _send(running, signal.SIGTERM)
    return status


def _send(running, number):
    for process in running.values():
        process.signal(number)


def _tell(process):
    _say(f"process {process.index} (pid {process.popen.pid}) ended: {process.how_it_ended()}.")
    if process.last:
        _say("Its last lines:")
        for line in process.last:
            _say(f"    {line}")


def _listed(running):
    return ", ".join(f"process {i}" for i in sorted(running))


def _say(text):
    print(f"kerasish.launch: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(run(arguments()))
