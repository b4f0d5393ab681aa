"""A real server process, over HTTP on this machine: load, a new version, fuzz, and its end."""

import http.client
import importlib
import json
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

ROOT = pathlib.Path(__file__).parents[2]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Process:
    """A server and the ways to ask it."""

    def __init__(self, *words):
        self.port = free_port()
        command = [sys.executable, "-m", "kerasish.serve", *map(str, words)]
        self.process = subprocess.Popen([*command, "--port", str(self.port)], cwd=ROOT)
        for _ in range(1800):
            assert self.process.poll() is None, "the server ended"
            try:
                if self.ask("GET", "/v2/health/ready")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self):
        self.process.terminate()
        return self.process.wait(60)


def make(value):
    model = keras.Sequential([keras.Input((3,), name="x"), layers.Dense(2, name="y")])
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
    return model


def body_of(x):
    return json.dumps({"instances": np.asarray(x).tolist()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("versions")
    (found / "1").mkdir()
    make(1.0).save(found / "1" / "model.keras")
    return found


@pytest.fixture(scope="module")
def server(folder):
    found = Process(f"m={folder}", "--max-batch", "8", "--poll-seconds", "0.1")
    yield found
    if found.process.poll() is None:
        found.end()


class Clients:
    """Threads that ask on connections kept open, until told to stop."""

    def __init__(self, port, number=8):
        self.answers, self.problems, self.ended = [], [], threading.Event()
        work = self._work
        self._threads = [threading.Thread(target=work, args=(port, i)) for i in range(number)]
        for thread in self._threads:
            thread.start()

    def _work(self, port, seed):
        rng = np.random.default_rng(seed)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not self.ended.is_set():
            x = rng.integers(0, 9, (1, 3)).astype("float32")
            try:
                if connection.sock is None:
                    connection.connect()
            except ConnectionRefusedError:
                break  # it has ended: nothing was accepted
            try:
                connection.request("POST", "/v1/models/m:predict", body_of(x))
                answer = connection.getresponse()
                found = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.problems.append(repr(error))
                break
            if answer.status != 200:
                self.problems.append((answer.status, found))
            else:
                self.answers.append((float(x.sum()), found["predictions"][0][0]))
        connection.close()

    def stop(self):
        self.ended.set()
        for thread in self._threads:
            thread.join(60)


def wait_for(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_new_version_takes_over_under_load(server, folder):
    clients = Clients(server.port)
    wait_for(lambda: len(clients.answers) > 50)
    making = folder.parent / "making"
    making.mkdir()
    make(2.0).save(making / "model.keras")
    shutil.move(making, folder / "2")
    wait_for(lambda: b'"version":"2"' in server.ask("GET", "/v1/models/m")[1])
    seen = len(clients.answers)
    wait_for(lambda: len(clients.answers) > seen + 50)
    clients.stop()
    assert not clients.problems
    kinds = {round(y / (total + 1), 4) for total, y in clients.answers}  # weights all 1, all 2
    assert kinds == {1.0, 2.0}


def malformed(rng):
    """A request that is wrong in some way, as bytes."""
    good = body_of([[1.0, 2.0, 3.0]]).encode()
    kind = rng.randrange(8)
    paths = ["/v1/models/m:predict", "/v2/models/m/infer", "/v1/models/%00:predict", "/v2/x//"]
    path, body, more = rng.choice(paths), bytearray(good), ""
    if kind == 0:
        body = bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    elif kind == 1:
        for _ in range(rng.randrange(1, 5)):
            body[rng.randrange(len(body))] = rng.randrange(256)
    elif kind == 2:
        body = body[: rng.randrange(len(body))]
    elif kind == 3:
        body = b"[" * rng.randrange(1, 5000)
    elif kind == 4:
        more = f"Inference-Header-Content-Length: {rng.choice(['-1', 'x', '9' * 30, '3'])}\r\n"
    elif kind == 5:
        value = rng.choice([None, True, "x", {}, [], [[]], [[[1]]], 1e308, -(2**70)])
        body = json.dumps({"instances": [value], "inputs": [value]}).encode()
    elif kind == 6:
        value = rng.choice([None, "x", {}, [{}], [{"name": "x", "shape": [2**40], "data": []}]])
        body = json.dumps({"inputs": value}).encode()
    else:
        more = rng.choice(["Content-Encoding: gzip\r\n", "Authorization: \x01\r\n", "X\r\n"])
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode("latin-1") + bytes(body)


def test_malformed_requests_leave_it_answering(server):
    rng = random.Random(0)
    statuses = set()
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(malformed(rng))
            line = connection.recv(4096).split(b"\r\n")[0]
            statuses.add(line.split(b" ")[1])
    assert statuses <= {b"200", b"400", b"404", b"405", b"415"}
    status, found = server.ask("POST", "/v1/models/m:predict", body_of([[1, 2, 3]]))
    assert status == 200 and len(json.loads(found)["predictions"]) == 1


def test_sigterm_lets_all_that_was_accepted_be_answered(server):
    clients = Clients(server.port)
    wait_for(lambda: len(clients.answers) > 50)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.process.poll() is not None)
    clients.stop()
    assert not clients.problems
    assert server.process.returncode == 0


OWN = """
import kerasish as keras

@keras.saving.register_keras_serializable("ours")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


def test_modules_with_classes_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_layers.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    own = importlib.import_module("own_layers")
    x = keras.Input((2,), name="x")
    keras.Model(x, own.Twice()(x)).save(tmp_path / "m.keras")
    found = Process(f"m={tmp_path / 'm.keras'}", "--import", "own_layers", "--drain-seconds", "0")
    status, body = found.ask("POST", "/v1/models/m:predict", body_of([[1, 2]]))
    assert (status, json.loads(body)) == (200, {"predictions": [[2.0, 4.0]]})
    assert found.end() == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.keras"], "must be NAME=PATH; got 'model.keras'"),
        (["a=missing.keras"], "`path` must be a model's file"),
        (["a=x", "a=y"], "each name may be given once"),
        (["a=x", "--import", "no_such_module"], "No module named 'no_such_module'"),
        (["a=x", "--max-batch", "0"], "`max_batch` must be a positive integer"),
    ],
)
def test_a_wrong_command_says_what_is_wanted(words, says):
    command = [sys.executable, "-m", "kerasish.serve", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode != 0 and says in done.stderr and "Traceback" not in done.stderr
