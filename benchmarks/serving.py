"""The server under load: `python -m benchmarks.serving`.

A process of its own serves examples/digits.py's network; clients in this one keep connections open
and send single rows. Beside it stand a bare Starlette application that sends back what it gets
(the floor of the HTTP stack), `model.predict` and a jitted call in a loop without HTTP, and the
same server told to compute one request at a time.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import jax
import numpy as np

import kerasish as keras
from kerasish import layers

ECHO = """
import uvicorn, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def echo(request):
    return JSONResponse(await request.json())

app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
"""


def make_model(width: int = 1) -> keras.Model:
    """The digit reader's layers; `width` times as many filters and units."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(32 * width, 3, padding="same", activation="relu"),
            layers.Conv2D(64 * width, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64 * width, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], port: int, path: str = "/v2/health/ready"):
    """A server's process, once it answers; ended afterwards."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
        try:
            for _ in range(1200):
                if process.poll() is not None:
                    log.seek(0)
                    sys.exit(f"The server ended:\n{log.read().decode()}")
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait(60)


def serving(port: int, *models: str, options: tuple = ()):
    """The server's process, once it answers."""
    command = ["-m", "kerasish.serve", *models, "--port", str(port), "--log-level", "warning"]
    return running([*command, *options], port)


def request(path: str, body: bytes) -> bytes:
    """A POST request's bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and body of the next answer on a connection, negative if it is the last."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    start = lower.index(b"content-length:") + len("content-length:")
    size = int(lower[start : lower.index(b"\r\n", start)])
    body = await reader.readexactly(size)
    return int(head[9:12]) * (-1 if b"connection: close" in lower else 1), body


class Load:
    """What clients saw: seconds of each answer, its status, and what went wrong."""

    def __init__(self):
        self.seconds: list[float] = []
        self.statuses: dict[int, int] = {}
        self.errors: list[str] = []
        self.refused = 0  # connections, by a server that has ended
        self.wall = 0.0

    async def client(self, port, message, until, check):
        """Send the message again and again on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not until():
            if reader is None:
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    self.refused += 1
                    return
            began = time.perf_counter()
            writer.write(message)
            try:
                status, body = await answer(reader)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self.errors.append(repr(error))
                return
            self.seconds.append(time.perf_counter() - began)
            if status < 0:
                status, reader = -status, None
                writer.close()
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if check is not None and not check(body):
                self.errors.append(f"wrong answer: {body[:200]!r}")
        writer.close()

    def run(self, port, message, clients=64, seconds=None, requests=None, check=None):
        """Let clients send at once, for some seconds or until so many are answered."""
        began = time.perf_counter()

        def until():
            if requests is not None:
                return len(self.seconds) + clients > requests
            return time.perf_counter() - began > seconds

        async def all_clients():
            each = [self.client(port, message, until, check) for _ in range(clients)]
            await asyncio.gather(*each)

        asyncio.run(all_clients())
        self.wall = time.perf_counter() - began
        return self

    def __str__(self):
        if not self.seconds:
            return f"no answer; {self.errors[:3]}"
        times = np.percentile(self.seconds, [50, 99]) * 1e3
        rate = len(self.seconds) / self.wall
        failed = len(self.errors) + sum(n for code, n in self.statuses.items() if code != 200)
        said = f"{rate:8,.0f} a second   p50 {times[0]:7.2f} ms   p99 {times[1]:7.2f} ms"
        return f"{said}   {failed} failed"


def single_calls(model: keras.Model, x: np.ndarray, seconds: float) -> dict[str, float]:
    """Calls a second with one row each, without HTTP."""
    variables = model.variables
    pure = jax.jit(lambda values, x: keras.pure(lambda: model(x), variables)(values)[0])
    values = [v.value for v in variables]
    calls = {
        "model.predict in a loop, one row": lambda: model.predict(x, verbose=0),
        "jitted call in a loop, one row": lambda: np.asarray(pure(values, x)),
    }
    found = {}
    for name, call in calls.items():
        call()
        times, began = [], time.perf_counter()
        while time.perf_counter() - began < seconds:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        found[name] = 1 / statistics.fmean(times)
    return found


def memory_of(process) -> int:
    """Resident bytes of a process."""
    fields = pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def processor_of(process) -> float:
    """Seconds of the processor that a process has had."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(process, port, message, options, seconds, check=None):
    """A load after a first one, and the microseconds of the processor that each request took."""
    Load().run(port, message, options.clients, min(2, seconds))
    began = processor_of(process)
    load = Load().run(port, message, options.clients, seconds, check=check)
    each = (processor_of(process) - began) / max(len(load.seconds), 1)
    return load, f"{load}   {each * 1e6:4.0f} us of processor each"


def throughput(folder, model, options):
    """Throughput and latency, beside the floor and calls without HTTP."""
    x = np.random.default_rng(0).random((1, 8, 8, 1), "float32")
    message = request("/v1/models/digits:predict", json.dumps({"instances": x.tolist()}).encode())
    wanted = model.predict(x, verbose=0)

    def check(body):
        return np.allclose(json.loads(body)["predictions"], wanted, atol=1e-5)

    for name, rate in single_calls(model, x, min(5.0, options.seconds)).items():
        print(f"{name:44}{rate:8,.0f} a second")
    port = free_port()
    with running(["-c", ECHO, str(port)], port) as process:
        _, said = measured(process, port, message, options, min(5.0, options.seconds))
        print(f"{'bare Starlette echo':44}{said}")
    for name, more in (
        ("one request at a time, computed alone", ("--max-batch", "1", "--max-wait-ms", "0")),
        ("batched", ()),
    ):
        port = free_port()
        with serving(port, f"digits={folder / 'model.keras'}", options=more) as process:
            load, said = measured(process, port, message, options, options.seconds, check)
            print(f"{f'server, {options.clients} clients, {name}':44}{said}")
            print("    " + "; ".join(load.errors[:3]) if load.errors else "    every answer right")


def reload_and_stop(folder, model, seconds):
    """A new version under load, then SIGTERM under load."""
    versions = folder / "versions"
    (versions / "1").mkdir(parents=True)
    shutil.copy(folder / "model.keras", versions / "1" / "model.keras")
    x = np.random.default_rng(0).random((1, 8, 8, 1), "float32").tolist()
    message = request("/v1/models/digits:predict", json.dumps({"instances": x}).encode())
    port = free_port()
    with serving(port, f"digits={versions}", options=("--poll-seconds", "0.2")) as process:

        async def under_load(load, then):
            ended = []
            each = [load.client(port, message, lambda: bool(ended), None) for _ in range(64)]
            running_clients = asyncio.gather(*each)
            await asyncio.sleep(seconds / 3)
            await then()
            await asyncio.sleep(seconds / 3)
            ended.append(True)
            await running_clients

        async def new_version():
            before = model.get_weights()
            model.set_weights([w * 0.9 for w in before])
            (versions / "2").mkdir()
            await asyncio.to_thread(model.save, versions / "2" / "model.keras")
            for _ in range(300):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /v1/models/digits HTTP/1.1\r\nHost: x\r\n\r\n")
                _, body = await answer(reader)
                writer.close()
                if json.loads(body)["model_version_status"][0]["version"] == "2":
                    return
                await asyncio.sleep(0.1)
            sys.exit("The new version was not taken.")

        load = Load()
        asyncio.run(under_load(load, new_version))
        failed = len(load.errors) + sum(n for code, n in load.statuses.items() if code != 200)
        print(f"new version under load: {len(load.seconds):,} answered, {failed} failed")

        async def stop():
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(3)

        load = Load()
        asyncio.run(under_load(load, stop))
        print(
            f"SIGTERM under load: {load.statuses} answered, {len(load.errors)} lost; then "
            f"{load.refused} of 64 clients were refused; exit status {process.wait(60)} "
            f"{load.errors[:2]}"
        )


def memory(folder, requests):
    """Memory over many requests."""
    x = np.zeros((1, 8, 8, 1)).tolist()
    message = request("/v1/models/digits:predict", json.dumps({"instances": x}).encode())
    port = free_port()
    with serving(port, f"digits={folder / 'model.keras'}") as process:
        sizes = []
        for _ in range(5):
            Load().run(port, message, requests=requests // 5)
            sizes.append(memory_of(process) / 2**20)
        shown = ", ".join(f"{size:.1f}" for size in sizes)
        print(f"memory after each {requests // 5:,} requests, MiB: {shown}")


def main():
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load (30)")
    parser.add_argument("--clients", type=int, default=64, help="at once (64)")
    parser.add_argument("--width", type=int, default=1, help="of the network (1)")
    parser.add_argument("--requests", type=int, default=100_000, help="for memory (100,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        model = make_model(options.width)
        model.save(folder / "model.keras")
        throughput(folder, model, options)
        reload_and_stop(folder, model, min(9.0, options.seconds))
        if options.requests:
            memory(folder, options.requests)


if __name__ == "__main__":
    main()
