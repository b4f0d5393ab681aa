"""Two processes with two devices each, against one device; and what happens when one dies."""

import os
import pathlib
import pickle
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from kerasish import launch
from kerasish.distribution import initialization
from tests.support import distributed_models, two_process_program

ROOT = pathlib.Path(__file__).parent.parent.parent
PROGRAM = ROOT / "tests" / "support" / "two_process_program.py"
ALL = [
    f"{model}/{choice}"
    for model in distributed_models.MODELS
    for choice in two_process_program.CHOICES
]
OURS = {
    "PYTHONPATH": str(ROOT),
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # as the tests beside them have it
}


def start(folder, *cases):
    """Run cases in two processes; gives what each of them found."""
    launcher = [sys.executable, "-m", "kerasish.launch", "--quiet", "--devices-per-process", "2"]
    command = [*launcher, str(PROGRAM), str(folder), *cases]
    done = subprocess.run(
        command,
        env={**os.environ, **OURS},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return results(folder), done.stdout


def results(folder):
    return [pickle.loads((folder / f"{i}.pickle").read_bytes()) for i in (0, 1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def found(folder):
    return start(folder, *ALL, "rest", "go on")


@pytest.fixture(scope="module")
def alone():
    """Results on one device, by model."""
    known = {}

    def train(name):
        if name not in known:
            known[name] = distributed_models.train(
                distributed_models.make(name), *distributed_models.data(name)
            )
        return known[name]

    return train


@pytest.mark.parametrize("case", ALL)
def test_training_equals_one_devices(found, alone, case):
    for each in found[0]:
        distributed_models.assert_same(each[case], alone(case.split("/")[0]))


def test_both_know_the_same(found):
    first, second = found[0]
    for case in ALL:
        for name in ("weights", "predicted", "losses"):
            for a, b in zip(first[case][name], second[case][name], strict=True):
                np.testing.assert_array_equal(a, b)


def test_streams_that_end_differently(found):
    x, model = two_process_program.whole_batches, distributed_models.make("mlp")
    expected = model.fit(x(), epochs=1, verbose=0).history["loss"] + model.evaluate(x(), verbose=0)
    for each in found[0]:
        np.testing.assert_allclose(each["stream"], expected, rtol=1e-5)


def test_a_loop_of_ones_own(found):
    expected = two_process_program.loop()
    for each in found[0]:
        np.testing.assert_allclose(each["loop"], expected, rtol=1e-5)


# -- files


def test_each_file_is_written_once_and_whole(found, folder):
    files = [each["files"] for each in found[0]]
    for mine in files:
        for name in ("loaded", "loaded alone", "best"):
            for a, b in zip(mine[name], mine["weights"], strict=True):
                np.testing.assert_array_equal(a, b)
        for a, b in zip(mine["loaded state"], mine["state"], strict=True):
            np.testing.assert_array_equal(a, b)
        assert mine["parts"] == 4  # what is loaded is split again
        assert "model.keras exists" in mine["refused"]
        assert mine["history"] == files[0]["history"]
    lines = (folder / "log.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1"]
    assert not list(folder.glob(".partial*"))


def test_the_first_process_alone_prints(found):
    assert found[1].count("Epoch 1/2") == 1
    assert "[1]" not in found[1]


# -- mistakes


REFUSED = {
    "number of rows": "process 1 .* Its num samples: 31; process 0's: 32",
    "rows": "process 1 .* Its arrays' values",
    "weights": "fit: process 1 .* Its weights' values",
    "layers": "process 1 .* Its (arrays|number of weights|weights' names and shapes)",
    "epochs": "fit: process 1 .* Its epochs: 2; process 0's: 1",
    "calls": "process 1 .* Its shuffle: True; process 0's: False",
    "mesh": "`shape` must be a grid of the 4 devices",
    "one process' mesh": r"devices of each of the 2 processes; got 'none of \[1\]'",
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_every_process_says_what_differs(found, mistake):
    for each in found[0]:
        message = each["refused"].get(mistake, "nothing was raised")
        assert re.search(REFUSED[mistake], message), message


# -- a process dies


def both(folder, *case):
    """Start two processes without the launcher; gives their exit statuses, errors and seconds."""
    port, begun = launch.free_port(), time.monotonic()
    running = []
    options = launch.arguments(["--devices-per-process", "2", "a script"])
    for i in (0, 1):
        env = {**launch.environment(options, port, i), **OURS}
        command = [sys.executable, str(PROGRAM), str(folder), *case]
        running.append(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate(timeout=120)[1] for process in running]
    return [process.returncode for process in running], errors, time.monotonic() - begun


def test_a_killed_process_is_named_and_the_run_goes_on_exactly(found, folder):
    statuses, errors, seconds = both(folder, "killed")
    assert statuses == [1, -9]
    assert "process 1 (host" in errors[0]
    assert "is gone: it was killed, or crashed" in errors[0]
    assert seconds < 60
    check_going_on(found, folder, "killed")


ENDS = {
    "here": ([-9, 1], "process 1 .* ends: process 0 .host .* is gone: it was killed"),
    "elsewhere": ([-9, 1], "process 1 .* ends: process 0 .host .* is gone: it was killed"),
    "early": ([1, 1], "process 0 .* waits for process 1 .host .* which has come to its end"),
    "late": ([0, 0], ""),  # the first has work of its own to do, for longer than JAX would wait
}
SLOW = [pytest.param(how, marks=pytest.mark.slow) for how in ("elsewhere", "late")]


@pytest.mark.parametrize("how", ["here", "early", *SLOW])
def test_how_a_process_ends(folder, how):
    statuses, errors, seconds = both(folder, "end", how)
    assert statuses == ENDS[how][0], errors
    assert re.search(ENDS[how][1], errors[1])
    assert seconds < 60


@pytest.mark.slow
def test_a_signal_to_one_process_ends_all_at_the_same_step(found, folder):
    statuses, errors, _ = both(folder, "terminated")
    assert statuses == [143, 143], errors
    check_going_on(found, folder, "terminated")


def check_going_on(found, folder, name):
    statuses, errors, _ = both(folder, f"again {name}")
    assert statuses == [0, 0], errors
    for each, never_killed in zip(results(folder), found[0], strict=True):
        history, values = each["go on"]
        assert history == never_killed["go on"][0]
        for a, b in zip(values, never_killed["go on"][1], strict=True):
            np.testing.assert_array_equal(a, b)


# -- a process hangs


@pytest.mark.parametrize(
    "how, reason", [("busy", r"\)"), ("stopped", r"\), which is stopped \(`kill -CONT` it\)")]
)
def test_a_process_that_hangs_is_named_and_not_waited_for_for_ever(folder, how, reason):
    port = launch.free_port()
    options = launch.arguments(["--devices-per-process", "2", "a script"])
    command = [sys.executable, str(PROGRAM), str(folder), "hang", how]
    running = [
        subprocess.Popen(
            command,
            env={**launch.environment(options, port, i), **OURS},
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in (0, 1)
    ]
    try:
        error = running[0].communicate(timeout=120)[1]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    named = (
        rf"process 0 \(.*\) has waited \d+ s for process 1 \(host .*, pid \d+{reason} at epoch 2"
    )
    assert re.search(named, error), error
    assert "its patience is at an end" in error
    assert running[0].returncode == 1


def test_a_port_in_use_is_named():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        options = launch.arguments(["--port", str(port), "a script"])
        with pytest.raises(SystemExit, match=f"port {port} cannot be used: Address already in use"):
            launch.run(options)
        with pytest.raises(RuntimeError, match=rf"port {port} of 127.0.0.1 is in use"):
            initialization.initialize(f"127.0.0.1:{port}", 2, 0)


@pytest.mark.parametrize("patience", [0, -1.0, "soon"])
def test_patience_is_a_number_of_seconds(patience):
    with pytest.raises(ValueError, match="`patience` must be a positive number of seconds"):
        initialization.initialize("127.0.0.1:1", 2, 0, patience=patience)
